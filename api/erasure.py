"""Erasing a message: everything that holds its words, found and blanked together (docs/erasure.md).

A message's words are in the event itself, in its edits, and in every raw webhook that carried any
of them: the first, and whatever the provider sent again in another envelope. Those are found by
parsing the inbox's raw webhooks again. A webhook that carried other messages too loses its raw body
as a whole; what was derived from it for the others stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import orjson

from api.providers import PROVIDERS
from api.providers.contract import Request
from api.records import Records
from eventstore.codec import decode_recorded
from eventstore.draft import Receipt
from eventstore.erasure import REASON_CHARS_MAX, CannotErase
from eventstore.events import MessageEdited, MessageReceived, RecordedEvent, WebhookReceived
from eventstore.log import EventLog
from projections.pointers import list_later
from projections.projector import ProjectionsBehind

ABOUT_MAX = 500
PAGE_EVENTS = 500
PROJECTIONS_WAIT_S = 10.0
WEBHOOK, EDIT = WebhookReceived.type, MessageEdited.type

Erased = tuple[Receipt, tuple[int, ...], bool]
"""The receipt of the record, the positions it names, and whether no file here holds a byte more."""


async def erase(
    records: Records, position: int, *, reason: str, by: str, correlation_id: str | None = None
) -> Erased:
    """Erase the event at a position and all that holds the same words.

    Returns once no projection shows it, unless they do not get on. Raises
    :class:`eventstore.erasure.CannotErase`, LogUnavailable.
    """
    if not reason.strip() or len(reason) > REASON_CHARS_MAX:
        raise CannotErase(f"a reason has 1 to {REASON_CHARS_MAX} characters")
    log = records.log
    found = await log.read(position - 1, 1, until=position) if position > 0 else []
    also = [each async for each in _same_words(log, found[0])] if found else []
    about = await _about(records, found[0]) if found else []
    receipt, positions = await log.redact(
        position, reason=reason, by=by, also=also, about=about, correlation_id=correlation_id
    )
    purged = False
    with suppress(TimeoutError, ProjectionsBehind):  # it is durable, which is what we answer
        async with asyncio.timeout(PROJECTIONS_WAIT_S):
            await records.projector.wait_for(receipt.position)
            purged = await records.projector.purge()
    return receipt, tuple(positions), purged and log.purged


async def _about(records: Records, target: RecordedEvent) -> list[int]:
    """Where else something is said of a message, for its trace: its id will be gone.

    As far as the projections are: an erasure does not fail where they do not get on.
    """
    event = decode_recorded(target)
    if not isinstance(event, MessageReceived) or target.inbox is None:
        return []
    asked = list_later(target.position, target.inbox, event.message_id, most=ABOUT_MAX)
    with suppress(TimeoutError, ProjectionsBehind):
        async with asyncio.timeout(PROJECTIONS_WAIT_S):
            await records.projector.wait_for(records.log.head.position)
    with suppress(ProjectionsBehind):
        return (await records.projector.fetch(asked)).rows
    return []


async def _same_words(log: EventLog, target: RecordedEvent) -> AsyncIterator[int]:
    if target.causation_id is not None and target.type.startswith("message."):
        yield target.causation_id
    event = decode_recorded(target)
    if not isinstance(event, MessageReceived) or target.inbox is None:
        return
    after, streams = 0, [target.stream]
    while page := await log.read(after, PAGE_EVENTS, streams=streams, types=[WEBHOOK, EDIT]):
        for recorded in page:
            if recorded.data is not None and _speaks(recorded, target.inbox, event.message_id):
                yield recorded.position
        after = page[-1].position


def _speaks(recorded: RecordedEvent, inbox: str, message_id: str) -> bool:
    """Whether an edit, or a raw webhook, holds words of this message."""
    event = decode_recorded(recorded)
    if isinstance(event, MessageEdited):
        return event.message_id == message_id
    if not isinstance(event, WebhookReceived) or event.provider not in PROVIDERS:
        return False
    if not _may_name(event, message_id):
        return False
    request = Request(inbox, event.headers, event.body, recorded.recorded_at)
    return any(
        isinstance(draft.event, MessageReceived | MessageEdited)
        and draft.event.message_id == message_id
        for draft in PROVIDERS[event.provider].parse(request)
    )


def _may_name(webhook: WebhookReceived, message_id: str) -> bool:
    """Cheap, and never wrongly no: whether parsing is worth it."""
    named = orjson.dumps(message_id)[1:-1]
    return b"\\" in webhook.body or named in webhook.body or message_id in webhook.headers.values()
