"""The client's socket: the few lines that know the ``websockets`` library."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
)
from websockets.typing import Subprotocol

from transport.frames import SUBPROTOCOL, CloseCode
from transport.link_end import LinkEnd

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
FRAME_BYTES_MAX = 4 * 1024 * 1024
"""One event may be larger than the window; a frame beyond this is a fault, not a message."""

_PATH = "/v1/ws"
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class LinkEnded(Exception):
    """The socket closed, or could not be opened; ``end`` says how."""

    def __init__(self, end: LinkEnd) -> None:
        super().__init__(end.reason)
        self.end = end


class Socket(Protocol):
    """What the client needs of an open WebSocket. A test or a simulation brings its own."""

    async def send(self, text: str) -> None:
        """Write one text frame; raise :class:`LinkEnded`."""

    async def receive(self) -> str | bytes:
        """The next message; raise :class:`LinkEnded`. May be cancelled without loss."""

    async def close(self) -> None:
        """Close in bounded time, whatever the peer does; never raises, may be repeated."""


OpenSocket = Callable[[str], Awaitable[Socket]]
"""URL in, open socket out; raises :class:`LinkEnded`."""


def websocket_url(url: str) -> str:
    """The WebSocket's URL, from that of the server; ``/v1/ws`` where no path is given.

    Raises :class:`ValueError` for what is not the URL of a server. A fragment is refused and not
    dropped: it may be a login link, whose token belongs elsewhere.
    """
    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError("the server's URL has the form http://host:port or https://host")
    path = _PATH if parts.path in ("", "/") else parts.path
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


class _Connect(websockets_connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        # The token follows in the first frame: it must not go where a redirect points.
        return exc


class _WebSocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise LinkEnded(_end_of(error)) from error

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise LinkEnded(_end_of(error)) from error

    async def close(self) -> None:
        # The library waits for the peer's answer, and before that for a write buffer that a stalled
        # peer never drains; hence a bound around both, and the abort in any case.
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.close()
        except TimeoutError:
            pass
        finally:
            self._connection.transport.abort()


async def open_websocket(url: str) -> Socket:
    """Connect with the library's own keepalive, compression, proxies and redirects off.

    Raises :class:`LinkEnded` where trying again may help or the server said no, and
    :class:`ssl.SSLCertVerificationError` where someone has to look.
    """
    try:
        connection = await _Connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            proxy=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=FRAME_BYTES_MAX,
        )
    except ssl.SSLCertVerificationError:
        raise
    except InvalidStatus as error:
        raise LinkEnded(_refusal(error)) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise LinkEnded(LinkEnd(reason=f"{type(error).__name__}: {error}")) from error
    if connection.subprotocol != SUBPROTOCOL:
        await _WebSocket(connection).close()
        raise LinkEnded(LinkEnd(CloseCode.VERSION_NOT_SUPPORTED, f"no {SUBPROTOCOL} here"))
    return _WebSocket(connection)


def _end_of(error: ConnectionClosed) -> LinkEnd:
    if error.rcvd is None:
        return LinkEnd(reason=str(error))
    return LinkEnd(error.rcvd.code, error.rcvd.reason)


def _refusal(error: InvalidStatus) -> LinkEnd:
    response = error.response
    return LinkEnd(
        reason=response.reason_phrase,
        status=response.status_code,
        retry_after_s=retry_after_s(response.headers.get("Retry-After", "")),
    )


def retry_after_s(header: str) -> float:
    """The seconds of a ``Retry-After``; it may also be a date, and then our own backoff serves."""
    return float(header) if header.isascii() and header.isdigit() else 0.0
