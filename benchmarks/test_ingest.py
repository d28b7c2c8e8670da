"""HTTP ingest with HMAC and FULL commit against the same handler without the append.

Two real servers take turns on core 0, the load is on core 1: 48 connections that are kept alive,
each with one signed webhook under way at a time. Medians of alternating rounds.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import uvloop

CONNECTIONS = 48
REQUESTS = 6_000
ROUNDS = 5
RATIO_MIN = 0.5
SECRET = "an app secret of the benchmarks"
HERE = Path(__file__).parent
SERVERS = {
    "durable": ("-m", "api.commands"),
    "no append": (str(HERE / "ingest_without_append.py"),),
}

MESSAGE = """{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{\
"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"551155550000",\
"phone_number_id":"1"},"contacts":[{"profile":{"name":"Ana"},"wa_id":"5511955501%03d"}],"messages":\
[{"from":"5511955501%03d","id":"wamid.%s.%d","timestamp":"1763800000","type":"text","text":{"body":\
"Good morning! I would like to know whether my order is on its way."}}]}}]}]}"""

HEAD = (
    "POST /webhooks/support HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "X-Hub-Signature-256: sha256=%s\r\nContent-Length: %d\r\n\r\n"
)


def malote(folder: Path, *words: str, program: tuple[str, ...] = SERVERS["durable"]) -> Any:
    """Start one command on core 0."""
    return subprocess.Popen(
        [sys.executable, *program, *words],
        env={**os.environ, "MALOTE_DATA": str(folder), "PYTHONPATH": str(HERE.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),
    )


@contextmanager
def server(folder: Path, program: tuple[str, ...]) -> Iterator[int]:
    """A server with the inbox `support`; gives its port."""
    add = ("inbox", "add", "support", "--provider", "whatsapp", "--secret", SECRET)
    malote(folder, *add).communicate()
    process = malote(folder, "serve", "--port", "0", program=program)
    try:
        yield int(process.stdout.readline().rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.communicate()


def requests(run: str) -> list[bytes]:
    """Signed webhooks, each with a message of its own."""
    ready = []
    for number in range(REQUESTS):
        contact = number % 200
        body = (MESSAGE % (contact, contact, run, number)).encode()
        signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
        ready.append((HEAD % (signature, len(body))).encode() + body)
    return ready


async def post_all(port: int, waiting: Iterator[bytes]) -> int:
    """One connection: post until nothing waits; how many were answered 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = 0
    for request in waiting:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        taken += head.startswith(b"HTTP/1.1 200")
    writer.close()
    return taken


def rate(port: int, run: str) -> float:
    """Webhooks a second that one server takes."""
    waiting = iter(requests(run))

    async def load() -> int:
        return sum(await asyncio.gather(*(post_all(port, waiting) for _ in range(CONNECTIONS))))

    began = time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken = runner.run(load())
    assert taken == REQUESTS
    return REQUESTS / (time.perf_counter() - began)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="server and load need a core each")
def test_ingest_is_at_least_half_as_fast_as_without_the_log(
    tmp_path: Path, benchmark: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Durability costs at most as much again as everything else together."""
    os.sched_setaffinity(0, {1})
    rates: dict[str, list[float]] = {name: [] for name in SERVERS}
    with ExitStack() as running:
        ports = {
            name: running.enter_context(server(tmp_path / name.replace(" ", "-"), program))
            for name, program in SERVERS.items()
        }
        counter = itertools.count()

        def one_round() -> None:
            run = next(counter)
            for name, port in ports.items():
                rates[name].append(rate(port, f"{run}"))

        benchmark.pedantic(one_round, rounds=ROUNDS, iterations=1, warmup_rounds=1)
    medians = {name: median(values[1:]) for name, values in rates.items()}
    ratio = median(
        durable / bare
        for durable, bare in list(zip(rates["durable"], rates["no append"], strict=True))[1:]
    )
    benchmark.extra_info.update(medians, ratio=ratio)
    with capsys.disabled():
        print(f"\nHTTP ingest, webhooks/s: {medians}; ratio {ratio:.2f} (at least {RATIO_MIN})")
    assert ratio >= RATIO_MIN
