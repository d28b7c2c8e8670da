"""Moves bytes between a :class:`~transport.client_session.ClientSession` and its sockets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

from transport.client_session import TICK_S_MAX, ClientSession, Link, State
from transport.client_socket import LinkEnded, OpenSocket, Socket
from transport.frames import Error, FrameError, decode_server_frame, encode_frame
from transport.link_end import LinkEnd

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or what gives a fresh one whenever one is needed."""

TOKEN_TIMEOUT_S = 30.0
SEND_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


def clock_with_sleep() -> Callable[[], float]:
    """Monotonic seconds that go on while the machine sleeps.

    Linux's ordinary monotonic clock stands still meanwhile: after an hour with the lid closed, a
    dead link would look alive and a backoff unfinished. The wall clock would do, and would jump.
    """
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):  # of the second macOS says so, not Linux
        if hasattr(time, name):
            return partial(time.clock_gettime, getattr(time, name))
    return time.monotonic  # Windows


class ClientLink:
    """One link after the other, for as long as the session wants one.

    ``clock`` gives monotonic seconds, which should go on while the machine sleeps. ``on_news`` may
    be set; it is called after whatever may have changed the session.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        session: ClientSession,
        *,
        open_socket: OpenSocket,
        clock: Callable[[], float],
    ) -> None:
        self.token = token
        self.clock = clock
        self.on_news: Callable[[], None] = lambda: None
        self._url = url
        self._session = session
        self._open_socket = open_socket
        self._work = asyncio.Event()
        self._in_use: str | None = None
        self._renewing: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """The session has something to send, or another deadline."""
        self._work.set()

    async def run(self) -> None:
        """Connect, converse, wait, and again, until the session is closed."""
        session = self._session
        try:
            while session.state is not State.CLOSED:
                await self._one_link()
                _log.info("no link: %s", session.last_end)
                self.on_news()
                await self._wait_to_retry()
        except Exception as error:
            # Whoever made it, a callback or we: the application's loop is where it is raised.
            session.fail(error)
            self.on_news()

    async def _wait_to_retry(self) -> None:
        while (retry_at := self._session.retry_at) is not None and self.clock() < retry_at:
            await self._wait_for_work(retry_at)
            self._session.tick(self.clock())

    async def _wait_for_work(self, until: float | None) -> None:
        # In short turns: a timer stands still while the machine sleeps, whatever the clock says.
        delay_s = TICK_S_MAX if until is None else min(TICK_S_MAX, until - self.clock())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, delay_s)):
                await self._work.wait()
        self._work.clear()

    async def _one_link(self) -> None:
        session = self._session
        session.connecting()
        fresh = not session.token.lasts(self.clock())
        try:
            token = self._in_use if self._in_use and not fresh else await self._fresh_token()
            socket = await self._open_socket(self._url)
        except LinkEnded as error:
            session.lost(error.end, self.clock())
            return
        self._in_use = token
        session.opened(token, self.clock(), fresh=fresh)
        reader = asyncio.create_task(self._read(socket))
        try:
            await self._write(socket)
        finally:
            beside = {reader} if self._renewing is None else {reader, self._renewing}
            for task in beside:
                task.cancel()
            try:
                await self._part(socket)
            finally:
                await asyncio.wait(beside)
                self._renewing = None
        for task in beside:
            if not task.cancelled():
                task.result()

    async def _fresh_token(self) -> str:
        if isinstance(self.token, str):
            return self.token
        try:
            async with asyncio.timeout(TOKEN_TIMEOUT_S):
                token = self.token()
                return token if isinstance(token, str) else await token
        except OSError as error:  # a TimeoutError is one
            raise LinkEnded(LinkEnd(reason=f"no token: {error or 'none in time'}")) from error

    async def _renew(self) -> None:
        """Replace the token on the open link; the session asks again where this fails."""
        try:
            token = await self._fresh_token()
        except LinkEnded as error:
            _log.warning("%s", error.end.reason)
            return
        except Exception as error:
            self._session.fail(error)  # as in `run`: the application's own
            self._session.drop("no token", self.clock())
            self.wake()
            raise
        self.replace_token(token)

    def replace_token(self, token: str) -> None:
        """Use a newer token, on the open link and where another one comes before it ends."""
        if isinstance(self.token, str):
            self.token = token
        self._in_use = token
        self._session.refresh(token)
        self.wake()

    async def _read(self, socket: Socket) -> None:
        session = self._session
        try:
            while session.link is Link.OPEN:
                self._take(await socket.receive())
                self._work.set()
                self.on_news()
        except LinkEnded as error:
            session.lost(error.end, self.clock())
        finally:
            session.drop("reading has ended", self.clock())
            self._work.set()

    def _take(self, text: str | bytes) -> None:
        try:
            frame = decode_server_frame(text)
        except FrameError as error:
            self._session.drop(error.reason, self.clock())
            return
        if isinstance(frame, Error):
            _log.warning("the server refused a frame: %s", frame.problem)
        self._session.receive(frame, len(text), self.clock())

    async def _write(self, socket: Socket) -> None:
        session = self._session
        try:
            await self._send(socket)
            while session.link is Link.OPEN:
                await self._wait_for_work(session.deadline)
                now = self.clock()
                session.tick(now)
                if session.token_wanted(now) and (self._renewing is None or self._renewing.done()):
                    self._renewing = asyncio.create_task(self._renew())
                await self._send(socket)
        except LinkEnded as error:
            session.lost(error.end, self.clock())

    async def _send(self, socket: Socket) -> None:
        frames = self._session.frames_to_send()
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                for frame in frames:
                    await socket.send(encode_frame(frame).decode())
        except TimeoutError:
            raise LinkEnded(LinkEnd(reason="the server takes nothing")) from None

    async def _part(self, socket: Socket) -> None:
        """Send what is left to say (the last ack of someone who leaves), and close."""
        try:
            with suppress(LinkEnded):
                await self._send(socket)
        finally:
            await socket.close()
            self._session.drop("closed by this side", self.clock())
