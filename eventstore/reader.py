"""The queries on the log: pages of events, what members may see, single points of the chain."""

# ruff: noqa: S608  Only constants of this file and question marks are spliced into SQL.

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import orjson

from eventstore.apply import Head
from eventstore.connection import Fetch
from eventstore.events import RecordedEvent
from eventstore.interchange import HistoryRow
from eventstore.recheck import ChainBroken, follow

EVENT_COLUMNS = (
    "position, recorded_at, stream, conversation, type, version, data, "
    "correlation_id, causation_id, hash"
)
"""The fields of RecordedEvent, in its order."""

_VISIBLE = "stream GLOB 'inbox:*' AND type NOT GLOB 'webhook.*'"
"""Word for word the WHERE of the index events_visible."""

_INBOXES_A_QUERY = 200
"""SQLite joins at most 500 SELECTs with UNION ALL."""

# A page comes as one row of JSON. The sqlite3 module gives the GIL away at every row, and takes up
# to 5 ms to have it back from a busy event loop: 500 rows took 390 ms beside one, this takes 18 ms.
# Events are taken as long as those before them weigh less than the bound: one always fits.
_PAGE = """
WITH page AS ({positions}),
weighed AS (
    SELECT position, sum(ifnull(length(data), 0)) OVER (ORDER BY position)
        - ifnull(length(data), 0) AS before
    FROM page JOIN events USING (position)
),
cut AS (
    SELECT events.* FROM weighed JOIN events USING (position) WHERE before < ? ORDER BY position
)
SELECT CAST(json_group_array(json_array(
    position, recorded_at, stream, conversation, type, version, CAST(data AS TEXT),
    correlation_id, causation_id, hex(hash)
)) AS BLOB) FROM cut
"""

_CHOSEN = "SELECT value AS position FROM json_each(?)"


async def _page(
    fetch: Fetch, positions: str, parameters: Sequence[Any], bytes_max: int
) -> list[RecordedEvent]:
    """The events at the positions that a query gives, in order, up to a weight."""
    [(rows,)] = await fetch(_PAGE.format(positions=positions), (*parameters, bytes_max))
    try:
        return [_recorded(*row) for row in orjson.loads(rows)]
    except orjson.JSONDecodeError as error:
        raise ChainBroken(0, f"a page after {parameters[0]} is not text") from error


def _recorded(
    position: int, recorded_at: int, stream: str, conversation: str | None, type_: str,
    version: int, data: str | None, correlation_id: str | None, causation_id: int | None,
    hash_: str,
) -> RecordedEvent:  # fmt: skip
    return RecordedEvent(
        position, recorded_at, stream, conversation, type_, version,
        None if data is None else data.encode(), correlation_id, causation_id, bytes.fromhex(hash_),
    )  # fmt: skip


async def epoch(fetch: Fetch) -> str:
    """The name of this log."""
    [(value,)] = await fetch("SELECT value FROM meta WHERE name = 'epoch'", ())
    return str(value)


async def point(fetch: Fetch, position: int) -> Head | None:
    """Time and chain hash at a position; None where there is no event."""
    rows = await fetch(
        "SELECT position, recorded_at, hash FROM events WHERE position = ?", (position,)
    )
    return Head(*rows[0]) if rows else None


async def newest(fetch: Fetch) -> Head:
    """The head of what is stored."""
    rows = await fetch(
        "SELECT position, recorded_at, hash FROM events ORDER BY position DESC LIMIT 1", ()
    )
    return Head(*rows[0]) if rows else Head()


async def page(
    fetch: Fetch,
    after: int,
    until: int,
    limit: int,
    streams: Collection[str] | None,
    types: Collection[str] | None,
    bytes_max: int,
) -> list[RecordedEvent]:
    """Events with ``after`` < position <= ``until``, in order; a page may be cut by its bytes."""
    where, named = "position > ? AND position <= ?", [*sorted(streams or ()), *sorted(types or ())]
    for column, wanted in (("stream", streams), ("type", types)):
        if wanted is not None:
            where += f" AND {column} IN ({', '.join('?' * len(wanted))})"
    positions = f"SELECT position FROM events WHERE {where} ORDER BY position LIMIT ?"
    return await _page(fetch, positions, (after, until, *named, limit), bytes_max)


async def page_at(fetch: Fetch, positions: Sequence[int], bytes_max: int) -> list[RecordedEvent]:
    """The events at these positions, in order; cut like ``page``."""
    chosen = orjson.dumps(sorted(positions)).decode()
    return await _page(fetch, _CHOSEN, (chosen,), bytes_max)


async def history(
    fetch: Fetch, after: int, until: int, limit: int, stream: str, type_: str, bytes_max: int
) -> list[HistoryRow]:
    """Events with their commitments, of streams and types that match a GLOB; cut like ``page``."""
    positions = (
        "SELECT position FROM events WHERE position > ? AND position <= ?"
        " AND stream GLOB ? AND type GLOB ? ORDER BY position LIMIT ?"
    )
    events = await _page(fetch, positions, (after, until, stream, type_, limit), bytes_max)
    chosen = orjson.dumps([event.position for event in events]).decode()
    [(rows,)] = await fetch(
        "SELECT json_group_array(json_array(hex(data_hash), hex(salt), salt IS NULL)) FROM"
        " (SELECT data_hash, salt FROM json_each(?) CROSS JOIN events ON position = value"
        " ORDER BY position)",
        (chosen,),
    )
    return [
        HistoryRow(event, bytes.fromhex(hash_), None if gone else bytes.fromhex(salt))
        for event, (hash_, salt, gone) in zip(events, orjson.loads(rows), strict=True)
    ]


