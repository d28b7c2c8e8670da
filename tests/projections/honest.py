"""The plainest book of what devices are owed, and an honest server that keeps to it.

The book has an entry for each device and each event that it was addressed, and is told the log an
event at a time. What the ledger does with a few numbers comes to the same, or is wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

from attrs import define, evolve, field

from eventstore.codec import decode_recorded
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayRequested,
    DeviceExpired,
    Event,
    MemberAdded,
    MemberRemoved,
    QueueTrimmed,
    RecordedEvent,
    Role,
    ServerStarted,
)
from projections.deliveries import device_of
from tests.projections.history import Log, device, said, system

OUTCOMES = ("acknowledged", "outstanding", "parked", "skipped", "withdrawn")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

Counted: TypeAlias = DeliveryAcknowledged | QueueTrimmed | DeviceExpired
"""What says how many events it settles."""


@define
class Entry:
    """One event that one device was addressed; ``again`` while it is delivered on request."""

    position: int
    inbox: str
    outcome: str = "outstanding"
    again: bool = False


@define
class Device:
    """One device: its entries, its audience, and its session if it has one.

    ``opened`` is whether a session ever said its inboxes; ``aside`` are the events with an outcome
    of their own.
    """

    floor: int
    opened: bool = False
    entries: list[Entry] = field(factory=list)
    audience: set[str] = field(factory=set)
    aside: dict[int, Entry] = field(factory=dict)
    session: str | None = None
    boot: str = ""

    @property
    def totals(self) -> tuple[int, ...]:
        """How many entries it has, and how many of each outcome."""
        counted = Counter(entry.outcome for entry in self.entries)
        return (len(self.entries), *(counted[outcome] for outcome in OUTCOMES))

    @property
    def waiting(self) -> Iterator[Entry]:
        """What a range settles: outstanding, and not by a request of its own."""
        return (one for one in self.entries if one.outcome == "outstanding" and not one.again)

    def enter(self, position: int, inbox: str, outcome: str = "outstanding") -> Entry:
        """It is addressed this event."""
        self.entries.append(Entry(position, inbox, outcome))
        return self.entries[-1]

    def settle(self, until: int, outcome: str) -> None:
        """A range up to there."""
        for entry in list(self.waiting):
            if entry.position <= until:
                entry.outcome = outcome
        self.floor = max(self.floor, until)

    def lose(self, inboxes: Iterable[str]) -> None:
        """It is addressed these no more."""
        gone = set(inboxes)
        self.audience -= gone
        for entry in self.entries:
            if entry.outcome == "outstanding" and entry.inbox in gone:
                entry.outcome, entry.again = "withdrawn", False

    def park(self, position: int, visible: dict[str, set[int]]) -> None:
        """One event is put aside, unless it has another outcome already."""
        if (entry := self.aside.get(position)) is not None:
            if entry.outcome == "withdrawn":
                self.aside[position] = self.enter(position, entry.inbox, "parked")
            elif entry.again:
                entry.outcome, entry.again = "parked", False
        elif position > self.floor and any(position in visible[inbox] for inbox in self.audience):
            [entry] = [one for one in self.waiting if one.position == position]
            self.aside[position] = entry
            entry.outcome = "parked"

    def ask_again(self, positions: Iterable[int]) -> None:
        """What is parked is to be delivered again."""
        for position in positions:
            entry = self.aside.get(position)
            if entry is not None and entry.outcome == "parked" and entry.inbox in self.audience:
                entry.outcome, entry.again = "outstanding", True

    def acknowledge_again(self, positions: Iterable[int]) -> None:
        """What was delivered again is handled."""
        for position in positions:
            entry = self.aside.get(position)
            if entry is not None and entry.outcome == "withdrawn":
                entry = self.aside[position] = self.enter(position, entry.inbox)
            if entry is not None:
                entry.outcome, entry.again = "acknowledged", False


class Book:
    """All devices, from the log alone."""

    def __init__(self) -> None:
        self.devices: dict[tuple[str, str], Device] = {}
        self.visible: dict[str, set[int]] = defaultdict(set)
        self.members: dict[str, frozenset[str] | None] = {}
        """What the log lets a user see; None for everything, no key where it says nothing."""

    def unsettled(self, each: Device, inboxes: Iterable[str], after: int, until: int) -> int:
        """What a session counts: what it may see there, without what has its own outcome."""
        seen = set().union(*(self.visible[inbox] for inbox in inboxes)) - each.aside.keys()
        return sum(after < at <= until for at in seen)

    def count(self, whose: tuple[str, str], event: Counted, position: int) -> int:
        """What an honest server says in this event, recorded at ``position``."""
        if (each := self.devices.get(whose)) is None:
            return 0
        inboxes = event.inboxes if isinstance(event, DeviceExpired) else None
        counted = each.audience if inboxes is None else inboxes
        return self.unsettled(each, counted, each.floor, min(event.until, position))

    def read(self, recorded: RecordedEvent) -> None:
        """The next event."""
        event = decode_recorded(recorded)
        if recorded.for_members:
            self._addressed(recorded.inbox or "", recorded.position)
        elif (whose := device_of(recorded.stream)) is not None:
            if isinstance(event, ClientConnected):
                start = max(0, min(event.position, recorded.position))
                self.devices.setdefault(whose, Device(start))
            if (each := self.devices.get(whose)) is not None:
                self._device(whose[0], each, event, recorded.position)
        elif recorded.stream == "system":
            self._system(event)

    def _addressed(self, inbox: str, position: int) -> None:
        self.visible[inbox].add(position)
        for each in self.devices.values():
            if inbox in each.audience:
                each.enter(position, inbox)

    def _device(self, user: str, each: Device, event: Event | None, position: int) -> None:
        match event:
            case ClientConnected():
                each.session, each.boot = event.session, event.boot
                self._give(each, event.inboxes)
            case ClientDisconnected() if event.session == each.session:
                each.session = None
                self._withdraw(user)
            case DeliveryAcknowledged():
                each.settle(min(event.until, position), "acknowledged")
            case QueueTrimmed():
                each.settle(min(event.until, position), "skipped")
            case DeviceExpired():
                self._give(each, event.inboxes)
                for entry in each.aside.values():
                    if entry.again:
                        entry.outcome, entry.again = "parked", False
                each.settle(min(event.until, position), "skipped")
                each.lose(set(each.audience))
                each.session = None
            case DeliveryParked():
                each.park(event.position, self.visible)
            case DeliveryReplayRequested():
                each.ask_again(event.positions)
            case DeliveryReplayAcknowledged():
                each.acknowledge_again(event.positions)

    def _give(self, each: Device, inboxes: tuple[str, ...] | None) -> None:
        if inboxes is None:
            return
        each.opened = True
        each.lose(each.audience - set(inboxes))
        for inbox in set(inboxes) - each.audience:
            for position in self.visible[inbox]:
                if position > each.floor and position not in each.aside:
                    each.enter(position, inbox)
        each.audience |= set(inboxes)

    def _system(self, event: Event | None) -> None:
        match event:
            case ServerStarted():
                for each in self.devices.values():
                    if each.boot != event.boot:
                        each.session = None
                for user in self.members:
                    self._withdraw(user)
            case MemberAdded():
                member = event.role == "member"
                self.members[event.user] = frozenset(event.inboxes) if member else None
                self._withdraw(event.user)
            case MemberRemoved(inbox=None):
                self.members[event.user] = frozenset()
                self._withdraw(event.user)
            case MemberRemoved(inbox=str(inbox)):
                if (known := self.members.get(event.user)) is not None:
                    self.members[event.user] = known - {inbox}
                self._withdraw(event.user)

    def _withdraw(self, user: str) -> None:
        """Of those not connected: an open session is the hub's to end."""
        seen = self.members.get(user)
        for (whose, _), each in self.devices.items():
            if whose == user and each.session is None and seen is not None:
                each.lose(each.audience - seen)


