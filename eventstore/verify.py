"""The offline verifier: is this log whole, and is it the history that receipts confirm.

Standard library only, and nothing of ours is imported: an auditor copies this one file and runs
``python verify.py log.db --checkpoint FILE --key HEX``. It computes again what ``chain.py``,
``checkpoint.py`` and ``interchange.py`` describe, Ed25519 (RFC 8032) included. It takes a log, the
data folder that holds one, or an export of one (NDJSON, CloudEvents).

Checked, streaming, in memory that does not grow with the log (32 bytes an event of an export):

* positions are 1, 2, 3 ... without a gap, and ``recorded_at`` rises strictly;
* ``hash = sha256(previous hash || header || data_hash)`` at every position, from 32 zero bytes on;
* ``data_hash = sha256(salt || data)``, the salt of 16 bytes; where data and salt are gone, a later
  ``message.redacted`` must name the position, and what a ``message.redacted`` names must be gone;
* streams and types have the right form; idempotency keys point to events that exist;
* only messages and webhooks are ever erased, and heartbeats up to where the newest
  ``heartbeat.compacted`` says: those all, and none beyond;
* what each ``checkpoint.signed`` in the log says of the log before it, and the signature of the
  newest one by a key that was given;
* the file's structure, by SQLite's own ``quick_check``; of an export, that each line is as Malote
  writes it;
* every *anchor* presented: a receipt, a checkpoint or a client's cursor, that is, a position and
  the chain hash there, kept **outside** the log. A checkpoint must be signed as it says; with
  ``--key``, by one of the keys given.

What it cannot see: a chain inside a file cannot show that its own end was cut off, or that all of
it was written anew. Only anchors can, at or below the largest one presented. Receipts and cursors
are compared and not authenticated: they prove as much as the place where they were kept; and so
does a checkpoint where no key was given, for it then vouches for itself. The ``keys`` table is
outside the chain; a changed digest in it is not noticed.

Two paths: :meth:`_Walk.is_odd` for rows as nearly all are, which only says that a row is not one of
them, and :meth:`_Walk.examine` for the others, which checks everything again and names the fault.

A long log is cut into parts that as many processes as there are processors take as they get free:
each part begins at a hash at which the one before it must arrive.

A log that a server is writing can be verified too: it is read in short transactions, in order,
up to the head. The file is opened with its write-ahead log, never with ``immutable=1`` beside one,
which would silently leave out the newest events.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import re
import select
import signal
import sqlite3
import sys
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, TypeAlias

GENESIS = bytes(32)
HASH_BYTES, SALT_BYTES = 32, 16
PAGE_EVENTS = 512
FIRST_ROWID = -(2**63)  # rows at 0 and below are found, not passed over
LAST_ROWID = 2**63 - 1
PART_EVENTS, PARTS_MAX = 2_000, 256
"""Small enough that all processes end together; a part's number is a byte."""
MAPPED_BYTES_MAX = 2**40
TREES_STEPS_MAX = 10_000
"""To look at all trees is one step of SQLite's machine; each row takes many."""
NEVER = 2**64
BUSY_TIMEOUT_S = 30.0
NAMES_REMEMBERED_MAX = 100_000

DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises for a damaged file: the second where SQLite's message quotes the damage."""

EXIT_VERIFIED, EXIT_FAULT, EXIT_USAGE, EXIT_CANNOT_READ = 0, 1, 2, 3

_COLUMNS = """position, recorded_at, stream, conversation, type, version, data, data_hash, salt,
       correlation_id, causation_id, hash"""
_NEXT = f"""
SELECT {_COLUMNS} FROM events NOT INDEXED
WHERE position >= ? AND position <= ? ORDER BY position LIMIT 1"""  # noqa: S608 - constants
_NEXT_ODD = f"""
SELECT {_COLUMNS} FROM events NOT INDEXED
WHERE position >= ? AND position <= ? AND is_odd({_COLUMNS}) ORDER BY position LIMIT 1"""  # noqa: S608
_DANGLING_KEY = """
SELECT position FROM keys
WHERE typeof(position) <> 'integer' OR typeof(digest) <> 'blob'
   OR position NOT BETWEEN 1 AND (SELECT coalesce(max(position), 0) FROM events) LIMIT 1"""

_BEATS = ("heartbeat.answered", "heartbeat.missed")
_ODD_BEAT = """
SELECT min(position) FROM events
WHERE type IN ('heartbeat.answered', 'heartbeat.missed') AND (data IS NULL) = (position > ?)"""

