"""What must be true of a world when it is over, whatever happened in it.

Each function takes the world and the log as the file has it, and tells what is wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from eventstore.codec import decode_recorded
from eventstore.verify import verify
from projections.ledger import LEDGER
from tests.simulation.apps import App, Keeps
from tests.simulation.history import History
from tests.simulation.plan import FOR_EVER
from tests.simulation.settled import settled
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


def broken(world: World, log: History, boot: str) -> Iterator[str]:
    """Everything that is not as it must be; ``boot`` is the server that was never crashed."""
    yield from _log_is_whole(log)
    yield from _acknowledged_is_there(world, log)
    yield from settled(world, log, boot)
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


def _skips_are_just(world: World, log: History) -> Iterator[str]:
    """A client is told of as many as there are, and of none that has room in its queue."""
    limits, granted = world.plan.hub.queue, log.granted
    expiring = limits.age_s != FOR_EVER.age_s or "expire" in world.plan.faults
    for session in world.watch.sessions.values():
        if (skip := session.skipped) is None or session.id not in granted:
            continue
        there = len(log.visible(skip.after, skip.until, granted[session.id]))
        if skip.count != there:
            yield f"{session.who} is told of {skip.count} skipped, and there are {there}: {skip}"
        if skip.reason == "queue_limit" and session.pending < limits.events_max:
            yield f"{session.who} is left {session.pending}, and yet {skip}"
        if skip.reason == "expired" and not expiring:
            yield f"{session.who} is told that something is too old: {skip}"


@cache
def _book() -> sqlite3.Connection:
    """An empty ledger for all seeds of this process: making one costs as much as filling it."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(LEDGER.schema)
    return db


def _ledger_balances(world: World, log: History) -> Iterator[str]:
    """Residue 0 at each position, for each device; and in the end nothing waits for applications.

    By the projection's own steps, without its store: the projector is seen to by the digests.
    """
    db = _book()
    db.execute("BEGIN")
    try:
        for row in log.rows:
            if row.type not in LEDGER.types:
                continue
            recorded = row.recorded
            if (statement := LEDGER.evolve(recorded, decode_recorded(recorded))) is None:
                continue
            for sql, values in LEDGER.inserts([statement]):
                db.execute(sql, values)
            if db.execute("SELECT 1 FROM ledger_account WHERE residue <> 0").fetchone():
                found = db.execute("SELECT * FROM ledger_account WHERE residue <> 0").fetchone()
                yield f"at {row.position} the ledger has a residue: {found}"
                return
        waiting = db.execute("SELECT user, device FROM ledger_account WHERE outstanding > 0")
        for name in sorted({"/".join(who) for who in waiting} & {app.name for app in world.apps}):
            yield f"the ledger says that something waits for {name}"
    finally:
        db.execute("ROLLBACK")


# --- the applications --------------------------------------------------------------------------


def _application(world: World, app: App, log: History) -> Iterator[str]:
    yield from app.surprises
    yield from _ends(app)
    yield from _order(app)
    missing = owed(world, app, log) - app.handled - app.aside
    if missing:
        yield f"never saw {sorted(missing)[:10]}"


def _ends(app: App) -> Iterator[str]:
    for reason in dict.fromkeys(app.ends):
        if reason not in HONEST_ENDS and not reason.startswith(SERVERS_WORDS):
            yield f"a link ended with {reason!r}"


def _order(app: App) -> Iterator[str]:
    for run in app.runs:
        again = run.returned + run.refused
        if len(set(again)) != len(again):
            yield f"was given the same again twice in one run: {again}"
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
