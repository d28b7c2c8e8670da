"""The network between the applications and the server: who reaches it, and over which links."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from tests.simulation.links import ClientEnd, Link
from tests.simulation.process import Process
from tests.simulation.server import Server
from tests.simulation.watch import Watch
from transport.client_socket import OPEN_TIMEOUT_S, LinkEnded
from transport.link_end import LinkEnd

HIGH_WATER_BYTES = 2_000


class Network:
    """All links of a world; ``server`` is asked who listens just now, ``fail`` is told of bugs.

    Whoever is in ``partitioned`` reaches nobody.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, rng: Random, watch: Watch,
        server: Callable[[], Server | None], fail: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.partitioned: set[str] = set()
        self._links: list[Link] = []
        self._made = 0
        self._loop = loop
        self._rng = rng
        self._watch = watch
        self._server = server
        self._fail = fail

    async def connect(self, who: str, client: Process) -> ClientEnd:
        """A socket to the server, accepted; raises LinkEnded."""
        await asyncio.sleep(self._rng.random() * 0.05)
        server = self._server()
        if who in self.partitioned:
            await asyncio.sleep(OPEN_TIMEOUT_S)
            raise LinkEnded(LinkEnd(reason="nobody answers"))
        if server is None or not server.ready:
            raise LinkEnded(LinkEnd(reason="connection refused"))
        link = Link(
            self._made, who, self._loop, Random(self._rng.random()), client, server.process,
            self._watch, HIGH_WATER_BYTES,
        )  # fmt: skip
        self._made += 1
        self._links.append(link)
        ours = self._rng.random() < 0.7
        serving = link.server.serve(server.endpoint, server.arrivals if ours else None)
        server.process.spawn(self._serve(serving))
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await link.client.accepted
        except TimeoutError:
            raise LinkEnded(LinkEnd(reason="nobody answers")) from None
        return link.client

    async def _serve(self, serving: Coroutine[Any, Any, None]) -> None:
        try:
            await serving
        except OSError:
            pass  # the peer left; a server forgives its application that
        except Exception as error:
            self._fail(f"the endpoint failed: {error!r}")

    def open_links(self) -> list[Link]:
        """Those that one of their ends still holds."""
        self._links = [link for link in self._links if link.open]
        return self._links

    def client_died(self, process: Process) -> None:
        """The kernel resets its sockets, unless the whole machine is gone."""
        silent = self._rng.random() < 0.3
        for link in self._links:
            if link.client.context is process.context:
                if silent:
                    link.go_half_open(up=True, down=True)
                link.client.vanish()

    def server_died(self, process: Process) -> None:
        """As above; its clients may have to find out by themselves."""
        silent = self._rng.random() < 0.2
        for link in self._links:
            if link.server.process is process and not silent:
                link.cut(server_told=False)

    def heal(self) -> None:
        """All links are well again, or reset."""
        self.partitioned.clear()
        for link in self.open_links():
            if not link.server.process.alive:
                link.cut(server_told=False)
            else:
                link.heal()
