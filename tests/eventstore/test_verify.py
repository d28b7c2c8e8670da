"""The offline verifier: no mutation of a log is ever accepted, no sound log refused (G20)."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import verify as verifier
from eventstore.verify import Anchor, AnchorMalformed, CannotRead, Fault, verify

SCHEMA = Path(verifier.__file__).with_name("schema.sql")
EVENTS = 40
TIME = 1_780_000_000_000_000
COLUMNS = (
    "position", "recorded_at", "stream", "conversation", "type", "version",
    "data", "data_hash", "salt", "correlation_id", "causation_id", "hash",
)  # fmt: skip
INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ERASED, REDACTION = 7, 20


def chained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their chain hashes, written out from the words of eventstore/chain.py."""
    previous = bytes(32)
    for row in rows:
        fields = [row[name] for name in (*COLUMNS[:6], *COLUMNS[9:11])]
        lines = ["malote/1", *("" if value is None else str(value) for value in fields)]
        header = "".join(f"{line}\n" for line in lines).encode()
        previous = row["hash"] = sha256(previous + header + row["data_hash"]).digest()
    return rows


def history(events: int = EVENTS) -> list[dict[str, Any]]:
    """A log with every shape of row: with and without conversation, cause, content."""
    rows = [a_row(position) for position in range(1, events + 1)]
    if events >= REDACTION:
        redaction = json.dumps({"positions": [ERASED], "reason": "LGPD", "by": "ana"}).encode()
        fill(rows[REDACTION - 1], "inbox:support", "message.redacted", redaction)
        rows[ERASED - 1] |= {"data": None, "salt": None}
    return chained(rows)


def a_row(position: int) -> dict[str, Any]:
    """A client's event at every third position, a message elsewhere."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"position": position, "recorded_at": TIME + 10 * position, "version": 1}
    if position % 3 == 0:
        fill(row, "client:ana/laptop", "delivery.acknowledged", b'{"until":%d}' % position)
    else:
        row |= {"conversation": f"c_{position % 5}", "correlation_id": f"{position}"}
        row["causation_id"] = position - 1 or None
        fill(row, "inbox:support", "message.received", b'{"text":"%d"}' % position)
    return row


def values(row: dict[str, Any]) -> list[Any]:
    """The row in the order of its columns."""
    return [row[name] for name in COLUMNS]


def fill(row: dict[str, Any], stream: str, type_: str, data: bytes) -> None:
    """Give the row this content, with its salt and hash."""
    salt = sha256(b"salt %d" % row["position"]).digest()[:16]
    row |= {"stream": stream, "type": type_, "data": data, "salt": salt}
    row["data_hash"] = sha256(salt + data).digest()


def write(file: Path, rows: list[dict[str, Any]], keys: int | None = None) -> Path:
    """A log file in rollback-journal mode, so that it is one file to copy and to cut."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # no power will fail here
        connection.executescript(SCHEMA.read_text())
        if not connection.in_transaction:
            connection.execute("BEGIN")
        connection.execute("INSERT INTO meta VALUES ('epoch', 'e1')")
        connection.executemany(INSERT, [values(row) for row in rows])
        digests = [sha256(b"key %d" % n).digest()[:16] for n in range(1, (keys or len(rows)) + 1)]
        pairs = zip(digests, range(1, len(digests) + 1), strict=True)
        connection.executemany("INSERT INTO keys VALUES (?, ?)", pairs)
        connection.execute("COMMIT")
    return file


def write_forged(file: Path, rows: list[dict[str, Any]]) -> Path:
    """A log as one writes it who is not held up by triggers."""
    write(file, [])
    tamper(file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(INSERT, [values(row) for row in rows])
    return file


def tamper(file: Path, *statements: str) -> None:
    """What somebody with the file and no scruples does: the triggers go first."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        triggers = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


def contents(file: Path) -> list[Any]:
    """Every event as the file holds it."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT * FROM events").fetchall()


def fault_of(file: Path, *anchors: Anchor) -> Fault:
    """The fault that must be there."""
    fault = verify(file, anchors).fault
    assert fault is not None, "a mutated log was accepted"
    return fault


