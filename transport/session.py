"""The server's side of one connection: what was sent, what was handled, whether anyone is there.

The machine is told things (``receive``, ``deliver``, ``caught_up``, ``tick``, ``close``, ``lost``)
and asked things (``window``, ``deadline``); what it wants sent and recorded lies in ``frames`` and
``events`` until the driver takes it. It does no I/O and takes ``now``, monotonic seconds. Rules:

    CATCHING_UP --caught_up--> LIVE          ``live`` is sent, once
    CATCHING_UP, LIVE --close, lost, two missed heartbeats, no ack in spite of all--> CLOSED

    floor <= last_sent <= the furthest ever sent

* ``deliver`` appends to what is in flight; its page follows ``last_sent`` without a gap.
* ``ack`` is cumulative. It may name anything sent in any attempt; beyond that, or with another
  history's hash, it is illegal; at or below the floor it is a harmless repetition.
* ``nack`` parks one event in flight. A parked event is handled, but not counted as acknowledged.
* No ack in time, from a client that a ping proves alive: ``rewind`` goes back to the floor, and
  after the last attempt the oldest event is parked (:mod:`transport.patience`). What had been sent
  already may still be acknowledged, and is counted once, however often it is sent.
* What was parked may be sent again on request, beside all this (:mod:`transport.replays`).
* Illegal input raises :class:`~transport.frames.FrameError` and changes nothing.
* An ``ack`` is recorded as a range, at most one a second (:mod:`transport.ack_ranges`). What waits
  is recorded at the deadline and at the end.

``receive`` and ``deliver`` run once per client and message: what they need is written out in them,
and the unusual cases (rewound, parked, settled before) are looked for by one test each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, auto

from eventstore.cursor import Cursor
from eventstore.events import (
    ClientDisconnected,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayed,
    DeliveryRetried,
    Event,
    HeartbeatAnswered,
    HeartbeatMissed,
    QueueTrimmed,
)
from eventstore.tail import Visible
from transport.ack_ranges import AckRanges
from transport.frames import (
    Ack,
    Bye,
    ClientFrame,
    CloseCode,
    FrameError,
    Hello,
    Live,
    Nack,
    Ping,
    Pong,
    ReplayAck,
    Skipped,
    Window,
    encode_replayed,
)
from transport.heartbeat import Beat, Pulse
from transport.in_flight import InFlight
from transport.page import Packet, Page
from transport.patience import ACK_WAIT_MIN_S, ATTEMPTS_MAX, NEVER, Patience, Step, ack_wait_s
from transport.replays import Replays

WINDOW = Window()
REASON_CHARS_MAX = 200


class State(Enum):
    """Where a session is in its life; it only goes forward."""

    CATCHING_UP = auto()
    LIVE = auto()
    CLOSED = auto()


_CLOSED = State.CLOSED  # a global is found faster than an enum's member, and this is hot


def agree_window(asked: Window | None, own: Window = WINDOW) -> Window:
    """The smaller of both in each respect; raise :class:`FrameError` where nothing would fit."""
    if asked is None:
        return own
    if asked.frames < 1 or asked.bytes < 1:
        raise FrameError("a window holds at least one event")
    return Window(min(asked.frames, own.frames), min(asked.bytes, own.bytes))


class Session:
    """The delivery state of one connection; see the rules at the top of this file.

    ``limit`` is the window agreed upon, ``replays`` what is to be sent again on request. ``start``
    is the cursor the client continues from, ``random`` returns numbers from 0 to 1. Up to
    ``settled``, which may lie beyond ``start``, and at ``parked`` everything was recorded by
    earlier sessions of the device: it is sent again, and not counted again.
    """

    __slots__ = (
        "_acks",
        "_in_flight",
        "_parked",
        "_patience",
        "_pulse",
        "_rewound",
        "_wait_s",
        "close_code",
        "events",
        "floor",
        "frames",
        "id",
        "last_sent",
        "limit",
        "replays",
        "state",
    )

    def __init__(
        self,
        id_: str,
        start: Cursor,
        window: Window,
        random: Callable[[], float],
        now: float,
        *,
        settled: int = 0,
        parked: Iterable[int] = (),
    ) -> None:
        self.id = id_
        self.state = State.CATCHING_UP
        self.floor = start
        self.last_sent = start
        self.close_code: int | None = None
        self.limit = window
        self.replays: Replays | None = None  # none to get, as with most sessions
        self._pulse = Pulse(random, now)
        self._in_flight = InFlight()
        self._rewound: InFlight | None = None  # sent before a rewind, and not yet again
        # Above the floor; None for none, as with most sessions.
        self._parked: set[int] | None = set(parked) or None
        self._acks = AckRanges(id_, max(start.position, settled), now)
        self._patience = Patience()
        # Kept, since each delivery asks. Before a round trip was measured the least: what comes
        # after the wait is a ping, which measures it, and not yet a retry.
        self._wait_s = ACK_WAIT_MIN_S
        self.frames: list[Packet] = []  # to send, in order
        self.events: list[Event] = []  # happened, and belong in the log

    # --- questions -----------------------------------------------------------------------------

    @property
    def window(self) -> tuple[int, int]:
        """How many events, and how many bytes of them, may still be delivered."""
        held, limit = self._in_flight, self.limit
        return limit.frames - held.events, limit.bytes - held.bytes

    @property
    def deadline(self) -> float:
        """When to ``tick`` at the latest."""
        pulse, due = self._pulse, self._acks.due
        if pulse.due < due:  # compared by hand: the hub asks all sessions, four times a second
            due = pulse.due
        if pulse.waiting:  # what the answer says of an overdue ack, it says when it comes
            return due
        overdue = self._patience.due
        return overdue if overdue < due else due  # noqa: FURB136 - as above

    @property
    def attempt(self) -> int:
        """How often the oldest event in flight was sent."""
        return self._patience.attempt

    @property
    def in_flight(self) -> tuple[int, int]:
        """Events and bytes sent and not yet handled."""
        return self._in_flight.events, self._in_flight.bytes

    @property
    def rtt_ms(self) -> float | None:
        """The smoothed round trip, None before the first pong."""
        return self._pulse.rtt_ms

    @property
    def quality(self) -> str:
        """``good``, ``poor`` or ``gone``."""
        return "gone" if self._pulse.gone else self._pulse.quality

    # --- outputs -------------------------------------------------------------------------------

    def frames_to_send(self) -> list[Packet]:
        """What to send, in order; asked again, only what came since."""
        frames, self.frames = self.frames, []
        return frames

    def events_to_record(self) -> list[Event]:
        """What happened and belongs in the log; asked again, only what came since."""
        events, self.events = self.events, []
        return events

    # --- inputs: frames ------------------------------------------------------------------------

    def receive(self, frame: ClientFrame, now: float) -> None:
        """Take a client's frame; raise :class:`FrameError`, with nothing changed, if illegal."""
        if self.state is _CLOSED:
            return  # it was on its way when we closed
        match frame:
            case Ack():  # without a sub-pattern, which would cost more than the rest of the match
                self._acknowledge(frame.cursor, now)
            case Pong(id_):
                self._answered(id_, now)
            case Nack(position, reason):
                self._nack(position, reason, now)
            case ReplayAck(request, positions):
                self._replay_handled(request, positions, now)
            case Hello():
                raise FrameError("hello is sent once")
            case _:
                raise FrameError("not a frame for a session")
        self._pulse.heard_at = now

    def heard(self, now: float) -> None:
        """A frame came in that is not for the session (``refresh``): it is a sign of life."""
        self._pulse.heard_at = now

    def _acknowledge(self, cursor: Cursor, now: float) -> None:
        usual = self._parked is None and self._acks.recorded <= self.floor.position
        if usual and (count := self._in_flight.take_oldest(cursor)):
            self._handled(cursor, count, now)
            return
        self._check(cursor)
        last, count = self._take(self._in_flight, cursor.position)
        if self._rewound is not None and cursor.position > self.last_sent.position:
            further, more = self._take(self._rewound, cursor.position)
            self.last_sent = further or self.last_sent
            last, count = further or last, count + more
        self._settle(last, count, now)

    def _take(self, held: InFlight, until: int) -> tuple[Cursor | None, int]:
        """The last event taken, and how many of them are not recorded yet."""
        recorded = self._acks.recorded
        if recorded <= self.floor.position:
            return held.take_until(until)
        known, _ = held.take_until(min(until, recorded))
        last, count = held.take_until(until)
        return last or known, count

    def _check(self, cursor: Cursor) -> None:
        """Refuse an ack of what was never sent, or of another history."""
        if cursor.epoch != self.last_sent.epoch:
            raise FrameError("an ack of another log")
        if cursor.position > self._furthest.position:
            raise FrameError("an ack beyond what was sent")
        ours = self._sent_at(cursor.position)
        if ours is not None and ours != cursor:
            raise FrameError("an ack of another history")

    @property
    def _furthest(self) -> Cursor:
        last = None if self._rewound is None else self._rewound.last
        return last or self.last_sent

    def _sent_at(self, position: int) -> Cursor | None:
        for cursor in (self.last_sent, self.floor):
            if cursor.position == position:
                return cursor
        held = self._in_flight.at(position)
        return self._rewound.at(position) if held is None and self._rewound else held

    def _settle(self, last: Cursor | None, count: int, now: float) -> None:
        """Move the floor to ``last``, and over parked events that then come first."""
        if self._parked:
            while (first := self._in_flight.first) and first.position in self._parked:
                last, more = self._take(self._in_flight, first.position)
                count += more
        if last is None:
            return
        if self._parked:
            gone = {position for position in self._parked if position <= last.position}
            self._parked -= gone
            count -= sum(position > self._acks.recorded for position in gone)
            self._parked = self._parked or None
        self._handled(last, count, now)

    def _handled(self, last: Cursor, count: int, now: float) -> None:
        """Everything up to ``last`` is handled, and of that ``count`` are news."""
        self.floor, wait_s = last, self._wait_s
        self._patience.progressed(now + wait_s if self._in_flight.events else NEVER, wait_s)
        if self._acks.add(last.position, count) <= now:
            self._record_acks(now)

    def _record_acks(self, now: float) -> None:
        if (acknowledged := self._acks.take(now)) is not None:
            self.events.append(acknowledged)

    def _nack(self, position: int, reason: str, now: float) -> None:
        if self.replays is not None and self.replays.put_aside(position):
            self.events.append(DeliveryParked(self.id, position, reason[:REASON_CHARS_MAX]))
            return
        if position <= self.floor.position or position in (self._parked or ()):
            return
        if self._sent_at(position) is None:
            raise FrameError("a nack of what was not sent")
        self._park(position, reason[:REASON_CHARS_MAX], now)

    def _park(self, position: int, reason: str, now: float) -> None:
        self._parked = (self._parked or set()) | {position}
        self.events.append(DeliveryParked(self.id, position, reason))
        self._settle(None, 0, now)

    def _replay_handled(self, request: int, positions: Sequence[int], now: float) -> None:
        """What of it is not awaited changes nothing: an older session may have sent it.

        The range that passed over them is recorded first: after a crash between the two the next
        session would know them neither as parked nor as settled, and count them once more.
        """
        handled = self.replays.acknowledge(request, positions) if self.replays else ()
        if handled:
            self._record_acks(now)
            self.events.append(DeliveryReplayAcknowledged(self.id, request, handled))

    def _answered(self, id_: int, now: float) -> None:
        rtt_ms = self._pulse.answer(id_, now)
        if rtt_ms is not None:
            self._wait_s = ack_wait_s(self._pulse.timeout_s)
            self.events.append(HeartbeatAnswered(self.id, rtt_ms))

    # --- inputs: the log -----------------------------------------------------------------------

    def deliver(self, page: Page, now: float) -> bool:
        """Send of the page that follows :attr:`last_sent` what the window has room for.

        False where it has none. An event larger than the whole window passes alone, or it would
        block the session for ever.
        """
        assert self.state is not _CLOSED
        assert page.after.position == self.last_sent.position, "pages follow without a gap"
        held, limit, patience = self._in_flight, self.limit, self._patience
        events, size = limit.frames - held.events, limit.bytes - held.bytes
        if page.events > events or page.bytes > size:
            fitting = page.fitting(events, size)
            if fitting is None and held.events:
                return False
            page = fitting or page.beginning(1)
        held.push(page.extent)
        if patience.due == NEVER:
            patience.begin(now, self._wait_s)
        self.last_sent = page.cursor
        if self._rewound is not None:
            self._rewound.take_until(page.cursor.position)
            self._rewound = self._rewound if self._rewound.events else None
        self.frames.append(page.packet(patience.attempt))
        return True

    def skip(self, skipped: Skipped, trimmed: QueueTrimmed | None) -> None:
        """Begin beyond what fell out of the queue; ``trimmed`` is what of it is to be recorded."""
        assert skipped.after == self.last_sent == self.floor, "only the beginning is skipped"
        self.floor = self.last_sent = skipped.cursor
        self._acks.skip(skipped.cursor.position)
        self.frames.append(Packet.of(skipped))
        if trimmed is not None:
            self.events.append(trimmed)

    def caught_up(self, time: str) -> None:
        """Nothing visible lies beyond :attr:`last_sent`; ``time`` is the server's, RFC 3339."""
        if self.state is State.CATCHING_UP:
            self.state = State.LIVE
            self.frames.append(Packet.of(Live(self.last_sent, time)))

    def replay(self, request: int, events: Sequence[Visible]) -> None:
        """Send parked events again, as was asked for at the position ``request``."""
        assert self.replays is not None
        assert self.state is State.LIVE, "what the client does not have yet goes first"
        positions = tuple(event.position for event in events)
        self.replays.sent(request, positions)
        self.frames.append(Packet(encode_replayed(request, [event.body for event in events])))
        self.events.append(DeliveryReplayed(self.id, request, positions))

    def rewind(self, reason: str) -> None:
        """Go back to the floor, so that all that is in flight is read and sent again."""
        assert self.state is not State.CLOSED
        if self._rewound is not None:
            self._in_flight.put_before(self._rewound)
        self._rewound = self._in_flight if self._in_flight.events else None
        self._in_flight = InFlight()
        self.last_sent = self.floor
        self._patience.retried()
        after = self.floor.position
        self.events.append(DeliveryRetried(self.id, after, self.attempt, reason))

    # --- inputs: time and the end --------------------------------------------------------------

    def tick(self, now: float, head: Cursor) -> None:
        """Do what is due. ``head`` is the newest event the client may see, for the ping.

        It may go back to the floor, or forward over a parked event: there is more to deliver.
        """
        if self.state is State.CLOSED:
            return
        if now >= self._acks.due:
            self._record_acks(now)
        self._beat(now, head)
        if not self._pulse.waiting:
            self._press_for_ack(now, head)

    def _beat(self, now: float, head: Cursor) -> None:
        match self._pulse.beat(now):
            case Beat.REST:
                pass
            case Beat.PING:
                self._ping(head)
            case Beat.PING_AGAIN:
                self.events.append(HeartbeatMissed(self.id, self._pulse.missed))
                self._ping(head)
            case Beat.GIVE_UP:
                self.events.append(HeartbeatMissed(self.id, self._pulse.missed))
                self.lost(CloseCode.STALLED, "no heartbeat", now)

    def _press_for_ack(self, now: float, head: Cursor) -> None:
        match self._patience.step(now, self._pulse.proven_at):
            case Step.WAIT:
                pass
            case Step.PROVE:
                self._pulse.probe(now)
                self._ping(head)
            case Step.RETRY:
                self.rewind(f"no ack for {self._patience.waited_s:g} s")
            case Step.PARK:
                first = self._in_flight.first
                assert first is not None, "an ack is overdue of something"
                parks = self._patience.parks
                self._park(first.position, f"no ack after {ATTEMPTS_MAX} attempts", now)
                self._patience.parks = parks + 1  # the floor moved, but by no doing of the client
            case Step.GIVE_UP:
                self.close(CloseCode.ACK_OVERDUE, "nothing is acknowledged", now)

    def _ping(self, head: Cursor) -> None:
        pulse = self._pulse
        self.frames.append(Packet.of(Ping(pulse.id, head, pulse.quality, pulse.rtt_ms)))

    def close(
        self, code: int, reason: str, now: float, *, retry_after_ms: int | None = None
    ) -> None:
        """End it from our side: ``bye`` is sent and the socket is to be closed with ``code``."""
        if self.state is not State.CLOSED:
            self.frames.append(Packet.of(Bye(code, reason, retry_after_ms)))
            self.lost(code, reason, now)

    def lost(self, code: int, reason: str, now: float) -> None:
        """The connection ended; nobody reads any more. ``code`` is 1006 where there was none."""
        if self.state is State.CLOSED:
            return
        self._record_acks(now)
        self.events.append(ClientDisconnected(self.id, code, reason[:REASON_CHARS_MAX]))
        self.state = State.CLOSED
        self.close_code = code
        self._in_flight, self._rewound = InFlight(), None