class Server:
    """Each method is something that happens; it is recorded as the real server would."""

    def __init__(self) -> None:
        self.log = Log()
        self.book = Book()
        self._starts: dict[tuple[str, str], int] = {}
        self._sessions = self._boots = 0

    @property
    def head(self) -> int:
        """The last position."""
        return len(self.log.events)

    def message(self, inbox: str) -> None:
        """A contact wrote."""
        self.log.add(said("c", f"m{self.head}", inbox=inbox))
        self._read()

    def record(self, event: Event) -> None:
        """Something of the whole system."""
        self.log.add(system(event))
        self._read()

    def member(self, user: str, role: Role, inboxes: Iterable[str]) -> None:
        """A user has this role and these inboxes from now on."""
        self.record(MemberAdded(user, role, tuple(inboxes)))

    def leave(self, user: str, inbox: str | None) -> None:
        """A user left an inbox, or altogether."""
        self.record(MemberRemoved(user, inbox))

    def crash(self) -> None:
        """Nothing is recorded but that another process took the log."""
        self._boots += 1
        self.record(ServerStarted(f"boot{self._boots}", "1"))

    def connect(
        self, whose: tuple[str, str], inboxes: frozenset[str], cursor: int | None, skip: int = 0
    ) -> None:
        """A device comes with a cursor (None: a void one), and of the rest ``skip`` are skipped."""
        known = self.book.devices.get(whose)
        if known is not None and known.session is not None:
            self.disconnect(whose)
        start = self.head if cursor is None else min(cursor, self.head)
        outcome: Any = "resumed" if cursor is not None else "reset" if known else "fresh"
        self._sessions += 1
        self._starts[whose] = start
        session, boot = f"s{self._sessions}", f"boot{self._boots}"
        given = tuple(sorted(inboxes))
        self._record(whose, ClientConnected(session, boot, outcome, start, None, given))
        floor = self.book.devices[whose].floor
        if floor < start:
            if outcome == "resumed":
                self.acknowledge(whose, start)
            else:
                self._skip(whose, start, "reset")
        floor = max(floor, start)
        if skip and floor < self.head:
            self._skip(whose, min(floor + skip, self.head), "queue_limit")

    def disconnect(self, whose: tuple[str, str]) -> None:
        """Its session ends, and is recorded."""
        self._record(whose, ClientDisconnected(self._session(whose), 1006, "gone"))

    def acknowledge(self, whose: tuple[str, str], until: int) -> None:
        """It handled everything up to there."""
        floor = self.book.devices[whose].floor
        if until > floor:
            self._count(whose, DeliveryAcknowledged(self._session(whose), floor, until, 0))

    def _skip(self, whose: tuple[str, str], until: int, reason: Any) -> None:
        floor = self.book.devices[whose].floor
        self._count(whose, QueueTrimmed(self._session(whose), floor, until, 0, reason))

    def sent(self, whose: tuple[str, str]) -> list[int]:
        """What its session may have been sent."""
        audience = self.book.devices[whose].audience
        seen = set().union(*(self.book.visible[inbox] for inbox in audience))
        return sorted(at for at in seen if at > self._starts[whose])

    def park(self, whose: tuple[str, str], position: int) -> None:
        """One of the events sent is put aside."""
        self._record(whose, DeliveryParked(self._session(whose), position, "bad"))

    def ask_again(self, whose: tuple[str, str], *positions: int) -> None:
        """Somebody wants these delivered again."""
        self._record(whose, DeliveryReplayRequested(positions, "eve"))

    def acknowledge_again(self, whose: tuple[str, str], *positions: int) -> None:
        """It handled these, delivered again."""
        self._record(whose, DeliveryReplayAcknowledged(self._session(whose), 1, positions))

    def expire(self, whose: tuple[str, str], inboxes: frozenset[str] | None) -> None:
        """It was away for too long: nothing waits for it any more."""
        named = None if inboxes is None else tuple(sorted(inboxes))
        floor = self.book.devices[whose].floor
        self._count(whose, DeviceExpired(LONG_AGO, floor, self.head, 0, named))

    def record_of(self, whose: tuple[str, str], event: Event) -> None:
        """Something else of a device."""
        self._record(whose, event)

    def _session(self, whose: tuple[str, str]) -> str:
        return self.book.devices[whose].session or ""

    def _count(self, whose: tuple[str, str], event: Counted) -> None:
        count = self.book.count(whose, event, self.head + 1)
        self._record(whose, evolve(event, count=count))

    def _record(self, whose: tuple[str, str], event: Event) -> None:
        self.log.add(device(event, *whose))
        self._read()

    def _read(self) -> None:
        self.book.read(self.log.events[-1])
