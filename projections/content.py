"""A message's content as rows keep it: its kind, one line of plain text, and the JSON."""

from __future__ import annotations

from typing import NamedTuple, assert_never

import orjson

from eventstore.codec import CONVERTER
from eventstore.events import (
    Contacts,
    Content,
    Generic,
    Location,
    Media,
    Notice,
    Order,
    Reaction,
    Reply,
    Text,
    Unsupported,
)

PREVIEW_CHARS_MAX = 160


class Shown(NamedTuple):
    """``kind`` names what it is, for a UI to put into words; ``preview`` is what it says itself.

    ``content`` is the JSON of the content as the log has it, with its ``type``.
    """

    kind: str
    preview: str | None
    content: str


def shown(content: Content) -> Shown:
    """What rows keep of a content."""
    kind, text = kind_and_text(content)
    fields = CONVERTER.unstructure(content, unstructure_as=Content)
    return Shown(kind, _one_line(text), orjson.dumps(fields).decode())


def kind_and_text(content: Content) -> tuple[str, str | None]:
    """The kind of a content, and the words in it, where it has some."""
    match content:
        case Text():
            return "text", content.body
        case Media():
            return "voice" if content.voice else content.kind, content.caption or content.filename
        case Location():
            return "location", content.name or content.address
        case Contacts():
            return "contacts", ", ".join(card.name for card in content.contacts)
        case Order():
            return "order", content.note
        case Reaction():
            return "reaction", content.emoji
        case Reply():
            return "reply", content.title
        case Notice():
            return "notice", content.body
        case Generic():
            return "generic", content.text or content.event
        case Unsupported():
            return "unsupported", content.kind
    assert_never(content)


def _one_line(text: str | None) -> str | None:
    """The start of a text, white space made single spaces; None where nothing is left."""
    if text is None:
        return None
    # Cut first: a body may have megabytes, and at most one character in two is white space kept.
    return " ".join(text[: 4 * PREVIEW_CHARS_MAX].split())[:PREVIEW_CHARS_MAX] or None
