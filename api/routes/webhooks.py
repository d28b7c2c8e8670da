"""Webhooks in: verify the raw bytes, append, COMMIT, answer (PROTOCOL section 2).

The order is the promise. Nothing is parsed before the signature over the received bytes held, and
nothing is answered 2xx before the log has it on disk (GUARANTEES, G1, G5, G6).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from api.house import House
from api.middleware import OUTCOME
from api.problems import (
    BODY_TOO_LARGE,
    CHALLENGE_REFUSED,
    ENCODING_NOT_SUPPORTED,
    LOG_UNAVAILABLE,
    WEBHOOK_REFUSED,
    Problem,
)
from api.providers import PROVIDERS
from api.providers import contract as providers
from api.rate_limits import RateLimits
from api.routes.answer import as_json
from api.tally import tally_of
from eventstore.draft import Draft, Receipt
from eventstore.log import LogUnavailable, wall_clock_us

TOLD_MAX = 10
"""Positions in a webhook's log line; the log has all of them under its request id."""

_log = structlog.get_logger()

# For an inbox nobody knows: some provider's work is done all the same, against a secret nobody
# has, so that neither the answer nor the time it takes tells which inboxes there are.
_DUMMY = PROVIDERS["standard"]
_DUMMY_SECRET = providers.Secret(_DUMMY.new_secret(secrets.token_bytes(24)).encode())


async def receive(request: Request) -> Response:
    """POST /webhooks/{inbox}: 200 with a receipt per message, once they are durable."""
    house: House = request.state.house
    inbox = request.path_params["inbox"]
    provider, known = _judge(house, inbox)
    name = provider.name if known else "unknown"
    webhooks = tally_of(request).webhooks
    try:
        _demand_identity(request)
        body = await _read_body(
            request, min(provider.body_bytes_max, house.settings.webhook_bytes_max)
        )
        told = await accept(request, inbox, _headers(request), body)
    except Problem as problem:
        webhooks[name, problem.kind.name] += 1
        raise
    except LogUnavailable:
        webhooks[name, LOG_UNAVAILABLE.name] += 1
        raise
    webhooks[name, "duplicate" if all(receipt.duplicate for receipt in told) else "accepted"] += 1
    request.scope[OUTCOME] = {"positions": [receipt.position for receipt in told[:TOLD_MAX]]}
    return answer(told)


async def accept(
    request: Request, inbox: str, headers: Mapping[str, str], body: bytes
) -> list[Receipt]:
    """Verify, parse, append: the receipts to answer with, durable."""
    house: House = request.state.house
    limits: RateLimits = request.app.state.limits
    ident: str = request.scope["request_id"]
    provider, known = _judge(house, inbox)
    now_us = wall_clock_us()
    try:
        provider.verify(headers, body, known or (_DUMMY_SECRET,), now_us // 1_000_000)
    except providers.SignatureInvalid:
        _log.warning("webhook refused", inbox=inbox[:64], bytes=len(body))
        raise Problem(WEBHOOK_REFUSED) from None
    limits.check_inbox(inbox)
    drafts = provider.parse(providers.Request(inbox, headers, body, now_us, ident))
    return _told(drafts, await house.log.append(drafts))


def _judge(house: House, inbox: str) -> tuple[providers.Provider, Sequence[providers.Secret]]:
    name = house.projector.access.inboxes.get(inbox)
    if name is None or name not in PROVIDERS:
        return _DUMMY, ()
    return PROVIDERS[name], house.records.keyring.secrets(inbox)


def _demand_identity(request: Request) -> None:
    # What was signed is what was sent, and a few bytes of gzip become gigabytes.
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Problem(ENCODING_NOT_SUPPORTED, headers=_CLOSE)


# The rest of a refused body is not read: the connection ends with the answer.
_CLOSE = {"Connection": "close"}


async def _read_body(request: Request, bytes_max: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > bytes_max:
        raise Problem(BODY_TOO_LARGE, f"at most {bytes_max} bytes", headers=_CLOSE)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bytes_max:
            raise Problem(BODY_TOO_LARGE, f"at most {bytes_max} bytes", headers=_CLOSE)
        chunks.append(chunk)
    return b"".join(chunks)


def _headers(request: Request) -> Mapping[str, str]:
    # Latin-1 takes every byte, so that a header with "é" is compared and refused, not a crash.
    return {key.decode("latin-1"): value.decode("latin-1") for key, value in request.headers.raw}


def _told(drafts: Sequence[Draft], receipts: Sequence[Receipt]) -> list[Receipt]:
    """The receipts of the messages; of the stored webhook itself where there are none.

    What we noticed beside them (two ids of one contact) is no concern of the provider's.
    """
    messages = [
        receipt
        for draft, receipt in zip(drafts, receipts, strict=True)
        if draft.event.type.startswith("message.")
    ]
    return messages or list(receipts[:1])


def answer(told: Sequence[Receipt]) -> Response:
    """What the provider gets: the receipts, and how many of them were known before."""
    duplicates = sum(receipt.duplicate for receipt in told)
    body = {
        "accepted": len(told) - duplicates,
        "duplicates": duplicates,
        "receipts": [{"position": r.position, "hash": r.hash.hex()} for r in told],
    }
    return as_json(body)


async def challenge(request: Request) -> Response:
    """GET /webhooks/{inbox}: the provider's handshake; refused alike for whatever reason."""
    house: House = request.state.house
    inbox = request.path_params["inbox"]
    provider, _ = _judge(house, inbox)
    answer = provider.challenge(request.query_params, house.records.keyring.verify_token(inbox))
    if answer is None:
        raise Problem(CHALLENGE_REFUSED)
    return PlainTextResponse(answer)
