"""``/metrics``: what this process knows of itself, in the conventions of Prometheus.

Nothing is kept here. The objects that do the work count in plain numbers, and these functions read
them when somebody asks. No label is a user's, a contact's or a stranger's: who is connected is at
``/debug/connections``, for admins.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from api.house import RELEASE, House
from api.silence import Silence
from api.tally import Tally
from eventstore.folder import free_bytes, log_path
from eventstore.histogram import Histogram

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Scrape(Collector):
    """All figures, once. ``now_us`` is µs since the Unix epoch."""

    def __init__(
        self, house: House, tally: Tally, silences: Sequence[Silence], now_us: int
    ) -> None:
        self._house = house
        self._tally = tally
        self._silences = silences
        self._now_us = now_us

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's protocol."""
        yield from _server(self._house, self._tally)
        yield from _log(self._house)
        yield from _disk(self._house)
        yield from _projections(self._house)
        yield from _delivery(self._house)
        yield from _connections(self._house, self._now_us)
        yield from _http(self._tally)
        yield from _refusals(self._house, self._tally)
        yield from _silence(self._silences)
        yield from PROCESS_COLLECTOR.collect()
        yield from GC_COLLECTOR.collect()

    def text(self) -> bytes:
        """In the text format."""
        return generate_latest(self)


def _server(house: House, tally: Tally) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "malote_build_info", "What runs here; always 1.", labels=("release", "sqlite")
    )
    build.add_metric((RELEASE, sqlite3.sqlite_version), 1)
    yield build
    yield _gauge("ready", "Whether /readyz answers 200.", not house.troubles())
    yield _gauge("tasks_failed", "Background tasks that crashed.", len(house.tasks.failed))
    yield _counter("crashes", "Requests that ended in an exception of ours.", tally.crashes)


def _log(house: House) -> Iterator[Metric]:
    log, figures = house.log, house.log.figures
    yield _gauge("log_position", "The head of the log.", log.head.position)
    yield _gauge("log_writable", "Whether appends are taken.", log.writable)
    yield _gauge("log_waiting_events", "Events that wait to be committed.", log.waiting)
    yield _histogram("log_commit_seconds", "From group to durable.", {(): figures.seconds})
    yield _histogram("log_commit_events", "Events of a commit.", {(): figures.events})
    yield _counter("log_write_failures", "Writes whose outcome was unknown.", figures.failures)
    yield _counter("events_recorded", "Events, by type.", house.recorded, "type")


def _disk(house: House) -> Iterator[Metric]:
    path = log_path(house.log.folder)
    sizes = GaugeMetricFamily("malote_log_size_bytes", "The log's files.", labels=("file",))
    for kind, file in (("database", path), ("wal", path.with_name(f"{path.name}-wal"))):
        sizes.add_metric((kind,), file.stat().st_size if file.exists() else 0)
    yield sizes
    yield _gauge("disk_free_bytes", "What the data folder may still take.", free_bytes(path.parent))
    yield _gauge("disk_reserve_bytes", "Below this, webhooks get 503.", house.log.disk_reserve)


def _projections(house: House) -> Iterator[Metric]:
    projector = house.projector
    lag = house.log.head.position - projector.position
    yield _gauge("projection_position", "How far the projections are.", projector.position)
    yield _gauge("projection_lag_events", "Log head minus projection head.", max(0, lag))
    yield _gauge("projection_trouble", "Whether the fold does not get on.", bool(projector.trouble))
    yield _gauge("projection_skipped_events", "Events it cannot read.", projector.skipped)


