"""Rates: what is too much is refused with the time to come back, in bounded memory."""

from __future__ import annotations

import pytest

from api.problems import Problem
from api.rate_limits import BURST_S, KEYS_MAX, Limiter, RateLimits
from api.settings import Settings
from tests.api.serving import Place, chat, order, post, serving


def test_a_burst_and_then_the_rate() -> None:
    """Four seconds' worth at once; then one each tenth of a second."""
    limiter = Limiter(10)
    assert [limiter.allows("ana", 0.0) for _ in range(41)] == [True] * 40 + [False]
    assert limiter.allows("ana", 0.11)
    assert not limiter.allows("ana", 0.12)
    assert limiter.allows("otto", 0.12), "each key has its own"


def test_a_million_keys_take_no_more_memory_than_ten_thousand() -> None:
    """A flood of invented addresses must not become a flood of memory."""
    limiter = Limiter(1)
    for number in range(1_000_000):
        limiter.allows(str(number), 0.0)
    assert len(limiter) == KEYS_MAX


def test_who_keeps_asking_is_not_forgotten() -> None:
    """Only keys that were quiet for longer than all the others begin anew."""
    limiter = Limiter(1, keys_max=2)
    for _ in range(int(BURST_S)):
        assert limiter.allows("ana", 0.0)
    for number in range(10):
        limiter.allows(str(number), 0.0)
        assert not limiter.allows("ana", 0.0)


def test_each_limit_says_when_to_come_back() -> None:
    """429 for a user; 503 for an inbox: Twilio knows no 429, and every provider repeats a 503."""
    settings = Settings(requests_user_per_s=0.25, webhooks_inbox_per_s=0.25)
    limits = RateLimits.of(settings)
    for check, status in ((limits.check_user, 429), (limits.check_inbox, 503)):
        check("x")
        with pytest.raises(Problem) as refused:
            check("x")
        assert refused.value.kind.status == status
        assert refused.value.headers == {"Retry-After": "4"}


def test_a_user_who_asks_too_much_is_told_and_another_is_served(place: Place) -> None:
    """Also before their role is looked at; the problem is counted."""
    with serving(place.folder, requests_user_per_s=0.5) as client:
        answers = [client.get("/v1/me", headers=place.headers("ana")) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["retry-after"] == "2"
        assert answers[2].json()["type"] == "urn:malote:problem:too-many-requests"
        assert client.get("/v1/me", headers=place.headers("otto")).status_code == 200


def test_an_address_that_asks_too_much_still_delivers_webhooks(place: Place) -> None:
    """Behind a proxy everything has one address, and no message may be lost by that."""
    with serving(place.folder, requests_address_per_s=0.5) as client:
        statuses = [client.get("/livez").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert [post(client, "orders", order(f"m-{n}")).status_code for n in range(5)] == [200] * 5


def test_an_inbox_that_gets_too_much_answers_503_and_another_takes_its_webhooks(
    place: Place,
) -> None:
    """Only authentic webhooks count: a stranger must not use up an inbox's rate."""
    with serving(place.folder, webhooks_inbox_per_s=0.5) as client:
        for _ in range(10):
            assert client.post("/webhooks/orders", content=b"{}").status_code == 401
        answers = [post(client, "orders", order(f"m-{n}")) for n in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 503]
        assert answers[2].headers["retry-after"] == "2"
        assert post(client, "support", chat("s-1")).status_code == 200