def receipt(rows: list[dict[str, Any]], position: int) -> Anchor:
    """What the server answered when it recorded this position."""
    return Anchor(position, rows[position - 1]["hash"].hex(), f"receipt {position}")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound log, written once, for tests that change nothing."""
    return write(tmp_path_factory.mktemp("sound") / "log.db", history())


@pytest.fixture
def file(sound: Path, tmp_path: Path) -> Path:
    """A copy of the sound log, to be tampered with."""
    return Path(shutil.copy(sound, tmp_path / "log.db"))


# --- no false alarm ----------------------------------------------------------------------------


def test_a_sound_log_with_an_erasure_is_accepted(sound: Path) -> None:
    """Erased content with a record of its erasure is no fault, and is counted."""
    report = verify(sound)
    assert report.fault is None
    assert (report.events, report.erased, report.epoch) == (EVENTS, 1, "e1")
    assert report.hash == history()[-1]["hash"].hex()


def test_an_empty_log_is_accepted_and_holds_no_receipt(tmp_path: Path) -> None:
    """Before the first event there is nothing to doubt; a receipt for it is another matter."""
    file = write(tmp_path / "log.db", [])
    assert verify(file).fault is None
    fault = fault_of(file, receipt(history(), 1))
    assert (fault.kind, fault.position) == ("truncated", 1)


@pytest.mark.parametrize("page", [1, 2, 7, EVENTS, EVENTS + 1])
def test_the_page_size_makes_no_difference(
    sound: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Seams between pages are not seams in the history."""
    monkeypatch.setattr(verifier, "PAGE_EVENTS", page)
    seen: list[tuple[int, int]] = []
    report = verify(sound, on_progress=lambda done, total: seen.append((done, total)))
    assert report.fault is None
    assert seen[-1] == (EVENTS, EVENTS)


def test_a_log_is_read_with_its_write_ahead_log(file: Path) -> None:
    """While a server runs, the newest events are in the -wal only, and they count."""
    with closing(sqlite3.connect(file, isolation_level=None)) as server:
        server.execute("PRAGMA journal_mode = WAL")
        server.execute("PRAGMA wal_autocheckpoint = 0")
        row = chained([*history(), a_row(EVENTS + 1)])[-1]
        server.execute(INSERT, values(row))
        report = verify(file)
        assert (report.fault, report.events) == (None, EVENTS + 1)


