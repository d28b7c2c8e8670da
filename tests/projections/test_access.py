"""Given who was added, removed, issued and revoked, then this is who may see what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from eventstore.events import (
    Event,
    InboxCreated,
    MemberAdded,
    MemberRemoved,
    TokenIssued,
    TokenRevoked,
)
from projections.access import Access, Member, TokenRow, everything, snapshot
from tests.projections.history import ask, given, system


def access(*events: Event) -> Access:
    """What stands after these."""
    return snapshot(ask(given(*map(system, events)), everything()))


AB = (InboxCreated("a", "whatsapp"), InboxCreated("b", "standard"))


def test_a_member_sees_their_inboxes_auditors_and_admins_all_others_nothing() -> None:
    """The one question delivery asks."""
    roles = (
        MemberAdded("m", "member", ("a",)),
        MemberAdded("u", "auditor"),
        MemberAdded("x", "admin"),
    )
    now = access(*AB, *roles)
    seen = {user: now.inboxes_of(user) for user in ("m", "u", "x", "nobody")}
    both = frozenset({"a", "b"})
    assert seen == {"m": frozenset({"a"}), "u": both, "x": both, "nobody": frozenset()}


def test_an_inbox_that_there_is_not_is_seen_by_nobody() -> None:
    """Whoever names it, a member's record or a token of a backend."""
    now = access(*AB, MemberAdded("m", "member", ("a", "elsewhere")))
    assert now.inboxes_of("m") == {"a"}
    assert now.seen_by("member", frozenset({"b", "elsewhere"})) == {"b"}
    assert now.seen_by("admin", frozenset()) == {"a", "b"}


def test_adding_a_member_again_replaces_role_and_inboxes() -> None:
    """The newest word is the whole word."""
    now = access(MemberAdded("m", "admin", ("a", "b")), MemberAdded("m", "member", ("b", "b")))
    assert dict(now.members) == {"m": Member("member", frozenset({"b"}))}


def test_a_member_can_leave_an_inbox_or_the_house() -> None:
    """Leaving the house takes every inbox; coming back starts with none of the old ones."""
    added = MemberAdded("m", "member", ("a", "b"))
    assert access(*AB, added, MemberRemoved("m", "a")).inboxes_of("m") == {"b"}
    gone = access(*AB, added, MemberRemoved("m"))
    assert (gone.inboxes_of("m"), dict(gone.members)) == (frozenset(), {})
    assert access(added, MemberRemoved("m"), MemberAdded("m", "member")).inboxes_of("m") == set()


def test_removing_a_member_leaves_their_tokens_named() -> None:
    """Nothing follows by itself; such a token opens nothing because its user is no member."""
    now = access(MemberAdded("m", "member"), TokenIssued("t", "m"), MemberRemoved("m"))
    assert now.tokens["t"] == TokenRow("m", None, revoked=False)


@pytest.mark.parametrize("revoked_first", [False, True])
def test_a_revoked_token_stays_revoked(*, revoked_first: bool) -> None:
    """Whichever came first, and however often it is issued again."""
    issued, revoked = TokenIssued("t", "m"), TokenRevoked("t")
    now = access(*((revoked, issued) if revoked_first else (issued, revoked)), issued)
    assert now.tokens["t"].revoked is True


def test_a_token_keeps_its_first_holder_and_expiry() -> None:
    """An id that is issued twice is a mistake that must not hand over anything."""
    expires = datetime(2026, 1, 1, tzinfo=UTC)
    now = access(TokenIssued("t", "m", expires), TokenIssued("t", "thief"))
    assert now.tokens["t"] == TokenRow("m", 1_767_225_600_000_000, revoked=False)


def test_a_snapshot_cannot_be_changed() -> None:
    """It is shared by every session."""
    with pytest.raises(TypeError):
        access(*AB).inboxes["c"] = "x"  # type: ignore[index]  # that it refuses is the test
