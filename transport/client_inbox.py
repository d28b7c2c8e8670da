"""What an application holds: the events of one device, and how the subscription stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias, TypeVar

from attrs import frozen

from eventstore.cursor import Cursor
from transport.client_errors import ClientError, EventsSkipped, GaveUp, HistoryReset
from transport.client_link import ClientLink
from transport.client_session import ClientSession, State
from transport.cursor_store import CursorStore
from transport.frames import Quality, Reset, Skipped
from transport.inbox_event import InboxEvent
from transport.intake import Item
from transport.link_end import LinkEnd

_T = TypeVar("_T")
Handler: TypeAlias = Callable[[_T], Awaitable[None] | None]
"""A plain or an async function of the application."""


@frozen
class Handlers:
    """What the application wants to be told; see :func:`transport.client.connect`."""

    on_reset: Handler[Reset] | None = None
    on_skipped: Handler[Skipped] | None = None
    on_state: Callable[[State], None] | None = None
    on_quality: Callable[[Quality | None], None] | None = None
    on_gave_up: Callable[[GaveUp], None] | None = None


class Inbox:
    """The events of one device, in order; iterate it from one task. Made by `connect`."""

    def __init__(
        self,
        session: ClientSession,
        link: ClientLink,
        store: CursorStore,
        handlers: Handlers,
    ) -> None:
        self.store = store
        self._session = session
        self._intake = session.intake
        self._link = link
        self._handlers = handlers
        self._told_state = session.state
        self._told_quality = session.quality
        self._settled: Cursor | None = None
        self._news = asyncio.Event()
        link.on_news = self._tell

    @property
    def state(self) -> State:
        """How the subscription stands."""
        return self._session.state

    @property
    def last_end(self) -> LinkEnd | None:
        """Why the last link ended or did not come about, for showing while reconnecting."""
        return self._session.last_end

    @property
    def quality(self) -> Quality | None:
        """The server's verdict on this connection; None until its first ping, and without one."""
        return self._session.quality

    @property
    def rtt_ms(self) -> float | None:
        """The round trip as the server measured it on this connection; None until it did."""
        return self._session.rtt_ms

    @property
    def pending(self) -> int:
        """How many events are still to come while catching up; the server counts to 10,000."""
        return self._session.pending

    @property
    def attempts(self) -> int:
        """Attempts to connect that led to nothing, the present one included; 0 while live."""
        return self._session.attempts

    @property
    def retry_in_s(self) -> float | None:
        """Seconds until the next attempt; None unless it is waited for."""
        at = self._session.retry_at
        return None if at is None else max(0.0, at - self._link.clock())

    @property
    def synced_at(self) -> datetime | None:
        """Everything up to this time has been received; None before the first ``live``."""
        return self._session.synced_at

    def __aiter__(self) -> Inbox:
        """Begin a loop; what an earlier one left unfinished comes first."""
        item = self._intake.in_hand
        again = isinstance(item, InboxEvent) and item.request is not None
        if item is not None and not again and self.store.load() == item.cursor:
            self.done()
        self._intake.put_back()
        return self

    async def __anext__(self) -> InboxEvent:
        """The one before is handled; wait for the next.

        Raises what stopped the client (:class:`~transport.client_errors.Stopped`), and where no
        handler was given for it, :class:`~transport.client_errors.Interrupted`.
        """
        while True:
            self.done()
            item = await self._next()
            match item:
                case InboxEvent():
                    return item
                case Reset():
                    await _surface(item, self._handlers.on_reset, HistoryReset(item))
                case Skipped():
                    await _surface(item, self._handlers.on_skipped, EventsSkipped(item))

    def done(self) -> None:
        """What was handed out last is handled; said for you when you ask for the next."""
        self._intake.finish()
        self._settle()

    async def caught_up(self) -> None:
        """Wait until all that is recorded by now was received; raise what stopped the client."""
        while self.state is not State.LIVE:
            await self._wait_for_news()

    async def put_aside(self, reason: str) -> None:
        """The event in hand cannot be handled: leave it to the server's list of parked ones.

        ``reason`` (200 characters) is recorded. Waits for a connection that can say it, or that
        shows that it need not be said; one that came again on request waits for none. Raises what
        stopped the client, and :class:`ValueError` where no event is in hand.
        """
        event = self._intake.in_hand
        if event is None or isinstance(event, Reset | Skipped):
            raise ValueError("no event is in hand")
        while not self._session.put_aside(reason):
            await self._wait_for_news()
        self._settle()
        self._link.wake()

    def try_now(self) -> None:
        """Do not wait for the next attempt to connect: somebody knows that the network is back."""
        self._session.retry_now(self._link.clock())
        self._link.wake()

    def refresh(self, token: str) -> None:
        """Renew the token before it expires, on this connection and (a plain one) on later ones."""
        self._link.replace_token(token)

    def _settle(self) -> None:
        cursor = self._intake.finished
        if cursor is not None and cursor != self._settled:
            self._intake.stored(self.store.settle(cursor))
            self._settled = cursor
            self._link.wake()
        self._keep_returns()

    def _keep_returns(self) -> None:
        if self._intake.returns.unkept and not self.store.in_transaction:
            self._session.keep_returns()
            self._link.wake()

    async def _next(self) -> Item:
        while (item := self._intake.take()) is None:
            await self._wait_for_news()
            # Also where a device begins that is new: were it forgotten in a crash before the first
            # event, the next start would begin later, and what lies between would be lost.
            self._settle()
        return item

    async def _wait_for_news(self) -> None:
        if self._session.error is not None:
            raise self._session.error
        if self.state is State.CLOSED:
            raise ClientError("this inbox was left")
        self._news.clear()
        await self._news.wait()

    def _tell(self) -> None:
        self._news.set()
        handlers, error = self._handlers, self._session.error
        if self._told_state is not self.state:
            self._told_state = self.state
            if handlers.on_state is not None:
                handlers.on_state(self.state)
            if handlers.on_gave_up is not None and isinstance(error, GaveUp):
                handlers.on_gave_up(error)
        if self._told_quality != self.quality:
            self._told_quality = self.quality
            if handlers.on_quality is not None:
                handlers.on_quality(self.quality)

    async def _leave(self, running: asyncio.Task[None]) -> None:
        try:
            self._intake.stored(self.store.load())
            self._keep_returns()
        finally:
            self._session.leave(self._link.clock())
            await _end(running)
            self._tell()


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel, and wait for the polite part of its ending; a cancel of ours cuts that short."""
    task.cancel()
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task})
        raise
    if not task.cancelled():
        task.exception()  # told to the loop already; asked for here, or asyncio would print it


async def _surface(item: _T, handler: Handler[_T] | None, error: ClientError) -> None:
    if handler is None:
        raise error
    answer = handler(item)
    if answer is not None:
        await answer
