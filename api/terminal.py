"""Events as one line for a person at a terminal: what they say, escaped, and cut to fit.

Contents come from strangers. A control character could move the cursor or retitle the window, a
bidirectional override could turn a line around; both are shown as escapes.
"""

from __future__ import annotations

from typing import assert_never

from rich.cells import cell_len, set_cell_size

from eventstore.events import (
    CheckpointKeyMade,
    CheckpointSigned,
    ClientConnected,
    ClientDisconnected,
    Contact,
    ContactAliased,
    Contacts,
    Content,
    ConversationRead,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayed,
    DeliveryReplayRequested,
    DeliveryRetried,
    DeviceExpired,
    Event,
    Generic,
    HeartbeatAnswered,
    HeartbeatMissed,
    HeartbeatsCompacted,
    InboxCreated,
    Location,
    Media,
    MemberAdded,
    MemberRemoved,
    MessageEdited,
    MessageReceived,
    MessageRedacted,
    MessageRevoked,
    MessageStatusChanged,
    Notice,
    Order,
    ProjectionRebuilt,
    QueueTrimmed,
    Reaction,
    Reply,
    RequestsRefused,
    ServerStarted,
    ServerStopped,
    SyncServed,
    Text,
    TokenIssued,
    TokenRevoked,
    Unsupported,
    WebhookDuplicated,
    WebhookReceived,
    WebhookUnparsed,
)

JOINER = "\u200d"  # holds emoji together, and can do nothing else


def one_line(text: str) -> str:
    """The text with runs of white space as one space and everything unprintable escaped."""
    return "".join(map(_shown, " ".join(text.split())))


def _shown(char: str) -> str:
    return char if char.isprintable() or char == JOINER else repr(char)[1:-1]


def fit(text: str, cells: int) -> str:
    """Exactly ``cells`` terminal cells of it (wide glyphs take 2); an ellipsis for what is cut."""
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    return set_cell_size(set_cell_size(text, max(cells - 1, 0)).rstrip() + "…", cells)


def contact_name(contact: Contact) -> str:
    """What to call the contact: name, user name, phone, or id."""
    return one_line(contact.name or contact.username or contact.phone or contact.id)


def preview(content: Content) -> str:
    """A message's content in a few words."""
    return one_line(_preview(content))


def _preview(content: Content) -> str:
    match content:
        case Text():
            return content.body
        case Media():
            kind = "voice message" if content.voice else content.kind
            return _noted(kind, content.caption or content.filename)
        case Location():
            place = content.name or f"{content.latitude:.4f}, {content.longitude:.4f}"
            return _noted("location", place)
        case Contacts():
            return _noted("contact", ", ".join(each.name for each in content.contacts))
        case Order():
            return f"[order of {len(content.items)}] {content.note or ''}"
        case Reaction():
            return f"reacted {content.emoji}" if content.emoji else "took a reaction back"
        case Reply():
            return _noted("chose", content.title or content.choice_id)
        case Notice():
            return content.body or f"[{content.kind}]"
        case Generic():
            return _noted(content.event, content.text)
        case Unsupported():
            return f"[{content.kind}: cannot be shown]"
        case _:
            assert_never(content)


def _noted(kind: str, text: str | None) -> str:
    return f"[{kind}] {text or ''}"


def summary(event: Event) -> str:
    """What an event says, in a few words."""
    return one_line(_summary(event))


def _summary(event: Event) -> str:
    match event:
        case WebhookReceived():
            return f"{len(event.body):,} bytes from {event.provider}"
        case WebhookUnparsed():
            return f"{event.provider}: {event.reason}"
        case WebhookDuplicated():
            return f"another content for what {event.original} holds; that one stands"
        case MessageReceived():
            arrow = "" if event.direction == "inbound" else "→ "
            return f"{arrow}{contact_name(event.contact)}: {preview(event.content)}"
        case MessageStatusChanged():
            return f"{event.status} {event.message_id}"
        case MessageEdited():
            return f"now: {preview(event.content)}"
        case MessageRevoked():
            return f"deleted {event.message_id}"
        case MessageRedacted():
            return f"{len(event.positions)} erased by {event.by}: {event.reason}"
        case ContactAliased():
            return f"{event.alias} is the same contact ({event.reason})"
        case ConversationRead():
            return f"read up to {event.position} by {event.by}"
        case ClientConnected():
            return f"{event.outcome} after {event.position}"
        case ClientDisconnected():
            return f"{event.code} {event.reason}"
        case HeartbeatAnswered():
            return f"{event.rtt_ms:.1f} ms"
        case HeartbeatMissed():
            return f"{event.missed} in a row"
        case HeartbeatsCompacted():
            return f"heartbeats of {len(event.beats)} sessions up to {event.until}"
        case DeliveryAcknowledged():
            return f"{event.count} up to {event.until}"
        case DeliveryRetried():
            return f"attempt {event.attempt} after {event.after}: {event.reason}"
        case DeliveryParked():
            return f"{event.position} put aside: {event.reason}"
        case DeliveryReplayRequested():
            return f"{len(event.positions)} to be delivered again, by {event.by}"
        case DeliveryReplayed():
            return f"{len(event.positions)} delivered again, asked for at {event.request}"
        case DeliveryReplayAcknowledged():
            return f"{len(event.positions)} of those asked for at {event.request}"
        case DeviceExpired():
            return f"not seen since {event.last_seen_at:%Y-%m-%d}, {event.count} left out"
        case QueueTrimmed():
            return f"{event.count} up to {event.until} left out: {event.reason}"
        case SyncServed():
            return f"{event.count} up to {event.until}"
        case ServerStarted():
            return f"release {event.release}, boot {event.boot[:8]}"
        case ServerStopped():
            return f"boot {event.boot[:8]}"
        case InboxCreated():
            return f"{event.inbox} ({event.provider})"
        case MemberAdded():
            seen = ", ".join(event.inboxes) or "no inbox"
            return (
                f"{event.user}, {event.role} of {seen if event.role == 'member' else 'every inbox'}"
            )
        case MemberRemoved():
            return f"{event.user} from {event.inbox or 'everything'}"
        case TokenIssued():
            return f"{event.token[:8]} for {event.user}"
        case TokenRevoked():
            return event.token[:8]
        case RequestsRefused():
            return ", ".join(f"{count} {name}" for name, count in event.counts.items())
        case CheckpointSigned():
            return f"{event.position} by key {event.key_id}"
        case CheckpointKeyMade():
            return f"checkpoints are signed by key {event.key_id}"
        case ProjectionRebuilt():
            return f"{event.projection} at {event.position}: {event.digest[:12]}"
        case _:
            assert_never(event)
