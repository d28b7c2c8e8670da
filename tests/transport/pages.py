"""Cursors, pages and drafts for tests: a log's worth of events without a log."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from eventstore.cursor import Cursor
from eventstore.draft import Draft
from eventstore.events import Contact, MessageReceived, Text
from eventstore.tail import Visible
from transport.page import Page

EPOCH = "e1"


def cursor(position: int, epoch: str = EPOCH) -> Cursor:
    """The cursor at a position; its hash depends on the position only."""
    return Cursor.at(epoch, position, sha256(b"%d" % position).digest())


def visible(position: int, size: int = 10, inbox: str = "a") -> Visible:
    """An event with a body of ``size`` bytes."""
    return Visible(position, position, cursor(position), inbox, b"1" * size)


def page(after: int, positions: Iterable[int], size: int = 10) -> Page:
    """A page of events at these positions, each of ``size`` bytes."""
    return Page.of(cursor(after), [visible(position, size) for position in positions])


def message(number: int, inbox: str = "a", text: str = "hello") -> Draft:
    """A message to append."""
    event = MessageReceived(f"m{number}", Contact("5511"), Text(text))
    return Draft(f"inbox:{inbox}", event, conversation="c_1")
