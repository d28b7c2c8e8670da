"""What the provider tests share: how a payload is put together and handed to a parser."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.providers import PROVIDERS, Request
from eventstore.draft import Draft

NOW_S = 1_800_000_000


@pytest.fixture
def whatsapp_body() -> Callable[..., bytes]:
    """Builds a webhook whose changes have the given values."""

    def build(*values: Any, field: Any = "messages") -> bytes:
        changes = [{"field": field, "value": value} for value in values]
        entry = {"id": "1", "changes": changes}
        return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()

    return build


@pytest.fixture
def parse() -> Callable[..., list[Draft]]:
    """Parses a webhook to the inbox ``shop``; checks the raw event and gives what was derived."""

    def run(provider: str, body: bytes, headers: dict[str, str] | None = None) -> list[Draft]:
        request = Request("shop", headers or {}, body, NOW_S * 1_000_000, "request-1")
        drafts = PROVIDERS[provider].parse(request)
        assert drafts[0].event.type == "webhook.received"
        assert [draft.cause for draft in drafts] == [None] + [0] * (len(drafts) - 1)
        assert {draft.correlation_id for draft in drafts} == {"request-1"}
        assert {draft.stream for draft in drafts} == {"inbox:shop"}
        for draft in drafts[1:]:
            # A bug of ours would be caught and recorded, and pass for something not understood.
            assert not getattr(draft.event, "reason", "").startswith("unexpected")
        return drafts[1:]

    return run
