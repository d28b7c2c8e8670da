"""The online check names the first bad position, also where every hash was computed to fit."""

from __future__ import annotations

import pytest

from eventstore.apply import Head
from eventstore.chain import data_hash, header, link
from eventstore.events import RecordedEvent
from eventstore.recheck import ChainBroken, follow

Row = tuple[RecordedEvent, bytes, bytes | None]
SALT = b"sixteen bytes of"


def _rows(*places: tuple[int, int]) -> list[Row]:
    """Events at these (position, time), chained as a forger would: each hash fits its place."""
    rows: list[Row] = []
    previous = Head().hash
    for position, recorded_at in places:
        commitment = data_hash(SALT, b"{}")
        envelope = header(position, recorded_at, "system", None, "x.y", 1, None, None)
        previous = link(previous, envelope, commitment)
        event = RecordedEvent(
            position, recorded_at, "system", None, "x.y", 1, b"{}", None, None, previous
        )
        rows.append((event, commitment, SALT))
    return rows


def test_a_sound_chain_leads_to_its_head() -> None:
    """Position, time and hash of the last row."""
    rows = _rows((1, 10), (2, 11), (3, 99))
    assert follow(Head(), rows) == Head(3, 99, rows[-1][0].hash)
    assert follow(Head(), []) == Head()


@pytest.mark.parametrize(
    ("places", "bad"),
    [
        (((1, 10), (3, 11)), 2),
        (((2, 10),), 1),
        (((1, 10), (1, 11)), 2),
        (((1, 10), (2, 10)), 2),
        (((1, 10), (2, 12), (3, 11)), 3),
    ],
)
def test_gaps_and_steps_back_in_time_are_seen(
    places: tuple[tuple[int, int], ...], bad: int
) -> None:
    """G4: fitting hashes do not excuse a missing position or a time that does not increase."""
    with pytest.raises(ChainBroken) as broken:
        follow(Head(), _rows(*places))
    assert broken.value.position == bad


def test_a_redacted_row_still_fits() -> None:
    """Without content and salt, the commitment stands for them."""
    [(event, commitment, _)] = _rows((1, 10))
    bare = RecordedEvent(1, 10, "system", None, "x.y", 1, None, None, None, event.hash)
    assert follow(Head(), [(bare, commitment, None)]).position == 1


def test_bytes_moved_between_salt_and_content_are_seen() -> None:
    """Their hash is over both together, so only the salt's length tells."""
    [(event, commitment, _)] = _rows((1, 10))
    moved = RecordedEvent(1, 10, "system", None, "x.y", 1, b"f{}", None, None, event.hash)
    with pytest.raises(ChainBroken):
        follow(Head(), [(moved, commitment, SALT[:-1])])