def test_an_interrupt_is_not_taken_for_a_row_that_is_odd(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite swallows what a function raises; who presses Ctrl-C is not to press it again."""
    original, pressed = verifier._Walk.is_odd, iter([True])

    def interrupted(walk: Any, *row: Any) -> bool:
        if row[0] == 15 and next(pressed, False):
            raise KeyboardInterrupt
        return original(walk, *row)

    monkeypatch.setattr(verifier._Walk, "is_odd", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verify(sound)


def test_an_erasure_while_the_verifier_reads_is_no_false_alarm(file: Path) -> None:
    """A row read before its erasure is looked at again before anything is said."""
    row = a_row(EVENTS + 1)
    redaction = json.dumps({"positions": [2], "reason": "LGPD", "by": "ana"}).encode()
    fill(row, "inbox:support", "message.redacted", redaction)
    row = chained([*history(), row])[-1]

    def erase(done: int, _: int) -> None:
        if done == EVENTS:
            with closing(sqlite3.connect(file, isolation_level=None)) as server:
                server.execute("UPDATE events SET data = NULL, salt = NULL WHERE position = 2")
                server.execute(INSERT, values(row))

    report = verify(file, on_progress=erase)
    assert (report.fault, report.events) == (None, EVENTS + 1)


# --- mutations ---------------------------------------------------------------------------------

ANOTHER: dict[type, Callable[[Any], list[Any]]] = {
    int: lambda value: [value + 1, -value, 0, str(value), float(value), None],
    str: lambda value: [
        "",
        value + " ",
        value.upper(),
        value + "\n",
        value + "\0",
        value.encode(),
        None,
        int(value) if value.isdigit() else 0,
    ],
    bytes: lambda value: [b"", value[:-1], value + b"\0", bytes([value[0] ^ 1]) + value[1:], None],
    type(None): lambda _: ["", "x", 5],
}
"""Values that a column might be given in place of its own."""


def mutations() -> Iterator[tuple[int, str, Any]]:
    """Every row and column with values that are not its own."""
    for row in history(24):
        for name in COLUMNS[1:]:
            for value in ANOTHER[type(row[name])](row[name]):
                if value != row[name]:
                    yield row["position"], name, value


def test_the_fast_path_passes_nothing_that_the_slow_path_refuses() -> None:
    """Each mutated row, at its place: what is not held to be odd is sound by every single check."""
    rows, passed = [tuple(values(row)) for row in history(24)], 0
    for position, name, value in [*mutations(), *((n, "version", 1) for n in range(1, 25))]:
        at = COLUMNS.index(name)
        row = (*rows[position - 1][:at], value, *rows[position - 1][at + 1 :])
        before = rows[position - 2] if position > 1 else (0, -1, bytes(32))
        place = {"position": before[0], "recorded_at": before[1], "hash": before[-1]}
        if not verifier._Walk((), **place).is_odd(*row):
            verifier._Walk((), **place).examine(row)
            passed += 1
    assert passed == 24 - 2, "the erased row and the record of its erasure are odd"


def test_any_change_of_any_column_is_found_at_its_position(tmp_path: Path) -> None:
    """Every column of rows of every shape, to NULL, empty, near and far values: named at once."""
    columns = ", ".join(("position INTEGER PRIMARY KEY", *COLUMNS[1:]))
    file = write(tmp_path / "log.db", [])
    tamper(file, "DROP TABLE events", f"CREATE TABLE events ({columns})")
    rows = history(24)
    with closing(sqlite3.connect(file)) as log, log:
        log.executemany(INSERT, [values(row) for row in rows])
    assert verify(file).fault is None
    tried = 0
    with closing(sqlite3.connect(file, isolation_level=None)) as log:
        log.execute("PRAGMA synchronous = OFF")  # it is changed 1,200 times
        for position, name, value in mutations():
            change = f"UPDATE events SET {name} = ? WHERE position = ?"  # noqa: S608
            log.execute(change, (value, position))
            assert fault_of(file).position == position, (position, name, value)
            log.execute(change, (rows[position - 1][name], position))
            tried += 1
    assert tried > 600
    assert verify(file).fault is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(position=st.integers(1, EVENTS - 1), count=st.integers(1, EVENTS), seed=st.integers())
def test_any_deletion_is_found_at_the_first_missing_position(
    tmp_path_factory: pytest.TempPathFactory, position: int, count: int, seed: int
) -> None:
    """Cut out of the middle it shows by itself; cut off the end it shows by a receipt."""
    file = write(tmp_path_factory.mktemp("cut") / "log.db", history())
    last = position + count - 1
    tamper(file, f"DELETE FROM events WHERE position BETWEEN {position} AND {last}")  # noqa: S608
    held = random.Random(seed).randint(position, EVENTS)
    assert fault_of(file, receipt(history(), held)).position == position


@pytest.mark.parametrize("count", [1, 5, -1, -16])
def test_bytes_moved_between_salt_and_content_are_found(file: Path, count: int) -> None:
    """Their hash is over both together and stays as it was; only the salt's length tells."""
    row = history()[3]
    both, border = row["salt"] + row["data"], 16 + count
    with closing(sqlite3.connect(file, isolation_level=None)) as log:
        tamper(file)
        change = "UPDATE events SET salt = ?, data = ? WHERE position = 4"
        log.execute(change, (both[:border], both[border:]))
    fault = fault_of(file)
    assert (fault.kind, fault.position) == ("content", 4)


@pytest.mark.parametrize("at", [0, -5, -(2**63), EVENTS + 1, EVENTS + 3])
def test_an_inserted_row_is_found(file: Path, at: int) -> None:
    """Before the first event, after the last, or beyond a gap."""
    with closing(sqlite3.connect(file)) as log:
        log.execute("DROP TRIGGER events_append_only")
        log.execute(INSERT, [at, TIME * 2, *values(history()[-1])[2:]])
        log.commit()
    assert fault_of(file).position == min(at, EVENTS + 1)


def test_swapped_events_are_found_at_the_first(file: Path) -> None:
    """The same events in another order are another history."""
    tamper(
        file,
        "UPDATE events SET position = 1000 WHERE position = 11",
        "UPDATE events SET position = 11 WHERE position = 12",
        "UPDATE events SET position = 12 WHERE position = 1000",
    )
    assert fault_of(file).position == 11


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_file_never_passes_as_another_history(
    sound: Path, tmp_path_factory: pytest.TempPathFactory, where: float, bit: int
) -> None:
    """Wherever the bit is: either the verifier complains, or every event still reads the same."""
    raw = bytearray(sound.read_bytes())
    raw[int(where * len(raw))] ^= 1 << bit
    file = tmp_path_factory.mktemp("flip") / "log.db"
    file.write_bytes(raw)
    try:
        fault = verify(file).fault
    except CannotRead:
        return
    if fault is None:
        assert contents(file) == contents(sound)


def test_no_byte_of_the_schema_makes_the_verifier_stumble(sound: Path, tmp_path: Path) -> None:
    """SQLite's complaints quote what it choked on, also where that is not UTF-8."""
    raw, file = sound.read_bytes(), tmp_path / "log.db"
    for at in range(0, 4096 * 2, 31):
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 0x80]) + raw[at + 1 :])
        try:
            fault = verify(file).fault
        except CannotRead:
            continue
        if fault is None:
            assert contents(file) == contents(sound), at


