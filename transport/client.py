"""The Python client: an inbox as an ``async for``, across disconnects and restarts.

::

    async with connect("http://127.0.0.1:8080", token, device="laptop") as inbox:
        async for event in inbox:
            print(event.time, event.type, event.data)

One rule for acknowledgement: **an event is handled when you ask for the next one.** What was in
hand when the loop was left, by an exception or by ``break``, was not handled and comes again,
unless its cursor is in the store.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeAlias, TypeVar

from eventstore.cursor import Cursor
from transport.backoff import Backoff
from transport.client_errors import ClientError, EventsSkipped, HistoryReset
from transport.client_link import ClientLink, Token
from transport.client_session import ClientSession, State
from transport.client_socket import OpenSocket, open_websocket, websocket_url
from transport.cursor_store import CursorStore, MemoryCursorStore
from transport.frames import Quality, Reset, Skipped, Window
from transport.inbox_event import InboxEvent
from transport.intake import Item
from transport.link_end import LinkEnd
from transport.reconnect import Reconnect

_T = TypeVar("_T")
Handler: TypeAlias = Callable[[_T], Awaitable[None] | None]
"""A plain or an async function of the application."""

# The server's own rule (transport/opening.py), told at once and not by a close code for ever.
_DEVICE = re.compile(r"[A-Za-z0-9._:@-]{1,100}", re.ASCII)
_WINDOW = Window()
_BACKOFF = Backoff()


class Inbox:
    """The events of one device, in order; iterate it from one task. Made by :func:`connect`."""

    def __init__(
        self,
        session: ClientSession,
        link: ClientLink,
        store: CursorStore,
        *,
        on_reset: Handler[Reset] | None,
        on_skipped: Handler[Skipped] | None,
        on_state: Callable[[State], None] | None,
    ) -> None:
        self.store = store
        self._session = session
        self._intake = session.intake
        self._link = link
        self._on_reset = on_reset
        self._on_skipped = on_skipped
        self._on_state = on_state
        self._told = session.state
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
        """The server's verdict on the connection; None until its first ping."""
        return self._session.quality

    @property
    def rtt_ms(self) -> float | None:
        """The round trip as the server measured it; None until it did."""
        return self._session.rtt_ms

    @property
    def synced_at(self) -> datetime | None:
        """Everything up to this time has been received; None before the first ``live``."""
        return self._session.synced_at

    def __aiter__(self) -> Inbox:
        """Begin a loop; what an earlier one left unfinished comes first."""
        item = self._intake.in_hand
        if item is not None and self.store.load() == item.cursor:
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
                    await _surface(item, self._on_reset, HistoryReset(item))
                case Skipped():
                    await _surface(item, self._on_skipped, EventsSkipped(item))

    def done(self) -> None:
        """What was handed out last is handled; said for you when you ask for the next."""
        self._intake.finish()
        self._settle()

    async def caught_up(self) -> None:
        """Wait until all that is recorded by now was received; raise what stopped the client."""
        while self.state is not State.LIVE:
            await self._wait_for_news()

    def refresh(self, token: str) -> None:
        """Renew the token before it expires, on this connection and (a plain one) on later ones."""
        if isinstance(self._link.token, str):
            self._link.token = token
        self._session.refresh(token)
        self._link.wake()

    def _settle(self) -> None:
        cursor = self._intake.finished
        if cursor is not None and cursor != self._settled:
            self._intake.stored(self.store.settle(cursor))
            self._settled = cursor
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
        if self._told is not self.state:
            self._told = self.state
            if self._on_state is not None:
                self._on_state(self.state)

    async def _leave(self, running: asyncio.Task[None]) -> None:
        try:
            self._intake.stored(self.store.load())
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


@asynccontextmanager
async def connect(
    url: str,
    token: Token,
    *,
    device: str,
    store: CursorStore | None = None,
    on_reset: Handler[Reset] | None = None,
    on_skipped: Handler[Skipped] | None = None,
    on_state: Callable[[State], None] | None = None,
    window: Window = _WINDOW,
    backoff: Backoff = _BACKOFF,
    max_attempts: int | None = None,
    open_socket: OpenSocket = open_websocket,
    clock: Callable[[], float] | None = None,
    rng: Callable[[], float] = random.random,
) -> AsyncIterator[Inbox]:
    """Subscribe ``device`` to the inboxes that ``token`` may see; reconnects until left.

    Entering does not wait for the server (``await inbox.caught_up()`` does); errors come out of the
    loop. ``clock`` gives monotonic seconds, ``rng`` numbers in [0, 1). Raises :class:`ValueError`
    for a ``url`` that is none, and for a ``device`` that no server would take.
    """
    if not _DEVICE.fullmatch(device):
        raise ValueError("a device is named by 1 to 100 letters, digits and . _ : @ -")
    store = MemoryCursorStore() if store is None else store
    reconnect = Reconnect(
        backoff, rng, attempts_max=max_attempts, renews_token=not isinstance(token, str)
    )
    session = ClientSession(device, store.load(), window, reconnect)
    link = ClientLink(
        websocket_url(url),
        token,
        session,
        open_socket=open_socket,
        clock=clock or asyncio.get_running_loop().time,
    )
    inbox = Inbox(session, link, store, on_reset=on_reset, on_skipped=on_skipped, on_state=on_state)
    running = asyncio.create_task(link.run())
    try:
        yield inbox
    finally:
        await inbox._leave(running)
