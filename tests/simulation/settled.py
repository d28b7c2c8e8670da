"""What became of each event for each device, held against what the wire and the devices showed.

Ranges of a device join, over all its sessions; each names what was so, and counts it once. What was
put aside is passed over by ranges, and comes again when somebody asks for it. A device that stays
away is closed, and what waited for it is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from attrs import define, field, frozen

from tests.simulation.history import History, Row
from tests.simulation.watch import Sighted
from tests.simulation.world import World


@frozen
class Range:
    """What a device is done with, by one record: ``count`` events in (after, until]."""

    at: int
    session: str
    after: int
    until: int
    count: int

    @classmethod
    def of(cls, row: Row) -> Range:
        """Of a ``delivery.acknowledged`` or a ``queue.trimmed``."""
        after, until, count = (int(str(row.data[name])) for name in ("after", "until", "count"))
        return cls(row.position, str(row.data["session"]), after, until, count)


@define
class Device:
    """How far a device is, by its stream.

    Up to ``upto`` all is settled, up to ``closed`` nothing comes; ``aside`` is what it parked.
    """

    upto: int | None = None
    closed: int = 0
    aside: set[int] = field(factory=set)
    open: set[str] = field(factory=set)


def settled(world: World, log: History, boot: str) -> Iterator[str]:
    """All that is wrong.

    What sessions of the last ``boot`` were told is recorded; a crash may take the last ranges.
    """
    return _Walk(world, log).through(boot)


class _Walk:
    """From the first event to the last, with what is known of devices and sessions so far."""

    def __init__(self, world: World, log: History) -> None:
        self._world = world
        self._log = log
        self._sighted = world.watch.sessions
        self._devices: dict[str, Device] = defaultdict(Device)
        self._starts: dict[str, int] = {}
        self._recorded: dict[str, int] = {}
        self._closed: dict[str, int] = {}
        self._by_ack: set[str] = set()
        self._returned = {
            f"client:{app.name}": {one for run in app.runs for one in run.returned}
            for app in world.apps
        }

    def through(self, boot: str) -> Iterator[str]:
        """Each event of the devices in turn, and the sessions that were not cut off."""
        for row in self._log.rows:
            if row.type == "server.started":
                for device in self._devices.values():
                    device.open.clear()
            elif row.stream.startswith("client:"):
                yield from self._event(row, self._devices[row.stream])
        for session in self._sighted.values():
            closed = self._closed.get(session.id, 0)
            if gone := [position for position in session.sent if position <= closed]:
                yield f"{session.who} is sent {gone}, which was skipped when it was closed"
            if session.boot == boot and not session.who.startswith("rogue"):
                yield from self._all_recorded(session)

    def _event(self, row: Row, device: Device) -> Iterator[str]:
        match row.type:
            case "client.connected":
                self._begin(row, device)
            case "client.disconnected":
                device.open.discard(str(row.data["session"]))
            case "delivery.acknowledged" | "queue.trimmed":
                yield from self._range(row, device)
            case "delivery.parked":
                yield from self._parked(row, device)
            case "delivery.replayed":
                yield from self._replayed(row)
            case "delivery.replay_acknowledged":
                yield from self._replay_acknowledged(row)
            case "device.expired":
                yield from self._expired(row, device)

    def _begin(self, row: Row, device: Device) -> None:
        session, start = str(row.data["session"]), int(row.data["position"])
        if device.upto is None:
            device.upto = start
        self._starts[session], self._recorded[session] = start, device.upto
        self._closed[session] = device.closed
        device.open.add(session)

    def _range(self, row: Row, device: Device) -> Iterator[str]:
        range_ = Range.of(row)
        if range_.session not in self._starts:
            yield f"a range of a session that never was, at {row.position}"
            return
        before = self._recorded[range_.session]
        if range_.after != before:
            yield f"the range at {row.position} begins at {range_.after}, not at {before}"
        device.upto = self._recorded[range_.session] = range_.until
        start = self._starts[range_.session]
        if row.type == "delivery.acknowledged" and range_.until > start:
            self._by_ack.add(range_.session)
            yield from self._acknowledged(range_, device)
            return
        inboxes = self._log.granted[range_.session]
        visible = self._unsettled(range_.after, range_.until, inboxes, device)
        told = self._told(row, range_, start)
        if (range_.until, range_.count) != (told, visible):
            yield f"the range at {row.position} is {range_}, not {visible} up to {told}"

    def _acknowledged(self, range_: Range, device: Device) -> Iterator[str]:
        """What a session was told by acks, and what it was told of as put aside."""
        session = self._sighted.get(range_.session)
        if session is None:  # its welcome never reached the socket
            yield f"the range at {range_.at} is of a session that nobody was welcomed to"
            return
        sent = {position for position in session.sent if range_.after < position <= range_.until}
        handled = sent - device.aside
        if range_.until not in session.sent:
            yield f"the range at {range_.at} ends at {range_.until}, which was never sent"
        elif max(handled, default=0) > session.acked:
            yield f"the range at {range_.at} ends at {range_.until}, which was not acknowledged"
        elif len(handled) != range_.count:
            yield f"the range at {range_.at} counts {range_.count}, and {len(handled)} were sent"

    def _told(self, row: Row, range_: Range, start: int) -> int:
        """Up to where a hello, or what was said after it, settles: a cursor, a reset or a skip."""
        if row.type == "queue.trimmed" and row.data["reason"] != "reset":
            session = self._sighted.get(range_.session)
            return session.skipped.until if session and session.skipped else range_.until
        return start

    def _unsettled(self, after: int, until: int, inboxes: frozenset[str], device: Device) -> int:
        return len(set(self._log.visible(after, until, inboxes)) - device.aside)

    def _parked(self, row: Row, device: Device) -> Iterator[str]:
        position, session = int(row.data["position"]), self._sighted.get(str(row.data["session"]))
        if session is None or position not in session.parked:
            yield f"{position} is parked at {row.position}, which nobody put aside"
        device.aside.add(position)

    def _replayed(self, row: Row) -> Iterator[str]:
        request = self._log.rows[int(row.data["request"]) - 1]
        asked = set(request.data.get("positions", ()))
        if request.stream != row.stream or not asked.issuperset(row.data["positions"]):
            yield f"what is given again at {row.position} was not asked for at {request.position}"

    def _replay_acknowledged(self, row: Row) -> Iterator[str]:
        for position in row.data["positions"]:
            if (row.data["request"], position) not in self._returned.get(row.stream, ()):
                yield f"{position} was given again, and not handled, says {row.position}"

    def _expired(self, row: Row, device: Device) -> Iterator[str]:
        after, until, count = (int(row.data[name]) for name in ("after", "until", "count"))
        if device.open:
            yield f"{row.stream} expires at {row.position} while it is connected"
        waiting = self._unsettled(after, until, frozenset(row.data["inboxes"]), device)
        if (after, count) != (device.upto, waiting):
            yield f"at {row.position} {count} after {after} expire: {waiting} after {device.upto}"
        device.upto = device.closed = until

    def _all_recorded(self, session: Sighted) -> Iterator[str]:
        settled = {p for p in session.sent if p <= session.acked} | session.parked
        beyond = (p for p in session.sent if p not in settled)
        first_open = min((p for p in beyond if p > session.acked), default=None)
        furthest = max(
            (p for p in session.sent if first_open is None or p < first_open),
            default=session.start,
        )
        found = self._recorded.get(session.id)
        # Behind a peer that stalls the session may be over long before its `bye` is on the wire.
        if session.stalled and found is not None and found < furthest:
            return
        if found is None or found < furthest or (found != furthest and session.id in self._by_ack):
            yield f"{session.who} settled {furthest}, and {found} was recorded"
