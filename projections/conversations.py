"""The list an agent looks at: one row per conversation, with its counts and what was last said.

The rows here count; the words (contact, preview, status) are read from ``messages`` at the same
position, so that an edit, a revocation or a redaction shows in the list by itself, and nothing
personal is kept twice.

What a conversation counted is kept as of each position at which that changed, so that the list can
be shown as it was; the words of a past list are those that are known now, as with any fold of a log
that was redacted since.

Each ``message.received`` is an *entry*, and an entry is one of: a reaction, which is shown on its
message and counts as none; a message; an unread message, which is an inbound one until a
``conversation.read`` reaches its position. Entries keep the id under which they came; which
conversation that is now, the alias table says. A redacted entry is a read message, whatever it was
before: its direction is not known any more, and folding the redacted log again must agree (G13).
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

from enum import IntEnum
from typing import Any

import orjson
from attrs import frozen

from eventstore.events import (
    ContactAliased,
    ConversationRead,
    Event,
    MessageEdited,
    MessageReceived,
    MessageRedacted,
    MessageRevoked,
    MessageStatusChanged,
    Reaction,
    RecordedEvent,
)
from projections.aliases import alias_tables, join_step, members_of, root_at, root_of
from projections.messages import MESSAGES, SHOWN_PAST, UNTIL, came_as_of
from projections.projection import (
    POSITION_MAX,
    Microseconds,
    Projection,
    Query,
    Statement,
    Values,
    json_list,
)


class Entry(IntEnum):
    """What a ``message.received`` counts as."""

    REACTION = 0
    MESSAGE = 1
    UNREAD = 2


# Two parts of a conversation's count, or two conversations that turn out to be one, add up.
_ADD_UP = """
    ON CONFLICT DO UPDATE SET
        messages = messages + excluded.messages, unread = unread + excluded.unread,
        last_position = max(last_position, excluded.last_position),
        last_at = max(last_at, excluded.last_at),
        read_position = max(read_position, excluded.read_position),
        touched = max(touched, excluded.touched)"""


def _keep(conversation: str) -> str:
    """SQL: keep what a conversation, of new.inbox, counts as of new.position."""
    return f"""
    INSERT OR REPLACE INTO conversations_version
    SELECT id, touched, messages, unread, last_position, read_position
    FROM conversations WHERE inbox = new.inbox AND conversation = {conversation};"""


_MERGE = f"""
    INSERT INTO conversations_gone SELECT inbox, conversation, id, new.position
    FROM conversations WHERE inbox = new.inbox AND conversation = new.alias;
    INSERT INTO conversations
    SELECT inbox, new.root, messages, unread, last_position, last_at, read_position, new.position,
        new.position
    FROM conversations WHERE inbox = new.inbox AND conversation = new.alias {_ADD_UP};
    DELETE FROM conversations WHERE inbox = new.inbox AND conversation = new.alias;
    UPDATE conversations SET touched = new.position
    WHERE inbox = new.inbox AND conversation = new.root; {_keep("new.root")}
"""

_ROOT = root_of("conversations", "new.inbox", "new.conversation")
_ENTRY_ROOT = root_of("conversations", "entry.inbox", "entry.conversation")
_TARGET_ROOT = f"""(
        SELECT {_ENTRY_ROOT} FROM conversations_entry AS entry WHERE position = new.target)"""
_UNREAD = f"""(
        SELECT count(*) FROM conversations_entry AS entry
        WHERE entry.state = 2 AND entry.inbox = conversations.inbox AND entry.conversation IN
            {members_of("conversations", "conversations.inbox", "conversations.conversation")})"""

_ENTRY_MEMBERS = members_of("conversations", "entry.inbox", _ENTRY_ROOT)
_ENTRY_THEN = root_at("conversations", "entry.inbox", "entry.conversation", "touched")


def _ids(which: str) -> str:
    return f"""
            SELECT id FROM conversations WHERE inbox = entry.inbox AND conversation {which}
            UNION ALL
            SELECT id FROM conversations_gone WHERE inbox = entry.inbox AND conversation {which}"""


# Who folds the log now finds a read message from the first: so it is in all versions it was in.
_REWRITE = f"""
    UPDATE conversations_version SET
        messages = messages + (entry.state = 0),
        last_position = iif(entry.state = 0, max(last_position, entry.position), last_position),
        unread = unread - (
            entry.state = 2 OR entry.read_at IS NOT NULL AND touched < entry.read_at)
    FROM conversations_entry AS entry
    WHERE entry.position = new.target AND entry.inbox = new.inbox
        AND id IN ({_ids(f"IN {_ENTRY_MEMBERS}")}) AND touched >= entry.position
        AND id = ({_ids(f"= {_ENTRY_THEN}")});"""

_TABLES = f"""
CREATE TABLE conversations (
    inbox TEXT NOT NULL, conversation TEXT NOT NULL,
    messages INTEGER NOT NULL, unread INTEGER NOT NULL,
    last_position INTEGER NOT NULL, last_at INTEGER NOT NULL,
    read_position INTEGER NOT NULL, touched INTEGER NOT NULL,
    id INTEGER NOT NULL, -- the position of the event that made the row: short, for the versions
    PRIMARY KEY (inbox, conversation)
) WITHOUT ROWID;
CREATE TABLE conversations_version (
    id INTEGER NOT NULL, touched INTEGER NOT NULL, messages INTEGER NOT NULL,
    unread INTEGER NOT NULL, last_position INTEGER NOT NULL, read_position INTEGER NOT NULL,
    PRIMARY KEY (id, touched)
) WITHOUT ROWID;
CREATE TABLE conversations_gone (
    inbox TEXT NOT NULL, conversation TEXT NOT NULL, id INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (inbox, conversation)
) WITHOUT ROWID;
CREATE INDEX conversations_newest ON conversations (inbox, last_position);
CREATE INDEX conversations_touched ON conversations (inbox, touched);