_STREAM = re.compile(r"system|inbox:[^\n]+|client:[^/\n]+/[^\n]+")
_TYPE = re.compile(r"[a-z]+\.[a-z_]+")
_RECEIPT = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64}|[0-9a-f]{8})", re.ASCII)
_CURSOR = re.compile(r"([A-Za-z0-9_-]{1,64})\.([1-9][0-9]{0,18})\.([0-9a-f]{8})", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{8}", re.ASCII)
_EPOCH = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_LOOKED_AT = frozenset({"message.redacted", "checkpoint.signed", "heartbeat.compacted"})
"""Types whose content means something for the check; the others' is only hashed."""
_empty_hash = sha256().copy
"""Gives a new one at three quarters of what ``sha256()`` costs."""
_ABSENT = {None: ""}
"""What may be false and how the header says it: an empty text is not in here."""

Row: TypeAlias = tuple[Any, ...]
"""One event's columns, in the order of ``_COLUMNS``."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called after every page with (events checked, events in all)."""


class CannotRead(Exception):
    """The file could not be opened or read here; this says nothing about its content."""


class AnchorMalformed(ValueError):
    """What was presented as a receipt or a checkpoint is none."""


@dataclass(frozen=True)
class Signature:
    """What makes an anchor a checkpoint: who signed it, and what was signed beside the hash."""

    epoch: str
    time: str
    key_id: str
    public_key: str
    signature: str


@dataclass(frozen=True)
class Anchor:
    """A position and the chain hash there, kept outside the log.

    ``hash`` is 64 hex digits, or the first 8 where it comes from a cursor.
    """

    position: int
    hash: str
    source: str
    signed: Signature | None = None


@dataclass(frozen=True)
class Fault:
    """The first thing that is wrong: where, what is seen, and what that means.

    ``position`` is None where it concerns the file and no event. ``kind`` is stable, for programs.
    """

    kind: str
    position: int | None
    what: str
    means: str


@dataclass(frozen=True)
class Report:
    """What was found. ``fault`` is None for a log that is verified.

    ``keys`` are those given; ``checkpoint`` is the position that the newest checkpoint inside the
    log vouches for which one of them signed, 0 if there is none.
    """

    file: str
    epoch: str | None
    events: int
    erased: int
    hash: str
    recorded_at: int
    anchors: Sequence[Anchor]
    seconds: float
    keys: Sequence[str] = ()
    checkpoint: int = 0
    fault: Fault | None = None


class _Found(Exception):
    """Ends the walk at the first fault."""

    def __init__(self, kind: str, position: int | None, what: str, means: str) -> None:
        super().__init__(what)
        self.fault = Fault(kind, position, what, means)


# --- one row -----------------------------------------------------------------------------------


def _link(row: Row, previous: bytes) -> bytes:
    position, at, stream, conversation, type_, version, _, data_hash, _, correlation, cause, _ = row
    # repr, not str: an integer that was replaced by the same digits as text must not pass.
    head = (
        f"malote/1\n{position}\n{at!r}\n{stream}\n{conversation or ''}\n{type_}\n"
        f"{version!r}\n{correlation or ''}\n{'' if cause is None else repr(cause)}\n"
    )
    return sha256(previous + head.encode() + data_hash).digest()


@dataclass
class _Walk:
    """Where the walk along the chain stands."""

    anchors: Sequence[Anchor]
    position: int = 0  # up to here everything is sound
    recorded_at: int = -1  # when that was, in µs
    hash: bytes = GENESIS  # the chain hash there
    confirmed: int = 0  # the last position that an anchor confirmed
    erased: set[int] = field(default_factory=set)
    named: dict[int, int] = field(default_factory=dict)  # erased position -> the redaction's own
    checkpoints: list[tuple[int, Anchor]] = field(default_factory=list)  # each with its own place
    whole: int = LAST_ROWID  # the first heartbeat with content
    blank: int = 0  # the last one without
    compacted: list[list[int]] = field(default_factory=list)  # each: its own place, after, until
    streams: set[str] = field(default_factory=set)  # well-formed ones
    types: set[str] = field(default_factory=set)  # well-formed, and of no consequence

    @property
    def next_anchor(self) -> int:
        """The position of the next one, which is for :meth:`examine`."""
        return self.anchors[0].position if self.anchors else NEVER

    def take(self, row: Row) -> None:
        """Check one row by itself. Raises :class:`_Found`."""
        if row[0] == self.next_anchor or self.is_odd(*row):
            self.examine(row)

    def is_odd(
        self,
        position: Any, at: Any, stream: Any, conversation: Any, type_: Any, version: Any,
        data: Any, data_hash: Any, salt: Any, correlation: Any, cause: Any, stated: Any,
    ) -> bool:  # fmt: skip
        """The fast path: whether a row is for :meth:`examine`. Any other follows: we stand there.

        SQLite calls it for every row, for it hands columns over to a function at half of what it
        costs to fetch them. It makes no call of ours: that would cost as much as a hash.
        """
        try:
            # As _link, but join takes strings only: here nothing else looks at the kinds.
            head = "\n".join((
                "malote/1", str(position), str(at), stream, conversation or _ABSENT[conversation],
                type_, f"{version!r}", correlation or _ABSENT[correlation],
                "" if cause is None else f"{cause!r}", "",
            ))  # fmt: skip
            link = _empty_hash()
            link.update(self.hash + head.encode() + data_hash)
            if (
                position != self.position + 1
                or at <= self.recorded_at
                or link.digest() != stated
                or not (stream in self.streams or _remembers(self.streams, stream, _STREAM))
            ):
                return True
            if data is None and salt is None and type_ in _BEATS:
                if len(data_hash) != HASH_BYTES:
                    return True
                self.blank = position
            else:
                content = _empty_hash()
                content.update(salt + data)
                if (
                    content.digest() != data_hash
                    or len(salt) != SALT_BYTES
                    or not (type_ in self.types or _remembers(self.types, type_, _TYPE))
                ):
                    return True
        except (TypeError, KeyError, UnicodeEncodeError):
            return True
        self.position, self.recorded_at, self.hash = position, at, stated
        return False

    def examine(self, row: Row) -> None:
        """The slow path: everything, one at a time, so that a fault can be named.

        Raises :class:`_Found`.
        """
        self._check_position(row[0])
        _check_kinds(row)
        self._check_time(row)
        _check_names(row)
        self._check_content(row)
        self._check_link(row)
        self._note(row)
        self.position, self.recorded_at, self.hash = row[0], row[1], row[11]
        while self.next_anchor == self.position:
            self._compare(self.anchors[0])
            self.anchors = self.anchors[1:]

    def _check_position(self, position: int) -> None:
        expected = self.position + 1
        if position < expected:
            raise _Found(
                "position",
                position,
                f"position {position} stands where {expected} belongs",
                "A row was put in that the log never assigned.",
            )
        if position > expected:
            missing = f"{expected}" if position == expected + 1 else f"{expected} to {position - 1}"
            raise _Found(
                "gap",
                expected,
                f"position {missing} is missing; {position} follows {self.position}",
                "Events were deleted: positions are gapless and never reused.",
            )

    def _check_time(self, row: Row) -> None:
        if row[1] <= self.recorded_at:
            raise _Found(
                "time",
                row[0],
                f"recorded_at {row[1]} is not later than {self.recorded_at} before it",
                "The time was changed, or events were put in another order.",
            )

    def _check_content(self, row: Row) -> None:
        position, data, data_hash, salt = row[0], row[6], row[7], row[8]
        if data is None and salt is None:
            if row[4] in _BEATS:
                self.blank = position
                return
            if not row[4].startswith(("message.", "webhook.")):
                raise _Found(
                    "erased",
                    position,
                    f"the content of a {row[4]} is gone",
                    "Only messages and webhooks are ever erased; this was removed by other means.",
                )
            self.erased.add(position)
        elif data is None or salt is None:
            raise _Found(
                "content",
                position,
                f"{'data' if data is None else 'salt'} is gone, the other half is there",
                "An erasure removes both; this one half was removed by other means.",
            )
        elif len(salt) != SALT_BYTES:
            raise _Found(
                "content",
                position,
                f"the salt has {len(salt)} bytes instead of {SALT_BYTES}",
                "It was changed, or bytes of it and the content were moved across their border.",
            )
        elif sha256(salt + data).digest() != data_hash:
            raise _Found(
                "content",
                position,
                "the content does not have the hash that was recorded for it",
                "The content (or its salt or hash) was changed after it was recorded.",
            )

    def _check_link(self, row: Row) -> None:
        if _link(row, self.hash) != row[11]:
            raise _Found(
                "chain",
                row[0],
                "the chain hash does not follow from this envelope and the hash before it",
                "This event's envelope, content hash or chain hash was changed, or it was put in.",
            )

    def _note(self, row: Row) -> None:
        if row[4] == "message.redacted":
            self._note_redaction(row)
        elif row[4] == "checkpoint.signed":
            self._note_checkpoint(row)
        elif row[4] == "heartbeat.compacted":
            self._note_compaction(row)
        elif row[4] in _BEATS and row[6] is not None:
            self.whole = min(self.whole, row[0])
            self.types.add(row[4])  # only the first is of consequence

    def _note_redaction(self, row: Row) -> None:
        try:
            positions = json.loads(row[6] or b"null")["positions"]
            targets = {int(position): int(row[0]) for position in positions}
        except (ValueError, TypeError, KeyError):
            targets = {0: row[0]}
        if not all(0 < target < row[0] for target in targets):
            raise _Found(
                "redaction",
                row[0],
                "this record of an erasure does not name earlier positions",
                "A redaction must itself stay readable: it is what explains the erased content.",
            )
        self.named.update(targets)

    def _note_compaction(self, row: Row) -> None:
        try:
            said = json.loads(row[6])
            after, until = said["after"], said["until"]
        except (ValueError, TypeError, KeyError, RecursionError):
            after = until = None
        if type(after) is not int or type(until) is not int or not 0 <= after < until < row[0]:
            raise _Found(
                "compaction",
                row[0],
                "this record of a compaction does not name a range of earlier positions",
                "It must itself stay readable: it is what explains heartbeats without content.",
            )
        self.compacted.append([row[0], after, until])

    def _note_checkpoint(self, row: Row) -> None:
        try:
            anchor = _anchor(json.loads(row[6]), f"the checkpoint at {row[0]}")
        except (ValueError, RecursionError):
            anchor = None
        if anchor is None or anchor.signed is None or anchor.position >= row[0]:
            raise _Found(
                "checkpoint",
                row[0],
                "this record of a checkpoint does not hold a signed, earlier position",
                "The log signs what it holds already; this was not written by Malote.",
            )
        self.checkpoints.append((row[0], anchor))

    def _compare(self, anchor: Anchor) -> None:
        if self.hash.hex().startswith(anchor.hash):
            self.confirmed = anchor.position
            return
        raise _Found(
            "rewritten",
            anchor.position,
            f"the hash here is {self.hash.hex()[: len(anchor.hash)]}, but {anchor.source} holds "
            f"{anchor.hash}",
            f"The chain fits together, but it is not the history that was confirmed: it was "
            f"rewritten somewhere from position {self.confirmed + 1} on, or is another log's.",
        )


def _check_kinds(row: Row) -> None:
    """Column types. NULL and '' look alike in the header, 5 and '5' nearly: neither may pass."""
    position, recorded_at, stream, conversation, type_, version, data, data_hash, salt = row[:9]
    correlation, cause, hash_ = row[9:]
    sound = (
        all(type(value) is int for value in (recorded_at, version))
        and (cause is None or type(cause) is int)
        and all(type(value) is str for value in (stream, type_))
        and all(v is None or (type(v) is str and v) for v in (conversation, correlation))
        and all(v is None or type(v) is bytes for v in (data, salt))
        and all(type(v) is bytes and len(v) == HASH_BYTES for v in (data_hash, hash_))
    )
    if not sound:
        raise _Found(
            "kind",
            position,
            "a column holds a value of a kind that the log never writes there",
            "The row was changed by something other than Malote.",
        )


def _remembers(names: set[str], name: str, form: re.Pattern[str]) -> bool:
    """Whether a new name is well-formed and of no consequence."""
    if name in _LOOKED_AT or name in _BEATS or not form.fullmatch(name):
        return False
    if len(names) < NAMES_REMEMBERED_MAX:
        names.add(name)
    return True


def _check_names(row: Row) -> None:
    if not _STREAM.fullmatch(row[2]) or not _TYPE.fullmatch(row[4]):
        raise _Found(
            "name",
            row[0],
            f"stream {row[2]!r} with type {row[4]!r} is not of a form the log writes",
            "The envelope was changed, or this event was not written by Malote.",
        )


# --- the whole file ----------------------------------------------------------------------------


def verify(
    path: Path,
    anchors: Sequence[Anchor] = (),
    on_progress: Progress | None = None,
    keys: Sequence[str] = (),
    processes: int = 1,
) -> Report:
    """Check a log file, the folder that holds ``log.db``, or an export; report the first fault.

    ``keys`` are public keys, 64 hex digits each: checkpoints must be signed by one of them. A long
    log is shared between ``processes`` of them, forked from this one: more than one is for
    programs that have no other threads and have no database open. Raises :class:`CannotRead` where
    nothing can be said, such as a file that does not exist.
    """
    file = path / "log.db" if path.is_dir() else path
    walk = _Walk(sorted(anchors, key=lambda anchor: anchor.position))
    started = time.perf_counter()
    fault, epoch, checkpoint = None, None, 0
    try:
        for anchor in walk.anchors:
            _check_signature(anchor, keys)
        if _is_export(file):
            epoch = _look_at_export(file, walk, on_progress)
        else:
            epoch = _look_at_log(file, walk, on_progress, processes)
        checkpoint = _check_newest_checkpoint(walk, keys)
    except _Found as found:
        fault = found.fault
    except DAMAGE as error:
        fault = _unreadable(error, None).fault
    return Report(
        file=str(file),
        epoch=epoch,
        events=walk.position,
        erased=len(walk.erased),
        hash=walk.hash.hex(),
        recorded_at=max(walk.recorded_at, 0),
        anchors=anchors,
        seconds=time.perf_counter() - started,
        keys=keys,
        checkpoint=checkpoint,
        fault=fault,
    )


def _look_at_log(file: Path, walk: _Walk, on_progress: Progress | None, processes: int = 1) -> str:
    with closing(_open(file)) as connection:
        epoch = _read_head(connection)
        total = _count(connection)
    parts = _parts(total) if processes > 1 and hasattr(os, "fork") else []
    # Forked while no database is open here and no thread is: a child must not inherit either.
    found = _found_by_others(file, walk.anchors, parts, processes, on_progress) if parts else {}
    with closing(_open(file)) as connection:
        for begin, end in parts:
            _join(walk, begin, found.get(str(begin)))
            _walk_chain(connection, walk, on_progress, total, end)  # what was not done or not right
        # All of a short log, what was written since.
        _walk_chain(connection, walk, on_progress, total)
        with _at_one_moment(connection):  # or a compaction comes between the walk and the question
            _walk_chain(connection, walk, on_progress, total)
            _check_compactions(walk, lambda until: _odd_beat(connection, until))
        # The end first: what was cut off may be what explains an erasure before it.
        _check_end(walk)
        _hear(found, "keys", lambda: _check_keys(file))
        _check_erasures(walk, lambda position: _is_erased(connection, position))
        _check_checkpoints(walk, lambda position: _hash_at(connection, position))
        _hear(found, "structure", lambda: _quick_check(file))
    return epoch


@contextmanager
def _at_one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _odd_beat(connection: sqlite3.Connection, until: int) -> int | None:
    (position,) = connection.execute(_ODD_BEAT, (until,)).fetchone()
    return None if position is None else int(position)


def _is_erased(connection: sqlite3.Connection, position: int) -> bool:
    row = connection.execute("SELECT data FROM events WHERE position = ?", (position,)).fetchone()
    return bool(row == (None,))


def _hash_at(connection: sqlite3.Connection, position: int) -> bytes:
    query = "SELECT hash FROM events WHERE position = ?"
    return bytes(connection.execute(query, (position,)).fetchone()[0])


def _open(file: Path, *, mapped: bool = False) -> sqlite3.Connection:
    """Read-only, and with the file in memory if ``mapped``: faster, and for a process of its own.

    What a broken disk then does to a process, it does to that one.
    """
    if not file.is_file():
        raise CannotRead(f"{file}: no such file")
    try:
        return _connect(file, "mode=ro", mapped)
    except sqlite3.OperationalError as error:
        if _size(file, "-wal"):
            raise CannotRead(
                f"{file}: {error}. Its newest events are in {file.name}-wal, and reading those "
                f"needs a {file.name}-shm that may be created: copy all files of the log to a "
                "folder you can write to, or make a backup with `malote backup`. Opening the "
                "file alone would leave those events out, so it is refused."
            ) from error
        if os.access(file.parent, os.W_OK) or not os.access(file, os.R_OK):
            raise CannotRead(f"{file}: {error}") from error
    # A read-only medium and no write-ahead log: nothing can change, and nothing is left out.
    return _connect(file, "immutable=1", mapped)


def _size(file: Path, suffix: str) -> int:
    beside = file.with_name(file.name + suffix)
    return beside.stat().st_size if beside.exists() else 0


def _connect(file: Path, mode: str, mapped: bool) -> sqlite3.Connection:
    uri = f"{file.resolve().as_uri()}?{mode}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    try:
        # The file may be hostile: nothing in its schema is run, and cells are measured first.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES_MAX if mapped else 0}")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        raise
    except DAMAGE:
        return connection  # no database, or a damaged one: reading its tables says so
    return connection


def _read_head(connection: sqlite3.Connection) -> str:
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"
    ).fetchall()
    missing = {"events", "keys", "meta"} - {name for (name,) in tables}
    if not missing:
        return _read_epoch(connection)
    raise _Found(
        "file",
        None,
        f"it has no table {', '.join(sorted(missing))}",
        "This is not a Malote log, or its tables were replaced.",
    )


