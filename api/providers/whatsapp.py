"""WhatsApp Cloud API: the handshake, the signature, and the walk through a batch.

One POST may mix a thousand updates of any kind, in any order. Each is derived on its own: what is
malformed or unknown becomes ``webhook.unparsed`` with its JSON path, and the rest is not touched by
it. What a message says is read in :mod:`api.providers.whatsapp_content`, who it is from in
:mod:`api.providers.whatsapp_contacts`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from attrs import frozen

from api.providers.contract import Request, Secret, SignatureInvalid, active, conversation_id
from api.providers.drafting import derived, record, unparsed
from api.providers.node import Malformed, Node
from api.providers.whatsapp_contacts import People, Person, aliases, joined, maybe_wa_id
from api.providers.whatsapp_content import content, provider_errors
from eventstore.draft import Draft
from eventstore.events import (
    Direction,
    MessageEdited,
    MessageReceived,
    MessageRevoked,
    MessageStatusChanged,
    ProviderError,
    Status,
)

name = "whatsapp"
body_bytes_max = 3 * 1024 * 1024

_OBJECT = "whatsapp_business_account"
_STATUSES: Mapping[str, Status] = {status: status for status in get_args(Status)}
_FIELDS = ("messages", "smb_message_echoes")
_BESIDE = ("messaging_product", "metadata", "contacts", "errors")
_NUMBER_CHANGES = ("user_changed_number", "customer_changed_number")
_CHALLENGE = re.compile(r"[!-~]{1,256}", re.ASCII)

Derive = Callable[[Node], Iterator[Draft]]
"""The drafts of one part of the payload; raises :class:`Malformed`, before any of them, where it
makes no sense."""


# --- handshake and signature -------------------------------------------------------------------


def challenge(query: Mapping[str, str], verify_token: str | None) -> str | None:
    """``hub.challenge``, if the query subscribes and knows our token."""
    offered = query.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
    expected = (verify_token or "").encode("utf-8", "surrogatepass")
    knows = hmac.compare_digest(offered, expected) and verify_token
    text = query.get("hub.challenge", "")
    if not knows or query.get("hub.mode") != "subscribe" or not _CHALLENGE.fullmatch(text):
        return None
    return text


def check_secret(secret: Secret) -> None:
    """Nothing to check: Meta's app secret may be any text."""


def new_secret(entropy: bytes) -> str:
    """A secret in the form of Meta's app secrets: hex digits."""
    return entropy.hex()


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now_s: int) -> None:
    """Raise :class:`SignatureInvalid` unless ``X-Hub-Signature-256`` signs these very bytes."""
    offered = headers.get("x-hub-signature-256", "").encode("utf-8", "surrogatepass")
    # All are tried whatever the header looks like: a malformed one costs what a wrong one costs.
    matches = [
        hmac.compare_digest(_signature(secret, body), offered) for secret in active(secrets, now_s)
    ]
    if not any(matches):
        raise SignatureInvalid


def sign(
    body: bytes,
    secret: Secret,
    *,
    now_s: int,  # noqa: ARG001 - this signature has no time in it
    id: str | None = None,  # noqa: A002, ARG001 - nor an id
) -> dict[str, str]:
    """The headers Meta would send with this body."""
    return {
        "content-type": "application/json",
        "x-hub-signature-256": _signature(secret, body).decode(),
    }


def _signature(secret: Secret, body: bytes) -> bytes:
    return b"sha256=" + hmac.digest(secret.value, body, "sha256").hex().encode()


# --- the batch ---------------------------------------------------------------------------------


def parse(request: Request) -> list[Draft]:
    """``webhook.received``, then what each update of the batch says, in its order."""
    return record(request, name, _derive, kept_headers=("content-type",))


def _derive(request: Request, body: Any) -> Iterator[Draft]:
    drafts = _understood(request, Node(body), partial(_envelope, request))
    yield next(drafts, None) or unparsed(request, name, "nothing in it")
    yield from drafts


def _understood(request: Request, node: Node, derive: Derive) -> Iterator[Draft]:
    """What ``derive`` makes of the node, or the node as not understood: malformation ends here."""
    try:
        yield from derive(node)
    except Malformed as error:
        inner = error.path.removeprefix(node.path).lstrip(".")
        reason = f"{inner}: {error.reason}" if inner else error.reason
        yield unparsed(request, name, reason, node.path)


def _each(request: Request, derive: Derive, listing: Node) -> Iterator[Draft]:
    for element in listing.elements():
        yield from _understood(request, element, derive)


def _envelope(request: Request, body: Node) -> Iterator[Draft]:
    if body.get("object") != _OBJECT:
        raise Malformed(body.path, f"not a {_OBJECT}")
    return _each(request, partial(_entry, request), body.member("entry"))


