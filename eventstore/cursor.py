"""The cursor ``epoch.position.hash8``: which log, how far, and proof that it is the same history.

Clients keep it as an opaque string and hand it back. The eight hex digits are the start of the
chain hash at the position, so that a restored backup or a rewritten log is noticed.
"""

from __future__ import annotations

import re

from attrs import frozen

_FORM = re.compile(r"([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,18})\.([0-9a-f]{8})", re.ASCII)
_POSITION_MAX = 2**63 - 1


class CursorMalformed(ValueError):
    """The text is not a cursor at all; one of another log is well-formed and says so elsewhere."""


@frozen(order=False, slots=True)
class Cursor:
    """The last position a client has, the log it belongs to, and the chain hash's first digits."""

    epoch: str
    position: int
    hash8: str

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read ``epoch.position.hash8``; raise :class:`CursorMalformed` on anything else."""
        match = _FORM.fullmatch(text)
        if match is None or (position := int(match[2])) > _POSITION_MAX:
            raise CursorMalformed(f"not a cursor: {text[:80]!r}")
        return cls(match[1], position, match[3])

    @classmethod
    def at(cls, epoch: str, position: int, chain_hash: bytes) -> Cursor:
        """The cursor of a client that has everything up to ``position``."""
        return cls(epoch, position, chain_hash[:4].hex())

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}.{self.hash8}"
