"""The simulated world: one server, its disk, the network, the applications, and what goes wrong.

A world lives through a time of faults and then a calm one, all drawn from its seed. It keeps the
trace, and collects in ``wrong`` whatever broke a promise; :mod:`tests.simulation.invariants` adds
what can only be said at the end.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Coroutine, Sequence
from contextvars import copy_context
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from eventstore.codec import decode_recorded
from eventstore.draft import Receipt
from eventstore.events import (
    Event,
    MemberAdded,
    MemberRemoved,
    RecordedEvent,
)
from eventstore.log import LogHalted, LogUnavailable
from projections import PROJECTIONS
from projections.access import ACCESS, Access
from projections.connections import CONNECTIONS
from projections.deliveries import DELIVERIES
from projections.projector import ProjectionsBehind
from tests.simulation.apps import App, Keeps
from tests.simulation.disk import Disk, Weather
from tests.simulation.history import Row
from tests.simulation.links import ClientEnd
from tests.simulation.loop import VirtualLoop
from tests.simulation.network import Network
from tests.simulation.plan import USERS, Plan
from tests.simulation.process import Process
from tests.simulation.server import Server
from tests.simulation.watch import REVOKED_WITHIN_S, Rights, Watch
from transport.frames import Window

CLOCK_START_US = 1_700_000_000_000_000
RESTARTS_WITHIN_S = 4.0
_ABOUT_MEMBERS = frozenset({MemberAdded.type, MemberRemoved.type})
_connect = sqlite3.connect


class Away(Exception):
    """The server did not answer, or not with yes; what was asked may have been done (G3)."""


class World:
    """See the top of this file; :func:`tests.simulation.run.simulate` makes one."""

    def __init__(self, plan: Plan, loop: VirtualLoop, rng: Random, folder: Path) -> None:
        self.plan = plan
        self.loop = loop
        self.rng = rng
        self.disk = Disk(Random(rng.random()), self._struck)
        self.lines: list[str] = []
        self.wrong: list[str] = []
        self.acked: dict[bytes, Receipt] = {}
        self.asking: dict[int, float] = {}
        self.committed_at: dict[int, float] = {}
        self.seen: Sequence[Row] = ()
        """The log as far as it was looked at."""
        self.rights = Rights(loop.time)
        self.watch = Watch(self.rights, self._patience_s, self.fail, self.trace)
        self.network = Network(loop, rng, self.watch, lambda: self.server, self.fail)
        self.rogues_cursors: list[str] = []
        self.server: Server | None = None
        self._starting: Server | None = None
        self.calm = False
        self.apps = [self._app(user, device) for user, device in plan.apps]
        self._context = copy_context()
        self._folder = folder
        self._generation = 0
        self._processes: list[Process] = []
        self.next_number = count().__next__
        self._clock_offset_us = 0
        self._stalled_at = float("-inf")
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._faults: dict[asyncio.Task[Any], None] = {}
        self._down = asyncio.Event()

    def _app(self, user: str, device: str) -> App:
        rng = Random(self.rng.random())
        window = Window(rng.choice((4, 10, 100)), rng.choice((3_000, 256 * 1024)))
        keeps, puts_aside = rng.choice(tuple(Keeps)), self.plan.puts_aside
        slow_s = rng.choice((0.0, 0.0, 0.2))
        return App(self, user, device, keeps, window, rng, puts_aside=puts_aside, slow_s=slow_s)

    def newcomer(self) -> App:
        """One more device."""
        self.apps.append(self._app(self.rng.choice(USERS), f"n{len(self.apps)}"))
        return self.apps[-1]

    # --- what it tells -------------------------------------------------------------------------

    def trace(self, who: str, what: str) -> None:
        """One line of the trace."""
        self.lines.append(f"{self.loop.time():12.6f}  {who:<10} {what}")

    def fail(self, what: str) -> None:
        """A promise was broken."""
        if what not in self.wrong:
            self.wrong.append(what)
            self.trace("WRONG", what)

    def clock(self) -> int:
        """The wall clock, µs; it jumps."""
        return CLOCK_START_US + self._clock_offset_us + int(self.loop.time() * 1_000_000)

    def jump_clock(self, seconds: float) -> None:
        """The wall clock is set."""
        self._clock_offset_us += int(seconds * 1_000_000)

    def storm(self, weather: Weather) -> None:
        """The disk is like this from now on."""
        if self.disk.weather.stall or weather.stall:
            self._stalled_at = self.loop.time()
        self.disk.weather = weather

    def _patience_s(self) -> float:
        """How long a revocation may take to be acted on; a disk that stalls adds to it."""
        stalled = self.loop.time() - self._stalled_at < 2 * REVOKED_WITHIN_S
        return 3 * REVOKED_WITHIN_S if stalled or self.disk.weather.stall else REVOKED_WITHIN_S

    # --- processes -----------------------------------------------------------------------------

    def new_process(self, name: str) -> Process:
        """A life of a server or a client."""
        self._processes = [process for process in self._processes if process.alive]
        self._processes.append(Process(name, self.loop))
        return self._processes[-1]

    async def end(self) -> None:
        """Whatever still lives dies; safe to call at any time."""
        await self.end_tasks()
        for process in self._processes:
            await process.kill()

    def now(self) -> float:
        """Virtual seconds."""
        return self.loop.time()

    def spawn(self, coro: Coroutine[Any, Any, Any], *, fault: bool = False) -> asyncio.Task[Any]:
        """The world's own doings; none may fail. A fault ends when the calm begins."""
        # In no process's name, whoever's work this comes from: it must outlive what it kills.
        task = self.loop.create_task(coro, context=self._context.copy())
        (self._faults if fault else self._tasks)[task] = None
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        self._faults.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(f"the world itself failed: {error!r}")

    async def end_faults(self) -> None:
        """Nothing more goes wrong; what is just dying dies."""
        for task in list(self._faults):
            task.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not self._faults

    async def end_tasks(self) -> None:
        """Nothing more is sent, and nobody starts the server again."""
        while tasks := [*self._tasks, *self._faults]:
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)

    def open_raw(self, name: str) -> sqlite3.Connection:
        """A database of an application; no process of the server's."""
        return _connect(name)

    # --- the server ----------------------------------------------------------------------------

    async def start_server(self) -> None:
        """Open the present folder; keep trying, as a supervisor does."""
        while True:
            self._generation += 1
            server = self._starting = self._make_server()
            try:
                await self.run_in(server.process, server.start())
            except LogHalted as error:
                self.fail(f"the log is halted: {error}")
                raise
            except (Away, LogUnavailable, ProjectionsBehind, sqlite3.Error) as error:
                # Without the path: it has a name of chance, and the same seed is the same trace.
                self.trace("server", f"does not start: {str(error).rpartition(': ')[2]}")
                await self._bury(server)
                await asyncio.sleep(1.0)
            else:
                self.server, self._starting = server, None
                self._down.clear()
                self.trace("server", f"{server.boot} serves from {server.log.head.position}")
                return

    def _make_server(self) -> Server:
        process = self.new_process(f"boot{self._generation}")
        projections = PROJECTIONS if self.plan.thorough else (DELIVERIES, ACCESS, CONNECTIONS)
        return Server(
            process, self._folder / str(self._generation), process.name, Random(self.rng.random()),
            self.clock, self.plan.log, self.plan.hub, projections,
            self._committed, self._granted, self._task_ended,
        )  # fmt: skip

    async def run_in(self, process: Process, coro: Coroutine[Any, Any, Any]) -> Any:
        """Do it in a process; Away if that dies meanwhile."""
        task = process.spawn(coro)
        await asyncio.wait({task})
        if task.cancelled() or not process.alive:
            raise Away("it died")
        return task.result()

    def _struck(self, when: str) -> bool:
        server = self.server or self._starting
        if server is None or not server.process.alive:
            return False
        server.process.alive = False
        self.trace("server", f"is struck {when} its disk did as asked")
        self.spawn(server.process.kill() if server is self._starting else self.crash_server())
        return True

    async def crash_server(self) -> None:
        """At whatever it is just doing. What COMMIT has not written is gone."""
        server, self.server = self.server, None
        if server is None:
            return
        self.trace("server", "crashes")
        server.ready = False
        server.process.alive = False
        self.network.server_died(server.process)
        await self._bury(server)
        self._down.set()

    async def _bury(self, server: Server) -> None:
        """Its files, as they are, become the next one's; the WAL is not tidied up."""
        server.process.alive = False
        target = self._folder / str(self._generation + 1)
        target.mkdir()
        for name in ("log.db", "log.db-wal", "projections.db", "projections.db-wal"):
            if "projections" in name and self.rng.random() < 0.1:
                continue
            if (server.folder / name).exists():
                shutil.copyfile(server.folder / name, target / name)
        if not (target / "projections.db").exists():
            (target / "projections.db-wal").unlink(missing_ok=True)
        await server.process.kill()
        shutil.rmtree(server.folder, ignore_errors=True)

    async def stop_server(self) -> None:
        """SIGTERM."""
        server = self.server
        if server is None:
            return
        self.trace("server", "is told to stop")
        server.ready = False
        try:
            await self.run_in(server.process, server.stop())
        except Away:
            return  # it was struck on its way out
        if self.server is server:
            await self.crash_server()

    async def keep_server_up(self) -> None:
        """The supervisor."""
        while True:
            await self._down.wait()
            await asyncio.sleep(0.0 if self.calm else self.rng.random() * RESTARTS_WITHIN_S)
            await self.start_server()

    def _task_ended(self, name: str, error: BaseException) -> None:
        self.fail(f"the {name} ended: {error!r}")

    def _committed(self, events: Sequence[RecordedEvent]) -> None:
        for event in events:
            self.committed_at[event.position] = self.loop.time()
            if event.type in _ABOUT_MEMBERS:
                self._told_of_member(decode_recorded(event))
        kinds = ", ".join(f"{event.position} {event.type}" for event in events)
        self.trace("log", f"commits {kinds}")

    def _told_of_member(self, inside: Event | None) -> None:
        if isinstance(inside, MemberAdded):
            self.rights.are(inside.user, frozenset(inside.inboxes))
        elif isinstance(inside, MemberRemoved):
            self.rights.are(inside.user, frozenset())

    def _granted(self, access: Access, head: int) -> None:
        granted = {user: member.inboxes for user, member in access.members.items()}
        self.rights.act(granted, head)
        self.trace(
            "server", f"acts at {head} on {sorted((u, sorted(i)) for u, i in granted.items())}"
        )
        if self.server is None:  # at its start it knows more than we were told before the crash
            for user in USERS:
                self.rights.are(user, granted.get(user, frozenset()))

    # --- the network ---------------------------------------------------------------------------

    async def dial(self, app: App) -> ClientEnd:
        """The Python client's ``open_socket``."""
        assert app.process is not None
        return await self.network.connect(app.name, app.process)

    def client_died(self, process: Process) -> None:
        """Its sockets are the kernel's now."""
        self.network.client_died(process)

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self.calm = True
        self.storm(Weather())
        self.network.heal()
        for app in self.apps:
            app.slow_s = app.puts_aside = 0.0
            if app.process is None:
                app.start()
