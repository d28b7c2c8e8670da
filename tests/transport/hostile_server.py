"""A server in memory that keeps its history and nothing else sacred: seeded, in virtual time.

It commits honestly and delivers badly. It cuts, falls silent, sends suffixes again, leaves events
out, skips, resets to a restored backup, says nonsense, closes slowly. It never shows an event that
its history has not, and never another order: that is what a client may rely on.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from random import Random
from typing import Any

from eventstore.cursor import Cursor
from tests.transport.fake_server import cursor, event, live, welcome
from transport.client_socket import LinkEnded
from transport.link_end import LinkEnd

CODES = (1000, 1006, 1012, 1013, 4400, 4408, 4409, 4410, 4411, 4429)
NONSENSE = (
    '{"type":"fashion_of_2030"}',
    '{"type":"error","problem":{"title":"no"}}',
    '{"type":"events","after":7}',
    "not JSON",
)


class HostileServer:
    """``histories`` has each epoch's events; the last epoch is the present one."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.calm = False
        self.epoch = "e1"
        self.histories: dict[str, list[Cursor]] = {"e1": []}
        self.links: list[HostileLink] = []
        self.acts: dict[str, int] = {}

    @property
    def history(self) -> list[Cursor]:
        """The present one."""
        return self.histories[self.epoch]

    @property
    def head(self) -> Cursor:
        """The newest event's cursor, or where an empty history begins."""
        return self.history[-1] if self.history else cursor(0, self.epoch)

    async def open(self, _url: str) -> HostileLink:
        """The client's way in; now and then there is none."""
        await asyncio.sleep(self.rng.random() * 0.2)
        if not self.calm and self.rng.random() < 0.2:
            status = self.rng.choice([None, 500, 503, 429])
            raise LinkEnded(LinkEnd(reason="no", status=status, retry_after_s=1.0))
        link = HostileLink(self)
        self.links.append(link)
        return link

    async def live(self, commits: int) -> None:
        """Commit so many events, now and then restoring a backup."""
        for _ in range(commits):
            await asyncio.sleep(self.rng.expovariate(0.5))
            step = self.rng.choice([1, 1, 1, 2, 9])
            self.history.append(cursor(self.head.position + step, self.epoch))
            if self.rng.random() < 0.01:
                self.restore(self.rng.randrange(len(self.history)))
            for link in self.links:
                link.wake.set()

    def behave(self) -> None:
        """From now on, after a last misdeed: what was not sent yet is taken for sent."""
        for link in self.links:
            link.leave_out_the_rest()
        self.calm = True

    def restore(self, kept: int) -> None:
        """Put a backup back under a new epoch; whoever was connected is cut."""
        self._count("restore")
        before = self.history
        self.epoch = f"e{len(self.histories) + 1}"
        self.histories[self.epoch] = [cursor(c.position, self.epoch) for c in before[:kept]]
        for link in list(self.links):
            link.end(1012)

    def _count(self, act: str) -> None:
        self.acts[act] = self.acts.get(act, 0) + 1