CREATE TABLE conversations_entry (
    position INTEGER PRIMARY KEY, inbox TEXT NOT NULL, conversation TEXT NOT NULL,
    recorded_at INTEGER NOT NULL, state INTEGER NOT NULL,
    read_at INTEGER -- the position at which an unread message was read
);
CREATE INDEX conversations_entry_unread ON conversations_entry (inbox, conversation, position)
    WHERE state = 2;

CREATE VIEW conversations_redact AS SELECT 0 AS position, '' AS inbox, 0 AS target;
CREATE TRIGGER conversations_redact_one INSTEAD OF INSERT ON conversations_redact BEGIN
    {_REWRITE}
    INSERT INTO conversations
    SELECT entry.inbox, {_ENTRY_ROOT}, 1, 0, entry.position, entry.recorded_at, 0, new.position,
        new.position
    FROM conversations_entry AS entry
    WHERE entry.position = new.target AND entry.inbox = new.inbox AND entry.state = 0 {_ADD_UP};
    UPDATE conversations_entry SET state = 1, read_at = NULL
    WHERE position = new.target AND inbox = new.inbox;
    UPDATE conversations SET unread = {_UNREAD}, touched = new.position
    WHERE inbox = new.inbox AND conversation = {_TARGET_ROOT};
    {_keep(_TARGET_ROOT)}
END;
{alias_tables("conversations", merge=_MERGE)}
"""

_STEPS = {
    "received": f"""
    INSERT INTO conversations_entry
    VALUES (new.position, new.inbox, new.conversation, new.recorded_at, new.state, NULL);
    INSERT INTO conversations SELECT new.inbox, {_ROOT}, new.state > 0, new.state = 2,
        iif(new.state > 0, new.position, 0), iif(new.state > 0, new.recorded_at, 0),
        0, new.position, new.position WHERE true {_ADD_UP}; {_keep(_ROOT)}""",
    "read": f"""
    UPDATE conversations_entry SET state = 1, read_at = new.position
    WHERE state = 2 AND inbox = new.inbox AND position <= new.until
        AND conversation IN {members_of("conversations", "new.inbox", _ROOT)};
    UPDATE conversations SET unread = {_UNREAD},
        read_position = max(read_position, new.until), touched = new.position
    WHERE inbox = new.inbox AND conversation = {_ROOT}; {_keep(_ROOT)}""",
    "redacted": """
    INSERT INTO conversations_redact
    SELECT new.position, new.inbox, value FROM json_each(new.positions);""",
    "aliased": join_step("conversations"),
    "touched": f"""
    UPDATE conversations SET touched = new.position
    WHERE inbox = new.inbox AND conversation = {_ROOT}; {_keep(_ROOT)}""",
}

_TOUCHING = frozenset(
    {MessageStatusChanged.type, MessageEdited.type, MessageRevoked.type, ContactAliased.type}
)


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    inbox, conversation, position = recorded.inbox, recorded.conversation, recorded.position
    if inbox is None:
        return None
    place: Values = {"position": position, "inbox": inbox}
    if isinstance(event, MessageRedacted):
        positions = orjson.dumps(event.positions).decode()
        return Statement("redacted", {**place, "positions": positions})
    if conversation is None:
        return None
    place = {**place, "conversation": conversation}
    match event:
        case _ if recorded.type == MessageReceived.type:
            entry = {"recorded_at": recorded.recorded_at, "state": _entry(event)}
            return Statement("received", {**place, **entry})
        case ConversationRead():
            # Nobody has read what was not recorded: the mark never reaches beyond its own event.
            return Statement("read", {**place, "until": min(event.position, position)})
        case ContactAliased():
            return Statement("aliased", {**place, "alias": event.alias})
        case _ if recorded.type in _TOUCHING:
            return Statement("touched", place)
    return None


def _entry(event: Event | None) -> int:
    if not isinstance(event, MessageReceived):
        return Entry.MESSAGE.value
    if isinstance(event.content, Reaction):
        return Entry.REACTION.value
    return (Entry.UNREAD if event.direction == "inbound" else Entry.MESSAGE).value


CONVERSATIONS = Projection(
    name="conversations",
    version=3,
    types=_TOUCHING | {MessageReceived.type, MessageRedacted.type, ConversationRead.type},
    tables=_TABLES,
    steps=_STEPS,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


@frozen
class ConversationContact:
    """The other end, as the newest message that said it told."""

    id: str | None
    name: str | None
    phone: str | None
    username: str | None


@frozen
class Preview:
    """The last message in a line. A UI puts ``kind`` into words; ``text`` is the message's own."""

    kind: str | None
    text: str | None
    direction: str | None
    revoked: bool
    redacted: bool


