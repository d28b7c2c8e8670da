"""Arbitrary servers, links and crashes against the promises G7, G8 and G9.

A model server commits, sends, repeats, loses, skips, is restored from a backup, and cuts; a model
application stores each effect with its cursor in one transaction, and dies. Whatever happens, what
the application has stored must be a prefix of the server's history, each event once and in order;
and once the faults end, all of it.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.cursor import Cursor
from tests.transport.fake_server import cursor, event, live, welcome
from transport.backoff import Backoff
from transport.client_session import ClientSession, Link
from transport.frames import Ack, Hello, Reset, Skipped, Window, decode_server_frame
from transport.inbox_event import InboxEvent
from transport.reconnect import Reconnect

WINDOW = Window(frames=8)


class World:
    """One server, one device, one application, and everything that can go wrong between them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.epoch = "e1"
        self.log: list[Cursor] = []
        self.head = cursor(0)
        self.floor = self.head
        self.last_sent = self.head
        self.sent: set[Cursor] = set()
        self.stored_cursor: Cursor | None = cursor(0)
        self.ever_stored = {self.stored_cursor}
        self.stored_effects: list[Cursor] = []
        self.start_application()

    # --- the application: effects and cursor in one transaction ---------------------------------

    def start_application(self) -> None:
        """A new process; of the old one only what was committed is left."""
        self.effects = list(self.stored_effects)
        reconnect = Reconnect(Backoff(), lambda: 0.5)
        self.session = ClientSession("laptop", self.stored_cursor, WINDOW, reconnect)

    def crash(self, _: int) -> None:
        """The process dies, with an event in hand or a transaction open."""
        self.start_application()

    def handle(self, count: int) -> None:
        """Take items, apply each in a transaction that also stores its cursor, and commit."""
        intake = self.session.intake
        for _ in range(count):
            item = intake.in_hand
            if item is None or item.cursor == self.stored_cursor:
                intake.finish()
                intake.stored(self.stored_cursor)
                item = intake.take()
            if item is None:
                return
            self.apply(item)
            self.stored_cursor, self.stored_effects = item.cursor, list(self.effects)
            self.ever_stored.add(item.cursor)

    def apply(self, item: InboxEvent | Reset | Skipped) -> None:
        """The effect of an item: after a reset the snapshot, for the skipped the history."""
        match item:
            case InboxEvent():
                assert item.cursor not in self.effects, "surfaced twice"
                self.effects.append(item.cursor)
            case Skipped():
                after, until = item.after.position, item.cursor.position
                self.effects += [c for c in self.log if after < c.position <= until]
            case Reset():
                self.effects = [c for c in self.log if c.position <= item.cursor.position]

    def take_only(self, _: int) -> None:
        """Take an item and do nothing with it yet: what follows happens while it is in hand."""
        if self.session.intake.in_hand is None:
            self.session.intake.take()

    def leave_loop(self, _: int) -> None:
        """The loop is left by an exception and begun again."""
        intake = self.session.intake
        if intake.in_hand is not None and intake.in_hand.cursor == self.stored_cursor:
            intake.finish()
        intake.put_back()

    # --- the network ---------------------------------------------------------------------------

    def connect(self, _: int) -> None:
        """A link comes about, if there is none; the server takes the cursor."""
        if self.session.link is Link.OPEN:
            return
        self.session.connecting()
        self.session.opened("t", self.now)
        (hello,) = self.session.frames_to_send()
        assert isinstance(hello, Hello)
        assert hello.cursor in self.ever_stored
        self.greet(hello.cursor)

    def greet(self, asked: Cursor | None) -> None:
        """Judge the cursor as the real server does."""
        self.sent = set()
        known = asked is not None and (asked in self.log or asked.position == 0)
        if asked is not None and known and asked.epoch == self.epoch:
            self.floor = self.last_sent = asked
            self.say(welcome(asked))
            return
        self.floor = self.last_sent = self.head
        self.sent.add(self.head)
        resume = {"outcome": "reset", "reason": "history_differs", "pending": 0}
        self.say(welcome(self.head, resume=resume | {"cursor": str(self.head)}))

    def say(self, frame: dict[str, Any]) -> None:
        """One frame arrives, if there is a link."""
        text = json.dumps(frame)
        self.session.receive(decode_server_frame(text), len(text), self.now)

    def cut(self, _: int) -> None:
        """The link breaks."""
        self.session.drop("cut", self.now)

    def pass_time(self, seconds: int) -> None:
        """Time passes; the client acknowledges, and only what is stored and was sent."""
        self.now += seconds
        self.session.tick(self.now)
        for frame in self.session.frames_to_send():
            if isinstance(frame, Ack):
                assert self.stored_cursor is not None
                assert frame.cursor.position <= self.stored_cursor.position, "not stored"
                known = (cursor(0, self.epoch), *self.stored_effects)
                assert frame.cursor in known, "of another history"
                assert self.floor.position <= frame.cursor.position, "backwards"
                assert frame.cursor in self.sent, "not sent on this link"
                self.floor = frame.cursor
                if self.last_sent.position < self.floor.position:
                    self.last_sent = self.floor  # acknowledged before it was sent again

    # --- the server ----------------------------------------------------------------------------

    def commit(self, step: int) -> None:
        """A new event, some positions on: others' events lie between."""
        self.head = cursor(self.head.position + step, self.epoch)
        self.log.append(self.head)

    def unsent(self, count: int) -> list[Cursor]:
        """The next events that the window has room for."""
        floor, last = self.floor.position, self.last_sent.position
        in_flight = sum(floor < c.position <= last for c in self.log)
        room = max(0, WINDOW.frames - in_flight)
        return [c for c in self.log if c.position > last][: min(count, room)]

    def deliver(self, count: int) -> None:
        """The next events in one frame; when there are none, the client is told that it is live."""
        page = self.unsent(count)
        if page:
            self.say(self.frame(self.last_sent, page))
            self.last_sent = page[-1]
            self.sent.update(page)
        elif self.last_sent == self.head:
            self.say(live(self.head))

    def frame(self, after: Cursor, page: list[Cursor]) -> dict[str, Any]:
        """An `events` frame."""
        bodies = [event(c.position, self.epoch) for c in page]
        names = {"after": str(after), "cursor": str(page[-1])}
        return {"type": "events", "attempt": 1, "events": bodies} | names

    def lose(self, count: int) -> None:
        """A bug or a proxy: events are counted as sent and never arrive."""
        page = self.unsent(count)
        self.last_sent = page[-1] if page else self.last_sent

    def rewind(self, count: int) -> None:
        """No ack came in time: from the floor, again."""
        self.last_sent = self.floor
        self.deliver(count)

    def skip(self, count: int) -> None:
        """The offline queue overflowed."""
        page = self.unsent(count)
        if page:
            names = {"after": str(self.last_sent), "cursor": str(page[-1])}
            self.say({"type": "skipped", "count": len(page), "reason": "expired"} | names)
            self.last_sent = page[-1]
            self.sent.update(page)

    def ping(self, id_: int) -> None:
        """A heartbeat, with the head."""
        shown = {"cursor": str(self.head), "rtt_ms": None, "quality": "good"}
        self.say({"type": "ping", "id": id_} | shown)

    def restore(self, kept: int) -> None:
        """A backup with only the first events is put back, under a new epoch; all links end."""
        self.cut(0)
        self.epoch = f"e{int(self.epoch[1:]) + 1}"
        self.log = [cursor(c.position, self.epoch) for c in self.log[:kept]]
        self.head = self.log[-1] if self.log else cursor(0, self.epoch)

    # --- what must hold ------------------------------------------------------------------------

    def check(self) -> None:
        """What is stored is a prefix of the history, once the application has heard of it."""
        stored = [c for c in self.stored_effects if c.epoch == self.epoch]
        if len(stored) == len(self.stored_effects):
            assert stored == self.log[: len(stored)]

    def heal(self) -> None:
        """The faults end: in bounded time everything is there."""
        for _ in range(3 * len(self.log) + 20):
            self.pass_time(1)
            self.connect(0)
            self.deliver(3)
            self.handle(20)
            self.ping(1)
            self.pass_time(11)
        self.handle(20)
        assert self.stored_effects == self.log
        assert self.floor == self.head


FAULTS = (
    *("commit", "deliver", "handle", "connect") * 3,
    *("crash", "take_only", "leave_loop", "cut", "pass_time", "lose", "rewind", "skip", "ping"),
    "restore",
)
STEPS = st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(1, 5)), min_size=10, max_size=80)


@given(STEPS)
@settings(max_examples=400, deadline=None)
def test_each_event_is_stored_once_and_in_order_whatever_happens(
    steps: list[tuple[str, int]],
) -> None:
    """G7, G8, G9: a prefix of the history at every moment, the whole of it once faults end."""
    world = World()
    for name, number in steps:
        getattr(world, name)(number)
        world.check()
    world.heal()
