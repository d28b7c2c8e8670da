"""One event's way to each device: who was addressed, and what became of it, step by step.

Pure: the events that concern it in, in the order of the log; each device's steps out. The rules are
the ledger's (``docs/ledger.md``), for one event instead of all, and a test holds them against each
other. Whoever asks finds the events: the server by pointers (:mod:`projections.pointers`), the
command line by a walk over the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from attrs import define, field, frozen

from eventstore.codec import decode_recorded
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayed,
    DeliveryReplayRequested,
    DeliveryRetried,
    DeviceExpired,
    Event,
    MemberAdded,
    MemberRemoved,
    QueueTrimmed,
    RecordedEvent,
    ServerStarted,
)
from projections.deliveries import device_of, within
from projections.projection import Microseconds

Outcome: TypeAlias = Literal["outstanding", "acknowledged", "parked", "skipped", "withdrawn"]
StepName: TypeAlias = Literal[
    "addressed",
    "retried",
    "parked",
    "replay_requested",
    "replayed",
    "acknowledged",
    "skipped",
    "withdrawn",
]

Sight: TypeAlias = Literal["all", "some", "none"]

HISTORY_TYPES = frozenset(
    cls.type
    for cls in (
        ClientConnected,
        ClientDisconnected,
        DeviceExpired,
        MemberAdded,
        MemberRemoved,
        ServerStarted,
    )
)
"""What decides who is addressed; the rest of what concerns an event names it, or its range."""


@frozen
class Step:
    """Something that happened to one event on its way to one device.

    ``position``, ``time`` and ``type`` are of the event of the log that says so. ``after``,
    ``until`` and ``count`` are the range of an ack or a skip, ``attempt`` is of a retry.
    """

    step: StepName
    position: int
    time: Microseconds
    type: str
    session: str | None = None
    reason: str | None = None
    after: int | None = None
    until: int | None = None
    count: int | None = None
    attempt: int | None = None
    by: str | None = None


@frozen
class DeviceTrace:
    """What became of one event for one device that it was addressed to.

    ``position`` and ``time`` are of the event of the log that decided it, None while it is
    outstanding, and ``took_us`` how long that was after the event was recorded. ``left_out`` is how
    many events of the log that concern it were not looked at, because there are so many.
    """

    user: str
    device: str
    outcome: Outcome
    position: int | None
    time: Microseconds | None
    took_us: int | None
    steps: list[Step]
    left_out: int = 0


def said_in(recorded: RecordedEvent) -> Event | None:
    """What an event says; None where it was erased, is damaged, or of a newer release.

    An auditor is shown what there is of it all the same, and the fold counts the unreadable.
    """
    try:
        return decode_recorded(recorded)
    except Exception:
        return None


def trace_devices(traced: RecordedEvent, history: Iterable[RecordedEvent]) -> list[DeviceTrace]:
    """What became of an event that members see, for each device that it was addressed to.

    ``history`` are events that concern it, in order: of each device at least the last session that
    began before it, and what came after; of users their memberships from the beginning. Devices
    come in order of user and device. What cannot be read, and sessions of releases that did not
    name their inboxes, are left out.
    """
    ways, passed = _Ways(traced), False
    for recorded in history:
        if not passed and recorded.position > traced.position:
            passed = True
            ways.arrive()
        ways.take(recorded)
    if not passed:
        ways.arrive()
    return [found for _, way in sorted(ways.devices.items()) if (found := way.told) is not None]


@define
class _Way:
    """One device.

    ``given`` is whether its audience has the inbox, ``settled`` whether its ack floor has passed
    the event, ``aside`` whether it has an outcome of its own, ``again`` whether it was asked for.
    """

    user: str
    device: str
    traced: RecordedEvent
    outcome: Outcome | None = None
    steps: list[Step] = field(factory=list)
    session: str | None = None
    boot: str = ""
    known: bool = False
    given: bool = False
    settled: bool = False
    aside: bool = False
    again: bool = False

    @property
    def told(self) -> DeviceTrace | None:
        """As it is handed out; None where it was never addressed."""
        if self.outcome is None:
            return None
        if self.outcome == "outstanding":
            return DeviceTrace(self.user, self.device, self.outcome, None, None, None, self.steps)
        last = next(step for step in reversed(self.steps) if step.step == self.outcome)
        took_us = last.time - self.traced.recorded_at
        return DeviceTrace(
            self.user, self.device, self.outcome, last.position, last.time, took_us, self.steps
        )

    def note(self, step: StepName, said: RecordedEvent, event: Event | None = None) -> None:
        """It happened, as this event says; and with what it says besides."""
        more = {
            name: getattr(event, name, None)
            for name in ("session", "reason", "after", "until", "count", "attempt", "by")
        }
        time = Microseconds(said.recorded_at)
        self.steps.append(Step(step, said.position, time, said.type, **more))

    def become(self, outcome: Outcome, said: RecordedEvent, event: Event | None = None) -> None:
        """That is its outcome now."""
        self.outcome = outcome
        self.again = False
        self.note("addressed" if outcome == "outstanding" else outcome, said, event)

    def take(self, said: RecordedEvent, event: Event | None) -> None:
        """The next event of the device."""
        match event:
            case ClientConnected():
                self._connected(said, event)
            case ClientDisconnected() if event.session == self.session:
                self.session = None
            case DeliveryAcknowledged():
                self._settle("acknowledged", said, event)
            case QueueTrimmed():
                self._settle("skipped", said, event)
            case DeviceExpired():
                self._expired(said, event)
            case DeliveryRetried() if self._waits and event.after < self.traced.position:
                self.note("retried", said, event)
            case DeliveryParked() if event.position == self.traced.position:
                self._park(said, event)
            case DeliveryReplayRequested() | DeliveryReplayed() | DeliveryReplayAcknowledged():
                if self.traced.position in event.positions and self.aside:
                    self._again(said, event)

    @property
    def _waits(self) -> bool:
        return self.outcome == "outstanding" and not self.again

    def _connected(self, said: RecordedEvent, event: ClientConnected) -> None:
        self.session, self.boot = event.session, event.boot
        if not self.known and within(event.position, said) >= self.traced.position:
            self.settled = True  # the device begins beyond it
        self.known = True
        self._give(said, event, event.inboxes)

    def _give(self, said: RecordedEvent, event: Event, inboxes: tuple[str, ...] | None) -> None:
        if inboxes is None:
            return
        if self.traced.inbox not in inboxes:
            self.lose(said, event)
            return
        is_new = not self.given and said.position > self.traced.position
        self.given = True
        if is_new and not self.settled and not self.aside:
            self.become("outstanding", said, event)

    def lose(self, said: RecordedEvent, event: Event | None) -> None:
        """The device is not addressed the inbox any more."""
        self.given = False
        if self.outcome == "outstanding":
            self.become("withdrawn", said, event)

    def _settle(
        self,
        outcome: Outcome,
        said: RecordedEvent,
        event: DeliveryAcknowledged | QueueTrimmed | DeviceExpired,
    ) -> None:
        if within(event.until, said) < self.traced.position:
            return
        if self._waits:
            self.become(outcome, said, event)
        self.settled = True

    def _expired(self, said: RecordedEvent, event: DeviceExpired) -> None:
        self._give(said, event, event.inboxes)
        if self.again:
            self.become("parked", said, event)
        self._settle("skipped", said, event)
        self.lose(said, event)
        self.session = None

    def _park(self, said: RecordedEvent, event: DeliveryParked) -> None:
        if self.aside:
            if self.again or self.outcome == "withdrawn":
                self.become("parked", said, event)
        elif self.given and not self.settled:
            self.aside = True
            self.become("parked", said, event)

    def _again(
        self,
        said: RecordedEvent,
        event: DeliveryReplayRequested | DeliveryReplayed | DeliveryReplayAcknowledged,
    ) -> None:
        match event:
            case DeliveryReplayRequested() if self.outcome == "parked" and self.given:
                self.outcome, self.again = "outstanding", True
                self.note("replay_requested", said, event)
            case DeliveryReplayed():
                self.note("replayed", said, event)
            case DeliveryReplayAcknowledged() if self.outcome != "acknowledged":
                self.become("acknowledged", said, event)


class _Ways:
    """All devices, and what the log lets their users see."""

    def __init__(self, traced: RecordedEvent) -> None:
        self.devices: dict[tuple[str, str], _Way] = {}
        self._traced = traced
        self._sees: dict[str, Sight] = {}
        """Whether a user sees the inbox, as one of "some" or of "all"; no key where the log does
        not say."""

    def arrive(self) -> None:
        """The event itself was recorded."""
        for way in self.devices.values():
            if way.given:
                way.become("outstanding", self._traced)

    def take(self, recorded: RecordedEvent) -> None:
        """The next event of the history."""
        event = said_in(recorded)
        if (whose := device_of(recorded.stream)) is not None:
            self._of_device(recorded, event, whose)
        elif recorded.stream == "system":
            self._system(recorded, event)

    def _of_device(self, said: RecordedEvent, event: Event | None, whose: tuple[str, str]) -> None:
        if isinstance(event, ClientConnected) and whose not in self.devices:
            self.devices[whose] = _Way(*whose, self._traced)
        if (way := self.devices.get(whose)) is None:
            return
        way.take(said, event)
        if isinstance(event, ClientDisconnected):
            self._withdraw(way, said, event)

    def _system(self, said: RecordedEvent, event: Event | None) -> None:
        user: str | None = None
        match event:
            case ServerStarted():
                for way in self.devices.values():
                    if way.boot != event.boot:
                        way.session = None
            case MemberAdded():
                user = event.user
                of_member: Sight = "some" if self._traced.inbox in event.inboxes else "none"
                self._sees[user] = of_member if event.role == "member" else "all"
            case MemberRemoved():
                user = event.user
                if event.inbox is None or (
                    event.inbox == self._traced.inbox and self._sees.get(user) == "some"
                ):
                    self._sees[user] = "none"
            case _:
                return
        for way in self.devices.values():
            if user in (None, way.user):
                self._withdraw(way, said, event)

    def _withdraw(self, way: _Way, said: RecordedEvent, event: Event) -> None:
        """From one that is not connected: an open session is given its inboxes to its end."""
        if way.session is None and self._sees.get(way.user) == "none":
            way.lose(said, event)
