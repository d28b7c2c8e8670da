"""What must be true of a world when it is over, whatever happened in it.

Each function takes the world and the log as the file has it, and tells what is wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen

from eventstore.codec import EVENT_TYPES, decode_recorded
from eventstore.events import RecordedEvent
from eventstore.verify import verify
from projections.ledger import LEDGER
from tests.simulation.apps import App, Keeps
from tests.simulation.plan import FOR_EVER
from tests.simulation.watch import Sighted
from tests.simulation.world import World

HONEST_ENDS = frozenset({"reset", "nobody answers", "connection refused", "closed", "gone", "died"})
"""How links may end that no ``bye`` ended; anything else means that a side broke the protocol."""
SERVERS_WORDS = (
    "restart", "replaced by", "no heartbeat", "the peer takes nothing",
    "refused: records_full", "refused: device_unsettled", "refused: stopping",
    "the projections are behind", "the log is not available",
    "the server has fallen silent", "no hello within",
    "access was withdrawn", "the token is not valid", "the inboxes you may see have changed",
)  # fmt: skip


@frozen
class Row:
    """One event as stored."""

    position: int
    recorded_at: int
    stream: str
    type: str
    data: Mapping[str, Any]
    hash: bytes

    @property
    def recorded(self) -> RecordedEvent:
        """As the projections see it."""
        version, data = EVENT_TYPES[self.type].version, orjson.dumps(self.data)
        envelope = (self.position, self.recorded_at, self.stream, None, self.type, version)
        return RecordedEvent(*envelope, data, None, None, self.hash)

    @property
    def inbox(self) -> str | None:
        """The inbox whose members see it, None for what nobody is sent."""
        visible = self.stream.startswith("inbox:") and not self.type.startswith("webhook.")
        return self.stream.removeprefix("inbox:") if visible else None


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


@frozen
class History:
    """The whole log, and its keys."""

    rows: Sequence[Row]
    keys: Mapping[bytes, int]

    @classmethod
    def read(cls, file: Path, connect: Callable[..., sqlite3.Connection]) -> History:
        """From a file that nobody has open."""
        with closing(connect(file)) as db:
            rows = db.execute(
                "SELECT position, recorded_at, stream, type, data, hash FROM events ORDER BY 1"
            )
            events = [
                Row(position, recorded_at, stream, type_, orjson.loads(data), hash_)
                for position, recorded_at, stream, type_, data, hash_ in rows
            ]
            return cls(events, dict(db.execute("SELECT digest, position FROM keys")))


def broken(world: World, log: History, boot: str) -> Iterator[str]:
    """Everything that is not as it must be; ``boot`` is the server that was never crashed."""
    yield from _log_is_whole(log)
    yield from _acknowledged_is_there(world, log)
    yield from _settled_once(world, log, boot)
    yield from _skips_are_just(world, log)
    yield from _ledger_balances(world, log)
    for app in world.apps:
        yield from (f"{app.name}: {what}" for what in _application(world, app, log))


def verified(folder: Path) -> Iterator[str]:
    """The auditor's program, which shares no code with the log, finds no fault."""
    if (fault := verify(folder).fault) is not None:
        yield f"the verifier finds: {fault}"


# --- the log -----------------------------------------------------------------------------------


def _log_is_whole(log: History) -> Iterator[str]:
    if [row.position for row in log.rows] != list(range(1, len(log.rows) + 1)):
        yield "positions are not gapless"
    if any(a.recorded_at >= b.recorded_at for a, b in pairwise(log.rows)):
        yield "recorded_at does not increase"
    seen: dict[tuple[str, object], int] = {}
    for row in log.rows:
        if row.type == "message.received":
            key = (row.stream, row.data["message_id"])
            if key in seen:
                yield f"message {key} is there twice, at {seen[key]} and {row.position}"
            seen[key] = row.position


