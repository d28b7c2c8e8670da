"""A real server process, a provider that posts signed webhooks, and agents that keep what they get.

What the acceptance tests share. The provider behaves as PROVIDERS.md says: it repeats what was not
answered 2xx, with the same key. The agent stores effect and cursor in one transaction, so that the
promise "exactly once" (G8) can be held against what lies on its disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx2
from attrs import define, field

from api.control import call
from api.providers import PROVIDERS
from api.providers.contract import Secret
from tests.acceptance.forked import Forked
from transport.client import connect
from transport.cursor_store import SqliteCursorStore

SECRET = "an app secret of the acceptance tests"
VERIFY_TOKEN = "verify-me"
START_TIMEOUT_S = 30.0
PATIENCE_S = 60.0
AGAIN_S = 0.05
"""Between two tries: more of them would take the processor from those who are waited for."""
SERVE = ("-m", "api.commands", "serve", "--host", "127.0.0.1", "--port", "0")


def malote(folder: Path, *words: str) -> str:
    """Run one command of the command line and return what it printed; it must exit 0."""
    done = subprocess.run(
        [sys.executable, "-m", "api.commands", *words],
        env={**os.environ, "MALOTE_DATA": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"malote {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


@define
class Server:
    """`malote serve` as a process of its own, on a port of its own."""

    folder: Path
    command: Sequence[str] = SERVE
    level: str = "warning"
    process: subprocess.Popen[bytes] | Forked | None = None
    url: str = ""
    forked: bool = False
    """Without the start of an interpreter, for tests with many a start."""

    def start(self, port: int = 0) -> None:
        """Start it and wait until it answers /readyz; on `port`, so that clients find it again."""
        command = [str(port) if word == "0" and port else word for word in self.command]
        # A line a webhook would fill the pipe, which nobody reads, and then the server waits.
        own = {"MALOTE_DATA": str(self.folder), "MALOTE_LOG_LEVEL": self.level}
        if self.forked:
            _, _, *words = command
            self.process = Forked(words, os.environ | own)
        else:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env=os.environ | own,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        self.url = self._wait_for_url(self.process)

    def _wait_for_url(self, process: subprocess.Popen[bytes] | Forked) -> str:
        deadline, printed = time.monotonic() + START_TIMEOUT_S, b""
        assert process.stdout is not None
        while time.monotonic() < deadline:
            if select.select([process.stdout], [], [], 0.2)[0]:
                chunk = os.read(process.stdout.fileno(), 65536)
                printed += chunk
                assert chunk, f"the server ended: {printed.decode(errors='replace')}"
            if found := re.search(rb"http://127\.0\.0\.1:\d+", printed):
                os.set_blocking(process.stdout.fileno(), False)
                return found[0].decode()
        raise AssertionError(f"the server did not start: {printed.decode(errors='replace')}")

    @property
    def port(self) -> int:
        """The port it was bound to last."""
        return int(self.url.rsplit(":", 1)[1])

    def output(self) -> str:
        """What it printed since it was last asked."""
        assert self.process is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            return (self.process.stdout.read() or b"").decode(errors="replace")
        return ""

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait until the process is gone."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextlib.contextmanager
def running(
    folder: Path, command: Sequence[str] = SERVE, level: str = "warning", *, forked: bool = False
) -> Iterator[Server]:
    """A server in `folder`; whatever the test does, the process is gone at the end."""
    server = Server(folder, command, level, forked=forked)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.end(signal.SIGKILL)


def furnish(folder: Path, *members: str, **others: str) -> dict[str, str]:
    """Make inbox `support`, its members, others (name=role), and a token for each of them.

    By what the command line asks of a server: to start it five times costs as much as many a test.
    """
    roles = {**dict.fromkeys(members, "member"), **others}
    return asyncio.run(furnish_inbox(folder, "support", roles))


async def furnish_inbox(folder: Path, inbox: str, roles: Mapping[str, str]) -> dict[str, str]:
    """An inbox, these users (name: role; members see that inbox), and a token for each of them."""
    secrets = {"secrets": [SECRET], "verify_token": VERIFY_TOKEN}
    await call(folder, "add_inbox", id=inbox, provider="whatsapp", **secrets)
    for user, role in roles.items():
        seen = [inbox] if role == "member" else []
        await call(folder, "add_user", name=user, role=role, inboxes=seen)
    return {user: (await call(folder, "create_token", user=user))["token"] for user in roles}


def text_webhook(*message_ids: str) -> bytes:
    """A WhatsApp webhook of text messages with these ids."""
    messages = [
        {
            "from": "5511955501234",
            "id": message_id,
            "timestamp": "1763800000",
            "type": "text",
            "text": {"body": f"message {message_id}"},
        }
        for message_id in message_ids
    ]
    return whatsapp_body({"messages": messages})


def whatsapp_body(value: dict[str, object]) -> bytes:
    """The envelope Meta puts around one change."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551155550000", "phone_number_id": "1"},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": "5511955501234", "user_id": "BR.1"}],
        **value,
    }
    change = {"field": "messages", "value": value}
    envelope = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    return json.dumps(envelope).encode()