def _read_epoch(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    if row and isinstance(row[0], str) and _EPOCH.fullmatch(row[0]):
        return row[0]
    raise _Found(
        "file", None, "it does not say its epoch", "The table `meta` was emptied or changed."
    )


def _unreadable(error: Exception, position: int | None) -> _Found:
    code = getattr(error, "sqlite_errorcode", None)
    trouble_here = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM)
    if code is not None and code & 0xFF in trouble_here:
        raise CannotRead(str(error)) from error
    return _Found(
        "unreadable", position, f"SQLite cannot read it: {error}", "The file is damaged here."
    )


def _walk_chain(
    connection: sqlite3.Connection,
    walk: _Walk,
    on_progress: Progress | None,
    total: int,
    until: int = LAST_ROWID,
) -> None:
    if walk.position >= until:
        return
    connection.create_function("is_odd", 12, walk.is_odd)
    more = True
    while more and walk.position < until:
        before = walk.position
        more = _walk_page(connection, walk, until)
        if on_progress is not None and walk.position > before:
            on_progress(walk.position, max(total, walk.position))


def _walk_page(connection: sqlite3.Connection, walk: _Walk, until: int) -> bool:
    """Walk on to the end of a page or over an odd row in it; whether there was any row.

    A page is one read transaction, and of it one row at a time is held: neither does a long log
    keep a server's WAL from shrinking, nor a large webhook make this process big.
    """
    end = min(walk.position + PAGE_EVENTS, until)
    row, trouble = None, None
    if walk.position:
        ordinary = (walk.position + 1, min(end, walk.next_anchor - 1))
        try:
            row = connection.execute(_NEXT_ODD, ordinary).fetchone()
        except DAMAGE as error:
            trouble = error
    if row is None and walk.position < end:
        row = _next_row(connection, walk, until, trouble)
        if row is None:
            return False
    if row is not None:
        walk.examine(row)
    return True


