"""What an administrator does: the same functions behind the control socket and the command line.

Each takes the open :class:`api.records.Records` and JSON-able arguments, and returns a JSON-able
answer once the projections show what it did. A secret is in the answer that made it, and nowhere
after.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any, TypeAlias, get_args

from api import parked
from api.erasure import erase
from api.keyring import InboxKeys, InboxSecret, Token
from api.moment import Moment, position_of
from api.names import NAME_RULE, is_name
from api.providers import PROVIDERS
from api.providers.contract import Secret, SecretMalformed, active
from api.records import Records
from api.screen import View, screen_of
from eventstore.draft import Draft
from eventstore.erasure import CannotErase
from eventstore.events import (
    InboxCreated,
    MemberAdded,
    ProjectionRebuilt,
    Role,
    TokenIssued,
    TokenRevoked,
)
from projections.checkpoints import list_checkpoints
from projections.projection import to_json
from projections.projector import PositionUnknown

SECRET_CHARS_MIN = 16
SECRET_BYTES = 24
SCREEN_ROWS, SCREEN_DEVICES = 20, 20
OVERLAP_S = 24 * 3600
"""How long a rotated secret lives beside its successor, unless told otherwise."""


class ActionRefused(Exception):
    """It cannot be done, for the reason in the message; nothing was changed."""


Answer: TypeAlias = dict[str, Any]


async def add_inbox(
    records: Records,
    *,
    id: str,  # noqa: A002 - it is the field's name on the wire
    provider: str,
    secrets: Sequence[str] = (),
    verify_token: str | None = None,
) -> Answer:
    """Open an inbox. Without ``secrets`` one is made; the answer shows them this once."""
    _demand_name(id)
    if provider not in PROVIDERS:
        raise ActionRefused(f"no provider is called {provider}; there are: {', '.join(PROVIDERS)}")
    if id in records.projector.access.inboxes:
        raise ActionRefused(f"there is an inbox {id} already")
    values = _good_secrets(provider, secrets)
    # Keys first: keys without an inbox open nothing, an inbox without keys refuses its webhooks.
    records.keyring.put_inbox(id, InboxKeys(tuple(map(InboxSecret, values)), verify_token))
    await records.record(Draft("system", InboxCreated(inbox=id, provider=provider)))
    return {
        "inbox": id,
        "provider": provider,
        "webhook_path": webhook_path(id),
        "secrets": values,
        "verify_token": verify_token,
    }


async def rotate_secret(
    records: Records,
    *,
    id: str,  # noqa: A002
    secrets: Sequence[str] = (),
    overlap_s: int = OVERLAP_S,
) -> Answer:
    """Give an inbox new secrets; the old ones still count for ``overlap_s`` seconds."""
    provider = records.projector.access.inboxes.get(id)
    if provider is None:
        raise ActionRefused(f"there is no inbox {id}")
    values = _good_secrets(provider, secrets)
    now_s = _now_s()
    dies = now_s + overlap_s
    old = (
        InboxSecret(one.value.decode(), min(dies, one.not_after_s or dies))
        for one in active(records.keyring.secrets(id), now_s)
    )
    keys = InboxKeys((*map(InboxSecret, values), *old), records.keyring.verify_token(id))
    records.keyring.put_inbox(id, keys)
    return {"inbox": id, "secrets": values, "old_secrets_until": _time_text(dies)}


async def list_inboxes(records: Records) -> list[Answer]:
    """Every inbox, with the number of secrets that are alive; never the secrets."""
    now_s = _now_s()
    return [
        {
            "inbox": inbox,
            "provider": provider,
            "webhook_path": webhook_path(inbox),
            "secrets": len(active(records.keyring.secrets(inbox), now_s)),
        }
        for inbox, provider in sorted(records.projector.access.inboxes.items())
    ]


async def add_user(
    records: Records, *, name: str, role: Role, inboxes: Sequence[str] = ()
) -> Answer:
    """Make a user, or give one another role and other inboxes."""
    _demand_name(name)
    if role not in get_args(Role):
        raise ActionRefused(f"no role is called {role}")
    if unknown := [inbox for inbox in inboxes if inbox not in records.projector.access.inboxes]:
        raise ActionRefused(f"there is no inbox {unknown[0]}")
    kept = tuple(sorted(set(inboxes)))
    await records.record(Draft("system", MemberAdded(user=name, role=role, inboxes=kept)))
    return {"user": name, "role": role, "inboxes": list(kept)}


async def list_users(records: Records) -> list[Answer]:
    """Every user with role, inboxes, and the ids of the tokens that are not revoked."""
    access = records.projector.access
    return [
        {
            "user": user,
            "role": member.role,
            "inboxes": sorted(member.inboxes),
            "tokens": sorted(
                token
                for token, row in access.tokens.items()
                if row.user == user and not row.revoked
            ),
        }
        for user, member in sorted(access.members.items())
    ]


async def create_token(records: Records, *, user: str, ttl_s: int | None = None) -> Answer:
    """A token for a user, for ``ttl_s`` seconds or without end; shown this once."""
    if user not in records.projector.access.members:
        raise ActionRefused(f"there is no user {user}")
    token = Token.new()
    expires_at = _in(ttl_s) if ttl_s is not None else None
    # The digest last: a token works from the moment both are there.
    issued = TokenIssued(token=token.id, user=user, expires_at=expires_at)
    await records.record(Draft("system", issued))
    records.keyring.put_token(token)
    expiry = expires_at and expires_at.isoformat()
    return {"token": token.text, "id": token.id, "user": user, "expires_at": expiry}


async def revoke_token(records: Records, *, token: str) -> Answer:
    """Make a token void, by its id or by itself; open connections end within seconds."""
    token_id = token.split("_")[1] if token.startswith("mlt_") and "_" in token[4:] else token
    row = records.projector.access.tokens.get(token_id)
    if row is None:
        raise ActionRefused("there is no such token")
    records.keyring.drop_token(token_id)
    if not row.revoked:
        await records.record(Draft("system", TokenRevoked(token=token_id)))
    return {"id": token_id, "user": row.user}


async def rebuild(records: Records, *, projections: Sequence[str] = ()) -> dict[str, str]:
    """Fold projections anew from the first event; their digests."""
    try:
        digests = await records.projector.rebuild(projections)
    except KeyError as unknown:
        raise ActionRefused(f"no projection is called {unknown.args[0]}") from None
    position = records.projector.position
    drafts = [
        Draft("system", ProjectionRebuilt(projection=name, position=position, digest=digest))
        for name, digest in digests.items()
    ]
    await records.record(*drafts)
    return digests


async def backup(records: Records, *, target: str) -> Answer:
    """Copy the log to a file; everything acknowledged before is in it."""
    try:
        head = await records.log.backup(Path(target))
    except FileExistsError as exists:
        raise ActionRefused(str(exists)) from None
    except (OSError, sqlite3.Error) as trouble:
        raise ActionRefused(f"no backup was written: {trouble}") from None
    return {"position": head.position, "hash": head.hash.hex()}


async def checkpoint(records: Records, *, sign: bool = False) -> Answer:
    """The newest checkpoint; signed now if asked, or if there is none yet."""
    if not sign and (newest := await _newest_checkpoint(records)):
        return newest
    await records.signer.sign()
    await records.projector.wait_for(records.log.head.position)
    newest = await _newest_checkpoint(records)
    assert newest is not None, "it was signed and folded"
    return newest


async def _newest_checkpoint(records: Records) -> Answer | None:
    answer = await records.projector.fetch(list_checkpoints(limit=1))
    return to_json(answer.rows[0]) if answer.rows else None


async def signing_key(records: Records, *, rotate: bool = False) -> Answer:
    """The public half of the key that signs checkpoints; with ``rotate`` of another one."""
    if rotate or records.signer.key is None:
        key = await (records.signer.rotate() if rotate else records.signer.some_key())
    else:
        key = records.signer.key
    return {"key_id": key.key_id, "public_key": key.public_key}


async def redact(records: Records, *, position: int, reason: str, by: str) -> Answer:
    """Erase what the event at a position says, wherever the log holds it."""
    try:
        receipt, positions, purged = await erase(records, position, reason=reason, by=by)
    except CannotErase as cannot:
        raise ActionRefused(str(cannot)) from None
    return {
        "position": receipt.position,
        "hash": receipt.hash.hex(),
        "erased": list(positions),
        "purged": purged,
    }


async def list_parked_events(records: Records, *, user: str | None = None) -> list[Answer]:
    """What is put aside for all devices, or one user's, the newest first."""
    shown = await parked.devices(records, user=user, limit=parked.DEVICES_MAX)
    return [event for row in shown["deliveries"] for event in row["events"]]


