"""What was said, and what became of it: messages with their status, edits and reactions.

Every fact is a row of its own, keyed by its position, and what a message looks like is worked out
when it is read. So a status, edit, revocation or reaction may come before its message, twice or in
the wrong order, and nothing has to be undone when an event is redacted: its row goes, or, for a
message itself, keeps only what the envelope says. That is also exactly what folding the redacted
log again gives (G13).

A message is a recorded ``message.received``. Its status is the highest reported on the lattice
sent < delivered < read < played < failed; its edit the latest by the author's clock; revoked wins
over edited, redacted over both. Of each contact's reactions to a message the last recorded counts,
and a contact is a conversation here: ids that were joined are one contact. A redacted reaction can
no longer be told from a redacted message and is shown as one. What may be redacted are messages,
their statuses, edits and revocations, and raw webhooks: joins and read marks hold no words, and a
``message.redacted`` whose positions were gone could not be folded any more.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

from typing import Any

import orjson
from attrs import field, frozen

from eventstore.codec import CONVERTER
from eventstore.events import (
    ContactAliased,
    Content,
    Event,
    MessageEdited,
    MessageReceived,
    MessageRedacted,
    MessageRevoked,
    MessageStatusChanged,
    Reaction,
    RecordedEvent,
)
from projections.aliases import alias_tables, join_step, root_at, root_of
from projections.content import shown
from projections.projection import (
    POSITION_MAX,
    Microseconds,
    Projection,
    Query,
    Statement,
    Values,
    json_list,
    microseconds,
)

RANKS = {"sent": 1, "delivered": 2, "read": 3, "played": 4, "failed": 5}

_MERGE = """
    UPDATE messages SET came_as = ifnull(came_as, conversation), conversation = new.root
    WHERE inbox = new.inbox AND conversation = new.alias;
"""


def _shown(conversation: str, at: str = "") -> str:
    """SQL for the messages as they look; ``at`` limits the facts that are taken into account."""
    return f"""
SELECT m.position, m.inbox, {conversation} AS conversation, m.recorded_at, m.message_id,
    m.direction,
    CASE WHEN edit.position IS NULL THEN m.kind ELSE edit.kind END AS kind,
    CASE WHEN revocation.position IS NOT NULL THEN NULL
        WHEN edit.position IS NULL THEN m.preview ELSE edit.preview END AS preview,
    CASE WHEN revocation.position IS NOT NULL THEN NULL
        WHEN edit.position IS NULL THEN m.content ELSE edit.content END AS content,
    m.contact_id, m.contact_name, m.sent_at, m.reply_to, m.forwarded,
    status.status, status.at AS status_at, ifnull(status.errors, '[]') AS errors,
    edit.position IS NOT NULL AS edited, revocation.position IS NOT NULL AS revoked, m.redacted
FROM messages AS m
LEFT JOIN messages_status AS status ON status.position = (
    SELECT position FROM messages_status WHERE inbox = m.inbox AND message_id = m.message_id {at}
    ORDER BY rank DESC, position LIMIT 1)
LEFT JOIN messages_edit AS edit ON edit.position = (
    SELECT position FROM messages_edit WHERE inbox = m.inbox AND message_id = m.message_id {at}
    ORDER BY at DESC, position DESC LIMIT 1)
LEFT JOIN messages_revocation AS revocation ON revocation.position = (
    SELECT position FROM messages_revocation
    WHERE inbox = m.inbox AND message_id = m.message_id {at} ORDER BY position LIMIT 1)
WHERE m.kind IS NOT 'reaction'
"""


_TABLES = f"""
CREATE TABLE messages (
    position INTEGER PRIMARY KEY, inbox TEXT NOT NULL, conversation TEXT NOT NULL,
    recorded_at INTEGER NOT NULL, redacted INTEGER NOT NULL,
    message_id TEXT, direction TEXT, kind TEXT, preview TEXT, content TEXT, reacts_to TEXT,
    contact_id TEXT, contact_name TEXT, contact_phone TEXT, contact_username TEXT,
    sent_at INTEGER, reply_to TEXT, forwarded INTEGER,
    came_as TEXT -- the conversation id it came under, where that has joined another one since
);
CREATE INDEX messages_newest ON messages (inbox, conversation, position);
CREATE INDEX messages_outbound ON messages (inbox, conversation, position)
    WHERE direction = 'outbound' AND kind <> 'reaction';
CREATE INDEX messages_reaction ON messages (inbox, reacts_to) WHERE reacts_to IS NOT NULL;
CREATE INDEX messages_contact_name ON messages (inbox, conversation, position)
    WHERE contact_name IS NOT NULL;
CREATE INDEX messages_contact_phone ON messages (inbox, conversation, position)
    WHERE contact_phone IS NOT NULL;
CREATE INDEX messages_contact_username ON messages (inbox, conversation, position)
    WHERE contact_username IS NOT NULL;