async def visible_page(
    fetch: Fetch, after: int, until: int, limit: int, inboxes: Collection[str], bytes_max: int
) -> list[RecordedEvent]:
    """What members of these inboxes may see after a position, in order; cut like ``page``."""
    candidates: list[int] = []
    for streams in _parts(inboxes):
        candidates += await _visible_positions(fetch, after, until, limit, streams)
    chosen = orjson.dumps(sorted(candidates)[:limit]).decode()
    return await _page(fetch, _CHOSEN, (chosen,), bytes_max)


async def _visible_positions(
    fetch: Fetch, after: int, until: int, limit: int, streams: Sequence[str]
) -> list[int]:
    """The first ``limit`` of each inbox, from the index alone.

    ``stream IN (…) ORDER BY position`` would sort everything after the cursor, for each page.
    """
    each = " UNION ALL ".join(
        f"SELECT position FROM (SELECT position FROM events WHERE {_VISIBLE} AND stream = ?{number}"
        " AND position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3)"
        for number in range(4, len(streams) + 4)
    )
    [(positions,)] = await fetch(
        f"SELECT json_group_array(position) FROM ({each})", (after, until, limit, *streams)
    )
    found: list[int] = orjson.loads(positions)
    return found


async def visible_count(
    fetch: Fetch, after: int, until: int, inboxes: Collection[str], most: int
) -> int:
    """How many events after a position these members may see; counting stops at ``most``."""
    found = 0
    for streams in _parts(inboxes):
        [(count,)] = await fetch(
            f"SELECT count(*) FROM (SELECT 1 FROM events WHERE {_VISIBLE} AND position > ?"
            f" AND position <= ? AND stream IN ({', '.join('?' * len(streams))}) LIMIT ?)",
            (after, until, *streams, most - found),
        )
        found += count
    return found


async def visible_newest(fetch: Fetch, until: int, inboxes: Collection[str]) -> int:
    """The newest position these members may see, 0 if there is none."""
    found = 0
    for streams in _parts(inboxes):
        each = " UNION ALL ".join(
            f"SELECT max(position) AS newest FROM events WHERE {_VISIBLE}"
            f" AND stream = ?{number} AND position <= ?1"
            for number in range(2, len(streams) + 2)
        )
        [(position,)] = await fetch(f"SELECT max(newest) FROM ({each})", (until, *streams))
        found = max(found, position or 0)
    return found


async def visible_nth_newest(fetch: Fetch, until: int, inboxes: Collection[str], nth: int) -> int:
    """The position of the ``nth`` newest event these members may see, 0 if there are fewer.

    The newest ``nth`` of each inbox, from the index alone: however long the log, and however much
    of it lies before.
    """
    newest: list[int] = []
    for streams in _parts(inboxes):
        each = " UNION ALL ".join(
            f"SELECT position FROM (SELECT position FROM events WHERE {_VISIBLE}"
            f" AND stream = ?{number} AND position <= ?1 ORDER BY position DESC LIMIT ?2)"
            for number in range(3, len(streams) + 3)
        )
        [(positions,)] = await fetch(
            f"SELECT json_group_array(position) FROM"
            f" (SELECT position FROM ({each}) ORDER BY position DESC LIMIT ?2)",
            (until, nth, *streams),
        )
        newest += orjson.loads(positions)
    newest.sort(reverse=True)
    return newest[nth - 1] if len(newest) >= nth else 0


async def visible_everywhere(
    fetch: Fetch, after: int, limit: int, bytes_max: int
) -> list[RecordedEvent]:
    """What members of any inbox may see after a position; what the tail begins with.

    By position and not by the index: only ever asked for the newest few thousand positions.
    """
    positions = (
        f"SELECT position FROM events WHERE position > ? AND {_VISIBLE} ORDER BY position LIMIT ?"
    )
    return await _page(fetch, positions, (after, limit), bytes_max)


async def recheck(fetch: Fetch, after: int, limit: int) -> tuple[Head, list[RecordedEvent]]:
    """Check the chain over the events after a position; give the head there and the events.

    Raises :class:`ChainBroken`.
    """
    before = Head() if after == 0 else await point(fetch, after)
    if before is None:
        raise ChainBroken(after, "missing")
    rows = await fetch(
        f"SELECT {EVENT_COLUMNS}, data_hash, salt FROM events WHERE position > ?"
        " ORDER BY position LIMIT ?",
        (after, limit),
    )
    checked = [(RecordedEvent(*fields), commitment, salt) for *fields, commitment, salt in rows]
    return follow(before, checked), [event for event, _, _ in checked]


def _parts(inboxes: Collection[str]) -> Iterator[list[str]]:
    streams = [f"inbox:{inbox}" for inbox in sorted(inboxes)]
    for start in range(0, len(streams), _INBOXES_A_QUERY):
        yield streams[start : start + _INBOXES_A_QUERY]
