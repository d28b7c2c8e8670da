"""The Python client: an inbox as an ``async for``, across disconnects and restarts.

::

    async with connect("http://127.0.0.1:8080", token, device="laptop") as inbox:
        async for event in inbox:
            print(event.time, event.type, event.data)

One rule for acknowledgement: **an event is handled when you ask for the next one.** What was in
hand when the loop was left, by an exception or by ``break``, was not handled and comes again,
unless its cursor is in the store. All decisions are those of
:class:`~transport.client_session.ClientSession`; this file moves bytes and waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from inspect import isawaitable
from typing import TypeAlias, TypeVar

from transport.backoff import Backoff
from transport.client_errors import ClientError, EventsSkipped, HistoryReset
from transport.client_session import ClientSession, Link, State
from transport.client_socket import LinkEnded, OpenSocket, Socket, open_websocket, websocket_url
from transport.cursor_store import CursorStore, MemoryCursorStore
from transport.frames import (
    Error,
    FrameError,
    Quality,
    Reset,
    Skipped,
    Window,
    decode_server_frame,
    encode_frame,
)
from transport.inbox_event import InboxEvent
from transport.link_end import LinkEnd

_T = TypeVar("_T")
Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or what gives a fresh one for each connection."""

OnReset: TypeAlias = Callable[[Reset], Awaitable[None] | None]
OnSkipped: TypeAlias = Callable[[Skipped], Awaitable[None] | None]
OnState: TypeAlias = Callable[[State], None]

_WINDOW = Window()
_BACKOFF = Backoff()

_log = logging.getLogger(__name__)


