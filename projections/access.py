"""Who may see what: inboxes, members with their roles, tokens.

Small, and asked for every frame that goes out; so it is loaded whole into an :class:`Access`
snapshot whenever an event changed it, and never queried.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import orjson
from attrs import field, frozen

from eventstore.events import (
    Event,
    InboxCreated,
    MemberAdded,
    MemberRemoved,
    RecordedEvent,
    Role,
    TokenIssued,
    TokenRevoked,
)
from projections.projection import Projection, Query, Statement, json_list, microseconds

_SCHEMA = """
CREATE TABLE access_inbox (inbox TEXT PRIMARY KEY, provider TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE access_member (
    user TEXT PRIMARY KEY, role TEXT NOT NULL, inboxes TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE access_token (
    token TEXT PRIMARY KEY, user TEXT, expires_at INTEGER, revoked INTEGER NOT NULL
) WITHOUT ROWID;
"""

_INBOX = "INSERT INTO access_inbox VALUES (?1, ?2) ON CONFLICT DO NOTHING"
_MEMBER = """
INSERT INTO access_member VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET role = excluded.role, inboxes = excluded.inboxes
"""
_LEFT_INBOX = """
UPDATE access_member SET inboxes = (
    SELECT json_group_array(value) FROM (
        SELECT value FROM json_each(inboxes) WHERE value <> ?2 ORDER BY value))
WHERE user = ?1
"""
_LEFT = "DELETE FROM access_member WHERE user = ?1"
# The first holder of a token id keeps it, and a revocation is for ever, whichever came first.
_ISSUED = """
INSERT INTO access_token VALUES (?1, ?2, ?3, 0)
ON CONFLICT DO UPDATE SET user = excluded.user, expires_at = excluded.expires_at WHERE user IS NULL
"""
_REVOKED = """
INSERT INTO access_token VALUES (?1, NULL, NULL, 1) ON CONFLICT DO UPDATE SET revoked = 1
"""


def _evolve(_: RecordedEvent, event: Event | None) -> Statement | None:
    match event:
        case InboxCreated():
            return Statement(_INBOX, (event.inbox, event.provider))
        case MemberAdded():
            inboxes = json_list(frozenset(event.inboxes))
            return Statement(_MEMBER, (event.user, event.role, inboxes))
        case MemberRemoved(inbox=None):
            return Statement(_LEFT, (event.user,))
        case MemberRemoved():
            return Statement(_LEFT_INBOX, (event.user, event.inbox))
        case TokenIssued():
            expires_at = None if event.expires_at is None else microseconds(event.expires_at)
            return Statement(_ISSUED, (event.token, event.user, expires_at))
        case TokenRevoked():
            return Statement(_REVOKED, (event.token,))
    return None


ACCESS = Projection(
    name="access",
    version=1,
    types=frozenset(
        cls.type for cls in (InboxCreated, MemberAdded, MemberRemoved, TokenIssued, TokenRevoked)
    ),
    schema=_SCHEMA,
    evolve=_evolve,
)


@frozen
class Member:
    """A user's role, and the inboxes they belong to."""

    role: Role
    inboxes: frozenset[str]


@frozen
class TokenRow:
    """Whose token it is, until when (µs, None for ever), and whether it was revoked."""

    user: str
    expires_at_us: int | None
    revoked: bool


def _unchanging(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))


@frozen
class Access:
    """The whole of it at one position. ``inboxes`` gives the provider of an inbox.

    Nothing here follows from anything else: a member who was removed is still named by their
    tokens, and a token whose user is no member opens nothing.
    """

    inboxes: Mapping[str, str] = field(factory=dict, converter=_unchanging)
    members: Mapping[str, Member] = field(factory=dict, converter=_unchanging)
    tokens: Mapping[str, TokenRow] = field(factory=dict, converter=_unchanging)

    def inboxes_of(self, user: str) -> frozenset[str]:
        """What a user may see: members their inboxes, auditors and admins all, others nothing."""
        member = self.members.get(user)
        if member is None:
            return frozenset()
        return member.inboxes if member.role == "member" else frozenset(self.inboxes)


_ALL = """
SELECT 'inbox', inbox, provider, NULL, NULL FROM access_inbox
UNION ALL SELECT 'member', user, role, inboxes, NULL FROM access_member
UNION ALL SELECT 'token', token, user, expires_at, revoked FROM access_token
WHERE user IS NOT NULL
"""


def everything() -> Query[tuple[Any, ...]]:
    """The rows that :func:`snapshot` makes an :class:`Access` of, in one query."""
    return Query(_ALL, {}, lambda *columns: columns, (ACCESS.name,))


def snapshot(rows: list[tuple[Any, ...]]) -> Access:
    """The answer to :func:`everything` as one frozen value."""
    inboxes: dict[str, str] = {}
    members: dict[str, Member] = {}
    tokens: dict[str, TokenRow] = {}
    for kind, id_, first, second, third in rows:
        match kind:
            case "inbox":
                inboxes[id_] = first
            case "member":
                members[id_] = Member(cast(Role, first), frozenset(orjson.loads(second)))
            case "token":
                tokens[id_] = TokenRow(first, second, bool(third))
    return Access(inboxes, members, tokens)
