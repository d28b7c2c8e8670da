"""What goes over the wire, seen from the server's side: the window, the rights, the acks.

The watch is told of every frame when the server writes it and when the server gets it, and holds
each session against the protocol as it goes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

from tests.simulation.links import Link
from transport.frames import CloseCode

_EVENT = re.compile(
    rb'"position":(\d+),"cursor":"[^"]*","type":"[^"]*","version":\d+,"time":"[^"]*","inbox":"(\w+)"'
)
REVOKED_WITHIN_S = 5.0
STALLED_S_MAX = 20.0
BLAMES = frozenset({CloseCode.BAD_FRAME, CloseCode.ACK_OVERDUE, CloseCode.TOO_FAST})
"""What only a client hears that does not keep to the protocol."""


@frozen
class Skip:
    """What a session was told that it will not be sent: ``count`` events in (after, until]."""

    after: int
    until: int
    count: int
    reason: str


@define
class Sighted:
    """One session on the wire: what it was sent, and up to where it acknowledged."""

    id: str
    who: str
    user: str
    start: int
    window: int
    boot: str
    pending: int
    over: bool = False
    stalled: bool = False
    sent: dict[int, None] = field(factory=dict)
    in_flight: set[int] = field(factory=set)
    parked: set[int] = field(factory=set)
    acked: int = 0
    skipped: Skip | None = None


class Rights:
    """Who could see what, and when, as the log tells."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._history: dict[str, list[tuple[float, frozenset[str]]]] = defaultdict(list)
        self.effective: dict[tuple[str, str], int] = {}
        """(user, inbox) -> the head when the server began to act on it, while it does."""

    def are(self, user: str, inboxes: frozenset[str]) -> None:
        """The log says so from now on."""
        history = self._history[user]
        if not history or history[-1][1] != inboxes:
            history.append((self._now(), inboxes))

    def of(self, user: str) -> frozenset[str]:
        """As the log has it now."""
        history = self._history[user]
        return history[-1][1] if history else frozenset()

    def act(self, granted: dict[str, frozenset[str]], head: int) -> None:
        """The server acts on these grants from now on."""
        wanted = {(user, inbox) for user, inboxes in granted.items() for inbox in inboxes}
        self.effective = {key: at for key, at in self.effective.items() if key in wanted}
        for key in sorted(wanted):
            self.effective.setdefault(key, head)

    def allowed(self, user: str, within_s: float) -> frozenset[str]:
        """What the user could see at some time within the last seconds."""
        seen: frozenset[str] = frozenset()
        for since, inboxes in reversed(self._history[user]):
            seen |= inboxes
            if since <= self._now() - within_s:
                break
        return seen


class Watch:
    """Every session there was; ``wrong`` is told what should not have been on the wire."""

    def __init__(
        self, rights: Rights, patience_s: Callable[[], float], wrong: Callable[[str], None],
        trace: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        self.sessions: dict[str, Sighted] = {}
        self._by_link: dict[Link, Sighted] = {}
        self._aside: dict[str, set[int]] = defaultdict(set)
        self._rights = rights
        self._patience_s = patience_s
        self._wrong = wrong
        self._trace = trace

    def server_sent(self, link: Link, text: bytes) -> None:
        """The server wrote a frame."""
        if text.startswith(b'{"type":"events"'):
            self._events(link, text)
            return
        if text.startswith(b'{"type":"replayed"'):
            self._trace(link.who, f"link {link.number}: is given {self._seen(link, text)} again")
            return
        frame = json.loads(text)
        if frame["type"] == "welcome":
            self._welcome(link, frame)
        elif frame["type"] == "skipped":
            self._skipped(link, frame)
        elif frame["type"] == "bye":
            if link in self._by_link:
                self._by_link[link].over = True
            self._trace(link.who, f"link {link.number}: bye {frame['code']} {frame['reason']}")
            if frame["code"] in BLAMES and not link.who.startswith("rogue"):
                self._wrong(f"an honest client was sent away: {frame['reason']}")

    def _welcome(self, link: Link, frame: dict[str, Any]) -> None:
        resume = frame["resume"]
        start = int(resume["cursor"].split(".")[1])
        session = Sighted(
            frame["session"], link.who, frame["user"], start, frame["window"]["frames"],
            link.server.process.name, resume["pending"], acked=start,
        )  # fmt: skip
        self.sessions[session.id] = self._by_link[link] = session
        self._trace(link.who, f"link {link.number}: welcome, {resume['outcome']} at {start}")
        if resume["outcome"] == "reset" and not link.who.startswith("rogue"):
            self._wrong(f"{link.who} was reset: {resume['reason']}")

    def _skipped(self, link: Link, frame: dict[str, Any]) -> None:
        session = self._by_link[link]
        after, until = (int(frame[name].split(".")[1]) for name in ("after", "cursor"))
        if session.sent or session.skipped or after != session.start:
            self._wrong(f"{link.who} is told of a skip in the midst of it, {after} to {until}")
        session.skipped = Skip(after, until, frame["count"], frame["reason"])
        self._trace(link.who, f"link {link.number}: {session.skipped}")

    def _events(self, link: Link, text: bytes) -> None:
        session = self._by_link[link]
        found = self._seen(link, text)
        for position in found:
            session.sent[position] = None
            if position > session.acked and position not in session.parked:
                session.in_flight.add(position)
        self._trace(link.who, f"link {link.number}: is sent {found}")
        awaited = self._awaited(session)
        if awaited > session.window:
            self._wrong(f"{link.who} has {awaited} in flight, not {session.window}")

    def _awaited(self, session: Sighted) -> int:
        """How many events the server waits for.

        What the device put aside in an earlier session is sent again, and is settled all the same
        as soon as all before it is acknowledged.
        """
        aside = self._aside[session.who]
        first = next((p for p in sorted(session.in_flight) if p not in aside), None)
        return sum(p >= first for p in session.in_flight) if first is not None else 0

    def _seen(self, link: Link, text: bytes) -> list[int]:
        """The positions of the events in a frame, which its user may see."""
        session = self._by_link[link]
        found = [(int(position), inbox.decode()) for position, inbox in _EVENT.findall(text)]
        # Under plain ASGI we see a frame when it leaves the application's queue, not when it was
        # sent into it; behind a peer that stalls that is later.
        patience_s = self._patience_s() + STALLED_S_MAX * link.stalled
        allowed = self._rights.allowed(session.user, patience_s)
        for position, inbox in found:
            if inbox not in allowed:
                self._wrong(f"{link.who} is sent {position} of {inbox}, which it may not see")
        return [position for position, _ in found]

    def server_got(self, link: Link, text: bytes) -> None:
        """A frame is about to be handed to the server."""
        session = self._by_link.get(link)
        if session is None or session.over:
            return
        session.stalled |= link.stalled
        frame = json.loads(text)
        if frame["type"] == "ack":
            session.acked = max(session.acked, int(frame["cursor"].split(".")[1]))
            session.in_flight = {p for p in session.in_flight if p > session.acked}
            self._trace(link.who, f"link {link.number}: acks {session.acked}")
        elif frame["type"] == "nack":
            session.parked.add(frame["position"])
            self._aside[link.who].add(frame["position"])
            session.in_flight.discard(frame["position"])
            self._trace(link.who, f"link {link.number}: puts {frame['position']} aside")