def _entry(request: Request, entry: Node) -> Iterator[Draft]:
    return _each(request, partial(_change, request), entry.member("changes"))


def _change(request: Request, change: Node) -> Iterator[Draft]:
    if (field := change.text("field")) not in _FIELDS:
        raise Malformed(change.path, f"field {field[:80]}")
    value = change.child("value")
    batch = Batch(request, People(value), provider_errors(value))
    for key in value.value:
        yield from _member(batch, value, value.member(key), key)


def _member(batch: Batch, value: Node, member: Node, key: str) -> Iterator[Draft]:
    """What one member of a ``value`` says; members of a future version are not lost silently."""
    request = batch.request
    if key in _PARTS:
        derive = partial(_PARTS[key], batch)
        yield from _understood(request, member, partial(_each, request, derive))
    elif key == "errors" and not value.get("messages"):
        yield unparsed(request, name, "errors without a message", member.path)
    elif key not in _BESIDE and isinstance(member.value, (dict, list)):
        yield unparsed(request, name, "not known", member.path)


# --- one update --------------------------------------------------------------------------------


@frozen
class Batch:
    """What the updates of one ``value`` share: whom they name, and the errors beside them."""

    request: Request
    people: People
    errors: tuple[ProviderError, ...]


def _inbound(batch: Batch, message: Node) -> Iterator[Draft]:
    sender = batch.people.find(message, "from_user_id", "from")
    yield from _message(batch, message, sender, "inbound")
    yield from _number_change(batch.request, message, sender)


def _echo(batch: Batch, message: Node) -> Iterator[Draft]:
    """A message the business wrote on its phone."""
    recipient = batch.people.find(message, "to_user_id", "to")
    return _message(batch, message, recipient, "outbound")


def _message(batch: Batch, message: Node, person: Person, direction: Direction) -> Iterator[Draft]:
    request, message_id = batch.request, message.text("id")
    event = _message_event(batch, message, person, direction)
    conversation = conversation_id(request.inbox, message.maybe_text("group_id") or person.key)
    yield from aliases(request, person)
    yield derived(request, event, conversation, "message", message_id)


def _message_event(
    batch: Batch, message: Node, person: Person, direction: Direction
) -> MessageReceived | MessageEdited | MessageRevoked:
    kind, at = message.text("type"), message.maybe_time("timestamp")
    if kind == "edit":
        edit = message.child("edit")
        return MessageEdited(edit.text("original_message_id"), content(edit.child("message")), at)
    if kind == "revoke":
        return MessageRevoked(message.child("revoke").text("original_message_id"), at)
    context = message.maybe_child("context")
    return MessageReceived(
        message_id=message.text("id"),
        contact=person.contact,
        content=content(message, batch.errors),
        direction=direction,
        sent_at=at,
        reply_to=context.maybe_text("id"),
        forwarded=context.flag("forwarded") or context.flag("frequently_forwarded"),
        referral=message.maybe_child("referral").value or None,
    )


def _number_change(request: Request, message: Node, before: Person) -> Iterator[Draft]:
    """The old conversation joins the new one; a new number comes with a new user id."""
    system = message.maybe_child("system")
    if message.get("type") != "system" or system.get("type") not in _NUMBER_CHANGES:
        return
    # Up to version 11 the new id was new_wa_id, and wa_id the old one.
    wa_id = maybe_wa_id(system, "new_wa_id") or maybe_wa_id(system, "wa_id")
    now = Person(system.maybe_text("user_id"), wa_id)
    if now.is_known:
        yield from aliases(request, now)
        yield from joined(request, now.key, before.key, "changed_number")


def _status(batch: Batch, status: Node) -> Iterator[Draft]:
    request, people = batch.request, batch.people
    word, message_id = status.text("status"), status.text("id")
    if word not in _STATUSES:
        raise Malformed(status.path, f"status {word[:80]}")
    if status.get("recipient_type") == "group":
        person = people.maybe_find(
            status, "recipient_participant_user_id", "recipient_participant_id"
        )
        contact_key = status.text("recipient_id")
    else:
        person = people.find(status, "recipient_user_id", "recipient_id")
        contact_key = person.key
    if person is not None:
        yield from aliases(request, person)
    event = MessageStatusChanged(
        message_id, _STATUSES[word], status.maybe_time("timestamp"), provider_errors(status)
    )
    conversation = conversation_id(request.inbox, contact_key)
    ids = (message_id, word, str(status.get("timestamp")))
    yield derived(request, event, conversation, "status", *ids)


_PARTS: Mapping[str, Callable[[Batch, Node], Iterator[Draft]]] = {
    "messages": _inbound,
    "statuses": _status,
    "message_echoes": _echo,
}
