"""Standard Webhooks 1.0.0: any system of the user's own, signed as ``id.timestamp.body``.

The payload that gives the best result:

    {"type": "order.paid",
     "timestamp": "2026-11-22T10:00:00Z",                     ISO 8601, or seconds since 1970
     "data": {"text": "Order 1042 was paid",                  or "body", or "message"
              "contact": {"id": "customer-7", "name": "Ana", "phone": "+55 …", "username": "ana"},
              "direction": "outbound",                        where our side wrote it
              "reply_to": "<webhook-id of another>"}}

Only ``type`` must be there. The contact is the first of ``data.contact``, ``data.from``,
``data.sender``, ``data.customer``, ``data.user`` that is an id (text or integer) or an object with
an ``id``, or else a ``phone`` or ``email`` to serve as one. Where none is, the inbox itself is the
contact: what systems say about nobody in particular is one conversation. ``data`` may be any JSON
and is shown as it is. The ``webhook-id`` is the message id and the idempotency key.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from api.providers.contract import (
    Request,
    Secret,
    SecretMalformed,
    SignatureInvalid,
    active,
    conversation_id,
)
from api.providers.drafting import derived, record, unparsed
from api.providers.node import Node
from eventstore.draft import Draft
from eventstore.events import Contact, Generic, MessageReceived

name = "standard"
body_bytes_max = 256 * 1024

TOLERANCE_S = 5 * 60
_PREFIX = b"whsec_"
# A full stop would make "id.timestamp.body" say two things.
_ID = re.compile(r"[!-\-/-~]{1,256}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_TEXT_KEYS = ("text", "body", "message")
_CONTACT_KEYS = ("contact", "from", "sender", "customer", "user")
_KEPT_HEADERS = ("content-type", "webhook-id", "webhook-timestamp")


def challenge(
    query: Mapping[str, str],  # noqa: ARG001 - there is no handshake to answer
    verify_token: str | None,  # noqa: ARG001
) -> str | None:
    """None: Standard Webhooks knows no handshake."""
    return None


def check_secret(secret: Secret) -> None:
    """Raise :class:`SecretMalformed` unless the secret is ``whsec_`` and base64."""
    _key(secret)


def new_secret(entropy: bytes) -> str:
    """``whsec_`` and the base64 of these bytes."""
    return (_PREFIX + b64encode(entropy)).decode()


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now_s: int) -> None:
    """Raise :class:`SignatureInvalid` unless id, timestamp and these very bytes are signed."""
    delivery_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    header = headers.get("webhook-signature", "").encode("utf-8", "surrogatepass")
    signed = _signed_content(delivery_id, timestamp, body)
    # The signature is worked out whatever the headers look like: malformed costs what wrong costs.
    matches = [
        hmac.compare_digest(_signature(key, signed), offered)
        for key in _keys(active(secrets, now_s))
        for offered in header.split(b" ")
    ]
    if not (any(matches) and _ID.fullmatch(delivery_id) and _is_fresh(timestamp, now_s)):
        raise SignatureInvalid


def sign(
    body: bytes,
    secret: Secret,
    *,
    now_s: int,
    id: str | None = None,  # noqa: A002 - the specification's word
) -> dict[str, str]:
    """The headers of a delivery; without an ``id`` the body gives it, so that a repeat is one."""
    delivery_id = id or "msg_" + sha256(body).hexdigest()[:24]
    signed = _signed_content(delivery_id, str(now_s), body)
    return {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": _signature(_key(secret), signed).decode(),
    }


def _signed_content(delivery_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{delivery_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body


def _signature(key: bytes, signed: bytes) -> bytes:
    return b"v1," + b64encode(hmac.digest(key, signed, "sha256"))


def _keys(secrets: Sequence[Secret]) -> list[bytes]:
    keys = []
    for secret in secrets:
        # Refused when it was added; should one slip in, the others must go on.
        with suppress(SecretMalformed):
            keys.append(_key(secret))
    return keys


def _key(secret: Secret) -> bytes:
    encoded = secret.value.removeprefix(_PREFIX)
    try:
        # Some systems leave the padding out.
        key = b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except Base64Error:
        key = b""
    if not key or encoded == secret.value:
        raise SecretMalformed("a standard secret is whsec_ and base64")
    return key


def _is_fresh(timestamp: str, now_s: int) -> bool:
    return bool(_TIMESTAMP.fullmatch(timestamp)) and abs(now_s - int(timestamp)) <= TOLERANCE_S


def parse(request: Request) -> list[Draft]:
    """``webhook.received`` and the message it carries."""
    delivery_id = request.headers.get("webhook-id")
    return record(request, name, _derive, kept_headers=_KEPT_HEADERS, delivery_id=delivery_id)


def _derive(request: Request, body: Any) -> Iterator[Draft]:
    payload = Node(body)
    if not isinstance(body, dict):
        yield unparsed(request, name, "not an object")
    elif (event := payload.maybe_text("type")) is None:
        yield unparsed(request, name, "no type")
    else:
        yield _message(request, payload, event)


def _message(request: Request, payload: Node, event: str) -> Draft:
    data = payload.maybe_child("data")
    contact = _contact(data) or Contact(id=request.inbox, name=request.inbox)
    message_id = request.headers.get("webhook-id") or request.body_digest
    message = MessageReceived(
        message_id=message_id,
        contact=contact,
        content=Generic(event, _text(payload, data), payload.get("data")),
        direction="outbound" if data.get("direction") == "outbound" else "inbound",
        sent_at=_time(payload),
        reply_to=data.maybe_text("reply_to"),
    )
    conversation = conversation_id(request.inbox, contact.id)
    return derived(request, message, conversation, "message", message_id)


def _text(payload: Node, data: Node) -> str | None:
    texts = (data.maybe_text(key) for key in _TEXT_KEYS)
    return next(filter(None, texts), None) or payload.maybe_text("data")


def _contact(data: Node) -> Contact | None:
    contacts = (_read_contact(data.member(key)) for key in _CONTACT_KEYS)
    return next(filter(None, contacts), None)


def _read_contact(node: Node) -> Contact | None:
    if not isinstance(node.value, dict):
        id_ = _id_text(node.value)
        return Contact(id_) if id_ else None
    id_ = _id_text(node.get("id")) or node.maybe_text("phone") or node.maybe_text("email")
    if id_ is None:
        return None
    return Contact(
        id=id_,
        name=node.maybe_text("name"),
        phone=node.maybe_text("phone"),
        username=node.maybe_text("username"),
    )


def _id_text(value: Any) -> str | None:
    if type(value) is int:
        return str(value)
    return value if isinstance(value, str) and value else None


def _time(payload: Node) -> datetime | None:
    text = payload.maybe_text("timestamp")
    try:
        moment = datetime.fromisoformat(text or "")
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return payload.maybe_time("timestamp")
    # Years of fewer than four digits have no text that is read back.
    return moment if moment.year >= 1000 else None
