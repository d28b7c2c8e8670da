"""The whole Python client against a hostile server, for thousands of its misdeeds, in virtual time.

The application keeps effect and cursor in one transaction, dies in it now and then, and is left and
begun again. Whatever happens, its list is a prefix of the server's history, each event once and in
order (G7, G8, G9); and soon after the server behaves again, all of it (G11).
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from random import Random

import pytest

from eventstore.cursor import Cursor
from tests.simulation.loop import VirtualLoop
from tests.transport.hostile_server import HostileServer
from transport.client import connect
from transport.cursor_store import SqliteCursorStore
from transport.frames import Reset, Skipped, Window

COMMITS = 300
HEALED_WITHIN_S = 120.0
WINDOW = Window(frames=20)


class Died(Exception):
    """The application's process is gone."""


class Application:
    """Its database, and one life after the other."""

    def __init__(self, server: HostileServer, database: sqlite3.Connection) -> None:
        self.server = server
        self.database = database
        self.lives = 0
        database.execute("CREATE TABLE effects (cursor TEXT)")
        SqliteCursorStore(database).settle(Cursor.parse("e1.0.00000000"))

    @property
    def effects(self) -> list[Cursor]:
        """What was done and committed, in order."""
        rows = self.database.execute("SELECT cursor FROM effects ORDER BY rowid").fetchall()
        return [Cursor.parse(row[0]) for row in rows]

    async def live(self) -> None:
        """Die and live again, for ever."""
        while True:
            self.lives += 1
            try:
                await self._work()
            except Died:
                await asyncio.sleep(self.server.rng.random())

    async def _work(self) -> None:
        store = SqliteCursorStore(self.database)
        rng = self.server.rng
        async with connect(
            "ws://malote", "t", device="laptop", store=store, window=WINDOW, rng=rng.random,
            open_socket=self.server.open, clock=asyncio.get_running_loop().time,
            on_reset=self._start_over, on_skipped=self._load,
        ) as inbox:  # fmt: skip
            self.store = store
            while True:
                async for event in inbox:
                    if rng.random() < 0.1:
                        await asyncio.sleep(rng.random() * 3)
                    self._do([event.cursor], event.cursor, dies=rng.random() < 0.03)
                    if rng.random() < 0.02:
                        break  # the loop is left and begun again

    def _do(self, effects: list[Cursor], upto: Cursor, *, dies: bool = False) -> None:
        with self.database:
            rows = [(str(effect),) for effect in effects]
            self.database.executemany("INSERT INTO effects VALUES (?)", rows)
            self.store.save(upto)
            if dies and not self.server.calm:
                raise Died
        self.check()

    def _start_over(self, reset: Reset) -> None:
        at, history = reset.cursor, self.server.histories[reset.cursor.epoch]
        self.database.execute("DELETE FROM effects")
        self._do([each for each in history if each.position <= at.position], at)

    def _load(self, skipped: Skipped) -> None:
        after, upto = skipped.after.position, skipped.cursor
        history = self.server.histories[upto.epoch]
        self._do([each for each in history if after < each.position <= upto.position], upto)

    def check(self) -> None:
        """A prefix of the history that it belongs to."""
        effects = self.effects
        if effects:
            history = self.server.histories[effects[-1].epoch]
            assert effects == history[: len(effects)]


async def soak(seed: int) -> HostileServer:
    """Let both live until all is committed; then the server behaves, and everything must arrive."""
    server = HostileServer(Random(seed))
    loop = asyncio.get_running_loop()
    with closing(sqlite3.connect(":memory:")) as database:
        application = Application(server, database)
        working = asyncio.create_task(application.live())
        await server.live(COMMITS)
        server.behave()
        healed_by = loop.time() + HEALED_WITHIN_S
        while application.effects != server.history and loop.time() < healed_by:
            assert not working.done(), working.exception()
            await asyncio.sleep(1)
        assert application.effects == server.history, f"seed {seed}"
        working.cancel()
        await asyncio.wait({working})
        assert application.lives > 1
    for link in list(server.links):
        link.end(1000)
    await asyncio.sleep(5)
    return server


@pytest.mark.parametrize("seed", range(8))
def test_the_applications_list_is_the_logs_whatever_the_server_does(seed: int) -> None:
    """Once each, in order, all of it; thousands of misdeeds later."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(Random(seed))) as runner:
        server = runner.run(soak(seed))
    assert sum(server.acts.values()) > 2 * COMMITS
    assert {"again", "leave out", "skip", "cut", "silence", "nonsense"} <= set(server.acts)
