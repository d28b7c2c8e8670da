"""Given these facts, when a conversation's messages are asked for, then these."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest

from eventstore.events import (
    Contact,
    ContactAliased,
    Contacts,
    Content,
    Generic,
    Location,
    Media,
    MessageEdited,
    MessageRedacted,
    MessageRevoked,
    MessageStatusChanged,
    Notice,
    Order,
    ProviderError,
    Reaction,
    Reply,
    SharedContact,
    Text,
    Unsupported,
)
from projections.content import PREVIEW_CHARS_MAX, shown
from projections.messages import Message, list_messages
from projections.projection import to_json
from projections.store import Store
from tests.projections.history import Fact, Log, ask, folded, given, said, the, told

A = frozenset({"a"})


def at(second: int) -> datetime:
    """The author's clock."""
    return datetime(2026, 1, 1, 12, 0, second, 1, tzinfo=UTC)


def message(store: Store) -> Message:
    """The one message of conversation c1."""
    row = the(store, list_messages(A, "c1"))
    assert isinstance(row, Message)
    return row


def status(value: str, message_id: str = "1") -> Fact:
    """The provider told how far a message got."""
    return told("c1", MessageStatusChanged(message_id, value, at(1)))  # type: ignore[arg-type]  # any of them


@pytest.mark.parametrize("order", [*permutations(["sent", "delivered", "read", "message"])])
def test_the_status_is_the_highest_told_in_whatever_order_even_before_the_message(
    order: tuple[str, ...],
) -> None:
    """Merged on sent < delivered < read: late and early reports come to the same."""
    store = given(
        *(said("c1", "1", direction="outbound") if it == "message" else status(it) for it in order)
    )
    assert message(store).status == "read"


def test_failed_is_final() -> None:
    """A message that failed is not delivered by a late report."""
    errors = (ProviderError(131, "expired"),)
    failed = told("c1", MessageStatusChanged("1", "failed", at(1), errors))
    row = message(given(said("c1", "1"), status("sent"), failed, status("played")))
    assert (row.status, row.errors) == ("failed", [{"code": 131, "title": "expired"}])


def test_an_edit_replaces_the_content_and_only_a_later_one_replaces_it_again() -> None:
    """Later by the author's clock; the log may have them in another order."""
    first = told("c1", MessageEdited("1", Text("first"), at(1)))
    second = told("c1", MessageEdited("1", Text("second"), at(2)))
    for facts in permutations([said("c1", "1", Text("original")), first, second]):
        row = message(given(*facts))
        assert (row.content, row.edited) == ({"body": "second", "type": "text"}, True)


def test_a_revoked_message_says_nothing_any_more_whatever_edits_come() -> None:
    """Revoked wins over edited, before and after the message."""
    facts = [
        said("c1", "1"),
        told("c1", MessageRevoked("1")),
        told("c1", MessageEdited("1", Text("x"))),
    ]
    for order in permutations(facts):
        row = message(given(*order))
        assert (row.content, row.preview, row.revoked) == (None, None, True)


def test_a_redacted_message_keeps_its_place_and_nothing_it_said() -> None:
    """Position, time and conversation stay; the body is in no table of the file."""
    log = Log(said("c1", "1", Text("secret"), contact=Contact("k", "Secret")), status("sent"))
    store = folded(log.events)
    log.redact(1)
    store.fold(log.events[2:], tuple(store.cursors))
    row = message(store)
    assert (row.position, row.redacted, row.content, row.id) == (1, True, None, None)
    assert "secret" not in "\n".join(store._db.iterdump()).lower()
    assert message(folded(log.events)) == row


def test_a_redacted_edit_brings_the_one_before_it_back() -> None:
    """Facts are kept apart, so that one can go."""
    log = Log(
        said("c1", "1"),
        told("c1", MessageEdited("1", Text("kept"), at(1))),
        told("c1", MessageEdited("1", Text("secret"), at(2))),
    )
    log.redact(3)
    assert message(folded(log.events)).preview == "kept"


def test_each_contacts_last_reaction_is_on_the_message_and_taken_back_ones_are_not() -> None:
    """Also where it came before its message."""
    log = Log(said("c1", "0", Reaction("1", "👍")), said("c1", "1"))
    assert [r.emoji for r in message(folded(log.events)).reactions] == ["👍"]
    log.add(said("c1", "2", Reaction("1", "❤")))
    log.add(said("c1", "3", Reaction("1", "🎉"), direction="outbound"))
    assert [r.emoji for r in message(folded(log.events)).reactions] == ["❤", "🎉"]
    log.add(said("c1", "4", Reaction("1", None)))
    assert [r.emoji for r in message(folded(log.events)).reactions] == ["🎉"]