def test_a_time_that_is_none_is_reported_and_no_crash(tmp_path: Path) -> None:
    """Whoever forges a whole chain may write any number there."""
    rows = history()
    rows[-1]["recorded_at"] = 2**62
    file = write(tmp_path / "log.db", chained(rows))
    assert "no time" in "\n".join(verifier.describe(verify(file)))


@pytest.mark.parametrize("held", [10, 25, EVENTS])
def test_a_rewritten_history_is_found_by_a_receipt(tmp_path: Path, held: int) -> None:
    """Whoever owns the machine can chain anew; the receipt outside still says what was there."""
    rows = history()
    fill(rows[9], "inbox:support", "message.received", b'{"text":"never said"}')
    file = write(tmp_path / "log.db", chained(rows))
    assert verify(file).fault is None
    fault = fault_of(file, receipt(history(), 5), receipt(history(), held))
    assert (fault.kind, fault.position) == ("rewritten", held)
    assert "from position 6 on" in fault.means


def test_receipts_agree_with_the_log_they_were_given_for(sound: Path) -> None:
    """One, several, doubled, in any order, and the short form that a cursor holds."""
    rows = history()
    anchors = [receipt(rows, position) for position in (EVENTS, 3, 3, 1)]
    anchors.append(Anchor(9, rows[8]["hash"].hex()[:8], "cursor"))
    assert verify(sound, anchors).fault is None


@pytest.mark.parametrize(
    ("statements", "kind", "position"),
    [
        (("UPDATE events SET data = NULL, salt = NULL WHERE position = 4",), "erased", 4),
        (("UPDATE events SET salt = NULL WHERE position = 4",), "content", 4),
        (("UPDATE events SET data = NULL, salt = NULL WHERE position = 20",), "redaction", 20),
        (("DELETE FROM meta",), "file", None),
        (("DROP TABLE keys",), "file", None),
        (("DELETE FROM events WHERE position > 30",), "key", 31),
    ],
)
def test_what_is_taken_away_is_missed(
    file: Path, statements: tuple[str, ...], kind: str, position: int | None
) -> None:
    """Erasure that nobody recorded, half an erasure, the record of one, keys without events."""
    tamper(file, *statements)
    fault = fault_of(file)
    assert (fault.kind, fault.position) == (kind, position)


def test_erased_content_that_was_put_back_is_found(tmp_path: Path) -> None:
    """It would fit its hash: only the record of the erasure tells that it may not be there."""
    rows = history()
    fill(rows[ERASED - 1], "inbox:support", "message.received", b'{"text":"7"}')
    file = write(tmp_path / "log.db", rows)
    fault = fault_of(file)
    assert (fault.kind, fault.position) == ("redaction", ERASED)


def test_a_well_chained_log_with_a_gap_is_refused(tmp_path: Path) -> None:
    """A forger may chain across the hole; positions are gapless all the same."""
    rows = [row for row in history() if row["position"] not in (12, 13)]
    fault = fault_of(write_forged(tmp_path / "log.db", chained(rows)))
    assert (fault.kind, fault.position) == ("gap", 12)


@pytest.mark.parametrize("earlier", [0, 10])
def test_a_well_chained_log_whose_time_stands_still_or_goes_back_is_refused(
    tmp_path: Path, earlier: int
) -> None:
    """Times rise strictly, or a time would not be one place in the history."""
    rows = history()
    rows[11]["recorded_at"] = rows[10]["recorded_at"] - earlier
    fault = fault_of(write(tmp_path / "log.db", chained(rows)))
    assert (fault.kind, fault.position) == ("time", 12)


def test_every_redaction_counts_not_only_the_first(tmp_path: Path) -> None:
    """Two erasures, each with its own record, are both on record."""
    rows = history()
    second = json.dumps({"positions": [8], "reason": "LGPD", "by": "ana"}).encode()
    fill(rows[24], "inbox:support", "message.redacted", second)
    rows[7] |= {"data": None, "salt": None}
    report = verify(write(tmp_path / "log.db", chained(rows)))
    assert (report.fault, report.erased) == (None, 2)


def test_damage_that_no_event_shows_is_found_by_quick_check(file: Path) -> None:
    """A broken index would hide events from the server, though the chain is whole."""
    break_index(file)
    fault = fault_of(file)
    assert (fault.kind, fault.position) == ("file", None)


