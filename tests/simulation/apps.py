"""Applications on the real Python client: what they keep, what they forget, how they die.

``Keeps`` is the promise that is tested. TRANSACTION: cursor and effect in one transaction, so each
event exactly once (G8). AFTERWARDS: the client stores the cursor after the effect, so at least
once. NOTHING: the cursor dies with the program and the server's ack floor decides.
"""

from __future__ import annotations

import asyncio
import sqlite3
from enum import Enum, auto
from random import Random
from typing import Protocol

from attrs import define, field

from eventstore.cursor import Cursor
from tests.simulation.links import ClientEnd
from tests.simulation.process import Process
from transport.client import Inbox, connect
from transport.client_errors import Stopped
from transport.client_session import State
from transport.client_socket import Socket
from transport.cursor_store import CursorStore, MemoryCursorStore, SqliteCursorStore
from transport.frames import Reset, Skipped, Window
from transport.inbox_event import InboxEvent

COMES_BACK_S = 5.0


class Outside(Protocol):
    """What an application needs of the world."""

    def now(self) -> float:
        """Virtual seconds."""

    def open_raw(self, name: str) -> sqlite3.Connection:
        """A database that outlives the program."""

    def new_process(self, name: str) -> Process:
        """A life."""

    def client_died(self, process: Process) -> None:
        """Its sockets are the kernel's now."""

    def trace(self, who: str, what: str) -> None:
        """Write down what happened."""

    async def dial(self, app: App) -> ClientEnd:
        """Open a socket to the server; raises LinkEnded."""


class Keeps(Enum):
    """Where an application's cursor is, seen from a crash."""

    TRANSACTION = auto()
    AFTERWARDS = auto()
    NOTHING = auto()


@define
class Run:
    """One life of the program: what was handled, in order. ``cursor`` is what it began with.

    By request and position: ``returned`` is what came again on request and was handled, ``refused``
    what was put aside again.
    """

    cursor: Cursor | None
    handled: list[int] = field(factory=list)
    returned: list[tuple[int, int]] = field(factory=list)
    refused: list[tuple[int, int]] = field(factory=list)


@define(eq=False)
class App:
    """One device of one user. ``runs`` is the journal that the invariants are held against.

    ``skips`` is what it was told that it will not get: (after, until]. ``aside`` is what it left to
    the server's list of parked events, which it does with so many of them: ``puts_aside``.
    """

    world: Outside
    user: str
    device: str
    keeps: Keeps
    window: Window
    rng: Random
    runs: list[Run] = field(factory=list)
    handled_at: dict[int, float] = field(factory=dict)
    surprises: list[str] = field(factory=list)
    skips: list[tuple[int, int]] = field(factory=list)
    aside: set[int] = field(factory=set)
    process: Process | None = None
    links: int = 0
    ends: list[str] = field(factory=list)
    socket: ClientEnd | None = None
    inbox: Inbox | None = None
    state: State = State.CONNECTING
    slow_s: float = 0.0
    puts_aside: float = 0.0
    _db: sqlite3.Connection = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._db = self.world.open_raw(":memory:")
        self._db.execute("CREATE TABLE effects (position INTEGER)")

    @property
    def name(self) -> str:
        """As in the log's stream names."""
        return f"{self.user}/{self.device}"

    @property
    def handled(self) -> set[int]:
        """What has a lasting effect."""
        if self.keeps is Keeps.TRANSACTION:
            return set(self.effects)
        return {position for run in self.runs for position in run.handled}

    @property
    def effects(self) -> list[int]:
        """What the application's own database has, in order of writing."""
        return [position for (position,) in self._db.execute("SELECT position FROM effects")]

    def start(self) -> None:
        """A new life of the program."""
        self.process = self.world.new_process(self.name)
        self.process.spawn(self._live())

    async def die(self) -> None:
        """At whatever it is just doing: what was not committed is gone."""
        process, self.process = self.process, None
        if process is not None:
            await process.kill()
            self.world.client_died(process)
            self._db.rollback()

    def close(self) -> None:
        """The world ends."""
        self._db.close()

    def _store(self) -> CursorStore:
        if self.keeps is Keeps.NOTHING:
            return MemoryCursorStore()
        return SqliteCursorStore(self._db)

    async def _live(self) -> None:
        while True:
            store = self._store()
            run = Run(store.load())
            self.runs.append(run)
            self.world.trace(self.name, f"starts at {_short(run.cursor)}")
            try:
                await self._subscribe(store, run)
            except Stopped as error:
                self.world.trace(self.name, f"is stopped: {error}")
                await asyncio.sleep(COMES_BACK_S * self.rng.random())

    async def _subscribe(self, store: CursorStore, run: Run) -> None:
        async with connect(
            "ws://malote", f"mlt_{self.user}", device=self.device, store=store, window=self.window,
            open_socket=self._dial, rng=self.rng.random, on_state=self._on_state,
            clock=asyncio.get_running_loop().time,
            on_reset=self._on_reset, on_skipped=self._on_skipped,
        ) as inbox:  # fmt: skip
            self.inbox = inbox
            async for event in inbox:
                if self.slow_s:
                    await asyncio.sleep(self.slow_s * self.rng.random())
                if self.puts_aside and self.rng.random() < self.puts_aside:
                    await self._put_aside(event, inbox, run)
                elif event.request is None:
                    await self._handle(event.position, event.cursor, store, run)
                else:
                    self.world.trace(self.name, f"handles {event.position} again, on request")
                    run.returned.append((event.request, event.position))

    async def _put_aside(self, event: InboxEvent, inbox: Inbox, run: Run) -> None:
        self.world.trace(self.name, f"puts {event.position} aside")
        self.aside.add(event.position)
        if event.request is not None:
            run.refused.append((event.request, event.position))
        await inbox.put_aside("simulated")

    async def _handle(self, position: int, cursor: Cursor, store: CursorStore, run: Run) -> None:
        self._db.execute("INSERT INTO effects VALUES (?)", (position,))
        if self.keeps is Keeps.TRANSACTION:
            if self.slow_s:
                await asyncio.sleep(self.slow_s * self.rng.random())
            store.save(cursor)
        self._db.commit()
        run.handled.append(position)
        self.handled_at[position] = self.world.now()
        self.world.trace(self.name, f"handles {position}")

    async def _dial(self, _url: str) -> Socket:
        self.links += 1
        self.socket = None
        self.socket = await self.world.dial(self)
        return self.socket

    def _on_state(self, state: State) -> None:
        self.state = state
        end = self.inbox.last_end if self.inbox is not None else None
        why = f" after {end.reason!r} ({end.code})" if end and state is State.RECONNECTING else ""
        self.world.trace(self.name, f"{state.value}{why}")
        if why and end is not None and not (self.socket is not None and self.socket.lossy):
            self.ends.append(end.reason)

    def _on_reset(self, reset: Reset) -> None:
        self.surprises.append(f"reset at {reset.cursor.position}: {reset.reason}")

    def _on_skipped(self, skipped: Skipped) -> None:
        after, until = skipped.after.position, skipped.cursor.position
        self.skips.append((after, until))
        self.world.trace(self.name, f"is told of {skipped.count} skipped, {after} to {until}")


def _short(cursor: Cursor | None) -> str:
    return "nothing" if cursor is None else str(cursor.position)
