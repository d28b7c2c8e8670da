"""Moves bytes between a :class:`~transport.client_session.ClientSession` and its sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from transport.client_session import ClientSession, Link, State
from transport.client_socket import LinkEnded, OpenSocket, Socket
from transport.frames import Error, FrameError, decode_server_frame, encode_frame
from transport.link_end import LinkEnd

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A token, or what gives a fresh one for each connection."""

_log = logging.getLogger(__name__)


class ClientLink:
    """One link after the other, for as long as the session wants one.

    ``clock`` gives monotonic seconds. ``on_news`` may be set; it is called after whatever may have
    changed the session.
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

    async def _wait_for_work(self, until: float | None) -> None:
        delay_s = None if until is None else max(0.0, until - self.clock())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._work.wait()
        self._work.clear()

    async def _one_link(self) -> None:
        session = self._session
        session.connecting()
        try:
            token = await self._fresh_token()
            socket = await self._open_socket(self._url)
        except LinkEnded as error:
            session.lost(error.end, self.clock())
            return
        session.opened(token, self.clock())
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
        if isinstance(self.token, str):
            return self.token
        try:
            token = self.token()
            return token if isinstance(token, str) else await token
        except OSError as error:
            raise LinkEnded(LinkEnd(reason=f"no token: {error}")) from error

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
                session.tick(self.clock())
                await self._send(socket)
        except LinkEnded as error:
            session.lost(error.end, self.clock())

    async def _send(self, socket: Socket) -> None:
        for frame in self._session.frames_to_send():
            await socket.send(encode_frame(frame).decode())

    async def _part(self, socket: Socket) -> None:
        """Send what is left to say (the last ack of someone who leaves), and close."""
        try:
            with suppress(LinkEnded):
                await self._send(socket)
        finally:
            await socket.close()
            self._session.drop("closed by this side", self.clock())
