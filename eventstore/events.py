"""The event vocabulary: one frozen class per recorded fact, named in the past tense.

An event class holds only what the fact itself says (its ``data``). Where and when it was recorded
(position, time, stream, conversation, causes) is the envelope: :class:`RecordedEvent`.

Streams: ``inbox:<id>`` (what providers told us), ``client:<user>/<device>`` (what became of its
delivery) and ``system``. Members see ``message.*``, ``contact.*`` and ``conversation.*`` of their
inboxes, auditors see everything (DESIGN section 4).

A change of an event's shape is a new ``version`` and an upcast in :mod:`eventstore.codec`; the old
bytes in the log never change.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias

from attrs import field, frozen

Role: TypeAlias = Literal["member", "auditor", "admin"]
Direction: TypeAlias = Literal["inbound", "outbound"]
Status: TypeAlias = Literal["sent", "delivered", "read", "played", "failed"]

# --- what a message says -----------------------------------------------------------------------


@frozen
class Contact:
    """Who is at the other end.

    ``id`` is the provider's most stable id (for WhatsApp the business-scoped user id where the
    payload has one, else the phone's ``wa_id``); the phone number is an attribute, never the key.
    """

    id: str
    name: str | None = None
    phone: str | None = None
    username: str | None = None


@frozen
class ProviderError:
    """An error the provider reported beside, or in place of, a message or status."""

    code: int | None = None
    title: str | None = None
    detail: str | None = None


@frozen
class Text:
    """Plain text. Always shown as text, never as HTML."""

    body: str


@frozen
class Media:
    """An image, audio, video, document or sticker; the bytes stay with the provider.

    ``url`` is what the provider gave and usually expires within minutes; ``media_id`` does not.
    """

    kind: Literal["image", "audio", "video", "document", "sticker"]
    media_id: str | None = None
    mime_type: str | None = None
    sha256: str | None = None
    caption: str | None = None
    filename: str | None = None
    url: str | None = None
    voice: bool = False
    animated: bool = False


@frozen
class Location:
    """A point on the map, with a name and address where the contact chose a place."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None
    url: str | None = None


@frozen
class SharedContact:
    """One address card inside :class:`Contacts`."""

    name: str
    phones: tuple[str, ...] = ()


@frozen
class Contacts:
    """Address cards that the contact shared."""

    contacts: tuple[SharedContact, ...]


@frozen
class OrderItem:
    """One line of an :class:`Order`; ``price`` is per piece, in ``currency``."""

    product: str
    quantity: float
    price: float | None = None
    currency: str | None = None


@frozen
class Order:
    """A cart sent from the business's catalogue."""

    catalog: str | None
    items: tuple[OrderItem, ...]
    note: str | None = None


@frozen
class Reaction:
    """An emoji on another message; ``emoji`` is None when the contact took it back."""

    message_id: str
    emoji: str | None


@frozen
class Reply:
    """A choice among offered ones: a button, a list row, a form.

    ``choice_id`` is the developer's payload, ``title`` what the contact saw, ``form`` the answers
    of a flow as the JSON text the provider sent.
    """

    kind: Literal["button", "button_reply", "list_reply", "form"]
    choice_id: str | None = None
    title: str | None = None
    description: str | None = None
    form: str | None = None


@frozen
class Notice:
    """Something the provider itself says inside a conversation, such as a changed number."""

    kind: str
    body: str | None = None


@frozen
class Generic:
    """A message of the user's own systems (Standard Webhooks): free data with an optional text."""

    event: str
    text: str | None = None
    data: Any = None


@frozen
class Unsupported:
    """A message whose kind we, or the provider, cannot show; the raw webhook has all of it."""

    kind: str
    errors: tuple[ProviderError, ...] = ()


Content: TypeAlias = (
    Text | Media | Location | Contacts | Order | Reaction | Reply | Notice | Generic | Unsupported
)

# --- stream inbox:<id> -------------------------------------------------------------------------


@frozen
class WebhookReceived:
    """An authentic webhook, as it came: the verified bytes and the headers that were signed.

    Headers that authenticate (signatures, tokens) are left out; they prove nothing later and some
    providers send the secret itself.
    """

    type: ClassVar[str] = "webhook.received"
    version: ClassVar[int] = 1
    provider: str
    body: bytes
    headers: dict[str, str] = field(factory=dict)


