"""The offline verifier: is this log whole, and is it the history that receipts confirm.

Standard library only, and nothing of ours is imported: an auditor copies this one file and runs
``python verify.py log.db --receipt POSITION:HASH``. It computes again what ``chain.py`` describes.

Checked, streaming, in memory that does not grow with the log:

* positions are 1, 2, 3 ... without a gap, and ``recorded_at`` rises strictly;
* ``hash = sha256(previous hash || header || data_hash)`` at every position, from 32 zero bytes on;
* ``data_hash = sha256(salt || data)``; where data and salt are gone, a later ``message.redacted``
  must name the position, and what a ``message.redacted`` names must be gone;
* streams and types have the right form; idempotency keys point to events that exist;
* SQLite's own ``quick_check`` of the file;
* every *anchor* presented: a receipt, a checkpoint or a client's cursor, that is, a position and
  the chain hash there, kept **outside** the log.

What it cannot see: a chain inside a file cannot show that its own end was cut off, or that all of
it was written anew. Only anchors can, at or below the largest one presented. They are compared and
not authenticated here: they prove as much as the place where they were kept. The ``keys`` table is
outside the chain; a changed digest in it is not noticed.

A log that a server is writing can be verified too: it is read in short transactions, in order,
up to the head. The file is opened with its write-ahead log, never with ``immutable=1`` beside one,
which would silently leave out the newest events.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

GENESIS = bytes(32)
PAGE_EVENTS = 512
FIRST_ROWID = -(2**63)  # rows at 0 and below are found, not passed over
BUSY_TIMEOUT_S = 30.0
NAMES_REMEMBERED_MAX = 10_000

DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises for a damaged file: the second where SQLite's message quotes the damage."""

EXIT_VERIFIED, EXIT_FAULT, EXIT_USAGE, EXIT_CANNOT_READ = 0, 1, 2, 3

_PAGE = """
SELECT position, recorded_at, stream, conversation, type, version, data, data_hash, salt,
       correlation_id, causation_id, hash
FROM events NOT INDEXED WHERE position >= ? ORDER BY position LIMIT ?"""
_DANGLING_KEY = """
SELECT position FROM keys
WHERE typeof(position) <> 'integer' OR typeof(digest) <> 'blob'
   OR position NOT BETWEEN 1 AND (SELECT coalesce(max(position), 0) FROM events) LIMIT 1"""

_STREAM = re.compile(r"system|inbox:[^\n]+|client:[^/\n]+/[^\n]+")
_TYPE = re.compile(r"[a-z]+\.[a-z_]+")
_RECEIPT = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64}|[0-9a-f]{8})", re.ASCII)
_CURSOR = re.compile(r"([A-Za-z0-9_-]{1,64})\.([1-9][0-9]{0,18})\.([0-9a-f]{8})", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}|[0-9a-f]{8}", re.ASCII)

Row: TypeAlias = tuple[Any, ...]
"""One event's columns, in the order of ``_PAGE``."""

_BEFORE_THE_FIRST: Row = (0, -1, *[None] * 9, GENESIS)
Progress: TypeAlias = Callable[[int, int], None]
"""Called after every page with (events checked, events in all)."""


class CannotRead(Exception):
    """The file could not be opened or read here; this says nothing about its content."""


class AnchorMalformed(ValueError):
    """What was presented as a receipt or a checkpoint is none."""


