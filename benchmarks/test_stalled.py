"""Clients that never read, beside good ones: nobody waits for them, and they cost no memory.

pytest benchmarks/test_stalled.py -s
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import sys
import time
from array import array
from pathlib import Path

import pytest
import uvloop

sys.path.insert(0, str(Path(__file__).parent))
from proof_load import (
    Poster,
    Reader,
    acknowledging,
    connected,
    hello,
    many_files,
    never_reading,
    p99,
    provider,
)

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.acceptance.world import Server, furnish, running

CLIENTS, STALLED = 200, 50
RATE, SECONDS, CALM_SECONDS = 200, 60, 20
P99_MAX_S = 0.25
GROWTH_MAX_BYTES = 30 * 2**20
GONE_WITHIN_S, EXIT_WITHIN_S = 12.0, 10.0
BACK_AFTER_S = 14.0
BIG_MESSAGES, BIG_TEXT = 100, "x" * 4_000
STALLED_CODE = 4408


def rss(server: Server) -> int:
    """Resident bytes of the server."""
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def stall_for_ever(port: int, first: bytes, late_s: float) -> None:
    """Come, read nothing, be thrown out, come again; not all of them at the same moment."""
    deaf: socket.socket | None = None
    await asyncio.sleep(late_s)
    try:
        while True:
            deaf = await never_reading(port, first)
            await asyncio.sleep(BACK_AFTER_S)
            deaf.close()
    finally:
        if deaf is not None:
            deaf.close()


async def delays(port: int, readers: list[Reader], seconds: float) -> array[float]:
    """What the readers measured while the provider posted."""
    for reader in readers:
        reader.delays = array("d")
    await provider(port, RATE, seconds)
    await asyncio.sleep(1)
    assert not any(reader.ended for reader in readers), "a good client was thrown out"
    counts = {len(reader.delays) for reader in readers}
    assert counts == {int(RATE * seconds)}, "a good client missed events"
    return array("d", (delay for reader in readers for delay in reader.delays))


def stalled_lives(folder: Path) -> tuple[list[float], set[int], int]:
    """Seconds that sessions of stalled devices lasted, their codes, and how many never ended."""
    database = sqlite3.connect(f"file:{folder / 'log.db'}?mode=ro", uri=True)
    rows = database.execute(
        "SELECT type, data ->> '$.session', data ->> '$.code', recorded_at FROM events"
        " WHERE stream LIKE 'client:ana/stalled%' ORDER BY position"
    ).fetchall()
    database.close()
    began = {session: at for type_, session, _, at in rows if type_ == "client.connected"}
    ended = {
        session: (at, int(code)) for type_, session, code, at in rows if "disconnected" in type_
    }
    lives = [(at - began[session]) / 1e6 for session, (at, _) in ended.items()]
    return lives, {code for _, code in ended.values()}, len(began) - len(ended)


@pytest.mark.timeout(300)
def test_clients_that_never_read_cost_nobody_time_or_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue line 3: p99 of the good, memory, how long the stalled stay, and SIGTERM beside them."""
    many_files()
    # Or what is to fill the windows of the stalled falls out of their queues.
    monkeypatch.setenv("MALOTE_QUEUE_EVENTS_MAX", "100000")
    data = tmp_path / "data"
    token = furnish(data, "ana")["ana"]
    with running(data) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        calm, beside, growth, lives, codes, exit_s = runner.run(measured(server, token, data))
    with capsys.disabled():
        print(
            f"\n{CLIENTS - STALLED} good clients, {RATE} events/s, load {os.getloadavg()[0]:.1f}:"
            f" p99 {calm * 1e3:.0f} ms alone, {beside * 1e3:.0f} ms beside {STALLED} stalled;"
            f" memory {growth / 2**20:+.1f} MiB; {len(lives)} stalled sessions, gone after"
            f" {max(lives):.1f} s at most, codes {sorted(codes)}; SIGTERM took {exit_s:.1f} s"
        )
    assert codes == {STALLED_CODE}
    assert max(lives) <= GONE_WITHIN_S
    assert growth < GROWTH_MAX_BYTES
    assert exit_s <= EXIT_WITHIN_S
    assert beside <= P99_MAX_S
    assert beside <= 2 * calm


async def measured(
    server: Server, token: str, data: Path
) -> tuple[float, float, int, list[float], set[int], float]:
    """Both runs, then the end of the server."""
    good = [hello(token, f"good{n}", None) for n in range(CLIENTS - STALLED)]
    readers = await connected(server.port, good)
    acks = asyncio.create_task(acknowledging(readers))
    before = readers[0].cursor
    poster = Poster(server.port)
    for _ in range(BIG_MESSAGES):
        await poster.post(BIG_TEXT)
    poster.close()
    calm = p99(await delays(server.port, readers, CALM_SECONDS))
    memory = rss(server)
    # The big messages wait for them, so that their windows fill at once.
    stalled = [
        asyncio.create_task(
            stall_for_ever(
                server.port, hello(token, f"stalled{n}", before), BACK_AFTER_S * n / STALLED
            )
        )
        for n in range(STALLED)
    ]
    beside = p99(await delays(server.port, readers, SECONDS))
    growth = rss(server) - memory
    lives, codes, _ = stalled_lives(data)
    for task in stalled:
        task.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)
    deaf = [
        await never_reading(server.port, hello(token, f"last{n}", before)) for n in range(STALLED)
    ]
    await asyncio.sleep(1)
    began = time.monotonic()
    assert await asyncio.to_thread(server.end) == 0
    exit_s = time.monotonic() - began
    for each in deaf:
        each.close()
    acks.cancel()
    for reader in readers:
        reader.leave()
    return calm, beside, growth, lives, codes, exit_s