def signed(body: bytes) -> dict[str, str]:
    """The headers with which Meta would send these bytes."""
    return PROVIDERS["whatsapp"].sign(body, Secret(SECRET.encode()), now_s=int(time.time()))


@define
class Provider:
    """Posts webhooks and repeats each until it is answered 2xx, as providers do."""

    server: Server
    receipts: dict[str, tuple[int, str]] = field(factory=dict)
    repeats: int = 0

    async def post(self, client: httpx2.AsyncClient, message_id: str) -> None:
        """Deliver one message; what was answered 2xx is remembered with its receipt."""
        body = text_webhook(message_id)
        while True:
            try:
                answer = await client.post(
                    f"{self.server.url}/webhooks/support", content=body, headers=signed(body)
                )
            except httpx2.TransportError:
                self.repeats += 1
                await asyncio.sleep(AGAIN_S)
                continue
            if answer.status_code == 200:
                [receipt] = answer.json()["receipts"]
                self.receipts[message_id] = (receipt["position"], receipt["hash"])
                return
            assert answer.status_code == 503, answer.text
            self.repeats += 1
            await asyncio.sleep(AGAIN_S)


@define
class Agent:
    """One device of one user, with a database of its own for effects and cursor."""

    name: str
    token: str
    database: sqlite3.Connection
    resets: list[object] = field(factory=list)

    @classmethod
    def make(cls, folder: Path, name: str, token: str) -> Agent:
        """An agent that has seen nothing yet."""
        database = sqlite3.connect(folder / f"{name}.db", isolation_level=None)
        database.execute("CREATE TABLE IF NOT EXISTS got (position INTEGER, message TEXT)")
        return cls(name, token, database)

    @property
    def positions(self) -> list[int]:
        """What it was given, in the order in which it was given."""
        return [row[0] for row in self.database.execute("SELECT position FROM got ORDER BY rowid")]

    @property
    def messages(self) -> list[str]:
        """The ids of the messages it was given, in that order."""
        query = "SELECT message FROM got WHERE message IS NOT NULL ORDER BY rowid"
        return [row[0] for row in self.database.execute(query)]

    async def listen(self, url: str, ready: asyncio.Event | None = None) -> None:
        """Take events for ever; each effect is stored in one transaction with its cursor."""
        store = SqliteCursorStore(self.database)
        async with connect(
            url,
            self.token,
            device=self.name,
            store=store,
            on_reset=self.resets.append,
            on_state=lambda state: ready.set() if ready and state.name == "LIVE" else None,
        ) as inbox:
            async for event in inbox:
                self.database.execute("BEGIN")
                self.database.execute(
                    "INSERT INTO got VALUES (?, ?)",
                    (event.position, (event.data or {}).get("message_id")),
                )
                store.save(event.cursor)
                self.database.execute("COMMIT")


@contextlib.asynccontextmanager
async def listening(url: str, *agents: Agent) -> AsyncIterator[list[asyncio.Task[None]]]:
    """These agents, connected and live."""
    ready = [asyncio.Event() for _ in agents]
    tasks = [
        asyncio.create_task(agent.listen(url, event))
        for agent, event in zip(agents, ready, strict=True)
    ]
    try:
        waiting = asyncio.gather(*(event.wait() for event in ready))
        await asyncio.wait_for(waiting, PATIENCE_S)
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds; the liveness half of a test."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(AGAIN_S)


def recorded(folder: Path) -> list[tuple[int, str, str | None]]:
    """Position, type and message id of every event in the log, read without our own code."""
    database = sqlite3.connect(f"file:{folder / 'log.db'}?mode=ro", uri=True)
    try:
        return database.execute(
            "SELECT position, type, data ->> '$.message_id' FROM events ORDER BY position"
        ).fetchall()
    finally:
        database.close()


def visible(folder: Path) -> list[tuple[int, str, str | None]]:
    """Those of them that members of an inbox see."""
    kinds = {"message", "contact", "conversation"}
    return [row for row in recorded(folder) if row[1].split(".")[0] in kinds]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a test's scenario on a loop of its own."""
    asyncio.run(scenario())  # type: ignore[arg-type]
