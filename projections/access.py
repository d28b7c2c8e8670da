"""Who may see what: inboxes, members with their roles, tokens.

Small, and asked for every frame that goes out; so it is loaded whole into an :class:`Access`
snapshot whenever an event changed it, and never queried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

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

_TABLES = """
CREATE TABLE access_inbox (inbox TEXT PRIMARY KEY, provider TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE access_member (user TEXT PRIMARY KEY, role TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE access_belongs (
    user TEXT NOT NULL, inbox TEXT NOT NULL, PRIMARY KEY (user, inbox)
) WITHOUT ROWID;
CREATE TABLE access_token (
    token TEXT PRIMARY KEY, user TEXT, expires_at INTEGER, revoked INTEGER NOT NULL
) WITHOUT ROWID;
"""

# The first holder of a token id keeps it, and a revocation is for ever, whichever came first.
_STEPS = {
    "inbox_created": """
    INSERT INTO access_inbox VALUES (new.inbox, new.provider) ON CONFLICT DO NOTHING;""",
    "member_added": """
    INSERT INTO access_member VALUES (new.user, new.role)
    ON CONFLICT DO UPDATE SET role = excluded.role;
    DELETE FROM access_belongs WHERE user = new.user;
    INSERT INTO access_belongs SELECT new.user, value FROM json_each(new.inboxes);""",
    "left_inbox": """
    DELETE FROM access_belongs WHERE user = new.user AND inbox = new.inbox;""",
    "left": """
    DELETE FROM access_member WHERE user = new.user;
    DELETE FROM access_belongs WHERE user = new.user;""",
    "issued": """
    INSERT INTO access_token VALUES (new.token, new.user, new.expires_at, 0)
    ON CONFLICT DO UPDATE SET user = excluded.user, expires_at = excluded.expires_at
    WHERE user IS NULL;""",
    "revoked": """
    INSERT INTO access_token VALUES (new.token, NULL, NULL, 1)
    ON CONFLICT DO UPDATE SET revoked = 1;""",
}


def _evolve(_: RecordedEvent, event: Event | None) -> Statement | None:
    match event:
        case InboxCreated():
            return Statement("inbox_created", {"inbox": event.inbox, "provider": event.provider})
        case MemberAdded():
            inboxes = json_list(frozenset(event.inboxes))
            member = {"user": event.user, "role": event.role, "inboxes": inboxes}
            return Statement("member_added", {**member})
        case MemberRemoved(inbox=None):
            return Statement("left", {"user": event.user})
        case MemberRemoved():
            return Statement("left_inbox", {"user": event.user, "inbox": event.inbox})
        case TokenIssued():
            expires_at = None if event.expires_at is None else microseconds(event.expires_at)
            held = {"user": event.user, "expires_at": expires_at}
            return Statement("issued", {"token": event.token, **held})
        case TokenRevoked():
            return Statement("revoked", {"token": event.token})
    return None


ACCESS = Projection(
    name="access",
    version=2,
    types=frozenset(
        cls.type for cls in (InboxCreated, MemberAdded, MemberRemoved, TokenIssued, TokenRevoked)
    ),
    tables=_TABLES,
    steps=_STEPS,
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
        return self.seen_by(member.role, member.inboxes)

    def seen_by(self, role: Role, inboxes: frozenset[str]) -> frozenset[str]:
        """What one of this role sees who was given these inboxes; never one that there is not."""
        known = frozenset(self.inboxes)
        return known & inboxes if role == "member" else known


_ALL = """
SELECT 'inbox' AS kind, inbox, provider, NULL, NULL FROM access_inbox
UNION ALL SELECT 'member', user, role, NULL, NULL FROM access_member
UNION ALL SELECT 'belongs', user, inbox, NULL, NULL FROM access_belongs
UNION ALL SELECT 'token', token, user, expires_at, revoked FROM access_token
WHERE user IS NOT NULL
"""


def everything() -> Query[tuple[Any, ...]]:
    """The rows that :func:`snapshot` makes an :class:`Access` of, in one query."""
    return Query(_ALL, {}, lambda *columns: columns, (ACCESS.name,))


def snapshot(rows: list[tuple[Any, ...]]) -> Access:
    """The answer to :func:`everything` as one frozen value."""
    inboxes: dict[str, str] = {}
    roles: dict[str, Role] = {}
    belongs: dict[str, set[str]] = defaultdict(set)
    tokens: dict[str, TokenRow] = {}
    for kind, id_, first, second, third in rows:
        match kind:
            case "inbox":
                inboxes[id_] = first
            case "member":
                roles[id_] = first
            case "belongs":
                belongs[id_].add(first)
            case "token":
                tokens[id_] = TokenRow(first, second, bool(third))
    members = {user: Member(role, frozenset(belongs[user])) for user, role in roles.items()}
    return Access(inboxes, members, tokens)
