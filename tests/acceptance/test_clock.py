"""The wall clock jumps back two hours and ahead by 26 under load; only order is believed (G14)."""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.world import (
    Agent,
    Provider,
    Server,
    furnish,
    listening,
    malote,
    recorded,
    run,
    until,
    visible,
)

LIBRARIES = sorted(Path("/usr/lib").glob("**/faketime/libfaketimeMT.so.1"))
JUMPS = ("+0", "-2h", "+26h", "-2h", "+0")
HOUR_S = 3600
PER_PHASE = 400 if os.environ.get("MALOTE_PROOFS") == "full" else 60
POSTERS = 4


def clock_environment(said: Path) -> dict[str, str]:
    """Variables under which a process has the wall clock that the file says, and its own other."""
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(said),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Otherwise it moves the deadlines of condition variables, and threads wait for ever.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    }


def hours_off(said: Path) -> tuple[float, float]:
    """By how much wall and monotonic clock of such a process differ from ours."""
    words = [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"]
    environment = os.environ | clock_environment(said)
    printed = subprocess.run(words, env=environment, capture_output=True, check=True, timeout=30)
    wall, monotonic = map(float, printed.stdout.split())
    return (wall - time.time()) / HOUR_S, (monotonic - time.monotonic()) / HOUR_S


async def post_for_ever(provider: Provider, poster: int) -> None:
    """One message after the other."""
    async with httpx2.AsyncClient(timeout=30) as client:
        for number in itertools.count():
            await provider.post(client, f"wamid.{poster}.{number}")
            await asyncio.sleep(0.02)


async def jump_under_load(provider: Provider, said: Path) -> None:
    """Each of the jumps, with messages before and after it."""
    posters = [asyncio.create_task(post_for_ever(provider, n)) for n in range(POSTERS)]
    try:
        for offset in JUMPS:
            said.write_text(offset)  # noqa: ASYNC240 - a few bytes
            seen = len(provider.receipts)
            await until(lambda seen=seen: len(provider.receipts) > seen + PER_PHASE, "a phase")
    finally:
        for poster in posters:
            poster.cancel()
        await asyncio.gather(*posters, return_exceptions=True)


@pytest.mark.skipif(
    not LIBRARIES, reason="libfaketime is missing (Debian: apt install libfaketime)"
)
def test_a_jumping_clock_loses_and_reorders_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No loss, log order everywhere, no reconnect or retry, and times that only ever rise."""
    data, said = tmp_path / "data", tmp_path / "clock"
    said.write_text("+26h")
    wall, monotonic = hours_off(said)
    assert wall == pytest.approx(26, abs=0.5), "the clock was not changed"
    assert monotonic == pytest.approx(0, abs=0.5)
    said.write_text("+0")
    tokens = furnish(data, "ana", "bruno")
    agents = [Agent.make(tmp_path, name, token) for name, token in tokens.items()]
    server = Server(data)
    with monkeypatch.context() as patched:
        for name, value in clock_environment(said).items():
            patched.setenv(name, value)
        server.start()
    provider = Provider(server)

    async def scenario() -> None:
        async with listening(server.url, *agents):
            await jump_under_load(provider, said)
            expected = [row[0] for row in visible(data)]
            for agent in agents:
                await until(
                    lambda agent=agent: len(agent.positions) >= len(expected),
                    f"{agent.name} has everything",
                )
                assert agent.positions == expected
                assert agent.resets == []
        assert await asyncio.to_thread(server.end) == 0

    try:
        run(scenario)
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.kill()
            server.process.wait()
    rows = recorded(data)
    messages = {message for _, type_, message in rows if type_ == "message.received"}
    assert set(provider.receipts) <= messages
    types = [type_ for _, type_, _ in rows]
    assert types.count("client.connected") == len(agents), "a client had to come again"
    assert not {"delivery.retried", "delivery.parked", "queue.trimmed"} & set(types)
    at = recording_times(data)
    assert all(earlier < later for earlier, later in pairwise(at))
    assert (at[-1] - at[0]) / 1e6 / HOUR_S == pytest.approx(26, abs=0.5)
    malote(data, "verify")
    with capsys.disabled():
        print(
            f"\nClock {' '.join(JUMPS)} under load {os.getloadavg()[0]:.1f}: {len(messages)}"
            f" messages, {provider.repeats} repeats, {len(agents)} connections, none of them twice"
        )


def recording_times(data: Path) -> list[int]:
    """``recorded_at`` of all events in log order, µs."""
    database = sqlite3.connect(f"file:{data / 'log.db'}?mode=ro", uri=True)
    times = [row[0] for row in database.execute("SELECT recorded_at FROM events ORDER BY position")]
    database.close()
    return times
