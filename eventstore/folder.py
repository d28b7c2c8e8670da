"""The data folder: its paths, its modes, and the lock that gives it to one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class FolderLocked(Exception):
    """Another process owns the data folder."""


class FolderUnfit(Exception):
    """The folder cannot hold a log: not writable, or on a file system that SQLite's WAL refuses."""


def log_path(folder: Path) -> Path:
    """Where the log is."""
    return folder / "log.db"


def prepare(folder: Path) -> None:
    """Make the folder, for its owner only, or tighten the mode of the one that is there.

    Raises :class:`FolderUnfit`.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(FOLDER_MODE)
    except OSError as error:
        raise FolderUnfit(f"cannot use {folder} as the data folder: {error.strerror}") from error


def make_private(path: Path) -> None:
    """Make an empty file that only its owner may read, or tighten the one that is there.

    SQLite gives the -wal and -shm beside it the same mode. Never call this on a database that this
    process has open: closing any descriptor of it drops the process's POSIX locks on it.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE))
        path.chmod(FILE_MODE)
    except OSError as error:
        raise FolderUnfit(f"cannot write {path}: {error.strerror}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable (after a create or a rename)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """What the file system still gives to an ordinary process."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


class FolderLock:
    """Ownership of a data folder; the kernel takes it back when the process dies."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises :class:`FolderLocked`, naming the owner's process id, and :class:`FolderUnfit`.
        """
        path = folder / "lock"
        make_private(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise FolderLocked(
                f"{folder} is in use by process {owner or 'unknown'}; one process owns a data "
                "folder. Stop it, or talk to it through its control socket."
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the folder back. The file stays: removing it would let two owners in."""
        os.close(self._descriptor)
