"""The checkpoints that were signed, so that the newest is found without a walk through the log."""

from __future__ import annotations

from attrs import frozen

from eventstore.events import CheckpointSigned, Event, RecordedEvent
from projections.projection import (
    POSITION_MAX,
    Microseconds,
    Projection,
    Query,
    Statement,
    Values,
    microseconds,
)

_TABLES = """
CREATE TABLE checkpoints (
    at INTEGER PRIMARY KEY, epoch TEXT NOT NULL, position INTEGER NOT NULL, hash TEXT NOT NULL,
    time INTEGER NOT NULL, key_id TEXT NOT NULL, public_key TEXT NOT NULL, signature TEXT NOT NULL
);
"""

_STEPS = {
    "signed": """
    INSERT INTO checkpoints VALUES (
        new.at, new.epoch, new.position, new.hash, new.time, new.key_id, new.public_key,
        new.signature);""",
}


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    if not isinstance(event, CheckpointSigned):
        return None
    if not 0 <= event.position < recorded.position:
        return None  # nobody signs what is not written yet
    values: Values = {
        "at": recorded.position,
        "epoch": event.epoch,
        "position": event.position,
        "hash": event.hash,
        "time": microseconds(event.time),
        "key_id": event.key_id,
        "public_key": event.public_key,
        "signature": event.signature,
    }
    return Statement("signed", values)


CHECKPOINTS = Projection(
    name="checkpoints",
    version=2,
    types=frozenset({CheckpointSigned.type}),
    tables=_TABLES,
    steps=_STEPS,
    evolve=_evolve,
)


@frozen
class Checkpoint:
    """One checkpoint, as auditors keep it: every field but the last is covered by the last."""

    epoch: str
    position: int
    hash: str
    time: Microseconds
    key_id: str
    public_key: str
    signature: str


def list_checkpoints(*, limit: int = 100, before: int | None = None) -> Query[Checkpoint]:
    """The newest checkpoints, newest first; of positions below ``before`` only."""
    return Query(
        "SELECT epoch, position, hash, time, key_id, public_key, signature FROM checkpoints"
        " WHERE position < :before ORDER BY at DESC LIMIT :limit",
        {"before": POSITION_MAX if before is None else before, "limit": limit},
        Checkpoint,
        (CHECKPOINTS.name,),
    )