@dataclass(frozen=True)
class Anchor:
    """A position and the chain hash there, kept outside the log.

    ``hash`` is 64 hex digits, or the first 8 where it comes from a cursor. ``signed`` tells that
    the source carries a signature, which is *not* checked here.
    """

    position: int
    hash: str
    source: str
    epoch: str | None = None
    signed: bool = False


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
    """What was found. ``fault`` is None for a log that is verified."""

    file: str
    epoch: str | None
    events: int
    erased: int
    hash: str
    recorded_at: int
    anchors: Sequence[Anchor]
    seconds: float
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
    last: Row = _BEFORE_THE_FIRST
    confirmed: int = 0  # the last position that an anchor confirmed
    erased: set[int] = field(default_factory=set)
    named: dict[int, int] = field(default_factory=dict)  # erased position -> the redaction's own
    names: set[str] = field(default_factory=set)  # streams and types already found well-formed

    @property
    def position(self) -> int:
        """Up to here everything is sound."""
        position: int = self.last[0]
        return position

    @property
    def recorded_at(self) -> int:
        """When that was, in µs."""
        recorded_at: int = self.last[1]
        return recorded_at

    @property
    def hash(self) -> bytes:
        """The chain hash there."""
        hash_: bytes = self.last[11]
        return hash_

    def take(self, rows: Iterable[Row]) -> int:
        """Check the next rows; return how many there were. Raises :class:`_Found`."""
        start = self.position
        for row in rows:
            if not self._is_ordinary(row):
                self._examine(row)
            self.last = row
            while self.anchors and self.anchors[0].position == row[0]:
                self._compare(self.anchors[0])
                self.anchors = self.anchors[1:]
        return self.position - start

    def _is_ordinary(self, row: Row) -> bool:
        # The fast path, for all but a handful of rows. False only means: look closely.
        last, names, type_ = self.last, self.names, row[4]
        try:
            return (
                row[0] == last[0] + 1
                and row[1] > last[1]
                and row[2] in names
                and type_ in names
                and row[3] != ""
                and row[9] != ""
                and type_ != "message.redacted"
                and sha256(row[8] + row[6]).digest() == row[7]
                and _link(row, last[11]) == row[11]
            )
        except (TypeError, UnicodeEncodeError):
            return False

    def _examine(self, row: Row) -> None:
        """The slow path: everything again, one at a time, so that a fault can be named."""
        self._check_position(row[0])
        _check_kinds(row)
        self._check_time(row)
        self._check_names(row)
        self._check_content(row)
        self._check_link(row)
        if row[4] == "message.redacted":
            self._note_redaction(row)

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

    def _check_names(self, row: Row) -> None:
        if not _STREAM.fullmatch(row[2]) or not _TYPE.fullmatch(row[4]):
            raise _Found(
                "name",
                row[0],
                f"stream {row[2]!r} with type {row[4]!r} is not of a form the log writes",
                "The envelope was changed, or this event was not written by Malote.",
            )
        if len(self.names) < NAMES_REMEMBERED_MAX:
            self.names.update((row[2], row[4]))

    def _check_content(self, row: Row) -> None:
        position, data, data_hash, salt = row[0], row[6], row[7], row[8]
        if data is None and salt is None:
            self.erased.add(position)
        elif data is None or salt is None:
            raise _Found(
                "content",
                position,
                f"{'data' if data is None else 'salt'} is gone, the other half is there",
                "An erasure removes both; this one half was removed by other means.",
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
        and all(type(v) is bytes and len(v) == 32 for v in (data_hash, hash_))
    )
    if not sound:
        raise _Found(
            "kind",
            position,
            "a column holds a value of a kind that the log never writes there",
            "The row was changed by something other than Malote.",
        )


# --- the whole file ----------------------------------------------------------------------------


def verify(
    path: Path, anchors: Sequence[Anchor] = (), on_progress: Progress | None = None
) -> Report:
    """Check a log file (or the data folder that holds ``log.db``) and report the first fault.

    Raises :class:`CannotRead` where nothing can be said, such as a file that does not exist.
    """
    file = path / "log.db" if path.is_dir() else path
    walk = _Walk(sorted(anchors, key=lambda anchor: anchor.position))
    started = time.perf_counter()
    fault, epoch = None, None
    with closing(_open(file)) as connection:
        try:
            epoch = _read_head(connection)
            # quick_check works in C without the interpreter's lock, so it costs no time here.
            with ThreadPoolExecutor(max_workers=1) as pool:
                structure = pool.submit(_quick_check, file)
                _walk_chain(connection, walk, on_progress)
                # The end first: what was cut off may be what explains an erasure before it.
                _check_end(walk)
                _check_keys(connection)
                _check_erasures(connection, walk)
                structure.result()
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
        fault=fault,
    )


def _open(file: Path) -> sqlite3.Connection:
    if not file.is_file():
        raise CannotRead(f"{file}: no such file")
    try:
        return _connect(file, "mode=ro")
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
    return _connect(file, "immutable=1")


def _size(file: Path, suffix: str) -> int:
    beside = file.with_name(file.name + suffix)
    return beside.stat().st_size if beside.exists() else 0


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    uri = f"{file.resolve().as_uri()}?{mode}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False
    )
    try:
        # The file may be hostile: nothing in its schema is run, and cells are measured first.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        raise
    except DAMAGE:
        return connection  # no database, or a damaged one: reading its tables says so
    return connection