@pytest.mark.parametrize(
    "values_", ["x'00', NULL", "x'00', 1.5", "x'00', '5'", "x'00', 0", "'text', 5", "NULL, 5"]
)
def test_a_key_of_another_kind_is_found_in_a_table_that_takes_any(file: Path, values_: str) -> None:
    """Of quick_check only the part is heard that looks at trees: kinds are looked at apart."""
    tamper(file, "DROP TABLE keys", "CREATE TABLE keys (digest, position)")
    tamper(file, f"INSERT INTO keys VALUES ({values_})")  # noqa: S608
    assert fault_of(file).kind == "key"


def break_index(file: Path) -> None:
    """Damage the root of the index over what members see, and nothing else."""
    with closing(sqlite3.connect(file)) as log:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'events_visible'"
        ((page,),) = log.execute(query).fetchall()
        ((size,),) = log.execute("PRAGMA page_size").fetchall()
    raw = bytearray(file.read_bytes())
    raw[(page - 1) * size + 8 : (page - 1) * size + 12] = b"\xff\xff\xff\xff"
    file.write_bytes(raw)


@pytest.mark.parametrize(
    ("name", "value"),
    [("stream", "elsewhere"), ("stream", "message.received"), ("type", "elsewhere"),
     ("type", "inbox:support")],
)  # fmt: skip
def test_a_name_the_log_never_writes_is_found_in_a_well_chained_log(
    tmp_path: Path, name: str, value: str
) -> None:
    """A forger who chains correctly still has to write what Malote writes: a stream is no type."""
    rows = history()
    rows[11][name] = value
    fault = fault_of(write(tmp_path / "log.db", chained(rows)))
    assert (fault.kind, fault.position) == ("name", 12)


# --- files that cannot be read -----------------------------------------------------------------


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """Garbage, an empty file and another database are not logs; no file at all is no finding."""
    (tmp_path / "garbage").write_bytes(b"not a database" * 100)
    (tmp_path / "empty").touch()
    assert fault_of(tmp_path / "garbage").position is None
    assert "no table" in fault_of(tmp_path / "empty").what
    with pytest.raises(CannotRead):
        verify(tmp_path / "nothing")


def test_a_file_cut_short_is_found(file: Path) -> None:
    """Half of the pages are gone."""
    raw = file.read_bytes()
    file.write_bytes(raw[: len(raw) // 2])
    fault_of(file)


# --- the command -------------------------------------------------------------------------------


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The copy of one file that an auditor has, outside the project, isolated from it."""
    command = [sys.executable, "-I", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_one_copied_file_verifies_a_folder_and_exits_0_or_1(file: Path, tmp_path: Path) -> None:
    """Without the project on the path: 0, or 1 and the first bad position, also as JSON."""
    alone = tmp_path / "auditor" / "check.py"
    alone.parent.mkdir()
    shutil.copy(verifier.__file__, alone)
    good = run(alone, file.parent, "--receipt", f"3:{history()[2]['hash'].hex()}")
    assert (good.returncode, good.stderr) == (0, "")
    assert "verified: yes" in good.stdout
    tamper(file, "UPDATE events SET data = x'00' WHERE position = 5")
    bad = run(alone, file, "--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["fault"]["position"] == 5
    assert "position 5" in run(alone, file).stdout


def test_usage_and_unreadable_files_have_exits_of_their_own(sound: Path, tmp_path: Path) -> None:
    """2: that is no receipt. 3: there is nothing to read, which proves nothing either way."""
    assert verifier.main([str(sound), "--receipt", "5:xyz"]) == 2
    assert verifier.main([str(tmp_path / "nothing")]) == 3


@pytest.mark.parametrize(
    "content",
    [
        {"position": 3, "hash": "HASH"},
        [{"position": 3, "hash": "HASH"}],
        {"accepted": 1, "duplicates": 0, "receipts": [{"position": 3, "hash": "HASH"}]},
        {"file": "backup.db", "position": 3, "hash": "HASH"},
    ],
)
def test_receipts_are_read_from_what_people_keep(sound: Path, tmp_path: Path, content: Any) -> None:
    """The object, a list, a webhook's whole answer, what a backup prints."""
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(content).replace("HASH", history()[2]["hash"].hex()))
    (anchor,) = verifier.read_receipt(str(kept))
    assert anchor.position == 3
    assert verify(sound, [anchor]).fault is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[3]", '{"position": 0, "hash": "00000000"}', '{"position": "3"}',
     '{"position": 3, "hash": "0"}', '{"position": true, "hash": "00000000"}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_receipt_is_never_taken_for_one(tmp_path: Path, text: str) -> None:
    """An empty or mangled proof must not count as a proof that agreed."""
    kept = tmp_path / "kept.json"
    kept.write_text(text)
    with pytest.raises(AnchorMalformed):
        verifier.read_anchors(kept)
