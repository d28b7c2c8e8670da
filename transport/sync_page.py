"""One answer of ``/v1/sync``, taken only if it is what its receipt says (PROTOCOL section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

import orjson
from attrs import frozen

from eventstore.cursor import Cursor
from transport.client_errors import SyncUnverified
from transport.frames import FrameError
from transport.inbox_event import InboxEvent


@frozen
class SyncPage:
    """Events after ``after`` up to ``cursor``, in order, and the conversations they touched.

    ``up_to_date`` says that this is all there was; go on from ``cursor`` otherwise.
    """

    events: tuple[InboxEvent, ...]
    conversations: tuple[Mapping[str, Any], ...]
    after: Cursor
    cursor: Cursor
    up_to_date: bool


def read_page(body: bytes, asked: Cursor | None) -> SyncPage:
    """Read an answer to the question for what comes after ``asked`` (None: from a time).

    Raises :class:`SyncUnverified` where an event is missing, added or moved against the receipt.
    What an event says is not in the receipt's digest; the log's chain covers that.
    """
    try:
        told = orjson.loads(body)
        page = SyncPage(
            events=tuple(InboxEvent.from_wire(wire) for wire in told["events"]),
            conversations=tuple(told["conversations"]),
            after=Cursor.parse(told["after"]),
            cursor=Cursor.parse(told["cursor"]),
            up_to_date=told["up_to_date"] is True,
        )
        receipt = told["receipt"]
        said = (receipt["from"], receipt["to"], receipt["count"], receipt["digest"])
    except (ValueError, TypeError, KeyError, FrameError) as error:
        raise SyncUnverified("the answer cannot be read") from error
    held = (str(page.after), str(page.cursor), len(page.events), digest_of(page.events))
    if said != held:
        raise SyncUnverified("the events are not the ones of the receipt")
    if asked is not None and page.after != asked:
        raise SyncUnverified("the events follow another cursor than the one asked for")
    _check_order(page)
    return page


def digest_of(events: Sequence[InboxEvent]) -> str:
    """SHA-256, hex, of each event's cursor followed by a line feed: the receipt's digest."""
    return sha256("".join(f"{event.cursor}\n" for event in events).encode()).hexdigest()


def _check_order(page: SyncPage) -> None:
    cursors = [page.after, *(event.cursor for event in page.events)]
    ascending = all(a.position < b.position for a, b in pairwise(cursors))
    one_log = all(cursor.epoch == page.cursor.epoch for cursor in cursors)
    if not (ascending and one_log and cursors[-1].position <= page.cursor.position):
        raise SyncUnverified("the events are not one piece of one history, in order")
    if not page.up_to_date and page.cursor == page.after:
        raise SyncUnverified("there is more, and the answer leads nowhere")
