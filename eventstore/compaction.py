"""Heartbeats that are old: what is kept of them is one sample a connection and minute.

As with an erasure, the event that says so is what does it: the transaction that records
``heartbeat.compacted`` blanks the heartbeats of its range, so no crash comes in between, and the
chain still verifies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from eventstore.codec import decode_recorded, of_type
from eventstore.events import (
    CompactedBeats,
    HeartbeatAnswered,
    HeartbeatMissed,
    HeartbeatsCompacted,
    RecordedEvent,
)

BEATS = frozenset({HeartbeatAnswered.type, HeartbeatMissed.type})
MINUTE_US = 60_000_000
_RTT_MS_MAX = 60_000.0
_MINUTE_MAX, _NUMBER_MAX = 2**36, 2**31


def compacted(after: int, until: int, events: Iterable[RecordedEvent]) -> HeartbeatsCompacted:
    """What is to be recorded of the heartbeats with ``after`` < position <= ``until``."""
    found: dict[tuple[str, str], dict[int, list[int | None]]] = defaultdict(dict)
    for recorded in events:
        event = decode_recorded(recorded)
        if isinstance(event, HeartbeatAnswered | HeartbeatMissed):
            minutes = found[recorded.stream, event.session]
            beats = minutes.setdefault(recorded.recorded_at // MINUTE_US, [])
            beats.append(round_trip_us(event) if isinstance(event, HeartbeatAnswered) else None)
    return HeartbeatsCompacted(
        after,
        until,
        tuple(
            CompactedBeats(
                *_device(stream),
                session,
                tuple(_sample(minute, beats) for minute, beats in sorted(minutes.items())),
            )
            for (stream, session), minutes in found.items()
        ),
    )


def compacted_by(events: Iterable[RecordedEvent]) -> Iterator[tuple[int, int]]:
    """The ranges, (after, until], whose heartbeats these newly recorded events compact."""
    for _, compaction in of_type(events, HeartbeatsCompacted):
        yield compaction.after, compaction.until


def samples(
    event: HeartbeatsCompacted,
) -> Iterator[tuple[CompactedBeats, tuple[int, int, int, int]]]:
    """Whose it is, and minute, n, mean (µs) and missed of each sample.

    What no server wrote is passed over: it must not stop a fold.
    """
    for beats in event.beats:
        for row in beats.minutes:
            if len(row) == 7 and 0 <= row[0] < _MINUTE_MAX:
                minute, n, _, mean, _, _, missed = row
                if all(0 <= number < _NUMBER_MAX for number in (n, mean, missed)):
                    yield beats, (minute, n, mean, missed)


def round_trip_us(event: HeartbeatAnswered) -> int:
    """What a pong counts with in every sum, compacted or not: at most a minute, in µs."""
    return round(min(max(event.rtt_ms, 0.0), _RTT_MS_MAX) * 1000)


def _device(stream: str) -> tuple[str, str]:
    user, _, device = stream.partition(":")[2].partition("/")
    return user, device


def _sample(minute: int, beats: Sequence[int | None]) -> tuple[int, ...]:
    times = sorted(time for time in beats if time is not None)
    missed = len(beats) - len(times)
    if not times:
        return minute, 0, 0, 0, 0, 0, missed
    mean = round(sum(times) / len(times))
    p95 = times[-(-len(times) * 95 // 100) - 1]  # nearest rank
    return minute, len(times), times[0], mean, p95, times[-1], missed