def _acknowledged_is_there(world: World, log: History) -> Iterator[str]:
    hashes = {row.position: row.hash for row in log.rows}
    for key, receipt in world.acked.items():
        if hashes.get(receipt.position) != receipt.hash or log.keys.get(key) != receipt.position:
            yield f"acknowledged at {receipt.position}, and lost"


def _settled_once(world: World, log: History, boot: str) -> Iterator[str]:
    """Ranges of a device join, over all its sessions; each names what was so, and counts it once.

    All that sessions of the last ``boot`` were told is recorded; a crash may take the last ranges.
    """
    upto: dict[str, int] = {}
    starts: dict[str, int] = {}
    recorded: dict[str, int] = {}
    granted = _granted(log)
    by_ack: set[str] = set()
    for row in log.rows:
        if row.type == "delivery.parked":
            yield f"an event is parked at {row.position}, and everybody here handles what they get"
        elif row.type == "client.connected":
            id_, start = str(row.data["session"]), int(str(row.data["position"]))
            starts[id_], recorded[id_] = start, upto.setdefault(row.stream, start)
        elif row.type in ("delivery.acknowledged", "queue.trimmed"):
            range_ = Range.of(row)
            if range_.session not in starts:
                yield f"a range of a session that never was, at {row.position}"
                continue
            if range_.after != recorded[range_.session]:
                before = recorded[range_.session]
                yield f"the range at {row.position} begins at {range_.after}, not at {before}"
            upto[row.stream] = recorded[range_.session] = range_.until
            if row.type == "delivery.acknowledged" and range_.until > starts[range_.session]:
                by_ack.add(range_.session)
                yield from _acknowledged_range(range_, world.watch.sessions.get(range_.session))
            else:
                visible = _visible(log, range_.after, range_.until, granted[range_.session])
                told = _told(world, row, range_, starts[range_.session])
                if (range_.until, range_.count) != (told, visible):
                    yield f"the range at {row.position} is {range_}, not {visible} up to {told}"
    for session in world.watch.sessions.values():
        if session.boot != boot or session.who.startswith("rogue"):
            continue
        furthest = max((p for p in session.sent if p <= session.acked), default=session.start)
        found = recorded.get(session.id)
        if found is None or found < furthest or (found != furthest and session.id in by_ack):
            yield f"{session.who} acknowledged {furthest}, and {found} was recorded"


def _acknowledged_range(range_: Range, session: Sighted | None) -> Iterator[str]:
    """What a session was told by acks."""
    if session is None:  # its welcome never reached the socket
        yield f"the range at {range_.at} is of a session that nobody was welcomed to"
        return
    sent = [position for position in session.sent if range_.after < position <= range_.until]
    if range_.until not in session.sent:
        yield f"the range at {range_.at} ends at {range_.until}, which was never sent"
    elif range_.until > session.acked:
        yield f"the range at {range_.at} ends at {range_.until}, which was not acknowledged"
    elif len(sent) != range_.count:
        yield f"the range at {range_.at} counts {range_.count}, and {len(sent)} were sent"


def _told(world: World, row: Row, range_: Range, start: int) -> int:
    """Up to where a hello, or what was said after it, settles: a cursor, a reset or a skip."""
    if row.type == "queue.trimmed" and row.data["reason"] != "reset":
        session = world.watch.sessions.get(range_.session)
        return session.skipped.until if session and session.skipped else range_.until
    return start


def _granted(log: History) -> dict[str, frozenset[str]]:
    """The inboxes that each session was given."""
    return {
        str(row.data["session"]): frozenset(row.data["inboxes"])
        for row in log.rows
        if row.type == "client.connected"
    }


def _visible(log: History, after: int, until: int, inboxes: frozenset[str]) -> int:
    return sum(row.inbox in inboxes for row in log.rows[after:until])


