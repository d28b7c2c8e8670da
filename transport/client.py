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
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from transport.backoff import Backoff
from transport.client_errors import GaveUp
from transport.client_inbox import Handler, Handlers, Inbox
from transport.client_link import ClientLink, Token, clock_with_sleep
from transport.client_session import ClientSession, State
from transport.client_socket import OpenSocket, open_websocket, websocket_url
from transport.cursor_store import CursorStore, MemoryCursorStore
from transport.frames import Quality, Reset, Skipped, Window
from transport.reconnect import Reconnect

__all__ = ["Inbox", "connect"]

# The server's own rule (transport/opening.py), told at once and not by a close code for ever.
_DEVICE = re.compile(r"[A-Za-z0-9._:@-]{1,100}", re.ASCII)
_WINDOW = Window()
_BACKOFF = Backoff()


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
    on_quality: Callable[[Quality | None], None] | None = None,
    on_gave_up: Callable[[GaveUp], None] | None = None,
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
        clock=clock or clock_with_sleep(),
    )
    handlers = Handlers(on_reset, on_skipped, on_state, on_quality, on_gave_up)
    inbox = Inbox(session, link, store, handlers)
    running = asyncio.create_task(link.run())
    try:
        yield inbox
    finally:
        await inbox._leave(running)