async def replay_parked_events(
    records: Records, *, user: str, device: str, positions: Sequence[int] | None = None, by: str
) -> Answer:
    """Ask that parked events of a device be delivered again: these, or all."""
    try:
        return await parked.request_replay(records, (user, device), positions, by=by)
    except parked.NoSuchDevice:
        raise ActionRefused(f"{user} has no device {device}") from None


async def screen(
    records: Records,
    *,
    user: str,
    device: str | None = None,
    conversation: str | None = None,
    position: int | None = None,
    time_us: int | None = None,
) -> Answer:
    """What a user's devices showed at a position or a time (µs since the Unix epoch), or now.

    Of messages their ``preview`` only: an answer of the control socket has a limit.
    """
    try:
        at = await position_of(records.log, Moment(position, time_us))
    except PositionUnknown as unknown:
        raise ActionRefused(str(unknown)) from None
    view = View(frozenset(records.projector.access.inboxes), conversation, limit=SCREEN_ROWS)
    found = await screen_of(records, user, at, view, device=device, devices=SCREEN_DEVICES)
    told = to_json(found)
    for row in (row for each in told["devices"] for row in each["messages"] or ()):
        del row["message"]["content"]
    return {**told, "cursor": str(found.cursor)}


Action: TypeAlias = Callable[..., Awaitable[Any]]

ACTIONS: Mapping[str, Action] = {
    action.__name__: action
    for action in (
        add_inbox,
        rotate_secret,
        list_inboxes,
        add_user,
        list_users,
        create_token,
        revoke_token,
        rebuild,
        backup,
        checkpoint,
        signing_key,
        redact,
        list_parked_events,
        replay_parked_events,
        screen,
    )
}


def webhook_path(inbox: str) -> str:
    """Where the inbox's provider posts to, below the base URL."""
    return f"/webhooks/{inbox}"


def _demand_name(name: str) -> None:
    if not is_name(name):
        raise ActionRefused(f"that is no name; a name is {NAME_RULE}")


def _good_secrets(provider: str, given: Sequence[str]) -> list[str]:
    judge = PROVIDERS[provider]
    if any(len(text) < SECRET_CHARS_MIN for text in given):
        raise ActionRefused(f"a secret has at least {SECRET_CHARS_MIN} characters")
    texts = list(given) or [judge.new_secret(token_bytes(SECRET_BYTES))]
    try:
        for text in texts:
            judge.check_secret(Secret(text.encode()))
    except SecretMalformed as malformed:
        raise ActionRefused(str(malformed)) from None
    return texts


def _now_s() -> int:
    return int(datetime.now(UTC).timestamp())


def _in(seconds: int) -> datetime:
    return datetime.fromtimestamp(_now_s(), UTC) + timedelta(seconds=seconds)


def _time_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
