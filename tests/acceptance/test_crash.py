"""Killed with -9 under load: nothing answered is lost, nothing arrives twice (G1, G4, G7, G8)."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.world import (
    SERVE,
    Agent,
    Provider,
    Server,
    furnish,
    listening,
    malote,
    recorded,
    run,
    running,
    until,
    visible,
)

KILLS_PER_FOLDER = 10
FOLDERS = 6
POSTERS = 12
EARLY_ACK = (str(Path(__file__).parent / "early_ack_server.py"), *SERVE[2:])


async def post_until(enough: asyncio.Event, provider: Provider, poster: int) -> None:
    """One of the provider's connections: one message after the other, each until it is taken."""
    async with httpx2.AsyncClient(timeout=10) as client:
        for number in itertools.count():
            if enough.is_set():
                return
            await provider.post(client, f"wamid.{poster}.{number}")


async def kill_under_load(server: Server, provider: Provider, kills: int, seed: int) -> None:
    """Kill and restart the server `kills` times while the provider goes on posting.

    At the end no webhook is under way: one that is given up might be stored at any time after.
    """
    rng, enough = random.Random(seed), asyncio.Event()
    posters = [asyncio.create_task(post_until(enough, provider, n)) for n in range(POSTERS)]
    try:
        for _ in range(kills):
            seen = len(provider.receipts)
            await until(lambda seen=seen: len(provider.receipts) > seen, "a webhook is answered")
            await asyncio.sleep(rng.uniform(0, 0.25))
            server.end(signal.SIGKILL)
            await asyncio.to_thread(server.start, server.port)
        enough.set()
        await asyncio.gather(*posters)
    finally:
        for poster in posters:
            poster.cancel()
        await asyncio.gather(*posters, return_exceptions=True)


def lost(folder: Path, provider: Provider) -> set[str]:
    """Messages that were answered 2xx and are not in the log."""
    return set(provider.receipts) - {message for _, _, message in recorded(folder)}  # type: ignore[arg-type]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(FOLDERS))
def test_kill_9_under_load_loses_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    """Sixty kills in six folders: acknowledged is stored, gapless, verified, and delivered once."""
    data = tmp_path / "data"
    tokens = furnish(data, "ana", "bruno")
    agents = [Agent.make(tmp_path, name, token) for name, token in tokens.items()]

    async def scenario() -> None:
        with running(data, forked=True) as server:
            provider = Provider(server)
            async with listening(server.url, *agents):
                await kill_under_load(server, provider, KILLS_PER_FOLDER, seed)
                for agent in agents:
                    await until(
                        lambda agent=agent: agent.positions == [row[0] for row in visible(data)],
                        f"{agent.name} has each visible event once, in order",
                    )
            server.end()
            assert not lost(data, provider)
            stored = set(visible(data))
            for agent in agents:
                assert agent.positions == sorted(row[0] for row in stored)
                assert not agent.resets
            assert set(provider.receipts) <= set(agents[0].messages)
            for message, (position, _) in provider.receipts.items():
                assert (position, "message.received", message) in stored
            assert provider.repeats, "no kill hit a request: the load was too light to prove much"

    run(scenario)
    positions = [position for position, _, _ in recorded(data)]
    assert positions == list(range(1, len(positions) + 1))
    malote(data, "verify")


@pytest.mark.timeout(300)
def test_the_loop_catches_a_server_that_answers_before_the_commit(tmp_path: Path) -> None:
    """The positive control: with the promise broken on purpose, the check above must fail."""
    data = tmp_path / "data"
    furnish(data, "ana")

    async def scenario() -> None:
        with running(data, EARLY_ACK) as server:
            provider = Provider(server)
            for seed in range(30):
                await kill_under_load(server, provider, 1, seed)
                if lost(data, provider):
                    return
        raise AssertionError("thirty kills did not show the loss: the loop proves nothing")

    run(scenario)
