"""Projections files that come with their tables: a seed need not compile what all seeds share.

To make them was a fifth of a thorough seed and a sixteenth of an ordinary one, and always the same:
they are made once a process, by the store itself, for a log of no name. Each new file begins as a
copy that bears the name of its log. The store then opens it as it opens any file, so that all it
checks is checked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from projections.projection import Projection
from projections.store import MEMORY, Store

_NOBODYS = "0123456789abcdef" * 2
"""The epoch of no log; as long as any, so that another takes its place in the file."""
_IMAGES: dict[tuple[str, ...], bytes] = {}
"""By the projections' names: their file before the first event."""


class FurnishedStore(Store):
    """Stands where :class:`projections.store.Store` was."""

    def __init__(self, path: Path, projections: Sequence[Projection], epoch: str) -> None:
        """Open; what is not there yet is there with its tables."""
        if path != MEMORY and not path.exists():
            assert len(epoch) == len(_NOBODYS)
            path.write_bytes(_furnished(projections).replace(_NOBODYS.encode(), epoch.encode()))
        super().__init__(path, projections, epoch)


def _furnished(projections: Sequence[Projection]) -> bytes:
    """A whole file, its WAL in it."""
    names = tuple(projection.name for projection in projections)
    if (image := _IMAGES.get(names)) is None:
        with tempfile.TemporaryDirectory(prefix="malote-") as folder:
            path = Path(folder) / "projections.db"
            Store(path, projections, _NOBODYS).close()
            image = _IMAGES[names] = path.read_bytes()
        assert image.count(_NOBODYS.encode()) == len(projections)
    return image
