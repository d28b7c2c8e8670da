"""From an authentic request to drafts: the raw webhook first, what was made of it after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from api.providers.contract import Request
from api.strict_json import StrictJsonError, loads
from eventstore.draft import Draft, idempotency_key
from eventstore.events import Event, WebhookReceived, WebhookUnparsed

DERIVED_MAX = 10_000
"""Events of one webhook. Meta batches a thousand updates; three megabytes of ``7,7,7`` in a list
would be a million and a half events."""

Derive = Callable[[Request, Any], Iterable[Draft]]
"""The request and its body as strict JSON in, derived drafts out."""


def record(
    request: Request,
    provider: str,
    derive: Derive,
    *,
    kept_headers: Iterable[str],
    delivery_id: str | None = None,
) -> list[Draft]:
    """``webhook.received`` and what ``derive`` makes of the body; never raises.

    ``kept_headers`` are signed and harmless; one that authenticates does not belong there.
    """
    headers = {name: request.headers[name] for name in kept_headers if name in request.headers}
    event = WebhookReceived(provider, request.body, {k: _clean(v) for k, v in headers.items()})
    ids = [] if delivery_id is None else [delivery_id]
    key = idempotency_key(request.inbox, "webhook", *ids, request.body_digest)
    received = Draft(_stream(request), event, key=key, correlation_id=request.request_id)
    try:
        return [received, *_bounded(request, provider, derive(request, loads(request.body)))]
    except StrictJsonError as error:
        return [received, unparsed(request, provider, f"not strict JSON: {error}")]
    except Exception as error:
        # A bug of ours. Raising would answer 5xx, have the provider repeat the same bytes for a
        # week and then drop them; this way they are in the log, and the bug with them.
        return [received, unparsed(request, provider, f"unexpected {type(error).__name__}")]


def _bounded(request: Request, provider: str, drafts: Iterable[Draft]) -> Iterator[Draft]:
    each = iter(drafts)
    yield from islice(each, DERIVED_MAX)
    if next(each, None) is not None:
        yield unparsed(request, provider, f"more than {DERIVED_MAX} events", "$")


def derived(request: Request, event: Event, conversation: str, *ids: str) -> Draft:
    """A draft caused by the webhook; ``ids`` (kind first) make it idempotent in the inbox."""
    key = idempotency_key(request.inbox, *ids)
    return Draft(_stream(request), event, conversation, key, request.request_id, cause=0)


def unparsed(request: Request, provider: str, reason: str, path: str = "$") -> Draft:
    """The place in the log of what was not understood, ``path`` being its JSON path."""
    key = idempotency_key(request.inbox, "unparsed", request.body_digest, path)
    event = WebhookUnparsed(provider, reason, path)
    return Draft(_stream(request), event, key=key, correlation_id=request.request_id, cause=0)


def _stream(request: Request) -> str:
    return f"inbox:{request.inbox}"


def _clean(value: str) -> str:
    # A header may come as lone surrogates, which no JSON encoder takes.
    return value.encode("utf-8", "replace").decode()