def test_a_contact_known_by_two_ids_has_one_reaction() -> None:
    """A join makes two conversations' reactions one contact's."""
    store = given(
        said("c1", "1"), said("c2", "2", Reaction("1", "👍")),
        told("c1", ContactAliased("c2", "changed_number")), said("c1", "3", Reaction("1", None)),
    )  # fmt: skip
    assert message(store).reactions == []


def test_the_same_message_id_in_two_inboxes_is_two_messages() -> None:
    """Nothing told in one inbox changes a message of another."""
    store = given(
        said("c1", "1", inbox="a"), said("c1", "1", inbox="b"),
        told("c1", MessageRevoked("1"), inbox="b"), said("c1", "2", Reaction("1", "x"), inbox="b"),
    )  # fmt: skip
    assert message(store).revoked is False
    assert message(store).reactions == []
    assert the(store, list_messages(frozenset({"b"}), "c1")).revoked is True


def test_a_redaction_in_one_inbox_erases_nothing_of_another() -> None:
    """Whatever positions it names."""
    facts = [said("c1", "1"), status("read"), told("c1", MessageEdited("1", Text("new")))]
    erased = MessageRedacted((1, 2, 3), "asked for", "eve")
    row = message(given(*facts, told(None, erased, inbox="b")))
    assert (row.redacted, row.status, row.preview) == (False, "read", "new")
    row = message(given(*facts, told(None, erased)))
    assert (row.redacted, row.status, row.preview) == (True, None, None)


def test_pages_go_back_from_the_newest() -> None:
    """``before`` is the last row's position; reactions take no place on a page."""
    facts = [said("c1", str(n)) for n in range(5)] + [said("c1", "r", Reaction("1", "x"))]
    store = given(*facts)
    pages: list[str | None] = []
    before = None
    while rows := ask(store, list_messages(A, "c1", limit=2, before=before)):
        pages += [row.id for row in rows]
        before = rows[-1].position
    assert pages == ["4", "3", "2", "1", "0"]


def test_either_id_of_a_joined_conversation_finds_all_its_messages() -> None:
    """Those from before the join and those after, in the order of the log."""
    store = given(
        said("old", "1"), said("new", "2"), told("new", ContactAliased("old", "user_id")),
        said("old", "4"),
    )  # fmt: skip
    for id_ in ("old", "new"):
        assert [row.id for row in ask(store, list_messages(A, id_))] == ["4", "2", "1"]


def test_a_message_becomes_json() -> None:
    """Times are text, what is not known is null."""
    fields = to_json(message(given(said("c1", "1", sent_at=at(5), reply_to="0"))))
    assert fields["sent_at"] == "2026-01-01T12:00:05.000001Z"
    assert fields["content"] == {"body": "1", "type": "text"}
    assert (fields["status"], fields["reply_to"], fields["reactions"]) == (None, "0", [])


def test_a_preview_is_one_short_line() -> None:
    """However long or broken the text is."""
    assert shown(Text("a \n\n\t b")).preview == "a b"
    assert len(shown(Text("x" * 9_999)).preview or "") == PREVIEW_CHARS_MAX
    assert shown(Text(" \n ")).preview is None
    assert shown(Location(1.5, 2.5)).preview is None


@pytest.mark.parametrize(
    ("content", "kind", "preview"),
    [
        (Media("audio", voice=True), "voice", None),
        (Media("document", filename="offer.pdf"), "document", "offer.pdf"),
        (Location(1.5, 2.5, "Café"), "location", "Café"),
        (Contacts((SharedContact("Ann"), SharedContact("Bob"))), "contacts", "Ann, Bob"),
        (Order("c", (), "ring twice"), "order", "ring twice"),
        (Reaction("1", "👍"), "reaction", "👍"),
        (Reply("button", "id", "Yes"), "reply", "Yes"),
        (Notice("user_changed_number", "new number"), "notice", "new number"),
        (Generic("paid", data={"a": 1}), "generic", "paid"),
        (Unsupported("poll"), "unsupported", "poll"),
    ],
)
def test_each_content_says_what_kind_it_is_and_its_own_words(
    content: Content, kind: str, preview: str | None
) -> None:
    """The kind is for the UI to put into words, in the reader's language."""
    assert shown(content)[:2] == (kind, preview)
