"""Two thousand clients of twenty teams come back at once, 100 events behind; ingest goes on.

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
from tests.acceptance.world import SECRET, Server, malote, running

CLIENTS, TEAMS = 2_000, 20
INBOXES = [f"team{n}" for n in range(TEAMS)]
BEHIND = 100
RATE, SECONDS = 50, 20
LIVE_WITHIN_S = 10.0
INGEST_FACTOR = 3.0


@pytest.mark.timeout(300)
def test_two_thousand_clients_return_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue line 6: all live within 10 s, no error, webhooks wait at most three times as long."""
    many_files()
    data = tmp_path / "data"
    tokens = teams(data)
    with running(data) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        calm, during, live_s = runner.run(measured(server, tokens))
        assert server.end() == 0
    with capsys.disabled():
        print(
            f"\n{CLIENTS} clients of {TEAMS} teams, {BEHIND} events behind,"
            f" load {os.getloadavg()[0]:.1f}: all live after {live_s:.1f} s;"
            f" ingest p99 {p99(calm) * 1e3:.0f} ms calm,"
            f" {p99(during) * 1e3:.0f} ms during it ({len(calm)} and {len(during)} webhooks)"
        )
    assert live_s <= LIVE_WITHIN_S
    assert p99(during) <= INGEST_FACTOR * p99(calm)


def teams(folder: Path) -> list[str]:
    """An inbox with one user for each team; the tokens."""
    for inbox in INBOXES:
        malote(folder, "inbox", "add", inbox, "--provider", "whatsapp", "--secret", SECRET)
        malote(folder, "user", "add", inbox, "--role", "member", "--inbox", inbox)
    return [malote(folder, "token", "create", inbox).strip() for inbox in INBOXES]


async def measured(server: Server, tokens: list[str]) -> tuple[list[float], list[float], float]:
    """Seconds that webhooks took, calm and during the return, and how long the return took."""
    who = [(token, f"device{n}") for token in tokens for n in range(CLIENTS // TEAMS)]
    readers = []
    for token in tokens:
        hellos = [hello(*each, None) for each in who if each[0] == token]
        readers += await connected(server.port, hellos)
    acks = asyncio.create_task(acknowledging(readers))
    calm = [took for _, took in await provider(server.port, RATE, SECONDS, INBOXES)]
    await asyncio.sleep(1)
    acks.cancel()
    assert not any(reader.ended for reader in readers)
    for reader in readers:
        reader.leave()
    poster = Poster(server.port, INBOXES)
    for _ in range(BEHIND * TEAMS):
        await poster.post()
    poster.close()
    posting = asyncio.create_task(provider(server.port, RATE, SECONDS, INBOXES))
    await asyncio.sleep(2)
    began = time.monotonic()
    hellos = [hello(*each, reader.cursor) for each, reader in zip(who, readers, strict=True)]
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
    expected = BEHIND + RATE * SECONDS // TEAMS
    assert {reader.events for reader in back} == {expected}, "somebody missed events"
    during = [took for at, took in webhooks if at + took >= began and at <= began + live_s]
    return calm, during, live_s