@frozen
class Conversation:
    """One contact in one inbox. ``aliases`` are ids that turned out to be this conversation.

    ``outbound_status`` is the status of the last outbound message. ``touched`` is the last position
    that changed anything here.
    """

    id: str
    inbox: str
    contact: ConversationContact
    last: Preview
    last_position: int
    last_at: Microseconds
    messages: int
    unread: int
    read_position: int
    outbound_status: str | None
    aliases: list[str]
    touched: int


def conversation_row(*columns: Any) -> Conversation:
    """A row of :func:`shown_rows` as it is handed out."""
    id_, inbox, last_position, last_at, messages, unread, read_position, touched = columns[:8]
    kind, text, direction, revoked, redacted, status, aliases = columns[8:15]
    return Conversation(
        id_,
        inbox,
        ConversationContact(*columns[15:]),
        Preview(kind, text, direction, bool(revoked), bool(redacted)),
        last_position,
        last_at,
        messages,
        unread,
        read_position,
        status,
        orjson.loads(aliases),
        touched,
    )


def _newest(column: str, where: str, past: bool) -> str:
    """SQL: a column of the newest message of conversation ``c`` of which something is true."""
    of = "c.conversation"
    if past:
        of, where = "c.now", f"{where} {UNTIL} AND {came_as_of()} = c.conversation"
    return f"""(SELECT {column} FROM messages WHERE inbox = c.inbox AND conversation = {of}
        AND {where} ORDER BY position DESC LIMIT 1)"""


def _aliases(past: bool) -> str:
    """SQL: the ids that joined conversation ``c``."""
    joined = "root = c.conversation"
    if past:
        then = root_at("conversations", "c.inbox", "each.alias")
        joined = f"root = c.now AND alias <> c.conversation AND {then} = c.conversation"
    return f"""(SELECT json_group_array(alias) || '' FROM (
        SELECT alias FROM conversations_alias AS each
        WHERE inbox = c.inbox AND {joined} ORDER BY alias))"""


def shown_rows(*more: str, past: bool = False) -> str:
    """SQL that reads, for each row of a table expression ``c`` of conversations, what is shown.

    ``more`` are further columns, after those of :func:`conversation_row`. In the ``past`` a row of
    ``c`` also has ``now``, the id under which the conversation is found today.
    """
    outbound = _newest("position", "direction = 'outbound' AND kind <> 'reaction'", past)
    contact = (
        _newest(column, f"{column} IS NOT NULL", past)
        for column in ("contact_id", "contact_name", "contact_phone", "contact_username")
    )
    return f"""
SELECT c.conversation, c.inbox, c.last_position, c.last_at, c.messages, c.unread, c.read_position,
    c.touched, last.kind, last.preview, last.direction, last.revoked, last.redacted,
    (SELECT status FROM messages_shown WHERE position = {outbound}),
    {", ".join((_aliases(past), *contact, *more))}
FROM c CROSS JOIN messages_shown AS last ON last.position = c.last_position
"""


