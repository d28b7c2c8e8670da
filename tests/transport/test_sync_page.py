"""A page of /v1/sync is taken whole, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.cursor import Cursor
from tests.transport.fake_server import cursor, event
from transport.client_errors import SyncUnverified
from transport.sync_page import read_page


def answer(after: int, positions: list[int], upto: int, *, more: bool = False) -> dict[str, Any]:
    """An honest answer, as docs/protocol.md has it."""
    lines = "".join(f"{cursor(position)}\n" for position in positions)
    names = {"after": str(cursor(after)), "cursor": str(cursor(upto))}
    receipt = {"from": names["after"], "to": names["cursor"], "count": len(positions)}
    return {
        "events": [event(position) for position in positions],
        "conversations": [{"id": "c_1"}],
        "has_more": more,
        "up_to_date": not more,
        "skipped": None,
        "receipt": receipt | {"digest": sha256(lines.encode()).hexdigest()},
    } | names


def read(told: Any, asked: Cursor | None = None) -> list[int]:
    """The positions of an answer that is taken."""
    return [each.position for each in read_page(json.dumps(told).encode(), asked).events]


def test_an_honest_page_is_taken() -> None:
    """With its cursors, conversations, and whether it was the last."""
    page = read_page(json.dumps(answer(3, [4, 7], 9)).encode(), cursor(3))
    assert [each.position for each in page.events] == [4, 7]
    assert (page.after, page.cursor, page.up_to_date) == (cursor(3), cursor(9), True)
    assert page.conversations == ({"id": "c_1"},)
    assert read(answer(3, [], 9)) == []
    assert read(answer(0, [1], 1, more=True)) == [1]


def _swap(told: dict[str, Any]) -> None:
    told["events"].reverse()


def _resign(told: dict[str, Any]) -> None:
    lines = "".join(f"{each['cursor']}\n" for each in told["events"])
    told["receipt"]["digest"] = sha256(lines.encode()).hexdigest()
    told["receipt"]["count"] = len(told["events"])


def _swap_and_resign(told: dict[str, Any]) -> None:
    _swap(told)
    _resign(told)


def _before_the_start(told: dict[str, Any]) -> None:
    told["events"].insert(0, event(2))
    _resign(told)


def _beyond_the_end(told: dict[str, Any]) -> None:
    told["events"].append(event(11))
    _resign(told)


def _of_another_log(told: dict[str, Any]) -> None:
    told["events"][1] = event(7, "e2")
    _resign(told)


def _leads_nowhere(told: dict[str, Any]) -> None:
    told.update(answer(3, [], 3, more=True))


LIES: list[Callable[[dict[str, Any]], object]] = [
    lambda told: told["events"].pop(),
    lambda told: told["events"].pop(0),
    lambda told: told["events"].append(event(8)),
    lambda told: told["events"].append(told["events"][-1]),
    lambda told: told["events"].__setitem__(0, event(5)),
    lambda told: told["events"].__setitem__(0, {"position": 4}),
    lambda told: told["receipt"].__setitem__("digest", "0" * 64),
    lambda told: told["receipt"].__setitem__("count", 3),
    lambda told: told["receipt"].__setitem__("from", str(cursor(2))),
    lambda told: told.__setitem__("cursor", str(cursor(8))),
    lambda told: told.__setitem__("after", str(cursor(2))),
    lambda told: told.pop("receipt"),
    lambda told: told.__setitem__("events", None),
    lambda told: told.__setitem__("conversations", 7),
    *(_swap, _swap_and_resign, _before_the_start, _beyond_the_end, _of_another_log),
    _leads_nowhere,
]


@pytest.mark.parametrize("lie", LIES, ids=map(str, range(len(LIES))))
def test_a_page_that_is_not_what_its_receipt_says_is_refused(
    lie: Callable[[dict[str, Any]], object],
) -> None:
    """Missing, added, moved, of another log, or a receipt of another page."""
    told = answer(3, [4, 7], 9)
    lie(told)
    with pytest.raises(SyncUnverified):
        read(told, cursor(3))


def test_a_page_that_answers_another_question_is_refused() -> None:
    """An honest page of another cursor would leave a gap."""
    with pytest.raises(SyncUnverified, match="another cursor"):
        read(answer(4, [7], 9), cursor(3))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{}", b'{"events":[]}', b"\xff"])
def test_what_is_no_page_is_refused(body: bytes) -> None:
    """A proxy's error page with status 200, for one."""
    with pytest.raises(SyncUnverified, match="cannot be read"):
        read_page(body, None)


@given(st.sets(st.integers(1, 60), max_size=30), st.data())
def test_no_event_can_be_left_out_added_or_moved(positions: set[int], data: st.DataObject) -> None:
    """For any page: another list of events than the receipt's own is never taken."""
    told = answer(0, sorted(positions), 60)
    assert read(told) == sorted(positions)
    others = data.draw(st.lists(st.integers(1, 60), max_size=30))
    told["events"] = [event(position) for position in others]
    if others != sorted(positions):
        with pytest.raises(SyncUnverified):
            read(told)
