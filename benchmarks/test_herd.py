"""Two thousand clients come back at once, a hundred events behind, and ingest goes on.

pytest benchmarks/test_herd.py -s
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
import uvloop

sys.path.insert(0, str(Path(__file__).parent))
from proof_load import Poster, acknowledging, connected, hello, many_files, p99, provider

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.acceptance.world import SECRET, Server, furnish, running

CLIENTS, AT_ONCE = 2_000, 100
BEHIND = 100
RATE, SECONDS = 10, 20
LIVE_WITHIN_S = 10.0
INGEST_FACTOR = 3.0


@pytest.mark.timeout(300)
def test_two_thousand_clients_return_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue line 6: all live within 10 s, no error, webhooks wait at most three times as long."""
    many_files()
    data = tmp_path / "data"
    token = furnish(data, "ana")["ana"]
    with running(data) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        calm, during, live_s = runner.run(measured(server, token))
        assert server.end() == 0
    with capsys.disabled():
        print(
            f"\n{CLIENTS} clients, {BEHIND} events behind, load {os.getloadavg()[0]:.1f}: all live"
            f" after {live_s:.1f} s; ingest p99 {p99(calm) * 1e3:.0f} ms calm,"
            f" {p99(during) * 1e3:.0f} ms during it ({len(calm)} and {len(during)} webhooks)"
        )
    assert live_s <= LIVE_WITHIN_S
    assert p99(during) <= INGEST_FACTOR * p99(calm)


async def measured(server: Server, token: str) -> tuple[list[float], list[float], float]:
    """Seconds that webhooks took, calm and during the return, and how long the return took."""
    devices = [f"device{n}" for n in range(CLIENTS)]
    readers = []
    for first in range(0, CLIENTS, AT_ONCE):
        hellos = [hello(token, name, None) for name in devices[first : first + AT_ONCE]]
        readers += await connected(server.port, hellos)
    acks = asyncio.create_task(acknowledging(readers))
    calm = [took for _, took in await provider(server.port, RATE, SECONDS, SECRET)]
    await asyncio.sleep(1)
    acks.cancel()
    assert not any(reader.ended for reader in readers)
    for reader in readers:
        reader.leave()
    poster = Poster(server.port, SECRET)
    for _ in range(BEHIND):
        await poster.post()
    poster.close()
    posting = asyncio.create_task(provider(server.port, RATE, SECONDS, SECRET))
    await asyncio.sleep(2)
    began = time.monotonic()
    hellos = [
        hello(token, name, reader.cursor) for name, reader in zip(devices, readers, strict=True)
    ]
    back = await connected(server.port, hellos)
    live_s = max(reader.live.result() for reader in back) - began
    assert not any(reader.ended for reader in back)
    acks = asyncio.create_task(acknowledging(back))
    webhooks = await posting
    await asyncio.sleep(1)
    acks.cancel()
    assert not any(reader.ended for reader in back)
    for reader in back:
        reader.leave()
    await asyncio.sleep(1)
    least = BEHIND + RATE * SECONDS
    assert {reader.events for reader in back} == {least}, "somebody missed events"
    during = [took for at, took in webhooks if at + took >= began and at <= began + live_s]
    return calm, during, live_s
