"""What became of each message, told from the log itself and from the provider's side of HTTP.

Pure: committed events and measured times go in, lines to show come out. *stored* is what the
provider measured, from the POST to the 200. *acked* is the time from the event's ``recorded_at`` to
the last player's ack leaving its client; the log notes acks at most once a second, as ranges.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

from attrs import define, evolve, field, frozen

from api.terminal import contact_name, one_line, preview, summary
from eventstore.codec import decode_recorded
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    ContactAliased,
    MessageReceived,
    MessageStatusChanged,
    RecordedEvent,
)

INBOUND, OUTBOUND, REPORT = "→", "←", "✓"
NAMES_KEPT = 1_000
PATIENCE_US = 2_000_000
"""A line waits no longer for the acknowledgements of devices that seem to be there."""


@frozen
class Travelled:
    """One event that members see, with what is known of its way by now."""

    position: int
    at_us: int
    mark: str
    contact: str
    said: str
    stored_ms: float | None = None
    acked_ms: float | None = None
    acks: int = 0
    devices: int = 0


@frozen
class Repeated:
    """The provider posted the webhook of this position again and got the first receipt."""

    position: int
    contact: str
    answered_ms: float


@frozen
class Left:
    """A device is no longer connected."""

    at_us: int
    device: str


@frozen
class Returned:
    """A device is back after ``away_us`` and has acknowledged the ``missed`` events it missed."""

    at_us: int
    device: str
    away_us: int
    missed: int
    caught_up_ms: float | None


Line: TypeAlias = Travelled | Repeated | Left | Returned


@define
class _Device:
    """One player's device: ``session`` while connected, ``left_at`` until it has caught up.

    Its ack may be told before the log has recorded the connection it came over: the server lets no
    delivery wait for that record.
    """

    session: str | None = None
    left_at: int | None = None
    opened_at: int = 0
    missed: int = 0
    missed_until: int = 0
    acked: int = 0
    acked_at: int = 0


@define
class _UnderWay:
    line: Travelled
    waiting_for: set[str]


@define
class Journey:
    """Told by :meth:`committed`, :meth:`answered`, :meth:`acknowledged`; asked by :meth:`lines`."""

    players: frozenset[str]
    """The devices whose acknowledgements are waited for; a spectator may connect more."""

    messages: int = 0
    duplicates: int = 0
    visible: list[int] = field(factory=list)
    """Positions that members see, ascending; kept whole, for the reckoning at the end."""

    _devices: dict[str, _Device] = field(factory=dict)
    _contacts: dict[str, str] = field(factory=dict)
    _names: deque[tuple[int, str]] = field(factory=lambda: deque(maxlen=NAMES_KEPT))
    _under_way: dict[int, _UnderWay] = field(factory=dict)
    _ready: list[Line] = field(factory=list)

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to say: all events shown, every absent device back."""
        devices = self._devices.values()
        return not self._under_way and all(each.session and not each.left_at for each in devices)

    def committed(self, events: Sequence[RecordedEvent]) -> None:
        """These were just recorded."""
        for event in events:
            if event.for_members:
                self._set_out(event)
            elif (name := event.stream.removeprefix("client:")) in self.players:
                self._hear(event, name)

    def answered(self, positions: Sequence[int], elapsed_ms: float, *, duplicate: bool) -> None:
        """The provider got its 2xx with these receipts; ``duplicate``: all of them were known."""
        if duplicate:
            self.duplicates += 1
            names = dict(self._names)
            known = [position for position in positions if position in names] or list(positions)
            self._ready.append(Repeated(known[-1], names.get(known[-1], ""), elapsed_ms))
            return
        for position in positions:
            if position in self._under_way:
                under_way = self._under_way[position]
                under_way.line = evolve(under_way.line, stored_ms=elapsed_ms)

    def opened(self, name: str, at_us: int) -> None:
        """A player's client has a new socket."""
        self._devices.setdefault(name, _Device()).opened_at = at_us

    def acknowledged(self, name: str, until: int, at_us: int) -> None:
        """A player's client sent its ack: it has handled everything up to ``until``."""
        for position, under_way in self._under_way.items():
            if position <= until and name in under_way.waiting_for:
                line = under_way.line
                took_ms = max((at_us - line.at_us) / 1000, line.acked_ms or 0.0)
                under_way.line = evolve(line, acked_ms=took_ms, acks=line.acks + 1)
                under_way.waiting_for.discard(name)
        device = self._devices.setdefault(name, _Device())
        device.acked, device.acked_at = until, at_us
        self._welcome_back(name, device)

    def lines(self, now_us: int) -> list[Line]:
        """What can be shown by now; events in the log's order, each once."""
        for position, under_way in list(self._under_way.items()):
            line = under_way.line
            complete = line.stored_ms is not None and not under_way.waiting_for
            if not complete and now_us - line.at_us < PATIENCE_US:
                break
            self._ready.append(line)
            del self._under_way[position]
        ready, self._ready = self._ready, []
        return ready

    def _set_out(self, event: RecordedEvent) -> None:
        self.visible.append(event.position)
        if event.type == ContactAliased.type:
            return  # delivered like the others, but it says nothing to a spectator
        line = self._described(event)
        connected = {name for name, device in self._devices.items() if device.session}
        line = evolve(line, devices=len(self.players))
        self._names.append((event.position, line.contact))
        self._under_way[event.position] = _UnderWay(line, connected)

    def _described(self, event: RecordedEvent) -> Travelled:
        position, at_us, conversation = event.position, event.recorded_at, event.conversation or ""
        match decode_recorded(event):
            case MessageReceived() as message:
                self.messages += 1
                self._contacts[conversation] = contact_name(message.contact)
                mark = INBOUND if message.direction == "inbound" else OUTBOUND
                said = preview(message.content)
            case MessageStatusChanged() as report:
                mark, said = REPORT, report.status
            case None:
                mark, said = REPORT, "(erased)"
            case other:
                mark, said = REPORT, summary(other)
        return Travelled(position, at_us, mark, self._contacts.get(conversation, ""), said)

    def _hear(self, event: RecordedEvent, name: str) -> None:
        match decode_recorded(event):
            case ClientConnected() as connected:
                self._connect(name, connected)
            case ClientDisconnected() as gone:
                self._disconnect(name, gone, event.recorded_at)

    def _connect(self, name: str, connected: ClientConnected) -> None:
        device = self._devices.setdefault(name, _Device())
        device.session = connected.session
        if device.left_at is None:
            return
        device.opened_at = max(device.opened_at, device.left_at)
        device.missed = len(self.visible) - bisect_right(self.visible, connected.position)
        device.missed_until = self.visible[-1] if device.missed else 0
        self._welcome_back(name, device)

    def _disconnect(self, name: str, gone: ClientDisconnected, at_us: int) -> None:
        device = self._devices.get(name)
        if device is None or device.session != gone.session:
            return  # an old connection, replaced by the one that counts
        device.session, device.left_at = None, at_us
        self._ready.append(Left(at_us, one_line(name)))
        for under_way in self._under_way.values():
            under_way.waiting_for.discard(name)

    def _welcome_back(self, name: str, device: _Device) -> None:
        if device.left_at is None or not device.session or device.acked < device.missed_until:
            return
        took_ms = (device.acked_at - device.opened_at) / 1000 if device.missed else None
        away_us = device.opened_at - device.left_at
        self._ready.append(
            Returned(device.opened_at, one_line(name), away_us, device.missed, took_ms)
        )
        device.left_at = None