@frozen
class WebhookUnparsed:
    """An authentic webhook, or a part of one, that we do not understand; it waits in the log."""

    type: ClassVar[str] = "webhook.unparsed"
    version: ClassVar[int] = 1
    provider: str
    reason: str
    path: str | None = None


@frozen
class WebhookDuplicated:
    """A known idempotency key came again with another content; the first one stands.

    ``original`` is the position of the event first stored under the key.
    """

    type: ClassVar[str] = "webhook.duplicated"
    version: ClassVar[int] = 1
    original: int


@frozen
class MessageReceived:
    """A contact wrote a message, or the business wrote one from another device (``outbound``).

    ``message_id`` is the provider's, unique within the inbox. ``sent_at`` is the provider's clock
    and may be absent or wrong; order is the log's.
    """

    type: ClassVar[str] = "message.received"
    version: ClassVar[int] = 1
    message_id: str
    contact: Contact
    content: Content
    direction: Direction = "inbound"
    sent_at: datetime | None = None
    reply_to: str | None = None
    forwarded: bool = False
    referral: dict[str, Any] | None = None


@frozen
class MessageStatusChanged:
    """The provider told how far an outbound message got; reports come late, twice and unordered."""

    type: ClassVar[str] = "message.status_changed"
    version: ClassVar[int] = 1
    message_id: str
    status: Status
    at: datetime | None = None
    errors: tuple[ProviderError, ...] = ()


@frozen
class MessageEdited:
    """The author replaced a message's content; ``message_id`` names the original."""

    type: ClassVar[str] = "message.edited"
    version: ClassVar[int] = 1
    message_id: str
    content: Content
    at: datetime | None = None


@frozen
class MessageRevoked:
    """The author deleted a message for everybody; ``message_id`` names the original."""

    type: ClassVar[str] = "message.revoked"
    version: ClassVar[int] = 1
    message_id: str
    at: datetime | None = None


@frozen
class MessageRedacted:
    """An auditor erased the content of the events at ``positions`` (LGPD/GDPR).

    ``about`` is where others are that were about it and stay: statuses, revocations, reactions. It
    was by the provider's id that they were found from it, and that is gone.
    """

    type: ClassVar[str] = "message.redacted"
    version: ClassVar[int] = 1
    positions: tuple[int, ...]
    reason: str
    by: str
    about: tuple[int, ...] = ()


@frozen
class ContactAliased:
    """Two ids turned out to be one contact: conversation ``alias`` joins the envelope's one."""

    type: ClassVar[str] = "contact.aliased"
    version: ClassVar[int] = 1
    alias: str
    reason: Literal["user_id", "changed_number"]


@frozen
class ConversationRead:
    """A user has seen the conversation up to ``position``."""

    type: ClassVar[str] = "conversation.read"
    version: ClassVar[int] = 1
    position: int
    by: str


# --- stream client:<user>/<device> -------------------------------------------------------------


@frozen
class ClientConnected:
    """A device opened a session; ``outcome`` is how its cursor was taken.

    ``inboxes`` are those that the session is given, from its first to its last event; None where an
    older release did not say.
    """

    type: ClassVar[str] = "client.connected"
    version: ClassVar[int] = 1
    session: str
    boot: str
    outcome: Literal["resumed", "fresh", "reset"]
    position: int
    address: str | None = None
    inboxes: tuple[str, ...] | None = None


@frozen
class ClientDisconnected:
    """A session ended. ``code`` is the WebSocket close code, 1006 where there was none."""

    type: ClassVar[str] = "client.disconnected"
    version: ClassVar[int] = 1
    session: str
    code: int
    reason: str


@frozen
class HeartbeatAnswered:
    """A client answered our ping after ``rtt_ms`` milliseconds."""

    type: ClassVar[str] = "heartbeat.answered"
    version: ClassVar[int] = 1
    session: str
    rtt_ms: float


@frozen
class HeartbeatMissed:
    """A client did not answer in time; ``missed`` counts the misses in a row."""

    type: ClassVar[str] = "heartbeat.missed"
    version: ClassVar[int] = 1
    session: str
    missed: int