CREATE TABLE messages_status (
    position INTEGER PRIMARY KEY, inbox TEXT NOT NULL, message_id TEXT NOT NULL,
    rank INTEGER NOT NULL, status TEXT NOT NULL, at INTEGER NOT NULL, errors TEXT NOT NULL
);
CREATE INDEX messages_status_highest ON messages_status (inbox, message_id, rank);

CREATE TABLE messages_edit (
    position INTEGER PRIMARY KEY, inbox TEXT NOT NULL, message_id TEXT NOT NULL,
    at INTEGER NOT NULL, kind TEXT NOT NULL, preview TEXT, content TEXT NOT NULL
);
CREATE INDEX messages_edit_latest ON messages_edit (inbox, message_id, at, position);

CREATE TABLE messages_revocation (
    position INTEGER PRIMARY KEY, inbox TEXT NOT NULL, message_id TEXT NOT NULL, at INTEGER NOT NULL
);
CREATE INDEX messages_revocation_first ON messages_revocation (inbox, message_id, position);

CREATE VIEW messages_shown AS {_shown("m.conversation")};
{alias_tables("messages", merge=_MERGE)}
"""

_ROOT = root_of("messages", "new.inbox", "new.conversation")

_STEPS = {
    "received": f"""
    INSERT INTO messages VALUES (
        new.position, new.inbox, {_ROOT}, new.recorded_at, new.redacted, new.message_id,
        new.direction, new.kind, new.preview, new.content, new.reacts_to, new.contact_id,
        new.contact_name, new.contact_phone, new.contact_username, new.sent_at, new.reply_to,
        new.forwarded,
        nullif(new.conversation, {_ROOT}));""",
    "status_changed": """
    INSERT INTO messages_status VALUES (
        new.position, new.inbox, new.message_id, new.rank, new.status, new.at, new.errors);""",
    "edited": """
    INSERT INTO messages_edit VALUES (
        new.position, new.inbox, new.message_id, new.at, new.kind, new.preview, new.content);""",
    "revoked": """
    INSERT INTO messages_revocation VALUES (new.position, new.inbox, new.message_id, new.at);""",
    "redacted": """
    UPDATE messages SET redacted = 1, message_id = NULL, direction = NULL, kind = NULL,
        preview = NULL, content = NULL, reacts_to = NULL, contact_id = NULL, contact_name = NULL,
        contact_phone = NULL, contact_username = NULL, sent_at = NULL, reply_to = NULL,
        forwarded = NULL
    WHERE position IN (SELECT value FROM json_each(new.positions)) AND inbox = new.inbox;
    DELETE FROM messages_status
    WHERE position IN (SELECT value FROM json_each(new.positions)) AND inbox = new.inbox;
    DELETE FROM messages_edit
    WHERE position IN (SELECT value FROM json_each(new.positions)) AND inbox = new.inbox;
    DELETE FROM messages_revocation
    WHERE position IN (SELECT value FROM json_each(new.positions)) AND inbox = new.inbox;""",
    "aliased": join_step("messages"),
}


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    if (inbox := recorded.inbox) is None:
        return None
    place: Values = {"position": recorded.position, "inbox": inbox}
    match event:
        case None if recorded.type == MessageReceived.type:
            return _received(recorded, {**place, "redacted": 1})
        case MessageReceived():
            return _received(recorded, {**place, "redacted": 0, **_said(event)})
        case MessageStatusChanged():
            about = {**place, **_about(event, recorded)}
            errors = orjson.dumps(CONVERTER.unstructure(event.errors)).decode()
            told = {"rank": RANKS[event.status], "status": event.status, "errors": errors}
            return Statement("status_changed", {**about, **told})
        case MessageEdited():
            about = {**place, **_about(event, recorded)}
            return Statement("edited", {**about, **_content(event.content)})
        case MessageRevoked():
            return Statement("revoked", {**place, **_about(event, recorded)})
        case MessageRedacted():
            positions = orjson.dumps(event.positions).decode()
            return Statement("redacted", {**place, "positions": positions})
        case ContactAliased() if recorded.conversation is not None:
            joined = {"alias": event.alias, "conversation": recorded.conversation}
            return Statement("aliased", {**place, **joined})
    return None


def _received(recorded: RecordedEvent, values: Values) -> Statement | None:
    """A message, or what is left of one; without a conversation there is no place to show it."""
    if recorded.conversation is None:
        return None
    where: Values = {"conversation": recorded.conversation, "recorded_at": recorded.recorded_at}
    return Statement("received", {**values, **where})


def _said(event: MessageReceived) -> Values:
    content, contact = event.content, event.contact
    return {
        **_content(content),
        "message_id": event.message_id,
        "direction": event.direction,
        "reacts_to": content.message_id if isinstance(content, Reaction) else None,
        "contact_id": contact.id,
        "contact_name": contact.name,
        "contact_phone": contact.phone,
        "contact_username": contact.username,
        "sent_at": None if event.sent_at is None else microseconds(event.sent_at),
        "reply_to": event.reply_to,
        "forwarded": int(event.forwarded),
    }


def _content(content: Content) -> Values:
    kind, preview, text = shown(content)
    return {"kind": kind, "preview": preview, "content": text}


def _about(
    event: MessageStatusChanged | MessageEdited | MessageRevoked, recorded: RecordedEvent
) -> Values:
    """Which message, and when: where the provider does not say, when we were told."""
    at = recorded.recorded_at if event.at is None else microseconds(event.at)
    return {"message_id": event.message_id, "at": at}


MESSAGES = Projection(
    name="messages",
    version=3,
    types=frozenset(
        cls.type
        for cls in (
            MessageReceived,
            MessageStatusChanged,
            MessageEdited,
            MessageRevoked,
            MessageRedacted,
            ContactAliased,
        )
    ),
    tables=_TABLES,
    steps=_STEPS,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


@frozen
class MessageReaction:
    """An emoji somebody put on a message."""

    emoji: str
    direction: str
    contact: str
    time: Microseconds


def _optional_json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def _reactions(text: str) -> list[MessageReaction]:
    return [MessageReaction(**reaction) for reaction in orjson.loads(text)]


@frozen
class Message:
    """One message as it stands. ``content`` is None once it was revoked or redacted.

    ``id`` is the provider's, as in ``reply_to``; a redacted message has nothing left but its
    position, time and place.
    """

    position: int
    inbox: str
    conversation: str
    time: Microseconds
    id: str | None
    direction: str | None
    kind: str | None
    preview: str | None
    content: dict[str, Any] | None = field(converter=_optional_json)
    contact: str | None
    contact_name: str | None
    sent_at: Microseconds | None
    reply_to: str | None
    forwarded: bool = field(converter=bool)
    status: str | None
    status_at: Microseconds | None
    errors: list[dict[str, Any]] = field(converter=_optional_json)
    edited: bool = field(converter=bool)
    revoked: bool = field(converter=bool)
    redacted: bool = field(converter=bool)
    reactions: list[MessageReaction] = field(converter=_reactions)


def came_as_of(alias: str = "messages") -> str:
    """SQL: the conversation in which a row of ``messages`` was shown as of a position."""
    return root_at("messages", f"{alias}.inbox", f"ifnull({alias}.came_as, {alias}.conversation)")


UNTIL = "AND position <= :as_of"
SHOWN_PAST = f"messages_shown AS NOT MATERIALIZED ({_shown(came_as_of('m'), UNTIL)})"
"""A table expression that stands in for the view, as of a position."""


def _reactions_to(contact: str, at: str = "") -> str:
    return f"""(
    SELECT json_group_array(json_object(
        'emoji', emoji, 'direction', direction, 'contact', contact, 'time', time)) || ''
    FROM (
        SELECT preview AS emoji, direction, contact_id AS contact, recorded_at AS time,
            max(position) AS position
        FROM messages WHERE inbox = shown.inbox AND reacts_to = shown.message_id {at}
        GROUP BY direction, {contact} ORDER BY position
    ) WHERE emoji IS NOT NULL)"""


# Each inbox's newest come from the index alone; ordering what the join gives would first fetch and
# sort the whole conversation.
_LIST = f"""
SELECT shown.*, {_reactions_to("conversation")}
FROM (
    SELECT value AS inbox, {root_of("messages", "value", ":conversation")} AS conversation
    FROM json_each(:inboxes)
) AS wanted
CROSS JOIN messages_shown AS shown ON shown.position IN (
    SELECT position FROM messages WHERE inbox = wanted.inbox
        AND conversation = wanted.conversation AND position < :before AND kind IS NOT 'reaction'
    ORDER BY position DESC LIMIT :limit)