def _delivery(house: House) -> Iterator[Metric]:
    figures = house.hub.figures
    yield _counter("deliveries_acknowledged", "Events devices handled.", figures.acknowledged)
    yield _counter("deliveries_retried", "Times a session sent again.", figures.retried)
    yield _counter("deliveries_parked", "Events put aside for a device.", figures.parked)
    yield _counter("deliveries_skipped", "Events that a device was not sent.", figures.skipped)
    yield _counter(
        "deliveries_replayed", "Parked events delivered again.", figures.replayed, "outcome"
    )
    yield _counter("devices_expired", "Devices that stayed away too long.", figures.devices_expired)
    yield _counter("fell_behind", "Sessions a commit left behind.", house.hub.fell_behind)
    yield _gauge("ledger_residue_events", "What no account accounts for.", house.balance.residue)
    yield _histogram("delivery_ack_seconds", "From commit to ack.", {(): figures.ack_seconds})
    yield _counter("sessions_opened", "By how the cursor was taken.", figures.openings, "outcome")
    yield _counter("sessions_closed", "By close code.", figures.closings, "code")
    yield _counter("gaps", "Announced gaps in what a device gets.", figures.gaps, "cause")
    yield _counter("heartbeats_missed", "Pings without a pong.", figures.heartbeats_missed)
    yield _counter("heartbeats_compacted", "To samples by minute.", house.heartbeats_compacted)
    yield _histogram(
        "heartbeat_round_trip_seconds", "From ping to pong.", {(): figures.round_trip_seconds}
    )


def _connections(house: House, now_us: int) -> Iterator[Metric]:
    connections, figures = house.hub.connections, house.hub.figures
    poor = in_flight = 0
    oldest = now_us
    for connection in connections:
        poor += connection.session.quality == "poor"
        in_flight += connection.session.in_flight[0]
        if connection.outstanding:
            since = figures.waiting_since(connection.session.floor.position)
            oldest = min(oldest, since or now_us)
    yield _gauge("connections", "Open sessions.", len(connections))
    yield _gauge("connections_poor", "Open sessions of poor quality.", poor)
    yield _gauge("connections_unauthenticated", "Before hello.", house.hub.doors.strangers)
    yield _gauge("delivery_in_flight_events", "Sent, not acknowledged.", in_flight)
    yield _gauge(
        "delivery_oldest_unacknowledged_seconds",
        "Age of the oldest event that a connected device has not acknowledged.",
        (now_us - oldest) / 1_000_000,
    )


def _http(tally: Tally) -> Iterator[Metric]:
    yield _counter("http_requests", "Answers.", tally.answers, "route", "method", "status")
    seconds: dict[tuple[str, ...], Histogram] = {
        (route,): histogram for route, histogram in tally.seconds.items()
    }
    yield _histogram("http_request_seconds", "Until the answer was out.", seconds, "route")
    yield _counter("webhooks", "Webhooks.", tally.webhooks, "provider", "outcome")


def _refusals(house: House, tally: Tally) -> Iterator[Metric]:
    refusals = {**house.hub.refusals, **tally.refusals}
    yield _counter("refusals", "Who was not let in, or asked too much.", refusals, "name")


def _silence(silences: Sequence[Silence]) -> Iterator[Metric]:
    expected = GaugeMetricFamily(
        "malote_inbox_missing_messages",
        "What it should have got since its newest message; over 10 is no chance.",
        labels=("inbox",),
    )
    newest = GaugeMetricFamily(
        "malote_inbox_newest_message_timestamp_seconds", "Its newest message.", labels=("inbox",)
    )
    for silence in silences:
        expected.add_metric((silence.inbox,), silence.expected)
        newest.add_metric((silence.inbox,), silence.newest_at / 1_000_000)
    yield expected
    yield newest


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"malote_{name}", text, value=value)


def _counter(name: str, text: str, values: float | Mapping[Any, int], *labels: str) -> Metric:
    """One number, or numbers by the values of some labels."""
    if not isinstance(values, Mapping):
        return CounterMetricFamily(f"malote_{name}", text, value=values)
    family = CounterMetricFamily(f"malote_{name}", text, labels=labels)
    for key, value in values.items():
        family.add_metric(
            [str(part) for part in (key if isinstance(key, tuple) else (key,))], value
        )
    return family


def _histogram(
    name: str, text: str, values: Mapping[tuple[str, ...], Histogram], *labels: str
) -> Metric:
    family = HistogramMetricFamily(f"malote_{name}", text, labels=labels)
    for key, histogram in values.items():
        buckets = [
            ("+Inf" if bound == float("inf") else str(float(bound)), count)
            for bound, count in histogram.cumulative()
        ]
        family.add_metric(key, buckets, histogram.sum)
    return family