@frozen
class DeliveryAcknowledged:
    """A device handled everything it was sent with ``after`` < position <= ``until``.

    ``count`` is how many events that were, counted by the session that sent them.
    """

    type: ClassVar[str] = "delivery.acknowledged"
    version: ClassVar[int] = 1
    session: str
    after: int
    until: int
    count: int


@frozen
class DeliveryRetried:
    """No ack came: the session went back to its ack floor and sent again."""

    type: ClassVar[str] = "delivery.retried"
    version: ClassVar[int] = 1
    session: str
    after: int
    attempt: int
    reason: str


@frozen
class DeliveryParked:
    """One event was put aside for a device, by its ``nack`` or after the last attempt."""

    type: ClassVar[str] = "delivery.parked"
    version: ClassVar[int] = 1
    session: str
    position: int
    reason: str


@frozen
class DeliveryReplayRequested:
    """Parked events of this device are to be delivered again: they are outstanding once more.

    A position that is not parked for the device changes nothing.
    """

    type: ClassVar[str] = "delivery.replay_requested"
    version: ClassVar[int] = 1
    positions: tuple[int, ...]
    by: str


@frozen
class DeliveryReplayed:
    """Parked events were sent again; ``request`` is where in the log that was asked for."""

    type: ClassVar[str] = "delivery.replayed"
    version: ClassVar[int] = 1
    session: str
    request: int
    positions: tuple[int, ...]


@frozen
class DeliveryReplayAcknowledged:
    """A device handled what was delivered again; these events are parked no more.

    What it puts aside instead is parked again, by another ``delivery.parked``.
    """

    type: ClassVar[str] = "delivery.replay_acknowledged"
    version: ClassVar[int] = 1
    session: str
    request: int
    positions: tuple[int, ...]


@frozen
class DeviceExpired:
    """A device was not seen since ``last_seen_at``, for longer than its limit: it is closed.

    Nothing waits for it from here on until it connects again. The ``count`` unsettled events of
    ``inboxes`` with ``after`` < position <= ``until`` are skipped; replays not acknowledged are
    parked again. Where ``inboxes`` is None, it is those of the device's last session.
    """

    type: ClassVar[str] = "device.expired"
    version: ClassVar[int] = 1
    last_seen_at: datetime
    after: int
    until: int
    count: int
    inboxes: tuple[str, ...] | None = None


@frozen
class QueueTrimmed:
    """Events that a device is not sent any more; they stay in the log and in /v1/sync.

    Its offline queue passed a limit, or its cursor was void and it started over (``reset``).
    """

    type: ClassVar[str] = "queue.trimmed"
    version: ClassVar[int] = 1
    session: str
    after: int
    until: int
    count: int
    reason: Literal["queue_limit", "expired", "reset"]


@frozen
class SyncServed:
    """A user asked /v1/sync for a range and got ``count`` events with this digest."""

    type: ClassVar[str] = "sync.served"
    version: ClassVar[int] = 1
    after: int
    until: int
    count: int
    digest: str


# --- stream system -----------------------------------------------------------------------------


@frozen
class ServerStarted:
    """A server took the log; sessions of any other ``boot`` are over."""

    type: ClassVar[str] = "server.started"
    version: ClassVar[int] = 1
    boot: str
    release: str


@frozen
class ServerStopped:
    """The server of this ``boot`` let the log go in good order."""

    type: ClassVar[str] = "server.stopped"
    version: ClassVar[int] = 1
    boot: str


@frozen
class InboxCreated:
    """An inbox exists from here on. Its secrets are in the keyring, never in the log."""

    type: ClassVar[str] = "inbox.created"
    version: ClassVar[int] = 1
    inbox: str
    provider: str


@frozen
class MemberAdded:
    """A user exists, or has these role and inboxes from now on."""

    type: ClassVar[str] = "member.added"
    version: ClassVar[int] = 1
    user: str
    role: Role
    inboxes: tuple[str, ...] = ()


@frozen
class MemberRemoved:
    """A user left the inbox, or, with ``inbox`` None, the organisation."""

    type: ClassVar[str] = "member.removed"
    version: ClassVar[int] = 1
    user: str
    inbox: str | None = None


@frozen
class TokenIssued:
    """A token was made. ``token`` is its public id; the secret half is nowhere but at its owner."""

    type: ClassVar[str] = "token.issued"
    version: ClassVar[int] = 1
    token: str
    user: str
    expires_at: datetime | None = None


