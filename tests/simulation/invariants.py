"""What must be true of a world when it is over, whatever happened in it.

Each function takes the world and the log as the file has it, and tells what is wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import orjson
from attrs import frozen

from eventstore.verify import verify
from tests.simulation.apps import App, Keeps
from tests.simulation.world import World

HONEST_ENDS = frozenset({"reset", "nobody answers", "connection refused", "closed", "gone", "died"})
"""How links may end that no ``bye`` ended; anything else means that a side broke the protocol."""
SERVERS_WORDS = (
    "restart", "replaced by", "no heartbeat", "the peer takes nothing", "overloaded",
    "session records wait", "the projections are behind", "the log is not available",
    "the server has fallen silent", "no hello within",
    "access was withdrawn", "the token is not valid",
)  # fmt: skip


@frozen
class Row:
    """One event as stored."""

    position: int
    recorded_at: int
    stream: str
    type: str
    data: Mapping[str, object]
    hash: bytes

    @property
    def inbox(self) -> str | None:
        """The inbox whose members see it, None for what nobody is sent."""
        visible = self.stream.startswith("inbox:") and not self.type.startswith("webhook.")
        return self.stream.removeprefix("inbox:") if visible else None


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
    yield from _ranges_fit_what_was_sent(world, log, boot)
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


def _ranges_fit_what_was_sent(world: World, log: History, boot: str) -> Iterator[str]:
    """Ranges of a session follow each other, name only what was sent, and count it once.

    All that sessions of the last ``boot`` were told is recorded; a crash may take the last ranges.
    """
    upto: dict[str, int] = {}
    for row in log.rows:
        if row.type == "client.connected":
            upto[str(row.data["session"])] = int(str(row.data["position"]))
        if row.type != "delivery.acknowledged":
            continue
        id_, after, until = str(row.data["session"]), row.data["after"], row.data["until"]
        count = row.data["count"]
        session = world.watch.sessions.get(id_)
        if session is None or id_ not in upto:
            yield f"a range of a session that never was, at {row.position}"
            continue
        assert isinstance(after, int)
        assert isinstance(until, int)
        if after != upto[id_]:
            yield f"the range at {row.position} begins at {after}, not at {upto[id_]}"
        upto[id_] = until
        sent = [position for position in session.sent if after < position <= until]
        if until not in session.sent:
            yield f"the range at {row.position} ends at {until}, which was never sent"
        elif len(sent) != count:
            yield f"the range at {row.position} counts {count}, and {len(sent)} were sent"
    for session in world.watch.sessions.values():
        recorded = upto.get(session.id)
        furthest = max((p for p in session.sent if p <= session.acked), default=session.start)
        honest = not session.who.startswith("rogue")
        if honest and session.boot == boot and recorded != furthest:
            yield f"{session.who} acknowledged {furthest}, and {recorded} was recorded"


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

    An inbox that its user left and joined
    again counts from where the server acted on that.
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
    }
