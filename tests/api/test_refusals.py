"""Refusals are recorded in sums: an auditor sees them, and nobody can fill the log with them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api import refusals
from api.refusals import ADDRESSES_TOLD, Refusals
from api.tally import ADDRESSES_MAX, Tally
from eventstore.events import RecordedEvent, RequestsRefused
from eventstore.log import EventLog
from tests.api.serving import Place, serving


def recorded(folder: Path) -> list[RecordedEvent]:
    """All events about refusals."""

    async def read() -> list[RecordedEvent]:
        log = await EventLog.open(folder)
        try:
            return [e for e in await log.read(0, 10_000) if e.type == RequestsRefused.type]
        finally:
            await log.close()

    return asyncio.run(read())


def test_what_came_since_the_last_event_is_in_the_next() -> None:
    """Both sides' counts; nothing new is no event; times join without a gap."""
    tally = Tally()
    gathered = Refusals(tally, since_us=0)
    assert gathered.take({"total": 0}, 1_000_000) is None
    tally.refused("unauthorized", "192.0.2.7")
    tally.refused("unauthorized", "192.0.2.7")
    assert gathered.take({"total": 3}, 2_000_000) == RequestsRefused(
        since=datetime.fromtimestamp(1, UTC),
        counts={"total": 3, "unauthorized": 2},
        addresses={"192.0.2.7": 2},
    )
    tally.refused("forbidden", "192.0.2.8")
    event = gathered.take({"total": 3}, 3_000_000)
    assert event is not None
    assert (event.since, event.counts) == (datetime.fromtimestamp(2, UTC), {"forbidden": 1})
    assert event.addresses == {"192.0.2.8": 1}


def test_a_million_refusals_from_a_million_addresses_are_one_small_event() -> None:
    """What is gathered and what is told are both bounded; the busiest address is among them."""
    tally = Tally()
    gathered = Refusals(tally, since_us=0)
    for number in range(1_000_000):
        tally.refused("unauthorized", "203.0.113.9" if number % 2 else f"a{number}")
    assert len(tally.refused_from) == ADDRESSES_MAX
    event = gathered.take({}, 1)
    assert event is not None
    assert event.counts == {"unauthorized": 1_000_000}
    assert len(event.addresses) == ADDRESSES_TOLD
    assert event.addresses["203.0.113.9"] == 500_000


def test_every_kind_of_refusal_is_recorded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad token, wrong role, bad signature, foreign host, too much; at the latest at the end."""
    monkeypatch.setattr(refusals, "EVERY_S", 3600.0)
    with serving(place.folder, requests_user_per_s=0.5) as client:
        client.get("/v1/sync")
        client.get("/debug/config", headers=place.headers("ana"))
        client.post("/webhooks/orders", content=b"{}")
        client.get("/livez", headers={"Host": "evil.example"})
        for _ in range(3):
            client.get("/v1/me", headers=place.headers("otto"))
    [event] = recorded(place.folder)
    told = json.loads(event.data or b"")
    assert told["counts"] == {
        "unauthorized": 1,
        "forbidden": 1,
        "webhook-refused": 1,
        "host-unknown": 1,
        "too-many-requests": 1,
    }
    assert told["addresses"] == {"192.0.2.7": 5}
    assert event.stream == "system"


def test_without_refusals_nothing_is_recorded(place: Place) -> None:
    """A quiet server writes nothing."""
    with serving(place.folder) as client:
        client.get("/livez")
    assert recorded(place.folder) == []
