"""Deliveries to 1,000 clients that acknowledge each, beside the loop one would write first.

    pytest benchmarks/test_fanout.py -s

Server on one core, load on another, both servers in the same run, medians of several rounds. The
naive server keeps nothing; ours has committed every event with ``synchronous=FULL`` before it is
sent. A delivery counts when its ack was read. 400 bytes an event.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import orjson
from attrs import frozen

HERE = Path(__file__).parent
CLIENTS = 1_000
SIZE = 400
ROUNDS = 5
EVENTS = 60
GROUPED_EVENTS, GROUP = 400, 20
RSS_PER_CONNECTION_MAX = 40 * 1024


class Server:
    """A server in a process of its own, and what it is told through its pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.port = self._answer()["port"]

    def ask(self, *command: Any) -> Any:
        """Send a command and wait for what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(orjson.dumps(command) + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server ended"
        return orjson.loads(line)


@contextmanager
def running(script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A script that lives until its stdin is closed."""
    command = [sys.executable, str(HERE / script), *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE.parent,
        env={"PYTHONPATH": str(HERE.parent)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextmanager
def loaded(script: str, kind: str) -> Iterator[tuple[Server, int]]:
    """A server with all clients connected, and the memory that each of them took."""
    with running(script) as process:
        server = Server(process)
        before = server.ask("rss")
        with running("load_client.py", str(server.port), str(CLIENTS), kind):
            deadline = time.monotonic() + 60
            while server.ask("connected") < CLIENTS:
                assert time.monotonic() < deadline, "not all clients came"
                time.sleep(0.05)
            time.sleep(0.5)
            yield server, (server.ask("rss") - before) // CLIENTS


@frozen
class Rate:
    """Deliveries per second, and µs of the server's CPU time for each; medians."""

    per_s: float
    cpu_us: float

    @classmethod
    def of(cls, rounds: list[tuple[float, float]], events: int) -> Rate:
        """What several rounds of ``events`` events came to."""
        clock, cpu = (median(times) for times in zip(*rounds, strict=True))
        return cls(events * CLIENTS / clock, cpu * 1e6 / events / CLIENTS)

    def line(self, name: str, naive: Rate) -> str:
        """For people."""
        times = self.per_s / naive.per_s
        return f"  {name:<40}{self.per_s:>10,.0f}  {times:>5.1f} x  {self.cpu_us:>6.1f} µs CPU"


def test_a_durable_delivery_costs_less_than_half_of_a_naive_one() -> None:
    """Issue line: at least twice the deliveries per second, and 40 KiB per idle connection.

    Rounds alternate between the servers, so that a busy machine is busy for both.
    """
    with (
        loaded("naive_server.py", "naive") as (naive_server, naive_rss),
        loaded("malote_server.py", "malote") as (server, rss),
    ):
        rounds: list[list[Any]] = []
        for _ in range(ROUNDS + 1):
            naive_took = naive_server.ask("run", EVENTS, 1, SIZE)
            single_took = server.ask("run", EVENTS, 1, SIZE)
            grouped_took = server.ask("run", GROUPED_EVENTS, GROUP, SIZE)
            rounds.append([naive_took, single_took, grouped_took])
    naive, single, grouped = (
        Rate.of(took, events)
        for took, events in zip(
            map(list, zip(*rounds[1:], strict=True)),  # the first one warmed up
            (EVENTS, EVENTS, GROUPED_EVENTS),
            strict=True,
        )
    )
    print(f"\n{CLIENTS} clients, {SIZE} bytes, each acknowledges; deliveries per second")
    print(naive.line("naive Starlette loop, not durable", naive))
    print(single.line("malote, one event a commit, FULL", naive))
    print(grouped.line(f"malote, {GROUP} events a commit, FULL", naive))
    print(f"  KiB per idle connection: naive {naive_rss / 1024:.1f}, ours {rss / 1024:.1f}")
    assert single.per_s >= 2 * naive.per_s
    assert rss <= RSS_PER_CONNECTION_MAX
