"""The delivery half of Malote alone: log, hub and endpoint, events appended from inside."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

sys.path.insert(0, str(Path(__file__).parent))
from bench_control import Took, now, pin, serve, took

from eventstore.draft import Draft
from eventstore.events import Contact, MessageReceived, Text
from eventstore.log import EventLog
from transport.hub import Grant, Hub, Limits
from transport.server import spare_the_collector, uvicorn_config
from transport.websocket import websocket_endpoint

INBOXES = frozenset({"support"})
ENVELOPE_BYTES = 280


class Bench:
    """Appends, and waits until every session's ack floor is at the head."""

    def __init__(self, log: EventLog, hub: Hub) -> None:
        self.log = log
        self.hub = hub
        self.count = 0

    async def run(self, events: int, group: int, size: int) -> Took:
        """Append ``events`` in commits of ``group``; until the last ack is in."""
        text = "x" * (size - ENVELOPE_BYTES)
        start = now()
        for _ in range(events // group):
            receipts = await self.log.append([self.draft(text) for _ in range(group)])
        last = receipts[-1].position
        for connection in self.hub.connections:
            while connection.session.floor.position < last:  # noqa: ASYNC110 - no event to wait for
                await asyncio.sleep(0.001)
        return took(start)

    def draft(self, text: str) -> Draft:
        """The next message; with its envelope it weighs about what was asked for."""
        self.count += 1
        event = MessageReceived(f"m{self.count}", Contact("5511999990000"), Text(text))
        return Draft("inbox:support", event, conversation="c_0123456789abcdef")

    async def connected(self) -> int:
        """How many clients are there."""
        return len(self.hub.connections)


async def admit_all(_user: str, _device: str) -> None:
    """No device has a floor here."""


async def main() -> None:
    """Serve from a fresh log until told to end."""
    with TemporaryDirectory() as folder:
        log = await EventLog.open(Path(folder) / "data")
        # Each frame is acknowledged, which is faster than clients may.
        hub = Hub(log, boot="bench", limits=Limits(frames_per_s=1e9, frames_burst=1e9))
        log.on_commit = hub.committed
        endpoint = websocket_endpoint(
            hub, admit=lambda token: Grant(token, INBOXES, None, None), ack_floor=admit_all
        )
        config = uvicorn_config(
            Starlette(routes=[WebSocketRoute("/v1/ws", endpoint)]), lifespan="off"
        )
        task = asyncio.create_task(hub.run())
        spare_the_collector()  # as `malote serve` does
        bench = Bench(log, hub)
        await serve(config, {"run": bench.run, "connected": bench.connected})
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await log.close()


if __name__ == "__main__":
    pin(0)
    config = uvicorn_config(None)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(main())
