"""The high-water mark: how far the log was, kept beside it, so that a shorter one is noticed (G16).

A chain inside a file cannot show that the file's own end is gone: one flipped bit in the WAL left
99 of 200 events with a sound file and a valid chain. The mark is written after commits, at most
once a second, and so may lag behind what is durable but never leads it: a log that does not reach
it has lost events. A mark that cannot be read says nothing; it is no reason to stop.
"""

from __future__ import annotations

import logging
import os
import threading
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from eventstore.folder import FILE_MODE, sync_folder

logger = logging.getLogger(__name__)

FILE_NAME = "log.mark"


@frozen
class Mark:
    """A point the log of this epoch has reached; ``hash`` is the chain hash there."""

    epoch: str
    position: int
    hash: bytes


class HighWaterMark:
    """The file that holds a :class:`Mark`: old or new, never a part of one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._beside = folder / f".{FILE_NAME}.new"
        self._writing = threading.Lock()

    def read(self) -> Mark | None:
        """The mark; None where there is none, or none that can be read."""
        try:
            text = self._path.read_text("ascii")
            epoch, position, hash_, check = text.split()
            mark = Mark(epoch, int(position), bytes.fromhex(hash_))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            mark, check = None, ""
        if mark is None or check != _check(mark):
            logger.warning("%s is damaged: whether the log lost its end is not known", FILE_NAME)
            return None
        return mark

    def write(self, mark: Mark) -> None:
        """Replace the mark, durably. Raises OSError."""
        line = f"{mark.epoch} {mark.position} {mark.hash.hex()} {_check(mark)}\n"
        with self._writing:
            handle = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
            try:
                os.write(handle, line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(self._beside, self._path)  # noqa: PTH105 - once a second, for ever
            sync_folder(self._folder)

    def forget(self) -> None:
        """The log is to be replaced by another one. Raises OSError."""
        self._path.unlink(missing_ok=True)
        sync_folder(self._folder)


def _check(mark: Mark) -> str:
    """Against chance, so that a flipped bit here is not taken for a log that lost its end."""
    text = f"{mark.epoch} {mark.position} {mark.hash.hex()}"
    return sha256(text.encode()).hexdigest()[:16]
