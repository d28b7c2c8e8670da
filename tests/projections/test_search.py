"""Given these facts, when words are looked for, then these conversations are found."""

from __future__ import annotations

import pytest

from eventstore.events import (
    Contact,
    ContactAliased,
    Media,
    MessageEdited,
    MessageRevoked,
    Reaction,
    Text,
)
from projections import search
from projections.search import Found, plain, search_conversations
from projections.store import Store
from tests.projections.history import Log, ask, fold_into, folded, given, said, told

A = frozenset({"a"})
BOTH = frozenset({"a", "b"})


def found(store: Store, q: str, inboxes: frozenset[str] = A, **narrower: object) -> list[str]:
    """The ids that a question finds."""
    return [hit.conversation.id for hit in hits(store, q, inboxes, **narrower)]


def hits(store: Store, q: str, inboxes: frozenset[str] = A, **narrower: object) -> list[Found]:
    """The answer to a question."""
    return ask(store, search_conversations(inboxes, q, **narrower))  # type: ignore[arg-type]


def test_words_are_found_in_any_case_and_with_or_without_accents() -> None:
    """Agents type "joao"; the contact is called João."""
    store = given(
        said("c1", "1", Text("Já saiu para ENTREGA?")),
        said("c2", "2", Text("hello"), contact=Contact("2", name="João Prado", phone="+5511955")),
    )
    assert found(store, "ja SAIU") == ["c1"]
    assert found(store, "entrega") == found(store, "ntreg") == ["c1"]
    assert found(store, "joao") == found(store, "JOÃO") == found(store, "+5511955") == ["c2"]


def test_all_words_must_be_in_one_message() -> None:
    """In any order; a conversation with one word here and the other there is not meant."""
    store = given(
        said("c1", "1", Text("blue shoes, size 40")),
        said("c2", "2", Text("blue")),
        said("c2", "3", Text("shoes")),
    )
    assert found(store, "shoes blue") == ["c1"]


def test_the_newest_conversation_comes_first_with_its_newest_match() -> None:
    """The line shown is the message's own, not the folded text."""
    store = given(
        said("c1", "1", Text("Não veio")),
        said("c2", "2", Text("não")),
        said("c1", "3", Text("NÃO MESMO")),
        said("c1", "4", Text("well")),
    )
    assert [(hit.conversation.id, hit.match.text) for hit in hits(store, "nao")] == [
        ("c1", "NÃO MESMO"),
        ("c2", "não"),
    ]


def test_pages_go_on_before_the_last_one() -> None:
    """As in the list without a question."""
    store = given(*(said(f"c{n}", str(n), Text("same")) for n in range(5)))
    first = hits(store, "same", limit=2)
    rest = found(store, "same", before=first[-1].conversation.last_position)
    assert [hit.conversation.id for hit in first] + rest == ["c4", "c3", "c2", "c1", "c0"]


def test_only_what_the_asker_may_see_is_found() -> None:
    """The same words in another inbox are nobody's business (security row 24)."""
    store = given(said("c1", "1", Text("word")), said("c2", "2", Text("word"), inbox="b"))
    assert found(store, "word") == ["c1"]
    assert found(store, "word", BOTH) == ["c2", "c1"]
    assert found(store, "word", BOTH, inbox="b") == ["c2"]
    assert found(store, "word", A, inbox="b") == []
    assert found(store, "word", frozenset()) == []


def test_an_erased_message_is_not_found_nor_kept() -> None:
    """Not by its words, not by the name that only it told."""
    log = Log(
        said("c1", "1", Text("secret"), contact=Contact("1", name="Zoe")),
        said("c1", "2", Text("open"), contact=Contact("1")),
    )
    store = folded(log.events)
    assert found(store, "secret") == found(store, "zoe") == ["c1"]
    log.redact(1)
    fold_into(store, log.events)
    assert found(store, "secret") == found(store, "zoe") == []
    assert found(store, "open") == ["c1"]


def test_a_revoked_message_is_not_found_by_what_it_said() -> None:
    """Not by its edits either; whoever deleted it for everybody meant it."""
    store = given(
        said("c1", "1", Text("oops")),
        told("c1", MessageEdited("1", Text("oops again"))),
        told("c1", MessageRevoked("1")),
    )
    assert found(store, "oops") == []


def test_an_edit_is_found_by_its_new_words() -> None:
    """The conversation is found; the line is shown where it stands."""
    store = given(said("c1", "1", Text("old")), told("c1", MessageEdited("1", Text("new words"))))
    assert found(store, "new words") == ["c1"]


def test_captions_and_file_names_are_found_and_reactions_are_not() -> None:
    """A thumb is no message."""
    store = given(
        said("c1", "1", Media("image", caption="the broken zip")),
        said("c2", "2", Media("document", filename="Invoice-7.pdf")),
        said("c1", "3", Reaction("1", "👍")),
    )
    assert found(store, "broken") == ["c1"]
    assert found(store, "invoice-7") == ["c2"]
    assert found(store, "👍") == []


def test_two_ids_of_one_contact_are_found_as_one_conversation() -> None:
    """Under the id that stands, whichever id the message came under."""
    store = given(
        said("old", "1", Text("before")),
        said("new", "2", Text("after")),
        told("new", ContactAliased("old", "changed_number")),
    )
    assert found(store, "before") == found(store, "after") == ["new"]


def test_signs_that_mean_something_in_sql_mean_nothing_here() -> None:
    """Per cent and underscore are looked for as they are."""
    store = given(said("c1", "1", Text("100% sure")), said("c2", "2", Text("1000 sure")))
    assert found(store, "100%") == ["c1"]
    assert found(store, "1_0") == found(store, "' OR 1=1 --") == []


def test_a_question_looks_at_so_many_messages_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is beyond the bound is not found; the answer stays cheap."""
    limited = search._SEARCH.replace(f"LIMIT {search.SCANNED_MAX}", "LIMIT 2")
    assert limited != search._SEARCH
    monkeypatch.setattr(search, "_SEARCH", limited)
    store = given(*(said(f"c{n}", str(n), Text("word")) for n in range(4)))
    assert found(store, "word") == ["c3", "c2"]


def test_plain_text_has_no_accents_no_case_and_an_end() -> None:
    """Compatibility forms are folded too; a body of megabytes is cut."""
    assert plain("ÀÉÎõü Straße ﬁ") == "aeiou strasse fi"
    assert len(plain("x" * 10_000)) == search.TEXT_CHARS_MAX