class HostileLink:
    """One socket, seen from the client (:class:`transport.client_socket.Socket`)."""

    def __init__(self, server: HostileServer) -> None:
        self.server = server
        self.wake = asyncio.Event()
        self._said: asyncio.Queue[str | LinkEnd] = asyncio.Queue()
        self._ended: LinkEnd | None = None
        self._floor: Cursor | None = None
        self._last: Cursor | None = None
        self._sent: set[Cursor] = set()
        self._is_live = False
        self._pump: asyncio.Task[None] | None = None

    # --- the client's side ---------------------------------------------------------------------

    async def send(self, text: str) -> None:
        """Take a frame."""
        if self._ended is not None:
            raise LinkEnded(self._ended)
        frame = json.loads(text)
        if frame["type"] == "hello":
            self._greet(frame)
        elif frame["type"] == "ack":
            at = Cursor.parse(frame["cursor"])
            assert at in self._sent, "acknowledged on another link than it came by"
            assert self._floor is not None
            assert at.position >= self._floor.position, "an ack goes back"
            self._floor = at
            self.wake.set()

    async def receive(self) -> str:
        """The next message."""
        said = await self._said.get()
        if isinstance(said, LinkEnd):
            self._said.put_nowait(said)
            raise LinkEnded(said)
        return said

    async def close(self) -> None:
        """Sometimes it takes its time."""
        if not self.server.calm and self.server.rng.random() < 0.2:
            await asyncio.sleep(2.0)
        self.end(1000)

    def leave_out_the_rest(self) -> None:
        """Only a ping can tell that something is missing now."""
        if self._last is not None:
            self._last = self.server.head

    # --- the server's side ---------------------------------------------------------------------

    def end(self, code: int) -> None:
        """Nothing is taken or said any more; what was said before still arrives, or does not."""
        if self._ended is not None:
            return
        self._ended = LinkEnd(code, retry_after_s=self.server.rng.choice([0.0, 0.0, 0.5]))
        if self.server.rng.random() < 0.5:
            while not self._said.empty():
                self._said.get_nowait()
        self._said.put_nowait(self._ended)
        if self in self.server.links:
            self.server.links.remove(self)
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()

    def _say(self, frame: dict[str, Any]) -> None:
        if self._ended is None:
            self._said.put_nowait(json.dumps(frame))

    def _greet(self, hello: dict[str, Any]) -> None:
        server = self.server
        asked = None if hello["cursor"] is None else Cursor.parse(hello["cursor"])
        start = cursor(0, server.epoch) if asked is None else asked
        if start.epoch == server.epoch:
            self._say(welcome(start))
        else:
            start = server.head
            self._sent.add(start)
            resume = {"outcome": "reset", "reason": "history_differs", "pending": 0}
            self._say(welcome(start, resume=resume | {"cursor": str(start)}))
        self._floor = self._last = start
        self._pump = asyncio.create_task(self._misbehave(hello["window"]["frames"]))

    async def _misbehave(self, window: int) -> None:
        rng = self.server.rng
        while self._ended is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(rng.random()):
                    await self.wake.wait()
            self.wake.clear()
            acts = ["deliver"] if self.server.calm else ["deliver"] * 12 + [
                *("again", "leave out", "skip", "ping", "ping", "cut", "silence", "nonsense"),
            ]  # fmt: skip
            act = rng.choice(acts)
            self.server._count(act)
            await self._act(act, window)

    async def _act(self, act: str, window: int) -> None:
        rng, server = self.server.rng, self.server
        page = self._unsent(window)[: rng.randint(1, 7)]
        match act:
            case "deliver":
                self._deliver(page)
            case "again":
                self._last = self._floor
                self._deliver(self._unsent(window)[: rng.randint(1, 12)])
            case "leave out":
                self._last = page[-1] if page else self._last
            case "skip" if page:
                names = {"after": str(self._last), "cursor": str(page[-1])}
                self._say({"type": "skipped", "count": len(page), "reason": "expired"} | names)
                self._last = page[-1]
                self._sent.add(page[-1])
            case "ping":
                shown = {"cursor": str(server.head), "rtt_ms": 1.0, "quality": "good"}
                self._say({"type": "ping", "id": rng.randrange(1000)} | shown)
            case "cut":
                self.end(rng.choice(CODES))
            case "silence" if rng.random() < 0.2:
                await asyncio.sleep(60)
            case "nonsense" if self._ended is None:
                self._said.put_nowait(rng.choice(NONSENSE))

    def _unsent(self, window: int) -> list[Cursor]:
        assert self._floor is not None
        assert self._last is not None
        floor, last = self._floor.position, self._last.position
        history = self.server.history
        in_flight = sum(floor < c.position <= last for c in history)
        return [c for c in history if c.position > last][: max(0, window - in_flight)]

    def _deliver(self, page: list[Cursor]) -> None:
        if page:
            bodies = [event(c.position, c.epoch) for c in page]
            names = {"after": str(self._last), "cursor": str(page[-1])}
            self._say({"type": "events", "attempt": 1, "events": bodies} | names)
            self._last = page[-1]
            self._sent.update(page)
        elif self._last == self.server.head and not self._is_live:
            self._is_live = True
            self._say(live(self.server.head))
        elif self.server.calm:
            shown = {"cursor": str(self.server.head), "rtt_ms": 1.0, "quality": "good"}
            self._say({"type": "ping", "id": 1} | shown)