class Inbox:
    """The events of one device, in order; iterate it from one task. Made by :func:`connect`."""

    def __init__(
        self,
        url: str,
        token: Token,
        session: ClientSession,
        store: CursorStore,
        *,
        open_socket: OpenSocket,
        clock: Callable[[], float],
        on_reset: OnReset | None,
        on_skipped: OnSkipped | None,
        on_state: OnState | None,
    ) -> None:
        self.store = store
        self._url = url
        self._token = token
        self._session = session
        self._open_socket = open_socket
        self._clock = clock
        self._on_reset = on_reset
        self._on_skipped = on_skipped
        self._on_state = on_state
        self._told = session.state
        self._news = asyncio.Event()
        self._work = asyncio.Event()

    # --- for the application -------------------------------------------------------------------

    @property
    def state(self) -> State:
        """How the subscription stands."""
        return self._session.state

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
        session = self._session
        if session.in_hand is not None and self.store.load() == session.in_hand.cursor:
            self.done()
        session.put_back()
        return self

    async def __anext__(self) -> InboxEvent:
        """The one before is handled; wait for the next.

        Raises what stopped the client (:class:`~transport.client_errors.Stopped`), and without a
        handler for it :class:`~transport.client_errors.Interrupted`.
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
        cursor = self._session.finish()
        if cursor is not None:
            self._session.stored(self.store.settle(cursor))
            self._work.set()

    async def caught_up(self) -> None:
        """Wait until everything recorded so far was received; raise what stopped the client."""
        while self.state is not State.LIVE:
            await self._wait_for_news()

    def refresh(self, token: str) -> None:
        """Renew the token before it expires, here and for later connections."""
        if isinstance(self._token, str):
            self._token = token
        self._session.refresh(token)
        self._work.set()

    # --- waiting -------------------------------------------------------------------------------

    async def _next(self) -> InboxEvent | Reset | Skipped:
        while (item := self._session.take()) is None:
            await self._wait_for_news()
        return item

    async def _wait_for_news(self) -> None:
        if self._session.error is not None:
            raise self._session.error
        if self.state is State.CLOSED:
            raise ClientError("this inbox was left")
        self._news.clear()
        await self._news.wait()

    def _tell(self) -> None:
        self._work.set()
        self._news.set()
        if self._told is not self.state:
            self._told = self.state
            if self._on_state is not None:
                self._on_state(self.state)

    async def _wait_for_work(self, until: float | None) -> None:
        delay_s = None if until is None else max(0.0, until - self._clock())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._work.wait()

    # --- the links -----------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while self._session.state is not State.CLOSED:
                await self._one_link()
                self._tell()
                await self._wait_to_retry()
        except Exception as error:
            # Whatever it is, of a callback's making or ours: the application's loop raises it.
            self._session.fail(error)
            self._news.set()

    async def _wait_to_retry(self) -> None:
        while (retry_at := self._session.retry_at) is not None and self._clock() < retry_at:
            self._work.clear()
            await self._wait_for_work(retry_at)

    async def _one_link(self) -> None:
        session = self._session
        session.connecting()
        try:
            token = await self._fresh_token()
            socket = await self._open_socket(self._url)
        except LinkEnded as error:
            session.lost(error.end, self._clock())
            return
        session.opened(token, self._clock())
        reader = asyncio.create_task(self._read(socket))
        try:
            await self._write(socket)
        finally:
            reader.cancel()
            try:
                await self._part(socket)
            finally:
                await asyncio.wait({reader})
        if not reader.cancelled():
            reader.result()

    async def _fresh_token(self) -> str:
        if isinstance(self._token, str):
            return self._token
        try:
            token = self._token()
            return token if isinstance(token, str) else await token
        except OSError as error:
            raise LinkEnded(LinkEnd(reason=f"no token: {error}")) from error

    async def _read(self, socket: Socket) -> None:
        session = self._session
        try:
            while session.link is Link.OPEN:
                text = await socket.receive()
                self._take(text)
                self._tell()
        except LinkEnded as error:
            session.lost(error.end, self._clock())
        finally:
            session.give_up("reading has ended", self._clock())
            self._work.set()

    def _take(self, text: str | bytes) -> None:
        try:
            frame = decode_server_frame(text)
        except FrameError as error:
            self._session.give_up(error.reason, self._clock())
            return
        if isinstance(frame, Error):
            _log.warning("the server refused a frame: %s", frame.problem)
        self._session.receive(frame, len(text), self._clock())

    async def _write(self, socket: Socket) -> None:
        session = self._session
        try:
            while session.link is Link.OPEN:
                self._work.clear()
                session.tick(self._clock())
                for frame in session.frames_to_send():
                    await socket.send(encode_frame(frame).decode())
                if session.link is Link.OPEN:
                    await self._wait_for_work(session.deadline)
        except LinkEnded as error:
            session.lost(error.end, self._clock())

    async def _part(self, socket: Socket) -> None:
        """Send what is left to say (the last ack of someone who leaves), and close."""
        try:
            for frame in self._session.frames_to_send():
                await socket.send(encode_frame(frame).decode())
        except LinkEnded as error:
            self._session.lost(error.end, self._clock())
        finally:
            await socket.close()
            self._session.give_up("closed by this side", self._clock())

    async def _leave(self, task: asyncio.Task[None]) -> None:
        self._session.stored(self.store.load())
        self._session.leave(self._clock())
        task.cancel()
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            # Cancelled while parting: a second cancel cuts the polite part short.
            task.cancel()
            await asyncio.wait({task})
            raise
        finally:
            self._tell()


async def _surface(
    item: _T, handler: Callable[[_T], Awaitable[None] | None] | None, error: Exception
) -> None:
    if handler is None:
        raise error
    answer = handler(item)
    if isawaitable(answer):
        await answer


@asynccontextmanager
async def connect(
    url: str,
    token: Token,
    *,
    device: str,
    store: CursorStore | None = None,
    on_reset: OnReset | None = None,
    on_skipped: OnSkipped | None = None,
    on_state: OnState | None = None,
    window: Window = _WINDOW,
    backoff: Backoff = _BACKOFF,
    max_attempts: int | None = None,
    open_socket: OpenSocket = open_websocket,
    clock: Callable[[], float] | None = None,
    rng: Callable[[], float] = random.random,
) -> AsyncIterator[Inbox]:
    """Subscribe ``device`` to the inboxes that ``token`` may see; reconnects until left.

    Entering does not wait for the server (``await inbox.caught_up()`` does). ``clock`` gives
    monotonic seconds, ``rng`` numbers in [0, 1). Raises :class:`ValueError` for a bad ``url``.
    """
    store = store or MemoryCursorStore()
    session = ClientSession(
        device=device,
        cursor=store.load(),
        random=rng,
        window=window,
        backoff=backoff,
        attempts_max=max_attempts,
    )
    inbox = Inbox(
        websocket_url(url),
        token,
        session,
        store,
        open_socket=open_socket,
        clock=clock or asyncio.get_running_loop().time,
        on_reset=on_reset,
        on_skipped=on_skipped,
        on_state=on_state,
    )
    task = asyncio.create_task(inbox._run())
    try:
        yield inbox
    finally:
        await inbox._leave(task)