ORDER BY shown.position DESC LIMIT :limit
"""

# Rows stand under the root of today: those of ids that had not joined yet are passed over.
_LIST_PAST = f"""
WITH {SHOWN_PAST}
SELECT shown.*, {_reactions_to(came_as_of(), UNTIL)}
FROM (
    SELECT value AS inbox, {root_of("messages", "value", ":conversation")} AS conversation,
        {root_at("messages", "value", ":conversation")} AS was
    FROM json_each(:inboxes)
) AS wanted
CROSS JOIN messages_shown AS shown ON shown.position IN (
    SELECT position FROM messages WHERE inbox = wanted.inbox
        AND conversation = wanted.conversation AND position < :before {UNTIL}
        AND kind IS NOT 'reaction' AND {came_as_of()} = wanted.was
    ORDER BY position DESC LIMIT :limit)
ORDER BY shown.position DESC LIMIT :limit
"""


def list_messages(
    inboxes: frozenset[str], conversation: str, *, limit: int = 50, before: int | None = None
) -> Query[Message]:
    """The newest messages of a conversation, newest first; ``before`` is the last one's position.

    An id that joined another conversation finds that one.
    """
    parameters: Values = {
        "inboxes": json_list(inboxes),
        "conversation": conversation,
        "before": POSITION_MAX if before is None else before,
        "limit": limit,
    }
    return Query(_LIST, parameters, Message, (MESSAGES.name,), _LIST_PAST)
