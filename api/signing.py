"""Who signs checkpoints: the key in the data folder, and the task that uses it.

The key is ``signing.key``, mode 0600, the seed in hex. Whoever reads it can sign another history,
so it proves nothing against somebody who owns the machine *and* all of its checkpoints: keep
checkpoints elsewhere. A key that is replaced first signs that it is (:meth:`Signer.rotate`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

import structlog

from api.keyring import replace_file
from eventstore.checkpoint import SEED_BYTES, Due, SigningKey
from eventstore.draft import Draft
from eventstore.events import CheckpointKeyMade, CheckpointSigned, RecordedEvent
from eventstore.log import EventLog, LogUnavailable, wall_clock_us

FILE_NAME = "signing.key"

_log = structlog.get_logger()


class SigningKeyDamaged(Exception):
    """The file holds no key; nothing is guessed, and no other key is made in its place."""


class Signer:
    """Signs the log's state when it is due, and when asked."""

    def __init__(self, log: EventLog, path: Path) -> None:
        """Raises :class:`SigningKeyDamaged`, OSError."""
        self._log = log
        self._path = path
        self._due = Due()
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._key = _read(path)

    @property
    def key(self) -> SigningKey | None:
        """The present key; None before the first checkpoint."""
        return self._key

    def committed(self, events: Sequence[RecordedEvent]) -> None:
        """To be wired into the log's ``on_commit``."""
        self._due.committed(list(events), asyncio.get_running_loop().time())
        self._changed.set()

    async def run(self) -> None:
        """Sign what is due, for ever; while the log takes nothing, later."""
        while True:
            self._changed.clear()
            wait_s = self._due.wait_s(asyncio.get_running_loop().time())
            if wait_s is not None and wait_s <= 0:
                await self._sign_or_pause()
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _sign_or_pause(self) -> None:
        try:
            await self.sign()
        except LogUnavailable as trouble:
            _log.warning("no checkpoint was signed", trouble=str(trouble))
            await asyncio.sleep(trouble.retry_after_s)

    async def sign(self) -> CheckpointSigned:
        """Sign the head as it is now, record that, and give the checkpoint.

        Raises :class:`eventstore.log.LogUnavailable`, OSError.
        """
        async with self._turn:
            return await self._sign(await self._some_key())

    async def some_key(self) -> SigningKey:
        """The present key; made if there is none. Raises as :meth:`sign`."""
        async with self._turn:
            return await self._some_key()

    async def rotate(self) -> SigningKey:
        """Make another key. The last checkpoint of the old one covers the event that names it.

        So whoever trusts the old key can trust the new one. Raises as :meth:`sign`.
        """
        async with self._turn:
            old = await self._some_key()
            new = await self._announce(SigningKey(secrets.token_bytes(SEED_BYTES)))
            await self._sign(old)
            self._keep(new)
            await self._sign(new)
            return new

    async def _sign(self, key: SigningKey) -> CheckpointSigned:
        if not self._log.head.position:
            await self._announce(key)
        checkpoint = key.sign(self._log.epoch, self._log.head, wall_clock_us())
        self._due.signed()
        await self._log.append([Draft("system", checkpoint)], from_reserve=True)
        return checkpoint

    async def _some_key(self) -> SigningKey:
        if self._key is None:
            self._keep(SigningKey(secrets.token_bytes(SEED_BYTES)))
            assert self._key is not None
            await self._announce(self._key)
        return self._key

    async def _announce(self, key: SigningKey) -> SigningKey:
        made = CheckpointKeyMade(key.key_id, key.public_key)
        await self._log.append([Draft("system", made)], from_reserve=True)
        return key

    def _keep(self, key: SigningKey) -> None:
        replace_file(self._path, key.seed.hex().encode() + b"\n")
        self._key = key


def _read(path: Path) -> SigningKey | None:
    try:
        seed = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        return None
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise SigningKeyDamaged(f"{path.name} is not a signing key")
    return SigningKey(seed)