def _read_head(connection: sqlite3.Connection) -> str | None:
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
    if row and isinstance(row[0], str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", row[0]):
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


def _walk_chain(connection: sqlite3.Connection, walk: _Walk, on_progress: Progress | None) -> None:
    total = _count(connection)
    page_events, start = PAGE_EVENTS, FIRST_ROWID
    while True:
        try:
            # A row at a time is held, a page at a time is one read transaction: neither a large
            # webhook nor a long log makes this process big or keeps a server's WAL from shrinking.
            taken = walk.take(connection.execute(_PAGE, (start, page_events)))
        except DAMAGE as error:
            # sqlite3 reports an error one row early, so come closer row by row.
            if page_events == 1:
                raise _unreadable(error, walk.position + 1) from error
            taken, page_events = 1, 1
        if not taken:
            return
        start = walk.position + 1
        if on_progress is not None:
            on_progress(walk.position, max(total, walk.position))


def _count(connection: sqlite3.Connection) -> int:
    try:
        (last,) = connection.execute("SELECT max(position) FROM events").fetchone()
    except DAMAGE:
        return 0  # only for the progress; the walk meets the damage itself
    return last or 0


def _check_erasures(connection: sqlite3.Connection, walk: _Walk) -> None:
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
        row = connection.execute("SELECT data FROM events WHERE position = ?", (position,))
        if row.fetchone() != (None,):
            raise _Found(
                "redaction",
                position,
                f"its content is there, though position {walk.named[position]} records its erasure",
                "The erased content was put back, or the erasure never took place.",
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


def _check_keys(connection: sqlite3.Connection) -> None:
    row = connection.execute(_DANGLING_KEY).fetchone()
    if row is not None:
        raise _Found(
            "key",
            row[0] if isinstance(row[0], int) else None,
            f"an idempotency key points to {row[0]!r}, where there is no event",
            "Events at the end were deleted and their keys forgotten, or a key was put in.",
        )


def _quick_check(file: Path) -> None:
    with closing(_open(file)) as connection:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _Found(
            "file",
            None,
            f"SQLite's quick_check says: {verdict.splitlines()[-1]}",
            "The file's structure is damaged, though every event could be read and fits the chain.",
        )


# --- anchors -----------------------------------------------------------------------------------


def read_receipt(text: str) -> list[Anchor]:
    """Anchors from ``POSITION:HASH``, a cursor ``epoch.position.hash8``, or a JSON file's name.

    Raises :class:`AnchorMalformed`.
    """
    if match := _RECEIPT.fullmatch(text):
        return [Anchor(int(match[1]), match[2], f"receipt {match[1]}:{match[2][:8]}")]
    if match := _CURSOR.fullmatch(text):
        return [Anchor(int(match[2]), match[3], f"cursor {text}", match[1])]
    return read_anchors(Path(text))


def read_anchors(file: Path) -> list[Anchor]:
    """Anchors from a JSON file: ``{"position", "hash"}``, or a list of such.

    An answer that holds them as ``receipts`` (a webhook's) or ``checkpoints`` will do as well.

    Raises :class:`AnchorMalformed`.
    """
    try:
        found = list(_anchors_in(json.loads(file.read_bytes()), file.name))
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


def _anchor(value: Any, source: str) -> Anchor:
    if not isinstance(value, dict):
        raise AnchorMalformed("an anchor is an object with a position and a hash")
    position, hash_ = value.get("position"), value.get("hash")
    if type(position) is not int or position < 1:
        raise AnchorMalformed(f"not a position: {position!r}")
    if not isinstance(hash_, str) or not _HASH.fullmatch(hash_):
        raise AnchorMalformed(f"not a chain hash in hex: {hash_!r}")
    return Anchor(position, hash_, source, value.get("epoch"), "signature" in value)


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
    signed = any(anchor.signed for anchor in report.anchors)
    note = "; signatures were not checked" if signed else ""
    return f"{len(report.anchors)} agree, the highest at {highest}{note}"


def _time_text(microseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{microseconds} µs, which is no time"  # a forged log may say anything


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="verify", description="Verify a Malote log, offline.")
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
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m eventstore.verify``: 0 verified, 1 a fault, 2 usage, 3 cannot be read."""
    options = _parse(argv)
    try:
        anchors = [anchor for text in options.receipt for anchor in read_receipt(text)]
        anchors += [anchor for file in options.checkpoint for anchor in read_anchors(file)]
        report = verify(options.path, anchors)
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
