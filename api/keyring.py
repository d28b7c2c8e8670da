"""The secrets: ``keyring.json`` in the data folder, mode 0600, replaced as a whole.

The log holds ids, never secrets. Here are the inboxes' webhook secrets (several at a time, each
with the date it dies, so that rotation needs no downtime), their verify tokens, and the SHA-256
digests of access tokens: whoever reads this file cannot log in with what stands in it, but could
forge webhooks, hence the mode.

A token is ``mlt_<id>_<secret>``: the id is public and names it in the log, the secret half is shown
once. It has 192 random bits, so a plain digest is enough; there is nothing to guess.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import orjson
from attrs import evolve, field, frozen
from cattrs import Converter
from cattrs.errors import CattrsError

from api.providers.contract import Secret

FILE_NAME = "keyring.json"
TOKEN_SECRET_BYTES = 24
_TOKEN = re.compile(r"mlt_([0-9a-f]{32})_([A-Za-z0-9_-]{32})", re.ASCII)


class KeyringDamaged(Exception):
    """The file cannot be read as a keyring; nothing is guessed and nothing is overwritten."""


@frozen
class InboxSecret:
    """A webhook secret as its owner writes it; with ``not_after_s`` (Unix time) it dies then."""

    value: str = field(repr=False)
    not_after_s: int | None = None


@frozen
class InboxKeys:
    """What an inbox's provider proves itself with."""

    secrets: tuple[InboxSecret, ...] = ()
    verify_token: str | None = field(default=None, repr=False)


@frozen
class Keys:
    """All that the file holds. ``tokens`` maps a token's id to its digest, hex."""

    inboxes: Mapping[str, InboxKeys] = field(factory=dict)
    tokens: Mapping[str, str] = field(factory=dict, repr=False)


_CONVERTER = Converter(forbid_extra_keys=True, omit_if_default=True)
_NO_KEYS = InboxKeys()


@frozen
class Token:
    """A new access token: ``text`` is shown to its owner once and stored nowhere."""

    id: str
    text: str = field(repr=False)
    digest: str = field(repr=False)

    @classmethod
    def new(cls) -> Token:
        """A token out of 128 bits of id and 192 bits of secret."""
        token_id, secret = secrets.token_hex(16), secrets.token_urlsafe(TOKEN_SECRET_BYTES)
        return cls(token_id, f"mlt_{token_id}_{secret}", _digest(secret))


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


class Keyring:
    """The keys in memory, and the file they came from. A file changed by hand is read again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = Keys()
        self._seen: tuple[int, ...] | None = None
        self._refresh()

    def secrets(self, inbox: str) -> tuple[Secret, ...]:
        """The inbox's secrets, newest first, dead ones too; none for an inbox nobody knows."""
        known = self._fresh().inboxes.get(inbox, _NO_KEYS).secrets
        return tuple(Secret(one.value.encode(), one.not_after_s) for one in known)

    def verify_token(self, inbox: str) -> str | None:
        """What the provider must show in its GET handshake, if it was given one."""
        return self._fresh().inboxes.get(inbox, _NO_KEYS).verify_token

    def token_id(self, text: str) -> str | None:
        """The id of a token whose secret half is right, else None."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        # An unknown id is compared too, with the digest of what is no secret (one has 32
        # characters), so that time does not tell it from a wrong one.
        stored = self._fresh().tokens.get(match[1], _digest(""))
        good = hmac.compare_digest(_digest(match[2]).encode(), stored.encode())
        return match[1] if good else None

    def put_inbox(self, inbox: str, keys: InboxKeys) -> None:
        """Give the inbox these keys, in place of those it had."""
        keyring = self._fresh()
        self._write(evolve(keyring, inboxes={**keyring.inboxes, inbox: keys}))

    def put_token(self, token: Token) -> None:
        """Know this token from now on."""
        keyring = self._fresh()
        self._write(evolve(keyring, tokens={**keyring.tokens, token.id: token.digest}))

    def drop_token(self, token_id: str) -> None:
        """Forget the token: its secret half opens nothing any more."""
        keyring = self._fresh()
        rest = {name: digest for name, digest in keyring.tokens.items() if name != token_id}
        self._write(evolve(keyring, tokens=rest))

    def _fresh(self) -> Keys:
        self._refresh()
        return self._keys

    def _refresh(self) -> None:
        # One stat a look-up, about 2 µs: a secret struck out by hand is dead at once.
        seen = _fingerprint(self._path)
        if seen != self._seen:
            self._keys = _read(self._path) if seen else Keys()
            self._seen = seen

    def _write(self, keys: Keys) -> None:
        replace_file(
            self._path, orjson.dumps(_CONVERTER.unstructure(keys), option=orjson.OPT_INDENT_2)
        )
        self._keys, self._seen = keys, _fingerprint(self._path)


def _fingerprint(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _read(path: Path) -> Keys:
    try:
        return _CONVERTER.structure(orjson.loads(path.read_bytes()), Keys)
    except (ValueError, TypeError, AttributeError, CattrsError):
        # Not chained: the cause would carry pieces of the file into a log.
        raise KeyringDamaged(f"{path.name} is not a keyring") from None


def replace_file(path: Path, content: bytes) -> None:
    """Old file or new file, never a part of one, also after a power cut."""
    beside = path.with_name(f".{path.name}.new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
