"""``/metrics``: who may scrape, what it tells, and that dashboard and alerts ask for that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tests.api.serving import Place, connected, order, post, serving
from tests.api.test_deliveries import settle

DOCS = Path(__file__).parent.parent.parent / "docs" / "monitoring"
LOOPBACK = "127.0.0.1"
_NAMES = re.compile(r"\b(?:malote|process|python)_[a-z_]+")
_RATES = re.compile(r"\b(?:rate|increase)\(((?:malote|process|python)_[a-z_]+)(?:{[^}]*})?\[")


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A server on it, asked from loopback."""
    with serving(place.folder, address=LOOPBACK) as client:
        yield client


def scraped(client: TestClient) -> dict[str, dict[str, float]]:
    """Each family's samples by their labels' text, as Prometheus' own parser reads them."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    families: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.name not in families, "a family comes once"
        families[family.name] = {
            f"{sample.name.removeprefix(family.name)}{sorted(sample.labels.values())}": sample.value
            for sample in family.samples
        }
    return families


def test_a_webhook_is_counted_by_provider_and_outcome(client: TestClient) -> None:
    """Accepted, repeated, refused; and by route, method, status; and as events."""
    post(client, "orders", order("m-1"))
    post(client, "orders", order("m-1"))
    client.post("/webhooks/orders", content=b"{}")
    client.post("/webhooks/nobody", content=b"{}")
    found = scraped(client)
    assert found["malote_webhooks"] == {
        "_total['accepted', 'standard']": 1,
        "_total['duplicate', 'standard']": 1,
        "_total['standard', 'webhook-refused']": 1,
        "_total['unknown', 'webhook-refused']": 1,
    }
    assert found["malote_http_requests"]["_total['/webhooks/{inbox}', '200', 'POST']"] == 2
    assert found["malote_events_recorded"]["_total['message.received']"] == 1
    assert found["malote_log_commit_seconds"]["_count[]"] >= 1
    assert found["malote_ready"] == {"[]": 1}


def test_every_family_keeps_prometheus_conventions(client: TestClient) -> None:
    """Names in our namespace, a help text, base units, and no label that a stranger chooses."""
    post(client, "orders", order("m-1"))
    for family in text_string_to_metric_families(client.get("/metrics").text):
        assert re.fullmatch(r"(malote|process|python)_[a-z0-9_]+", family.name)
        assert family.documentation
        assert family.documentation.endswith(".") or not family.name.startswith("malote")
        assert family.type in SUFFIXES
        assert not re.search(r"(ms|milliseconds|minutes|kb|mb|percent|ratio)$", family.name)
        assert not re.search(r"_(total|sum|count|bucket|gauge|counter|histogram)$", family.name)
        for sample in family.samples:
            assert sample.name.removeprefix(family.name) in SUFFIXES[family.type], sample.name
            assert sample.value >= 0
        labels = {label for sample in family.samples for label in sample.labels}
        allowed = {"release", "sqlite", "type", "file", "outcome", "code", "cause", "route", "le"}
        allowed |= {"method", "status", "provider", "name", "inbox", "generation"}
        assert labels <= allowed, family.name


@pytest.mark.parametrize(
    ("address", "headers", "settings", "status"),
    [
        (LOOPBACK, {}, {}, 200),
        ("::1", {}, {}, 200),
        ("192.0.2.7", {}, {}, 401),
        (LOOPBACK, {"X-Forwarded-For": "192.0.2.7"}, {}, 401),
        (LOOPBACK, {"Forwarded": "for=192.0.2.7"}, {}, 401),
        (LOOPBACK, {}, {"public_base_url": "https://inbox.example.org"}, 401),
    ],
)
def test_only_a_scrape_from_this_very_machine_needs_no_token(
    place: Place, address: str, headers: dict[str, str], settings: dict[str, Any], status: int
) -> None:
    """What comes through a proxy has its address, and is not from here."""
    with serving(place.folder, address=address, **settings) as client:
        assert client.get("/metrics", headers=headers).status_code == status
        admin = client.get("/metrics", headers=headers | place.headers("adm"))
        assert admin.status_code == 200
        member = client.get("/metrics", headers=headers | place.headers("ana"))
        assert member.status_code == (200 if status == 200 else 403)


def test_yesterday_can_be_asked(client: TestClient, place: Place) -> None:
    """By the minute, for auditors and admins, within a range that ends before its end."""
    post(client, "orders", order("m-1"))
    client.get("/v1/sync", headers=place.headers("adm"))  # which waits for the projections
    admin = place.headers("adm")
    answer = client.get("/v1/metrics/history?limit=10", headers=admin).json()
    assert sum(minute["messages"] for minute in answer["minutes"]) == 1
    assert answer["cursor"]
    past = "since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z"
    assert client.get(f"/v1/metrics/history?{past}", headers=admin).json()["minutes"] == []
    assert client.get("/v1/metrics/history?limit=0", headers=admin).status_code == 400
    for user, status in (("ana", 403), ("aud", 200)):
        answer = client.get("/v1/metrics/history", headers=place.headers(user))
        assert answer.status_code == status


SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def exported(client: TestClient, place: Place) -> dict[str, tuple[str, set[str]]]:
    """Each series that a server with some traffic exports: its type, and its labels."""
    post(client, "orders", order("m-1"))
    client.get("/v1/sync")  # refused
    with connected(client, place, "ana"):
        pass
    settle(client)
    found = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        labels = {label for sample in family.samples for label in sample.labels}
        for suffix in SUFFIXES[family.type]:
            found[f"{family.name}{suffix}"] = (family.type, labels)
    return found


def demand_answerable(expression: str, series: dict[str, tuple[str, set[str]]]) -> None:
    """It asks for what there is, for rates of what only grows, and by labels that it has."""
    names = set(_NAMES.findall(expression))
    assert names <= set(series), expression
    rates = set(_RATES.findall(expression))
    grow = {name for name in names if series[name][0] != "gauge"}
    assert grow == rates & names, f"a rate of each counter and of nothing else: {expression}"
    labels = {label for name in names for label in series[name][1]} | {"job"}  # Prometheus' own
    assert set(_labels(expression)) <= labels, expression
    assert expression.count("(") == expression.count(")")


def _labels(expression: str) -> Iterator[str]:
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        yield from grouped.split(", ")
    for selector in re.findall(r"{([^}]*)}", expression):
        yield from re.findall(r"(\w+)(?:=|!=|=~|!~)", selector)


def test_the_dashboard_asks_for_what_is_exported(client: TestClient, place: Place) -> None:
    """A renamed metric must not leave an empty panel behind; no panel overlaps another."""
    panels = json.loads((DOCS / "grafana-dashboard.json").read_text())["panels"]
    series = exported(client, place)
    for panel in panels:
        assert panel["targets"]
        for target in panel["targets"]:
            demand_answerable(target["expr"], series)
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_no_panel_draws_seconds_bytes_and_counts_on_one_axis() -> None:
    """What is of another unit than its panel has an axis of its own, and no factor to fit in."""
    panels = json.loads((DOCS / "grafana-dashboard.json").read_text())["panels"]
    for panel in panels:
        units = panel["fieldConfig"]
        own = {
            rule["matcher"]["options"]: rule["properties"][0]["value"]
            for rule in units["overrides"]
        }
        for target in panel["targets"]:
            unit = own.get(target["legendFormat"], units["defaults"]["unit"])
            assert (unit == "s") == _is_time(target["expr"]), target["expr"]
            assert (unit == "bytes") == ("_bytes" in target["expr"]), target["expr"]


def _is_time(expression: str) -> bool:
    return "_seconds" in expression and "cpu" not in expression


def test_the_alerts_ask_for_what_is_exported_and_say_what_to_do(
    client: TestClient, place: Place
) -> None:
    """An alert on a name that is gone never fires, and nobody notices."""
    [group] = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"]
    series = exported(client, place)
    for rule in group["rules"]:
        demand_answerable(rule["expr"], series)
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
    assert all(set(rule["annotations"]) == {"summary", "action"} for rule in group["rules"])
    assert all(rule["labels"]["severity"] in {"page", "ticket"} for rule in group["rules"])
