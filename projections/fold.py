"""A page of events to the statements of several projections; each event is decoded once."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from eventstore.codec import EVENT_TYPES, EventUnknown, decode_recorded
from eventstore.events import Event, RecordedEvent
from projections.projection import Projection, Statement

VOCABULARY = " ".join(sorted(f"{name}/{cls.version}" for name, cls in EVENT_TYPES.items()))
"""The events this release can read. What was skipped under another one is folded again."""


@frozen
class Folded:
    """What a page comes to, by projection; ``skipped`` are unreadable positions, and why."""

    statements: dict[str, list[Statement]]
    skipped: dict[int, str]


def fold(page: Sequence[RecordedEvent], projections: Sequence[Projection]) -> Folded:
    """Evolve each projection over the page, in order.

    An event that cannot be read (of a type or version from a newer release, or damaged before it
    was chained) is skipped and named in the outcome. To stop at it instead would keep every later
    event from being seen, a revoked token among them; the projector counts it, shows it, and folds
    again from the start once a release knows more.
    """
    wanted = frozenset[str]().union(*(projection.types for projection in projections))
    statements: dict[str, list[Statement]] = {projection.name: [] for projection in projections}
    skipped: dict[int, str] = {}
    for recorded in page:
        if recorded.type not in wanted:
            if recorded.type not in EVENT_TYPES:
                skipped[recorded.position] = f"unknown type {recorded.type}"
            continue
        try:
            event = decode_recorded(recorded)
        except EventUnknown as error:
            skipped[recorded.position] = str(error)
            continue
        except Exception as error:
            # Not the message: it may quote the body, and this goes to the server's log lines.
            skipped[recorded.position] = f"{recorded.type} is damaged: {type(error).__name__}"
            continue
        _evolve_all(recorded, event, projections, statements)
    return Folded(statements, skipped)


def _evolve_all(
    recorded: RecordedEvent,
    event: Event | None,
    projections: Sequence[Projection],
    statements: dict[str, list[Statement]],
) -> None:
    for projection in projections:
        if recorded.type in projection.types:
            statement = projection.evolve(recorded, event)
            if statement is not None:
                statements[projection.name].append(
                    statement.without_nul() if _has_nul(recorded) else statement
                )


def _has_nul(recorded: RecordedEvent) -> bool:
    return b"\\u0000" in (recorded.data or b"") or "\0" in recorded.stream
