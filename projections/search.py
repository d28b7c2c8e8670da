"""Finding conversations by who wrote and what was said.

A row is one message or edit, with everything one may look for in it folded to one plain text:
lower case, no accents, so that "joao" finds "João". A question walks the newest rows and asks
each whether it contains the words. That is a scan, and bounded; an index of words would be faster
over years of messages, but FTS5 leaves the words of a deleted row in its segments until they
happen to be merged (SQLite before 3.42), which an erased message must not do, and its tables
differ with the order of writing, which digests may not (G13).

Who wrote stands in each row, not once a conversation, so that erasing a message takes with it
whatever only that message said.
"""
# ruff: noqa: S608 - SQL is put together from constants of these files; values are always bound

from __future__ import annotations

import unicodedata
from typing import Any

import orjson
from attrs import frozen

from eventstore.events import (
    Contact,
    Content,
    Event,
    MessageEdited,
    MessageReceived,
    MessageRedacted,
    Reaction,
    RecordedEvent,
)
from projections.aliases import root_at, root_of
from projections.content import kind_and_text
from projections.conversations import (
    CONVERSATIONS,
    Conversation,
    conversation_row,
    past_rows,
    shown_rows,
)
from projections.messages import MESSAGES, UNTIL
from projections.projection import (
    POSITION_MAX,
    Projection,
    Query,
    Statement,
    Values,
    json_list,
)

TEXT_CHARS_MAX = 4_000
WORDS_MAX = 8
SCANNED_MAX = 200_000
"""How many of the newest messages a question looks at."""

HITS_MAX = 1_000

_TABLES = """
CREATE TABLE search (
    position INTEGER PRIMARY KEY, inbox TEXT NOT NULL, conversation TEXT NOT NULL,
    message_id TEXT NOT NULL, text TEXT NOT NULL
);
"""

_STEPS = {
    "said": """
    INSERT INTO search
    VALUES (new.position, new.inbox, new.conversation, new.message_id, new.text);""",
    "redacted": """
    DELETE FROM search
    WHERE position IN (SELECT value FROM json_each(new.positions)) AND inbox = new.inbox;""",
}


def plain(text: str) -> str:
    """Lower case and without accents: what is searched, and what is looked for."""
    text = text[:TEXT_CHARS_MAX]
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in apart if not unicodedata.combining(char))


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    if (inbox := recorded.inbox) is None:
        return None
    place: Values = {"position": recorded.position, "inbox": inbox}
    match event:
        case MessageRedacted():
            positions = orjson.dumps(event.positions).decode()
            return Statement("redacted", {**place, "positions": positions})
        case MessageReceived(content=Reaction()):
            return None
        case MessageReceived() if recorded.conversation is not None:
            said = {"message_id": event.message_id, "text": _text(event.content, event.contact)}
            return Statement("said", {**place, "conversation": recorded.conversation, **said})
        case MessageEdited() if recorded.conversation is not None:
            said = {"message_id": event.message_id, "text": _text(event.content)}
            return Statement("said", {**place, "conversation": recorded.conversation, **said})
    return None


def _text(content: Content, contact: Contact | None = None) -> str:
    _, words = kind_and_text(content)
    who = (contact.name, contact.phone, contact.username) if contact is not None else ()
    return plain("\n".join(part for part in (*who, words) if part))


SEARCH = Projection(
    name="search",
    version=2,
    types=frozenset({MessageReceived.type, MessageEdited.type, MessageRedacted.type}),
    tables=_TABLES,
    steps=_STEPS,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


@frozen
class Match:
    """The newest message that was found in a conversation, in a line."""

    position: int
    text: str | None


@frozen
class Found:
    """A conversation, and the message by which it was found."""

    conversation: Conversation
    match: Match


def _row(*columns: Any) -> Found:
    return Found(conversation_row(*columns[:-2]), Match(*columns[-2:]))


def _best(root: str, until: str = "") -> str:
    """SQL, a table expression: of each conversation in which it is found the newest message.

    ``root`` names the conversation of a row, ``until`` limits what is looked at. The first word,
    tried alone, dismisses nearly every row before a list has to be opened.
    """
    return f"""best AS MATERIALIZED (
    SELECT inbox, conversation, max(position) AS matched FROM (
        SELECT position, inbox, {root} AS conversation
        FROM (SELECT * FROM search WHERE inbox IN (SELECT value FROM json_each(:inboxes)) {until}
            ORDER BY position DESC LIMIT {SCANNED_MAX}) AS newest
        WHERE instr(text, :first) > 0
            AND NOT EXISTS (SELECT 1 FROM json_each(:words) WHERE instr(newest.text, value) = 0)
            AND NOT EXISTS (SELECT 1 FROM messages_revocation AS revocation
                WHERE revocation.inbox = newest.inbox
                    AND revocation.message_id = newest.message_id {until})
        LIMIT {HITS_MAX})
    GROUP BY inbox, conversation
)"""


_MATCHED = "(SELECT matched FROM best WHERE inbox = c.inbox AND conversation = c.conversation)"
_MATCH = f"{_MATCHED}, (SELECT preview FROM messages_shown AS found WHERE position = {_MATCHED})"

_SEARCH = f"""
WITH {_best(root_of("conversations", "inbox", "conversation"))}, c AS MATERIALIZED (
    SELECT conversations.* FROM best CROSS JOIN conversations USING (inbox, conversation)
    WHERE messages > 0 AND last_position < :beyond ORDER BY last_position DESC LIMIT :limit
) {shown_rows(_MATCH)} ORDER BY c.last_position DESC
"""
_SEARCH_PAST = past_rows(
    "AND place.conversation IN (SELECT conversation FROM best WHERE best.inbox = wanted.value)",
    "AND last_position < :beyond ORDER BY last_position DESC LIMIT :limit",
    _MATCH,
    before=f"{_best(root_at('conversations', 'inbox', 'conversation'), UNTIL)},",
)
_SEARCH_PAST = f"{_SEARCH_PAST} ORDER BY c.last_position DESC"


def search_conversations(
    inboxes: frozenset[str],
    q: str,
    *,
    inbox: str | None = None,
    limit: int = 50,
    before: int | None = None,
) -> Query[Found]:
    """The conversations in which one message has all words of ``q``, newest message first.

    Words are parts of what was said or of the contact's name, phone or username, whatever case and
    accents. Looked at are the newest :data:`SCANNED_MAX` messages. ``q`` has at least one word.
    """
    words = plain(q).split()[:WORDS_MAX]
    wanted = inboxes if inbox is None else inboxes & {inbox}
    parameters: Values = {
        "inboxes": json_list(wanted),
        "first": max(words, key=len),
        "words": orjson.dumps(words).decode(),
        "beyond": POSITION_MAX if before is None else before,
        "limit": limit,
    }
    reads = (SEARCH.name, CONVERSATIONS.name, MESSAGES.name)
    return Query(_SEARCH, parameters, _row, reads, _SEARCH_PAST)
