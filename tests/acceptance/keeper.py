"""A client that keeps every word it is given, and lets go of what is erased, as a client must."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from attrs import define, field

from tests.acceptance.world import PATIENCE_S
from transport.client import connect
from transport.cursor_store import SqliteCursorStore
from transport.inbox_event import InboxEvent


@define
class Keeper:
    """One device of one user, and the file with what it knows."""

    token: str
    file: Path
    live: asyncio.Event = field(factory=asyncio.Event)

    async def listen(self, url: str) -> None:
        """Keep what comes, for ever; content and cursor are one transaction."""
        with closing(sqlite3.connect(self.file, isolation_level=None)) as database:
            database.execute("PRAGMA secure_delete = ON")
            database.execute("CREATE TABLE said (position INTEGER PRIMARY KEY, data TEXT)")
            store = SqliteCursorStore(database)
            async with connect(
                url,
                self.token,
                device=self.file.stem,
                store=store,
                on_state=lambda state: self.live.set() if state.name == "LIVE" else None,
            ) as inbox:
                async for event in inbox:
                    database.execute("BEGIN")
                    self._keep(database, event)
                    store.save(event.cursor)
                    database.execute("COMMIT")

    def _keep(self, database: sqlite3.Connection, event: InboxEvent) -> None:
        if event.type == "message.redacted" and event.data is not None:
            gone = json.dumps(event.data["positions"])
            database.execute(
                "UPDATE said SET data = NULL WHERE position IN (SELECT value FROM json_each(?))",
                (gone,),
            )
        data = json.dumps(event.data, ensure_ascii=False)
        database.execute("INSERT INTO said VALUES (?, ?)", (event.position, data))

    def holds(self, position: int) -> bool:
        """Whether it was given the event at a position."""
        if not self.file.exists():
            return False
        with closing(sqlite3.connect(self.file)) as database:
            query = "SELECT count(*) FROM said WHERE position = ?"
            return bool(database.execute(query, (position,)).fetchone()[0])


@asynccontextmanager
async def keeping(url: str, keepers: Sequence[Keeper]) -> AsyncIterator[None]:
    """These clients, connected and live."""
    tasks = [asyncio.create_task(keeper.listen(url)) for keeper in keepers]
    try:
        waiting = asyncio.gather(*(keeper.live.wait() for keeper in keepers))
        await asyncio.wait_for(waiting, PATIENCE_S)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