_READS = ("conversations", MESSAGES.name)


def _page(column: str, beyond: str, order: str) -> str:
    """A page by an indexed column: the first of each inbox from its index, then the first of all.

    ``inbox IN (…) ORDER BY`` would read and sort every conversation of every inbox.
    """
    return f"""
WITH c AS MATERIALIZED (
    SELECT conversations.* FROM json_each(:inboxes) AS wanted
    CROSS JOIN conversations ON inbox = wanted.value AND conversation IN (
        SELECT conversation FROM conversations
        WHERE inbox = wanted.value AND {column} {beyond} AND messages > 0
        ORDER BY {column} {order} LIMIT :limit)
    ORDER BY {column} {order} LIMIT :limit
) {shown_rows()} ORDER BY c.{column} {order}
"""


_LIST = _page("last_position", "< :beyond", "DESC")
_TOUCHED = _page("touched", "> :beyond", "ASC")
_GET = f"""
WITH c AS MATERIALIZED (
    SELECT conversations.* FROM json_each(:inboxes) AS wanted
    CROSS JOIN conversations ON inbox = wanted.value
        AND conversation = {root_of("conversations", "wanted.value", ":conversation")}
    WHERE messages > 0 ORDER BY inbox LIMIT 1
) {shown_rows()}
"""


def _places(table: str, more: str) -> str:
    """The conversations of the inboxes asked for that there were, from the one table or other."""
    return f"""
    SELECT place.inbox, place.conversation, place.id FROM json_each(:inboxes) AS wanted
    CROSS JOIN {table} AS place ON place.inbox = wanted.value AND place.id <= :as_of {more}"""


def past_rows(chosen: str, more: str, *columns: str, before: str = "") -> str:
    """SQL for what is shown as of ``:as_of``: each place has its version of then.

    ``chosen`` limits the places of the inboxes ``wanted``, ``more`` their versions, by what they
    count; ``columns`` are as in :func:`shown_rows`. Table expressions may come ``before``.
    """
    return f"""
WITH {SHOWN_PAST}, {before} place AS (
    {_places("conversations", chosen)}
    UNION ALL {_places("conversations_gone", f"AND place.until > :as_of {chosen}")}
), c AS MATERIALIZED (
    SELECT place.inbox, place.conversation, version.*,
        {root_of("conversations", "place.inbox", "place.conversation")} AS now,
        (SELECT recorded_at FROM conversations_entry WHERE position = last_position) AS last_at
    FROM place CROSS JOIN conversations_version AS version
        ON version.id = place.id AND version.touched = (
            SELECT touched FROM conversations_version
            WHERE id = place.id AND touched <= :as_of ORDER BY touched DESC LIMIT 1)
    WHERE messages > 0 {more}
) {shown_rows(*columns, past=True)}
"""


_NEWEST_PAST = "AND last_position < :beyond ORDER BY last_position DESC LIMIT :limit"
_LIST_PAST = f"{past_rows('', _NEWEST_PAST)} ORDER BY c.last_position DESC"
_GET_PAST = past_rows(
    f"""AND place.conversation = {root_at("conversations", "wanted.value", ":conversation")}""",
    "ORDER BY place.inbox LIMIT 1",
)


def list_conversations(
    inboxes: frozenset[str],
    *,
    inbox: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> Query[Conversation]:
    """The conversations, newest message first; ``before`` is the last one's ``last_position``.

    ``inbox`` narrows to one of ``inboxes``; one that is not among them has no conversations.
    """
    wanted = inboxes if inbox is None else inboxes & {inbox}
    beyond = POSITION_MAX if before is None else before
    parameters: Values = {
        "inboxes": json_list(wanted),
        "beyond": beyond,
        "limit": limit,
    }
    return Query(_LIST, parameters, conversation_row, _READS, _LIST_PAST)


def get_conversation(inboxes: frozenset[str], conversation: str) -> Query[Conversation]:
    """One conversation, or none; an id that joined another finds that one."""
    parameters: Values = {
        "inboxes": json_list(inboxes),
        "conversation": conversation,
    }
    return Query(_GET, parameters, conversation_row, _READS, _GET_PAST)


def conversations_touched(
    inboxes: frozenset[str], after: int, *, limit: int = 1_000
) -> Query[Conversation]:
    """The conversations that events after a position changed, in the order of their last change."""
    parameters: Values = {
        "inboxes": json_list(inboxes),
        "beyond": after,
        "limit": limit,
    }
    return Query(_TOUCHED, parameters, conversation_row, _READS)
