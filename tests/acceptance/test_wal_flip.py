"""A bit flips in the newest part of a killed server's log: nobody goes on as if nothing was (G16).

SQLite drops what follows such a bit in silence, and what is left of the chain fits together.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from api.house import HALTED
from eventstore.mark import HighWaterMark
from tests.acceptance.world import (
    Provider,
    Server,
    furnish,
    malote,
    recorded,
    run,
    running,
    text_webhook,
    until,
)
from tests.acceptance.world import signed as headers_of

WEBHOOKS = 12
WAL_HEADER_BYTES = 32
FRAME_HEADER_BYTES, FRAME_BYTES = 24, 24 + 4096


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, int]:
    """A folder as kill -9 left it; a member's token; the newest receipt, and its position."""
    data = tmp_path_factory.mktemp("killed") / "data"
    token = furnish(data, "ana")["ana"]
    kept: list[tuple[int, str]] = []

    async def scenario() -> None:
        with running(data) as server:  # which ends with SIGKILL
            provider = Provider(server)
            async with httpx2.AsyncClient() as client:
                for number in range(WEBHOOKS):
                    await provider.post(client, f"wamid.{number}")
            kept.extend(provider.receipts.values())
            await until(lambda: marked(data) >= max(kept)[0], "the mark follows the log")

    run(scenario)
    position, hash_ = max(kept)
    return data, token, f"{position}:{hash_}", position


def marked(data: Path) -> int:
    """How far the log was by what the server keeps beside it."""
    mark = HighWaterMark(data).read()
    return 0 if mark is None else mark.position


def copy(data: Path, target: Path) -> Path:
    """The folder as it lies on the disk, but for the socket that nobody listens at."""
    return Path(shutil.copytree(data, target, ignore=shutil.ignore_patterns("*.sock")))


def flip(wal: Path, back: int) -> None:
    """Flip one bit in the page of the ``back``-th frame from the end."""
    frames = (wal.stat().st_size - WAL_HEADER_BYTES) // FRAME_BYTES
    raw = bytearray(wal.read_bytes())
    raw[WAL_HEADER_BYTES + (frames - back) * FRAME_BYTES + FRAME_HEADER_BYTES + 1000] ^= 1
    wal.write_bytes(raw)


async def post(server: Server, message: str) -> httpx2.Response:
    """One webhook, once."""
    body = text_webhook(message)
    async with httpx2.AsyncClient() as client:
        return await client.post(
            f"{server.url}/webhooks/support", content=body, headers=headers_of(body)
        )


async def demand_halted(data: Path, token: str) -> None:
    """A server on it takes nothing, says so and why, and goes on reading."""
    length = len(recorded(data))
    with running(data) as server:
        refused = await post(server, "wamid.new")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        async with httpx2.AsyncClient(base_url=server.url) as client:
            ready = await client.get("/readyz?verbose")
            assert ready.status_code == 503
            assert ready.json()["parts"]["log"] == HALTED
            for path in ("/v1/sync", "/v1/conversations"):
                answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 200, path
    assert len(recorded(data)) == length


@pytest.mark.parametrize("back", [1, 8])
def test_a_flipped_bit_in_the_wal_of_a_killed_server_is_found_and_stops_ingest(
    killed: tuple[Path, str, str, int], tmp_path: Path, back: int
) -> None:
    """By the receipt in hand, the first lost position is named; by its mark the server halts."""
    source, token, receipt, position = killed
    data = copy(source, tmp_path / "data")
    flip(data / "log.db-wal", back)
    left = len(recorded(data))
    assert left < position
    done = subprocess.run(
        [sys.executable, "-m", "api.commands", "verify", "--receipt", receipt],
        env={**os.environ, "MALOTE_DATA": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"position {left + 1} (truncated)" in done.stdout

    async def scenario() -> None:
        for _ in range(2):  # a second start is no wiser
            await demand_halted(data, token)

    run(scenario)


def test_without_the_bit_the_killed_server_goes_on(
    killed: tuple[Path, str, str, int], tmp_path: Path
) -> None:
    """The control: what was killed verifies with its receipt, and the next event follows."""
    source, _, receipt, position = killed
    data = copy(source, tmp_path / "data")
    malote(data, "verify", "--receipt", receipt)

    async def scenario() -> None:
        with running(data) as server:
            answer = await post(server, "wamid.new")
            assert answer.status_code == 200
            assert answer.json()["receipts"][0]["position"] > position
            await asyncio.to_thread(malote, data, "verify", "--receipt", receipt)

    run(scenario)
