"""Our client against our server: a real log, hub and endpoint under uvicorn."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from attrs import define, field
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from eventstore.backup import restore
from eventstore.codec import decode_recorded
from eventstore.cursor import Cursor
from eventstore.draft import Draft
from eventstore.events import Contact, DeliveryAcknowledged, MessageReceived, RecordedEvent, Text
from eventstore.log import EventLog
from transport.client import Inbox, connect
from transport.client_errors import HistoryReset, Unauthorized
from transport.client_session import State
from transport.connection import Grant, Refused
from transport.cursor_store import MemoryCursorStore, SqliteCursorStore
from transport.frames import CloseCode, Window
from transport.hub import Hub, Standing
from transport.server import uvicorn_config
from transport.websocket import websocket_endpoint

PATIENCE_S = 60.0


def admit(token: str) -> Grant:
    """Whoever knows the word sees the inbox."""
    if token != "the word":
        raise Refused(CloseCode.UNAUTHORIZED, "unknown token")
    return Grant("ana", frozenset({"support"}), None, None)


@define
class House:
    """Log, hub and endpoint on a folder; the socket's port stays the same over restarts."""

    folder: Path
    port: int = 0
    floors: dict[str, int] = field(factory=dict)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[EventLog]:
        """Serve until the block ends, then close as `malote serve` would."""
        log = await EventLog.open(self.folder)
        hub = Hub(log, boot="a boot", rand=lambda: 0.05)  # a restart asks for 250 ms

        def committed(events: Sequence[RecordedEvent]) -> None:
            self._note_acks(events)
            hub.committed(events)

        log.on_commit = committed
        endpoint = websocket_endpoint(hub, admit=admit, ack_floor=self._ack_floor)
        app = Starlette(routes=[WebSocketRoute("/v1/ws", endpoint)])
        config = uvicorn_config(app, host="127.0.0.1", port=self.port, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        running = asyncio.create_task(hub.run())
        try:
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            self.port = server.servers[0].sockets[0].getsockname()[1]
            yield log
        finally:
            await hub.shutdown()
            server.should_exit = True
            await serving
            running.cancel()
            await asyncio.wait({running})
            await log.close()

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def _note_acks(self, events: Sequence[RecordedEvent]) -> None:
        for recorded in events:
            if isinstance(event := decode_recorded(recorded), DeliveryAcknowledged):
                self.floors["laptop"] = event.until

    async def noted(self, cursor: Cursor | None) -> None:
        """Wait until the log has it that everything up to here was handled."""
        assert cursor is not None
        while self.floors.get("laptop", 0) < cursor.position:  # noqa: ASYNC110 - `run` bounds it
            await asyncio.sleep(0.01)
        assert self.floors["laptop"] == cursor.position

    async def _ack_floor(self, _user: str, device: str) -> Standing | None:
        floor = self.floors.get(device)
        return None if floor is None else Standing(floor, floor)


async def write(log: EventLog, *numbers: int) -> None:
    """Messages of a contact, in one commit."""
    await log.append(
        [
            Draft(
                "inbox:support", MessageReceived(f"m{number}", Contact("c"), Text("hello")), "c_1"
            )
            for number in numbers
        ]
    )


def run(scenario: Callable[[House], Awaitable[None]], folder: Path) -> None:
    """Run a scenario in bounded time."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scenario(House(folder))

    asyncio.run(bounded())


async def take(inbox: Inbox, count: int) -> list[str]:
    """The next messages' ids; the last one is handled too."""
    ids = []
    for _ in range(count):
        event = await anext(inbox)
        assert event.data is not None
        ids.append(event.data["message_id"])
    inbox.done()
    return ids


def joined(house: House, **options: Any) -> AbstractAsyncContextManager[Inbox]:
    """A client that reconnects soon."""
    defaults: dict[str, Any] = {"device": "laptop", "rng": lambda: 0.02}
    return connect(house.url, options.pop("token", "the word"), **(defaults | options))


def ids(first: int, last: int) -> list[str]:
    """The ids of these messages."""
    return [f"m{number}" for number in range(first, last + 1)]


def test_live_events_arrive_and_are_acknowledged(tmp_path: Path) -> None:
    """A new device begins at the head, and the log records what it handled."""

    async def scenario(house: House) -> None:
        async with house.open() as log:
            await write(log, 1)
            async with joined(house) as inbox:
                await inbox.caught_up()
                await write(log, 2, 3)
                await write(log, 4)
                assert await take(inbox, 3) == ids(2, 4)
            assert inbox.state is State.CLOSED
            await house.noted(inbox.store.load())

    run(scenario, tmp_path)


def test_a_device_without_a_store_resumes_where_it_acknowledged(tmp_path: Path) -> None:
    """The server keeps its floor: at least once, over restarts of the client."""

    async def scenario(house: House) -> None:
        async with house.open() as log:
            async with joined(house) as inbox:
                await inbox.caught_up()
                await write(log, *range(1, 11))
                assert await take(inbox, 6) == ids(1, 6)
            await house.noted(inbox.store.load())
            async with joined(house) as inbox:
                assert await take(inbox, 4) == ids(7, 10)

    run(scenario, tmp_path)


def test_each_event_is_stored_once_over_restarts_of_both_sides(tmp_path: Path) -> None:
    """Messages come while the server restarts, and the application dies in a transaction (G8)."""

    async def listen(house: House, database: sqlite3.Connection, dies_at: str | None) -> None:
        async with joined(house, store=SqliteCursorStore(database)) as inbox:
            async for event in inbox:
                assert event.data is not None
                with database:
                    database.execute("INSERT INTO got VALUES (?)", (event.data["message_id"],))
                    inbox.store.save(event.cursor)
                    if event.data["message_id"] == dies_at:
                        raise LookupError
                if event.data["message_id"] == "m400":
                    return

    async def scenario(house: House) -> None:
        with closing(sqlite3.connect(tmp_path / "app.db")) as database:
            database.execute("CREATE TABLE got (id TEXT)")
            async with house.open() as log:
                SqliteCursorStore(database).settle(log.cursor)
                await write(log, *range(1, 101))
                with pytest.raises(LookupError):
                    await listen(house, database, dies_at="m57")
                listening = asyncio.create_task(listen(house, database, None))
                await write(log, *range(101, 301))
            async with house.open() as log:
                await write(log, *range(301, 401))
                await listening
            got = [row[0] for row in database.execute("SELECT id FROM got ORDER BY rowid")]
        assert got == ids(1, 400)

    run(scenario, tmp_path)


def test_a_small_window_is_enough_for_any_number_of_events(tmp_path: Path) -> None:
    """The server stops at the window and goes on with the ack; nobody is told off for speed."""

    async def scenario(house: House) -> None:
        async with house.open() as log, joined(house, window=Window(frames=7)) as inbox:
            await inbox.caught_up()
            await write(log, *range(1, 101))
            assert await take(inbox, 100) == ids(1, 100)
            assert inbox.last_end is None

    run(scenario, tmp_path)


def test_a_restored_backup_is_told_as_a_reset(tmp_path: Path) -> None:
    """The application handled events that no longer exist: never silently (G9)."""

    async def scenario(house: House) -> None:
        store = MemoryCursorStore()
        async with house.open() as log, joined(house, store=store) as inbox:
            await inbox.caught_up()
            await write(log, 1)
            await log.backup(tmp_path / "backup.db")
            await write(log, 2)
            assert await take(inbox, 2) == ids(1, 2)
        await restore(tmp_path / "backup.db", house.folder)
        async with house.open() as log, joined(house, store=store) as inbox:
            with pytest.raises(HistoryReset) as caught:
                await anext(inbox)
            assert caught.value.reset.cursor.epoch == log.epoch
            inbox.done()
            await write(log, 3)
            assert await take(inbox, 1) == ["m3"]

    run(scenario, tmp_path / "house")


def test_a_wrong_token_comes_out_of_the_loop(tmp_path: Path) -> None:
    """With the server's reason."""

    async def scenario(house: House) -> None:
        async with house.open(), joined(house, token="another word") as inbox:
            with pytest.raises(Unauthorized, match="unknown token"):
                await anext(inbox)

    run(scenario, tmp_path)
