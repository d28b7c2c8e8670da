"""The vocabulary itself: named in the past tense, in known streams, shown to whom it may be."""

from __future__ import annotations

from typing import get_args

import pytest

from eventstore.events import Event, RecordedEvent


def _recorded(stream: str, type_: str) -> RecordedEvent:
    return RecordedEvent(1, 1, stream, None, type_, 1, b"{}", None, None, bytes(32))


@pytest.mark.parametrize("cls", get_args(Event))
def test_an_event_class_is_documented_named_and_frozen(cls: type[Event]) -> None:
    """STYLE 6: a docstring, a type ``noun.verbed``, a version, no assignment."""
    assert cls.__doc__
    noun, _, verb = cls.type.partition(".")
    assert noun.isalpha()
    assert verb.replace("_", "").isalpha()
    assert cls.version >= 1
    assert cls.__attrs_props__.is_frozen  # type: ignore[union-attr]  # attrs sets it on the class


@pytest.mark.parametrize(
    ("stream", "type_", "shown"),
    [
        ("inbox:a", "message.received", True),
        ("inbox:a", "contact.aliased", True),
        ("inbox:a", "conversation.read", True),
        ("inbox:a", "webhook.received", False),
        ("inbox:a", "webhook.duplicated", False),
        ("client:ana/phone", "message.received", False),
        ("system", "message.received", False),
    ],
)
def test_members_see_what_is_theirs(stream: str, type_: str, shown: bool) -> None:
    """DESIGN section 4: everything of an inbox but raw webhooks, and no other stream."""
    assert _recorded(stream, type_).for_members is shown


def test_only_inbox_streams_have_an_inbox() -> None:
    """A user called ``inbox:x`` owns no inbox."""
    assert _recorded("inbox:a", "x.y").inbox == "a"
    assert _recorded("client:inbox:a/x", "x.y").inbox is None
    assert _recorded("system", "x.y").inbox is None
