"""Given these facts, when the list is asked for, then these conversations."""

from __future__ import annotations

import pytest

from eventstore.events import (
    Contact,
    ContactAliased,
    ConversationRead,
    Media,
    MessageEdited,
    MessageRevoked,
    MessageStatusChanged,
    Reaction,
    Text,
)
from projections.conversations import (
    Conversation,
    conversations_touched,
    get_conversation,
    list_conversations,
)
from projections.projection import to_json
from projections.store import Store
from tests.projections.history import Fact, Log, ask, folded, given, said, the, told

A = frozenset({"a"})
BOTH = frozenset({"a", "b"})


def aliased(conversation: str, alias: str) -> Fact:
    """``alias`` joins ``conversation``."""
    return told(conversation, ContactAliased(alias, "user_id"))


def seen(conversation: str, position: int) -> Fact:
    """Somebody read a conversation up to a position."""
    return told(conversation, ConversationRead(position, "ann"))


def conversation(store: Store, id_: str) -> Conversation:
    """One conversation of inbox a."""
    row = the(store, get_conversation(A, id_))
    assert isinstance(row, Conversation)
    return row


def test_the_newest_message_comes_first() -> None:
    """By the position of the last message, not by name or age."""
    store = given(said("c1", "1"), said("c2", "2"), said("c3", "3"), said("c1", "4"))
    assert [row.id for row in ask(store, list_conversations(A))] == ["c1", "c3", "c2"]


def test_pages_follow_each_other_without_gap_or_overlap_across_inboxes() -> None:
    """``before`` is the last row's position; the pages together are the whole list."""
    facts = [said(f"c{n}", str(n), inbox="ab"[n % 2]) for n in range(11)]
    store = given(*facts)
    whole = ask(store, list_conversations(BOTH))
    pages: list[Conversation] = []
    while page := ask(
        store,
        list_conversations(BOTH, limit=3, before=pages[-1].last_position if pages else None),
    ):
        pages += page
    assert pages == whole
    assert len(whole) == 11


def test_one_inbox_can_be_asked_for_but_only_if_it_is_among_the_callers() -> None:
    """Naming an inbox narrows; it never widens."""
    store = given(said("c1", "1", inbox="a"), said("c2", "2", inbox="b"))
    assert [row.id for row in ask(store, list_conversations(BOTH, inbox="b"))] == ["c2"]
    assert ask(store, list_conversations(A, inbox="b")) == []
    assert ask(store, get_conversation(A, "c2")) == []


def test_inbound_messages_are_unread_until_read_and_outbound_never_are() -> None:
    """The mark takes what is at or before its position, and leaves what is after."""
    store = given(
        said("c1", "1"), said("c1", "2", direction="outbound"), said("c1", "3"), said("c1", "4"),
        seen("c1", 3),
    )  # fmt: skip
    row = conversation(store, "c1")
    assert (row.messages, row.unread, row.read_position) == (4, 1, 3)


def test_an_older_read_mark_that_comes_later_changes_nothing() -> None:
    """Marks only go forward, whatever order two agents' marks come in."""
    store = given(said("c1", "1"), said("c1", "2"), seen("c1", 2), seen("c1", 1))
    assert (conversation(store, "c1").unread, conversation(store, "c1").read_position) == (0, 2)


def test_a_read_mark_beyond_the_log_does_not_swallow_what_comes_later() -> None:
    """Nobody has read what was not recorded when they said so."""
    store = given(said("c1", "1"), seen("c1", 1_000), said("c1", "2"))
    row = conversation(store, "c1")
    assert (row.unread, row.read_position) == (1, 2)


def test_a_redacted_reaction_is_a_redacted_message_live_and_folded_again() -> None:
    """Without its data nothing tells it from a message, so it must not be told apart before."""
    log = Log(said("c1", "1", Reaction("0", "👍")))
    live = folded(log.events)
    assert ask(live, list_conversations(A)) == []
    log.redact(1)
    live.fold(log.events[1:], tuple(live.cursors))
    assert live.digests() == folded(log.events).digests()
    assert (conversation(live, "c1").messages, conversation(live, "c1").last.redacted) == (1, True)


def test_a_reaction_is_shown_on_its_message_and_counts_as_none() -> None:
    """It neither adds a message nor an unread one, nor moves the conversation up."""
    store = given(
        said("c1", "1"), said("c2", "2"), said("c1", "3", Reaction("1", "👍")), seen("c2", 2)
    )
    row = conversation(store, "c1")
    assert (row.messages, row.unread, row.last_position, row.touched) == (1, 1, 1, 3)


def test_the_preview_is_what_the_last_message_says_now() -> None:
    """An edit shows, a revocation hides; the kind is for the UI to put into words."""
    image = Media("image", caption=" a\n picture ")
    edited = told("c1", MessageEdited("1", Text("better")))
    log = Log(said("c1", "1", image))
    assert conversation(folded(log.events), "c1").last.kind == "image"
    assert conversation(folded(log.events), "c1").last.text == "a picture"
    log.add(edited)
    assert conversation(folded(log.events), "c1").last.text == "better"
    log.add(told("c1", MessageRevoked("1")))
    last = conversation(folded(log.events), "c1").last
    assert (last.text, last.revoked) == (None, True)