def _next_row(
    connection: sqlite3.Connection, walk: _Walk, until: int, trouble: Exception | None
) -> Row | None:
    """The one after the last: an anchor's, one after a gap, or what the trouble was about."""
    start = walk.position + 1 if walk.position else FIRST_ROWID
    try:
        row: Row | None = connection.execute(_NEXT, (start, until)).fetchone()
    except DAMAGE as error:
        raise _unreadable(error, walk.position + 1) from error
    # Of an exception in a function SQLite says only that there was one.
    in_function = getattr(trouble, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    if in_function and row is not None and not walk.is_odd(*row):
        raise KeyboardInterrupt from trouble  # for nothing is wrong with the row
    return row


# --- shared between processes ------------------------------------------------------------------

_Findings: TypeAlias = dict[str, Any]
_Part: TypeAlias = tuple[int, int]
"""A stretch of the log: after the first position, up to the second."""


def _parts(total: int) -> list[_Part]:
    """A long log in equal parts; none of a short one."""
    count = min(total // PART_EVENTS, PARTS_MAX)
    ends = [total * number // count for number in range(count + 1)] if count > 1 else []
    return list(itertools.pairwise(ends))


def _found_by_others(
    file: Path,
    anchors: Sequence[Anchor],
    parts: Sequence[_Part],
    processes: int,
    on_progress: Progress | None,
) -> _Findings:
    """What processes find that take part after part as they get free, until one finds a fault.

    By where a part begins, and by name what needs no walk: one of them checks that first.
    What is missing, none could do.
    """
    queue, filled = os.pipe()
    os.write(filled, bytes(range(len(parts))))
    os.close(filled)
    walks = functools.partial(_walk_parts, file, anchors, parts, queue)
    children: list[tuple[int, int]] = []
    try:
        children.append(_forked(lambda: itertools.chain(_check_beside(file), walks())))
        for _ in range(processes - 1):
            children.append(_forked(walks))  # noqa: PERF401 - if a fork fails, the others must end
        found: _Findings = {}
        for name, finding in _told([pipe for _, pipe in children]):
            found[name] = finding
            if on_progress is not None:
                done = sum(end - begin for begin, end in parts if str(begin) in found)
                on_progress(done, parts[-1][1])
        return found
    finally:
        os.close(queue)
        for process, pipe in children:
            os.close(pipe)
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _forked(work: Callable[[], Iterable[tuple[str, Any]]]) -> tuple[int, int]:
    """A child that writes each finding into a pipe, as a line of JSON; its id, and the pipe."""
    ours, theirs = os.pipe()
    process = os.fork()
    if process:
        os.close(theirs)
        return process, ours
    try:
        os.close(ours)
        with os.fdopen(theirs, "wb") as pipe:
            for finding in work():
                pipe.write(json.dumps(finding).encode() + b"\n")
                pipe.flush()
    finally:
        os._exit(0)  # whatever happened: nothing of the parent's may run twice


def _told(pipes: list[int]) -> Iterator[tuple[str, Any]]:
    """Findings as they come, until all have ended. Of one who was killed the last may be broken."""
    heard = dict.fromkeys(pipes, b"")
    while heard:
        for pipe in select.select(list(heard), [], [])[0]:
            if not (more := os.read(pipe, 65_536)):
                del heard[pipe]
                continue
            *lines, heard[pipe] = (heard[pipe] + more).split(b"\n")
            yield from map(json.loads, lines)


def _walk_parts(
    file: Path, anchors: Sequence[Anchor], parts: Sequence[_Part], queue: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk parts, in order, as long as there are any."""
    walk = _Walk(())
    with closing(_open(file, mapped=True)) as connection:
        while number := os.read(queue, 1):
            begin, end = parts[number[0]]
            walk = _Walk(
                [anchor for anchor in anchors if begin < anchor.position <= end],
                confirmed=max((a.position for a in anchors if a.position <= begin), default=0),
                streams=walk.streams,
                types=walk.types,
            )
            if begin and not _begin_at(connection, walk, begin):
                continue
            part = _walk_part(connection, walk, end)
            if part["fault"]:
                os.read(queue, PARTS_MAX)  # what comes after it is of no consequence
            yield str(begin), part


def _begin_at(connection: sqlite3.Connection, walk: _Walk, begin: int) -> bool:
    """Go to where a part begins, if a row is there that a walk can go on from."""
    try:
        row = connection.execute(_NEXT, (begin, begin)).fetchone()
        if row is None:
            return False
        _check_kinds(row)
    except (_Found, *DAMAGE):
        return False
    walk.position, walk.recorded_at, walk.hash = row[0], row[1], row[11]
    return True


def _walk_part(connection: sqlite3.Connection, walk: _Walk, end: int) -> dict[str, Any]:
    """What the walk came to, and from which hash, for JSON."""
    began_at, fault = walk.hash.hex(), None
    try:
        _walk_chain(connection, walk, None, 0, end)
    except _Found as found:
        fault = asdict(found.fault)
    return {
        "began_at": began_at,
        "position": walk.position,
        "recorded_at": walk.recorded_at,
        "hash": walk.hash.hex(),
        "erased": sorted(walk.erased),
        "named": list(walk.named.items()),
        "checkpoints": [[place, asdict(anchor)] for place, anchor in walk.checkpoints],
        "confirmed": walk.confirmed,
        "whole": walk.whole,
        "blank": walk.blank,
        "compacted": walk.compacted,
        "fault": fault,
    }


def _join(walk: _Walk, begin: int, part: dict[str, Any] | None) -> None:
    """Go on where a part ended; it must have begun at the hash that we came to."""
    if part is None or walk.position != begin or part["began_at"] != walk.hash.hex():
        return
    walk.position, walk.recorded_at = part["position"], part["recorded_at"]
    walk.hash = bytes.fromhex(part["hash"])
    walk.erased.update(part["erased"])
    walk.named.update(part["named"])
    for place, found in part["checkpoints"]:
        signed = Signature(**found.pop("signed"))
        walk.checkpoints.append((place, Anchor(**found, signed=signed)))
    walk.confirmed = part["confirmed"]
    walk.whole, walk.blank = min(walk.whole, part["whole"]), max(walk.blank, part["blank"])
    walk.compacted += part["compacted"]
    walk.anchors = [anchor for anchor in walk.anchors if anchor.position > walk.position]
    if part["fault"] is not None:
        raise _Found(**part["fault"])


def _check_beside(file: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """What needs no walk along the chain, by name: the fault, or None."""
    yield "structure", _fault_of(lambda: _quick_check(file, mapped=True))
    yield "keys", _fault_of(lambda: _check_keys(file))


def _fault_of(check: Callable[[], None]) -> dict[str, Any] | None:
    try:
        check()
    except _Found as found:
        return asdict(found.fault)
    return None


def _hear(told: dict[str, Any], name: str, check: Callable[[], None]) -> None:
    """Take another process's word for it, or, where there is none, check."""
    if name not in told:
        check()
    elif told[name] is not None:
        raise _Found(**told[name])


def _count(connection: sqlite3.Connection) -> int:
    try:
        (last,) = connection.execute("SELECT max(position) FROM events").fetchone()
    except DAMAGE:
        return 0  # only for the progress; the walk meets the damage itself
    return last if isinstance(last, int) else 0


def _check_erasures(walk: _Walk, is_erased: Callable[[int], bool]) -> None:
    unexplained = min(walk.erased - walk.named.keys(), default=None)
    if unexplained is not None:
        raise _Found(
            "erased",
            unexplained,
            "its content is gone, and no later message.redacted names it",
            "The content was removed outside the log's own, recorded erasure.",
        )
    for position in sorted(walk.named.keys() - walk.erased):
        # Erased while we were reading further on? Look again before saying so.
        if not is_erased(position):
            raise _Found(
                "redaction",
                position,
                f"its content is there, though position {walk.named[position]} records its erasure",
                "The erased content was put back, or the erasure never took place.",
            )


def _check_compactions(walk: _Walk, odd_beat: Callable[[int], int | None]) -> None:
    """Ranges join without a gap, so one position says which heartbeats have content."""
    until = 0
    for place, after, end in walk.compacted:
        if after != until:
            raise _Found(
                "compaction",
                place,
                f"it begins after {after}, the one before it ended at {until}",
                "A record of a compaction was put in or changed.",
            )
        until = end
    # What was whole when we read it may be blank by now: ask again before saying so.
    position = odd_beat(until) if walk.whole <= until or walk.blank > until else None
    if position is not None and position > until:
        raise _Found(
            "erased",
            position,
            "the content of a heartbeat is gone, and no heartbeat.compacted speaks of it",
            "The content was removed outside the log's own, recorded compaction.",
        )
    if position is not None:
        raise _Found(
            "redaction",
            position,
            f"the content of a heartbeat is there, though all up to {until} were compacted",
            "The content was put back, or the compaction never took place.",
        )


def _check_checkpoints(walk: _Walk, hash_at: Callable[[int], bytes]) -> None:
    for place, checkpoint in walk.checkpoints:
        if hash_at(checkpoint.position).hex() != checkpoint.hash:
            raise _Found(
                "checkpoint",
                place,
                f"it says {checkpoint.hash} of position {checkpoint.position}, where it is not so",
                "The log was rewritten before this checkpoint, or the checkpoint was put in.",
            )


def _check_newest_checkpoint(walk: _Walk, keys: Sequence[str]) -> int:
    """The position that a checkpoint inside the log vouches for, signed by a key we were given."""
    for place, checkpoint in reversed(walk.checkpoints):
        if checkpoint.signed is not None and checkpoint.signed.public_key in keys:
            if not _is_signed(checkpoint):
                raise _unsigned(checkpoint, place)
            return checkpoint.position
    return 0


def _check_signature(anchor: Anchor, keys: Sequence[str]) -> None:
    if anchor.signed is None:
        return
    if not _is_signed(anchor):
        raise _unsigned(anchor, anchor.position)
    if keys and anchor.signed.public_key not in keys:
        raise _Found(
            "signature",
            anchor.position,
            f"{anchor.source} is signed by key {anchor.signed.key_id}, none of those given",
            "Somebody else signed this checkpoint, or the key was changed: ask for its public key.",
        )


def _is_signed(anchor: Anchor) -> bool:
    signed = anchor.signed
    assert signed is not None
    public = bytes.fromhex(signed.public_key)
    text = (
        f"malote checkpoint/1\n{signed.epoch}\n{anchor.position}\n{anchor.hash}\n{signed.time}\n"
        f"{signed.key_id}\n"
    )
    return sha256(public).hexdigest()[:16] == signed.key_id and ed25519_verify(
        public, text.encode(), bytes.fromhex(signed.signature)
    )


def _unsigned(anchor: Anchor, position: int) -> _Found:
    return _Found(
        "signature",
        position,
        f"the signature of {anchor.source} is not that of its key over what it says",
        "The checkpoint was changed after it was signed, or nobody ever signed it.",
    )


def _check_end(walk: _Walk) -> None:
    if not walk.anchors:
        return
    beyond = walk.anchors[-1]
    raise _Found(
        "truncated",
        walk.position + 1,
        f"the log ends at {walk.position}, but {beyond.source} was given for {beyond.position}",
        f"The events {walk.position + 1} to {beyond.position} were confirmed and are gone: the end "
        "was cut off, or this is an older backup.",
    )


def _check_keys(file: Path) -> None:
    with closing(_open(file)) as connection:
        row = connection.execute(_DANGLING_KEY).fetchone()
    if row is not None:
        raise _Found(
            "key",
            row[0] if isinstance(row[0], int) else None,
            f"an idempotency key points to {row[0]!r}, where there is no event",
            "Events at the end were deleted and their keys forgotten, or a key was put in.",
        )


def _verdict(connection: sqlite3.Connection) -> str:
    """What quick_check says of the trees, if it is stopped where it goes on to kinds in rows.

    It takes as long for those again, and ``_check_kinds`` and ``_DANGLING_KEY`` have seen to them.
    """
    try:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return "ok"
        raise


def _quick_check(file: Path, *, mapped: bool = False) -> None:
    with closing(_open(file, mapped=mapped)) as connection:
        if sqlite3.sqlite_version_info < (3, 42):  # from there on it is asked about trees, too
            connection.set_progress_handler(lambda: True, TREES_STEPS_MAX)
        verdict = _verdict(connection)
    if verdict != "ok":
        raise _Found(
            "file",
            None,
            f"SQLite's quick_check says: {verdict.splitlines()[-1]}",
            "The file's structure is damaged, though every event could be read and fits the chain.",
        )


# --- exports -----------------------------------------------------------------------------------

_LINE_BYTES_MAX = 64 * 1024 * 1024


def _is_export(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            return opened.read(1) == b"{"
    except OSError as error:
        raise CannotRead(f"{file}: {error}") from error


def _look_at_export(file: Path, walk: _Walk, on_progress: Progress | None) -> str | None:
    """One event a line, as ``interchange.py`` writes them; no byte of a line is free to change."""
    epochs: set[str] = set()
    hashes = bytearray(GENESIS)  # at 32 bytes a position
    beats: tuple[array[int], array[int]] = (array("q"), array("q"))  # with content, without
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        while line := opened.readline(_LINE_BYTES_MAX):
            row = _row_of(line, walk.position + 1, epochs)
            walk.take(row)
            hashes += row[11]
            if row[4] in _BEATS:
                beats[row[6] is None].append(row[0])
            if on_progress is not None and row[0] % PAGE_EVENTS == 0:
                done = row[0] * size // opened.tell()
                on_progress(row[0], max(done, row[0]))
    _check_end(walk)
    _check_compactions(walk, lambda until: _odd_one(beats, until))
    _check_erasures(walk, lambda _: False)
    _check_checkpoints(walk, lambda position: bytes(hashes[32 * position : 32 * position + 32]))
    return next(iter(epochs), None)


def _odd_one(beats: tuple[array[int], array[int]], until: int) -> int | None:
    there, gone = beats
    beyond = gone[bisect_right(gone, until) :][:1]
    return min((at for at in (*there[:1], *beyond) if at in beyond or at <= until), default=None)


def _row_of(line: bytes, expected: int, epochs: set[str]) -> Row:
    # The data come last and are taken as they stand: their hash is over bytes, not over values.
    # Inside a JSON string a quote is escaped, so the first such comma is not in one.
    head, found, data = line.removesuffix(b"}\n").partition(b',"data":')
    try:
        fields = json.loads(head + b"}")
        reader = _cloud if "specversion" in fields else _plain
        row, epoch, rendered = reader(fields, None if data == b"null" else data)
        written = f'{rendered},"data":'.encode()
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError, OverflowError):
        written = b""
    if not found or written + data + b"}\n" != line:
        raise _Found(
            "form",
            expected,
            "this line is not one that an export has",
            "The line was changed, cut short or put in; or this is no export of Malote.",
        )
    epochs.add(epoch)
    if len(epochs) > 1:
        raise _Found(
            "form",
            expected,
            f"this line is of log {epoch}, the one before it is not",
            "Lines of another log were put in.",
        )
    return row


def _plain(fields: dict[str, Any], data: bytes | None) -> tuple[Row, str, str]:
    """A line of ``--format ndjson``: its row, its epoch, and how it would be written."""
    position, hash_ = fields["position"], bytes.fromhex(fields["hash"])
    at = _microseconds(fields["time"])
    epoch = fields["cursor"].split(".")[0]
    stream, key = fields["stream"], fields.get("key")
    data_hash, salt = bytes.fromhex(fields["data_hash"]), _unhexed(fields["salt"])
    rendered = {
        "position": position,
        "cursor": f"{epoch}.{position}.{hash_[:4].hex()}",
        "type": fields["type"],
        "version": fields["version"],
        "time": _time_of(at),
        "inbox": stream[6:] if stream.startswith("inbox:") else None,
        "conversation": fields["conversation"],
        "stream": stream,
        "correlation_id": fields["correlation_id"],
        "causation_id": fields["causation_id"],
        "hash": hash_.hex(),
        "data_hash": data_hash.hex(),
        "salt": None if salt is None else salt.hex(),
    }
    if key is not None:
        rendered["key"] = _checked_key(position, bytes.fromhex(key)[:16])
    row = (
        position, at, stream, fields["conversation"], fields["type"], fields["version"], data,
        data_hash, salt,
        fields["correlation_id"], fields["causation_id"], hash_,
    )  # fmt: skip
    return row, epoch, _written(rendered)


def _cloud(fields: dict[str, Any], data: bytes | None) -> tuple[Row, str, str]:
    """A line of ``--format cloudevents``, likewise; what is not there has no attribute."""
    position, cause = int(fields["id"]), fields.get("causationid")
    at, epoch = _microseconds(fields["time"]), fields["source"].removeprefix("urn:malote:")
    hash_, data_hash = bytes.fromhex(fields["hash"]), bytes.fromhex(fields["datahash"])
    salt, version = _unhexed(fields.get("salt")), int(fields["eventversion"])
    rendered = {
        "specversion": "1.0",
        "id": str(position),
        "source": f"urn:malote:{epoch}",
        "type": fields["type"],
        "time": _time_of(at),
        "datacontenttype": "application/json",
        "subject": fields.get("subject"),
        "stream": fields["stream"],
        "eventversion": version,
        "correlationid": fields.get("correlationid"),
        "causationid": None if cause is None else str(int(cause)),
        "hash": hash_.hex(),
        "datahash": data_hash.hex(),
        "salt": None if salt is None else salt.hex(),
    }
    row = (
        position, at, fields["stream"], fields.get("subject"), fields["type"], version, data,
        data_hash, salt,
        fields.get("correlationid"), None if cause is None else int(cause), hash_,
    )  # fmt: skip
    return row, epoch, _written({k: v for k, v in rendered.items() if v is not None})


def _unhexed(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _written(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[:-1]


def _checked_key(position: int, key: bytes) -> str:
    """A key is outside the chain, so it carries a check of its own: against chance, not malice."""
    return (key + sha256(b"malote key/1\n%d\n" % position + key).digest()[:4]).hex()


def _time_of(microseconds: int) -> str:
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}Z"


def _microseconds(text: str) -> int:
    if not _TIME.fullmatch(text):
        raise ValueError("not a time")
    since = datetime.fromisoformat(text) - datetime.fromtimestamp(0, UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


# --- Ed25519 (RFC 8032, 5.1) ---------------------------------------------------------------------

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_Point: TypeAlias = tuple[int, int, int, int]
"""Extended homogeneous coordinates X, Y, Z, T, with x = X/Z, y = Y/Z, xy = T/Z."""


def ed25519_verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is that of the key over the message. A few milliseconds.

    Without the cofactor, and nothing but the one encoding of each number: a signature that was
    changed in any bit is another one.
    """
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key = _decompress(public_key)
    s = int.from_bytes(signature[32:], "little")
    if key is None or s >= _ORDER:
        return False
    digest = sha512(signature[:32] + public_key + message).digest()
    k = int.from_bytes(digest, "little") % _ORDER
    x, y, z, t = key
    # R = sB - kA, compared as it is encoded.
    point = _add(_multiply(s, _BASE), _multiply(k, (-x % _P, y, z, -t % _P)))
    return _compress(point) == signature[:32]


def _add(first: _Point, second: _Point) -> _Point:
    a = (first[1] - first[0]) * (second[1] - second[0]) % _P
    b = (first[1] + first[0]) * (second[1] + second[0]) % _P
    c = 2 * first[3] * second[3] * _D % _P
    d = 2 * first[2] * second[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _compress(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decompress(encoded: bytes) -> _Point | None:
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


def _x_of(y: int, sign: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    return x if x & 1 == sign else _P - x


_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE_X = _x_of(_BASE_Y, 0) or 0
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)


# --- anchors -----------------------------------------------------------------------------------


def read_receipt(text: str) -> list[Anchor]:
    """Anchors from ``POSITION:HASH``, a cursor ``epoch.position.hash8``, or a JSON file's name.

    Raises :class:`AnchorMalformed`.
    """
    if match := _RECEIPT.fullmatch(text):
        return [Anchor(int(match[1]), match[2], f"receipt {match[1]}:{match[2][:8]}")]
    if match := _CURSOR.fullmatch(text):
        return [Anchor(int(match[2]), match[3], f"cursor {text}")]
    return read_anchors(Path(text))


def read_anchors(file: Path) -> list[Anchor]:
    """Anchors from a JSON file: ``{"position", "hash"}``, a checkpoint, or a list of such.

    An answer that holds them as ``receipts`` (a webhook's) or ``checkpoints`` will do as well.
    Nothing in an anchor is passed over: a field that is missing, unknown or doubled is an error.

    Raises :class:`AnchorMalformed`.
    """
    try:
        text = json.loads(file.read_bytes(), object_pairs_hook=_without_doubles)
        found = list(_anchors_in(text, file.name))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise AnchorMalformed(f"{file}: {error}") from error
    if not found:
        raise AnchorMalformed(f"{file}: it holds no position with a hash")
    return found


def _anchors_in(value: Any, source: str) -> Iterator[Anchor]:
    if isinstance(value, list):
        for item in value:
            yield from _anchors_in(item, source)
    elif isinstance(value, dict) and ("receipts" in value or "checkpoints" in value):
        yield from _anchors_in(value.get("receipts", []), source)
        yield from _anchors_in(value.get("checkpoints", []), source)
    else:
        yield _anchor(value, source)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise AnchorMalformed("a field is there twice")
    return fields


_RECEIPT_FIELDS = frozenset({"position", "hash"})
_BACKUP_FIELDS = frozenset({"position", "hash", "file"})
_CHECKPOINT_FORMS = {
    "epoch": _EPOCH,
    "time": _TIME,
    "key_id": re.compile(r"[0-9a-f]{16}", re.ASCII),
    "public_key": re.compile(r"[0-9a-f]{64}", re.ASCII),
    "signature": re.compile(r"[0-9a-f]{128}", re.ASCII),
}


def _anchor(value: Any, source: str) -> Anchor:
    if not isinstance(value, dict):
        raise AnchorMalformed("an anchor is an object with a position and a hash")
    position, hash_ = value.get("position"), value.get("hash")
    if type(position) is not int or not 1 <= position <= LAST_ROWID:
        raise AnchorMalformed(f"not a position: {position!r}")
    if not isinstance(hash_, str) or not _HASH.fullmatch(hash_):
        raise AnchorMalformed(f"not a chain hash in hex: {hash_!r}")
    if value.keys() in (_RECEIPT_FIELDS, _BACKUP_FIELDS):
        return Anchor(position, hash_, source)
    if value.keys() != _RECEIPT_FIELDS | _CHECKPOINT_FORMS.keys() or len(hash_) != 64:
        raise AnchorMalformed("neither the fields of a receipt nor those of a checkpoint")
    for name, form in _CHECKPOINT_FORMS.items():
        if not isinstance(value[name], str) or not form.fullmatch(value[name]):
            raise AnchorMalformed(f"not a checkpoint's {name}: {value[name]!r}")
    signed = Signature(**{name: value[name] for name in _CHECKPOINT_FORMS})
    return Anchor(position, hash_, source, signed)


_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


def read_key(text: str) -> str:
    """A public key: 64 hex digits, or the name of a file that holds them.

    Raises :class:`AnchorMalformed`.
    """
    if _KEY.fullmatch(text):
        return text
    try:
        content = Path(text).read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise AnchorMalformed(f"{text}: {error}") from error
    if not _KEY.fullmatch(content):
        raise AnchorMalformed(f"{text}: it holds no public key of 64 hex digits")
    return content


# --- for people --------------------------------------------------------------------------------


def describe(report: Report) -> list[str]:
    """The report as lines for a terminal, without colour."""
    if (fault := report.fault) is not None:
        where = "the file" if fault.position is None else f"position {fault.position}"
        return [
            f"verified: no, {report.file}",
            f"  first fault  {where} ({fault.kind})",
            f"  what         {_printable(fault.what)}",
            f"  means        {fault.means}",
            f"  before it    {report.events:,} events are sound",
        ]
    lines = [
        f"verified: yes, {report.file}",
        f"  events       {_describe_events(report)}",
        f"  anchors      {_describe_anchors(report)}",
        f"  signatures   {_describe_signatures(report)}",
    ]
    if report.events:
        lines.append(f"  head         {report.events} of {_time_text(report.recorded_at)}")
        lines.append(f"  hash there   {report.hash}")
    return lines


def _describe_events(report: Report) -> str:
    rate = report.events / report.seconds if report.seconds else 0
    erased = f", {report.erased:,} erased on record" if report.erased else ""
    return f"{report.events:,}{erased}, checked in {report.seconds:.2f} s ({rate:,.0f}/s)"


def _describe_anchors(report: Report) -> str:
    if not report.anchors:
        return "none presented, so a cut-off end would not show"
    highest = max(anchor.position for anchor in report.anchors)
    return f"{len(report.anchors)} agree, the highest at {highest}"


def _describe_signatures(report: Report) -> str:
    if report.keys:
        inside = f"up to {report.checkpoint}" if report.checkpoint else "nowhere"
        return f"checkpoints presented are by the keys given; the log itself is signed {inside}"
    ids = sorted({anchor.signed.key_id for anchor in report.anchors if anchor.signed is not None})
    if ids:
        return f"by {', '.join(ids)}, which vouches for itself: give the key you trust with --key"
    return "none presented"


def _time_text(microseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{microseconds} µs, which is no time"  # a forged log may say anything


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def processors() -> int:
    """How many there are for this program; 1 where it has threads, which a fork would lose."""
    if threading.active_count() > 1:
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="verify", description="Verify a Malote log or an export of one, offline."
    )
    parser.add_argument("path", type=Path, metavar="FILE|FOLDER")
    parser.add_argument(
        "--receipt",
        action="append",
        default=[],
        help="POSITION:HASH, a cursor, or a JSON file with receipts; repeatable",
    )
    parser.add_argument(
        "--checkpoint", action="append", default=[], type=Path, help="a JSON file; repeatable"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        help="a public key that may sign, hex or a file; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m eventstore.verify``: 0 verified, 1 a fault, 2 usage, 3 cannot be read."""
    options = _parse(argv)
    try:
        anchors = [anchor for text in options.receipt for anchor in read_receipt(text)]
        anchors += [anchor for file in options.checkpoint for anchor in read_anchors(file)]
        keys = [read_key(text) for text in options.key]
        report = verify(options.path, anchors, keys=keys, processes=processors())
    except AnchorMalformed as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_USAGE
    except CannotRead as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CANNOT_READ
    lines = [json.dumps(asdict(report))] if options.json else describe(report)
    sys.stdout.write("\n".join(lines) + "\n")
    return EXIT_VERIFIED if report.fault is None else EXIT_FAULT


if __name__ == "__main__":
    sys.exit(main())