@frozen
class TokenRevoked:
    """A token is void from here on."""

    type: ClassVar[str] = "token.revoked"
    version: ClassVar[int] = 1
    token: str


@frozen
class RequestsRefused:
    """What was refused since ``since``: ``counts`` by name, and the addresses most of it came from.

    Gathered over a minute, so that nobody fills the log by being refused.
    """

    type: ClassVar[str] = "requests.refused"
    version: ClassVar[int] = 1
    since: datetime
    counts: dict[str, int]
    addresses: dict[str, int] = field(factory=dict)


@frozen
class CompactedBeats:
    """What is left of the heartbeats of one session of ``user``'s ``device``.

    Each of ``minutes`` is (minute, n, min, mean, p95, max, missed): the minute counted from the
    Unix epoch, how many pings were answered in it, their round trips in µs (0 where there was
    none), and how many were missed.
    """

    user: str
    device: str
    session: str
    minutes: tuple[tuple[int, ...], ...]


@frozen
class HeartbeatsCompacted:
    """Every heartbeat with ``after`` < position <= ``until`` lost its content, and this is left.

    A range begins where the one before ended and ends with a whole minute.
    """

    type: ClassVar[str] = "heartbeat.compacted"
    version: ClassVar[int] = 1
    after: int
    until: int
    beats: tuple[CompactedBeats, ...]


@frozen
class CheckpointSigned:
    """The log signed its own state: chain ``hash`` at ``position``, hex.

    ``epoch`` is the log's name then; a restored log keeps the checkpoints of the one before.
    """

    type: ClassVar[str] = "checkpoint.signed"
    version: ClassVar[int] = 1
    epoch: str
    position: int
    hash: str
    time: datetime
    key_id: str
    public_key: str
    signature: str


@frozen
class CheckpointKeyMade:
    """From here on checkpoints are signed with this key, an Ed25519 public key in hex."""

    type: ClassVar[str] = "checkpoint.key_made"
    version: ClassVar[int] = 1
    key_id: str
    public_key: str


@frozen
class ProjectionRebuilt:
    """A projection was folded anew from the first event; ``digest`` is what came out."""

    type: ClassVar[str] = "projection.rebuilt"
    version: ClassVar[int] = 1
    projection: str
    position: int
    digest: str


Event: TypeAlias = (
    WebhookReceived
    | WebhookUnparsed
    | WebhookDuplicated
    | MessageReceived
    | MessageStatusChanged
    | MessageEdited
    | MessageRevoked
    | MessageRedacted
    | ContactAliased
    | ConversationRead
    | ClientConnected
    | ClientDisconnected
    | HeartbeatAnswered
    | HeartbeatMissed
    | HeartbeatsCompacted
    | DeliveryAcknowledged
    | DeliveryRetried
    | DeliveryParked
    | DeliveryReplayRequested
    | DeliveryReplayed
    | DeliveryReplayAcknowledged
    | DeviceExpired
    | QueueTrimmed
    | SyncServed
    | ServerStarted
    | ServerStopped
    | InboxCreated
    | MemberAdded
    | MemberRemoved
    | TokenIssued
    | TokenRevoked
    | RequestsRefused
    | CheckpointSigned
    | CheckpointKeyMade
    | ProjectionRebuilt
)


@frozen
class RecordedEvent:
    """An event in the log: the envelope, and ``data`` as the stored JSON bytes.

    ``recorded_at`` is µs since the Unix epoch, UTC, strictly increasing with ``position``.
    ``data`` is None once redacted. ``causation_id`` is the position of the event that caused this
    one; ``correlation_id`` the request that did. ``hash`` is the chain hash here, 32 bytes.
    """

    position: int
    recorded_at: int
    stream: str
    conversation: str | None
    type: str
    version: int
    data: bytes | None
    correlation_id: str | None
    causation_id: int | None
    hash: bytes

    @property
    def inbox(self) -> str | None:
        """The inbox this event belongs to, None for client and system streams."""
        return self.stream[6:] if self.stream.startswith("inbox:") else None

    @property
    def for_members(self) -> bool:
        """Whether members of the inbox see it: raw webhooks are for auditors only."""
        return self.stream.startswith("inbox:") and not self.type.startswith("webhook.")