def test_a_redacted_message_leaves_list_contact_and_unread_as_if_its_words_never_came() -> None:
    """The name went with the message that told it; an older message's name shows again."""
    log = Log(
        said("c1", "1", contact=Contact("k", "Old")), said("c1", "2", contact=Contact("k", "New"))
    )
    assert conversation(folded(log.events), "c1").contact.name == "New"
    log.redact(2)
    row = conversation(folded(log.events), "c1")
    assert (row.contact.name, row.last.text, row.last.redacted) == ("Old", None, True)
    assert (row.messages, row.unread) == (2, 1)


def test_a_contacts_attributes_are_remembered_one_by_one() -> None:
    """A payload that leaves out the phone does not make us forget it."""
    store = given(
        said("c1", "1", contact=Contact("k", "Ann", "+1", None)),
        said("c1", "2", contact=Contact("k", None, None, "ann")),
    )
    contact = conversation(store, "c1").contact
    assert (contact.name, contact.phone, contact.username) == ("Ann", "+1", "ann")


def test_the_outbound_status_is_that_of_the_last_outbound_message() -> None:
    """A later status of an older message is not it."""
    store = given(
        said("c1", "old", direction="outbound"), said("c1", "new", direction="outbound"),
        told("c1", MessageStatusChanged("new", "sent")),
        told("c1", MessageStatusChanged("old", "read")), said("c1", "answer"),
    )  # fmt: skip
    assert conversation(store, "c1").outbound_status == "sent"


def test_a_conversation_that_joins_another_brings_what_it_had_and_what_comes_later() -> None:
    """Counts add up, either id finds the one conversation, and only one is listed."""
    store = given(said("old", "1"), said("new", "2"), aliased("new", "old"), said("old", "4"))
    [row] = ask(store, list_conversations(A))
    assert (row.id, row.messages, row.unread, row.last_position) == ("new", 3, 3, 4)
    assert row.aliases == ["old"]
    assert conversation(store, "old") == row


def test_reading_after_a_join_reads_both_and_a_mark_from_before_only_its_own() -> None:
    """A mark of one conversation says nothing about messages of another that joins later."""
    log = Log(said("old", "1"), said("new", "2"), seen("new", 2), aliased("new", "old"))
    assert conversation(folded(log.events), "new").unread == 1
    log.add(seen("old", 2))
    assert conversation(folded(log.events), "new").unread == 0


@pytest.mark.parametrize(
    ("joins", "root"),
    [
        ([("c2", "c1"), ("c3", "c2")], "c3"),
        ([("c3", "c2"), ("c2", "c1")], "c3"),
        ([("c2", "c1"), ("c1", "c2"), ("c3", "c1")], "c3"),
        ([("c2", "c1"), ("c3", "c2"), ("c1", "c3"), ("c1", "c1")], "c3"),
    ],
)
def test_chains_and_cycles_in_any_order_end_in_one_conversation(
    joins: list[tuple[str, str]], root: str
) -> None:
    """Every id answers with the same root, and nothing is lost or counted twice."""
    facts = [said(id_, id_) for id_ in ("c1", "c2", "c3")]
    store = given(*facts, *(aliased(*join) for join in joins))
    [row] = ask(store, list_conversations(A))
    assert (row.id, row.messages) == (root, 3)
    assert all(conversation(store, id_) == row for id_ in ("c1", "c2", "c3"))


def test_a_join_in_one_inbox_joins_nothing_in_another() -> None:
    """The same ids in two inboxes are different conversations."""
    store = given(said("c1", "1", inbox="b"), said("c2", "2", inbox="b"), aliased("c1", "c2"))
    assert len(ask(store, list_conversations(BOTH))) == 2


def test_touched_tells_which_conversations_changed_after_a_position() -> None:
    """Messages, statuses, edits, reads and redactions count; of other conversations nothing."""
    log = Log(said("c1", "1"), said("c2", "2"), said("c3", "3"))
    log.add(told("c1", MessageStatusChanged("1", "read")), seen("c2", 2))
    touched = ask(folded(log.events), conversations_touched(A, 3))
    assert [row.id for row in touched] == ["c1", "c2"]
    log.redact(3)
    assert [row.id for row in ask(folded(log.events), conversations_touched(A, 5))] == ["c3"]


def test_a_conversation_becomes_json_with_times_as_text() -> None:
    """RFC 3339 with microseconds, and every field by its name."""
    fields = to_json(conversation(given(said("c1", "1")), "c1"))
    assert fields["last_at"] == "2023-11-14T22:13:21.000000Z"
    assert fields["last"] == {
        "kind": "text", "text": "1", "direction": "inbound", "revoked": False, "redacted": False,
    }  # fmt: skip