def _skips_are_just(world: World, log: History) -> Iterator[str]:
    """A client is told of as many as there are, and of none that has room in its queue."""
    limits, granted = world.plan.hub.queue, _granted(log)
    for session in world.watch.sessions.values():
        if (skip := session.skipped) is None or session.id not in granted:
            continue
        there = _visible(log, skip.after, skip.until, granted[session.id])
        if skip.count != there:
            yield f"{session.who} is told of {skip.count} skipped, and there are {there}: {skip}"
        if skip.reason == "queue_limit" and session.pending < limits.events_max:
            yield f"{session.who} is left {session.pending}, and yet {skip}"
        if skip.reason == "expired" and limits.age_s == FOR_EVER.age_s:
            yield f"{session.who} is told that something is too old: {skip}"


def _ledger_balances(world: World, log: History) -> Iterator[str]:
    """Residue 0 at each position, for each device; and in the end nothing waits for applications.

    By the projection's own steps, without its store: the projector is seen to by the digests.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.executescript(LEDGER.schema)
        for row in log.rows:
            recorded = row.recorded
            if row.type not in LEDGER.types:
                continue
            if (statement := LEDGER.evolve(recorded, decode_recorded(recorded))) is None:
                continue
            for sql, values in LEDGER.inserts([statement]):
                db.execute(sql, values)
            for account in db.execute("SELECT * FROM ledger_account WHERE residue <> 0"):
                yield f"at {row.position} the ledger has a residue: {account}"
                return
        waiting = db.execute("SELECT user, device FROM ledger_account WHERE outstanding > 0")
        for name in sorted({"/".join(who) for who in waiting} & {app.name for app in world.apps}):
            yield f"the ledger says that something waits for {name}"


# --- the applications --------------------------------------------------------------------------


def _application(world: World, app: App, log: History) -> Iterator[str]:
    yield from app.surprises
    yield from _ends(app)
    yield from _order(app)
    missing = owed(world, app, log) - app.handled
    if missing:
        yield f"never saw {sorted(missing)[:10]}"


def _ends(app: App) -> Iterator[str]:
    for reason in dict.fromkeys(app.ends):
        if reason not in HONEST_ENDS and not reason.startswith(SERVERS_WORDS):
            yield f"a link ended with {reason!r}"


def _order(app: App) -> Iterator[str]:
    for run in app.runs:
        if any(a >= b for a, b in pairwise(run.handled)):
            yield "events out of order, or twice in one run"
        if run.cursor is not None and run.handled and run.handled[0] <= run.cursor.position:
            yield f"was given {run.handled[0]} again, which it had stored"
    effects = app.effects
    if app.keeps is Keeps.TRANSACTION and any(a >= b for a, b in pairwise(effects)):
        yield "an effect is there twice, or out of order"


def _beginning(app: App, log: History) -> int | None:
    """Where the device began: at its first session.

    Two hellos of a device that is new may be under way at once; whichever of their sessions comes
    later counts if the application had nothing by then (the earlier one's welcome was lost).
    """
    start: int | None = None
    for row in log.rows:
        if row.type == "client.connected" and row.stream == f"client:{app.name}":
            position = int(str(row.data["position"]))
            anew = row.data["outcome"] == "fresh" and min(app.handled, default=position) >= position
            if start is None or anew:
                start = position
    return start


def owed(world: World, app: App, log: History, until: int | None = None) -> set[int]:
    """What the application must have seen: all its inboxes' events since it came and could.

    An inbox that its user left and
    joined again counts from where the server acted on that. What it was told of as skipped it is
    not owed.
    """
    start = _beginning(app, log)
    if start is None:
        return set()
    since = {
        inbox: max(start, head)
        for (user, inbox), head in world.rights.effective.items()
        if user == app.user
    }
    return {
        row.position
        for row in log.rows
        if row.inbox in since
        and row.position > since[row.inbox]
        and (until is None or row.position <= until)
        and not any(after < row.position <= end for after, end in app.skips)
    }
