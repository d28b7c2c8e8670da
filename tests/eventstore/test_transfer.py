"""Exports: every event a line, from which the same log can be made, and no line of which can lie.

With line 3 of the auditors' promises: 2,000 mutations of file, checkpoint, receipt and export, none
of them accepted, and no sound one refused.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from eventstore.apply import Head
from eventstore.checkpoint import SigningKey
from eventstore.codec import CONVERTER
from eventstore.draft import Draft, idempotency_key
from eventstore.events import Contact, ContactAliased, HeartbeatAnswered, MessageReceived, Text
from eventstore.log import EventLog
from eventstore.transfer import ImportRefused, export, import_log
from eventstore.verify import Anchor, AnchorMalformed, CannotRead, read_anchors, verify

EXPORT_MUTATIONS, CHECKPOINT_MUTATIONS, RECEIPT_MUTATIONS = 450, 500, 150
ROW_MUTATIONS, BIT_MUTATIONS = 250, 250
KEY = SigningKey(b"k" * 32)
TIME = 1_780_000_000_000_000
FORMS = ("ndjson", "cloudevents")


def drafts(count: int) -> list[Draft]:
    """Messages with everything that JSON has to escape, causes, and events without a key."""
    found = []
    for number in range(count):
        words = Text(f'{number} "quoted", \\ and ,"data": - ação 🎉 \u2028\x7f\x00\n')
        event = MessageReceived(f"m{number}", Contact("c", name="Zoë"), words)
        key = idempotency_key("support", "message", event.message_id)
        found.append(Draft("inbox:support", event, "c_1", key, f"request “{number}”"))
        alias = ContactAliased("c_2", "user_id")
        found.append(Draft("inbox:support", alias, "c_1", cause=2 * number))
    return [*found, Draft("client:ana/phone", HeartbeatAnswered("s", 1.5))]


def write(folder: Path) -> dict[str, Any]:
    """A log with an erasure and a checkpoint in it; that checkpoint as it is kept elsewhere."""

    async def scenario() -> dict[str, Any]:
        log = await EventLog.open(folder)
        try:
            await log.append(drafts(10))
            await log.redact(3, reason="LGPD", by="aud")
            signed = KEY.sign(log.epoch, log.head, TIME)
            await log.append([Draft("system", signed)])
            await log.append([Draft("system", KEY.sign(log.epoch, log.head, TIME + 1))])
            signed = KEY.sign(log.epoch, log.head, TIME + 2)
            fields: dict[str, Any] = CONVERTER.unstructure(signed)
            return fields
        finally:
            await log.close()

    return asyncio.run(scenario())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a log, its checkpoint, and its exports; nothing changes them."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "checkpoint.json").write_bytes(orjson.dumps(write(folder)))
    for form in FORMS:
        (folder / f"log.{form}").write_bytes(b"".join(export(folder / "log.db", form)))
    return folder


def rows(folder: Path) -> list[Any]:
    """Everything the log holds: events and keys."""
    with closing(sqlite3.connect(folder / "log.db")) as log:
        events = log.execute("SELECT * FROM events ORDER BY position").fetchall()
        return events + log.execute("SELECT * FROM keys ORDER BY digest").fetchall()


def last(folder: Path) -> Head:
    """The head of what the log holds."""
    with closing(sqlite3.connect(folder / "log.db")) as log:
        query = "SELECT position, recorded_at, hash FROM events ORDER BY position DESC LIMIT 1"
        return Head(*log.execute(query).fetchone())


# --- there and back ----------------------------------------------------------------------------


def test_an_import_has_the_same_events_hashes_and_keys(source: Path, tmp_path: Path) -> None:
    """Byte for byte, erased content included, and all that was proof before is proof of it."""
    with (source / "log.ndjson").open("rb") as lines:
        head = import_log(lines, tmp_path / "data")
    assert head == last(source)
    assert rows(tmp_path / "data") == rows(source)
    anchors = read_anchors(source / "checkpoint.json")
    report = verify(tmp_path / "data", anchors, keys=[KEY.public_key])
    assert report.fault is None
    assert report.epoch != verify(source).epoch

    async def goes_on() -> None:
        log = await EventLog.open(tmp_path / "data")
        try:
            [receipt] = await log.append(drafts(1)[:1])
            assert receipt.duplicate, "its keys came along"
            [receipt] = await log.append([Draft("client:a/b", HeartbeatAnswered("s", 1.0))])
            assert receipt.position == head.position + 1
        finally:
            await log.close()

    asyncio.run(goes_on())


@pytest.mark.parametrize("page", [1, 7, 1_000])
def test_pages_of_an_export_have_no_seams(
    source: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """The same bytes, whatever is read at a time."""
    monkeypatch.setattr("eventstore.transfer.PAGE_EVENTS", page)
    assert b"".join(export(source / "log.db", "ndjson")) == (source / "log.ndjson").read_bytes()


def test_a_part_of_the_history_can_be_exported(source: Path) -> None:
    """From after a position up to another."""
    lines = [json.loads(line) for line in export(source / "log.db", "ndjson", 4, 7)]
    assert [line["position"] for line in lines] == [5, 6, 7]


def test_cloudevents_are_as_their_specification_says(source: Path) -> None:
    """The required attributes, names of lower-case letters and digits, values of allowed types."""
    for line in (source / "log.cloudevents").read_bytes().splitlines():
        event = json.loads(line)
        assert event["specversion"] == "1.0"
        assert {"id", "source", "type"} <= event.keys()
        data = event.pop("data")
        assert data is None or isinstance(data, dict)
        for name, value in event.items():
            assert name.isalnum()
            assert name == name.lower()
            assert isinstance(value, str | int)


def test_an_import_begins_a_log_and_never_adds_to_one(source: Path, tmp_path: Path) -> None:
    """And where a line is wrong, names it and leaves nothing behind."""
    lines = (source / "log.ndjson").read_bytes().splitlines(keepends=True)
    with pytest.raises(ImportRefused, match="has a log already"):
        import_log(lines, source)
    for wrong in (lines[1:], [*lines[:4], *lines[5:]], [*lines[:4], lines[4][:-9]], [b"{}\n"]):
        with pytest.raises(ImportRefused, match="line "):
            import_log(wrong, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"lock"}


# --- no mutation is accepted -------------------------------------------------------------------


def verdict(path: Path, anchors: Callable[[], list[Anchor]] = list) -> str | None:
    """The kind of the fault, or why the proof was not taken; None if all of it was accepted."""
    try:
        fault = verify(path, anchors(), keys=[KEY.public_key]).fault
    except (AnchorMalformed, CannotRead) as refused:
        return type(refused).__name__
    return None if fault is None else fault.kind


def flipped(content: bytes, rng: random.Random) -> bytes:
    """With one bit changed, one byte taken away, or one put in."""
    at = rng.randrange(len(content))
    match rng.randrange(4):
        case 0:
            return content[:at] + content[at + 1 :]
        case 1:
            return content[:at] + bytes([rng.randrange(256)]) + content[at:]
        case _:
            return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def reordered(content: bytes, rng: random.Random) -> bytes:
    """With a line gone, doubled, or two in each other's place; cut off at the end of one."""
    lines = content.splitlines(keepends=True)
    first, second = sorted(rng.sample(range(len(lines)), 2))
    match rng.randrange(4):
        case 0:
            del lines[first]
        case 1:
            lines.insert(first, lines[second])
        case 2:
            lines[first], lines[second] = lines[second], lines[first]
        case _:
            del lines[second:]
    return b"".join(lines)


@pytest.mark.parametrize("form", FORMS)
def test_no_mutation_of_an_export_is_accepted(source: Path, tmp_path: Path, form: str) -> None:
    """Bits, bytes and lines, in both forms; the newest receipt is at hand for a cut-off end."""
    whole, rng, file = (source / f"log.{form}").read_bytes(), random.Random(form), tmp_path / "it"
    head = last(source)
    receipt = [Anchor(head.position, head.hash.hex(), "receipt")]
    for number in range(EXPORT_MUTATIONS):
        change = reordered if number % 5 == 0 else flipped
        mutated = change(whole, rng)
        assert mutated != whole
        file.write_bytes(mutated)
        assert verdict(file, lambda: receipt), (number, difference(whole, mutated))
    file.write_bytes(whole)
    assert verdict(file, lambda: receipt) is None


def test_a_line_with_half_a_character_is_none_that_an_export_has(
    source: Path, tmp_path: Path
) -> None:
    """JSON can spell half of a surrogate pair; no UTF-8 can."""
    whole, file = (source / "log.ndjson").read_bytes(), tmp_path / "it"
    file.write_bytes(whole.replace(b'"c_1"', b'"\\ud800"', 1))
    assert verdict(file, list) == "form"


def difference(whole: bytes, mutated: bytes) -> tuple[bytes, bytes]:
    """Around the first byte that is another one."""
    at = next((i for i, (a, b) in enumerate(zip(whole, mutated, strict=False)) if a != b), -1)
    return whole[max(0, at - 40) : at + 40], mutated[max(0, at - 40) : at + 40]


def meaning(content: bytes) -> object:
    """What a JSON text says; None of one that is none."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def test_no_mutation_of_a_checkpoint_is_accepted(source: Path, tmp_path: Path) -> None:
    """A bit or byte anywhere in the file. White space that means nothing is no mutation."""
    whole, rng, file = (source / "checkpoint.json").read_bytes(), random.Random(1), tmp_path / "it"
    tried = 0
    while tried < CHECKPOINT_MUTATIONS:
        mutated = flipped(whole, rng)
        if meaning(mutated) == meaning(whole):
            continue
        file.write_bytes(mutated)
        assert verdict(source, lambda: read_anchors(file)), mutated
        tried += 1
    file.write_bytes(whole)
    assert verdict(source, lambda: read_anchors(file)) is None


def test_no_mutation_of_a_receipt_is_accepted(source: Path) -> None:
    """Another bit of the hash; the right hash at another position."""
    rng = random.Random(2)
    with closing(sqlite3.connect(source / "log.db")) as log:
        held = dict(log.execute("SELECT position, hex(hash) FROM events").fetchall())
    for _ in range(RECEIPT_MUTATIONS):
        position = rng.choice(list(held))
        hash_ = bytearray.fromhex(held[position])
        hash_[rng.randrange(32)] ^= 1 << rng.randrange(8)
        assert verdict(source, lambda h=hash_, p=position: [Anchor(p, h.hex(), "r")])  # type: ignore[misc]
        wrong = rng.choice([it for it in range(1, 2 * len(held)) if it != position])
        of_another = held[position].lower()
        assert verdict(source, lambda h=of_another, p=wrong: [Anchor(p, h, "r")])  # type: ignore[misc]


COLUMNS = ("recorded_at", "stream", "conversation", "type", "version", "data", "salt",
           "data_hash", "hash", "correlation_id", "causation_id")  # fmt: skip
CHANGES = (
    "UPDATE events SET {0} = (SELECT {0} FROM events WHERE position = ?2) WHERE position = ?1",
    "UPDATE events SET {0} = iif(?2, NULL, NULL) WHERE position = ?1",
    "UPDATE events SET {0} = CAST({0} || substr('xyz', ?2 % 3 + 1, 1) AS BLOB) WHERE position = ?1",
    "DELETE FROM events WHERE position = iif(?2, ?1, ?1)",
    "DELETE FROM events WHERE position >= iif(?2, ?1, ?1)",
    "UPDATE events SET position = -?2 WHERE position = ?1",
)
"""What somebody with the file and no scruples might do to {column} of ?1, ?2 being another."""


def test_no_mutation_of_a_log_file_is_accepted(source: Path, tmp_path: Path) -> None:
    """Changes of rows, each on a fresh copy; a change that changes nothing is none."""
    rng, file, head = random.Random(3), tmp_path / "log.db", last(source)
    receipt = [Anchor(head.position, head.hash.hex(), "receipt")]
    loose = tmp_path / "loose.db"
    shutil.copy(source / "log.db", loose)
    with closing(sqlite3.connect(loose, isolation_level=None)) as log:
        triggers = log.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            log.execute(f"DROP TRIGGER {name}")
        columns = log.execute("SELECT name FROM pragma_table_info('events')").fetchall()
        names = ", ".join(f"{name}" for (name,) in columns[1:])
        log.execute("DROP VIEW appended")
        log.execute("ALTER TABLE events RENAME TO strict")
        log.execute(f"CREATE TABLE events (position INTEGER PRIMARY KEY, {names})")
        log.execute("INSERT INTO events SELECT * FROM strict")
        log.execute("DROP TABLE strict")
    assert verdict(loose, lambda: receipt) is None
    tried = 0
    while tried < ROW_MUTATIONS:
        change = rng.choice(CHANGES).format(rng.choice(COLUMNS))
        values = rng.sample(range(1, head.position + 1), 2)
        shutil.copy(loose, file)
        with closing(sqlite3.connect(file, isolation_level=None)) as log:
            log.execute("PRAGMA synchronous = OFF")
            before = log.execute("SELECT * FROM events").fetchall()
            log.execute(change, values)
            if log.execute("SELECT * FROM events").fetchall() == before:
                continue
        assert verdict(file, lambda: receipt), (change, values)
        tried += 1


def test_no_flipped_bit_of_a_log_file_is_accepted(source: Path, tmp_path: Path) -> None:
    """Anywhere in the file; a bit in a page that nobody reads leaves every event as it was."""
    rng, file, head = random.Random(4), Path(shutil.copy(source / "log.db", tmp_path)), last(source)
    with closing(sqlite3.connect(file)) as log:
        log.execute("PRAGMA journal_mode = DELETE")  # one file to read, without a -shm each time
    whole, sound = file.read_bytes(), events(file)
    receipt = [Anchor(head.position, head.hash.hex(), "receipt")]
    found = 0
    for _ in range(BIT_MUTATIONS):
        at = rng.randrange(len(whole))
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        if verdict(file, lambda: receipt):
            found += 1
        else:
            assert events(file) == sound, at
    assert found > BIT_MUTATIONS // 4
    file.write_bytes(whole)
    assert verdict(file, lambda: receipt) is None


def events(file: Path) -> list[Any]:
    """Every event that a log file holds."""
    with closing(sqlite3.connect(file)) as log:
        return log.execute("SELECT * FROM events ORDER BY position").fetchall()


def test_there_are_2000_of_them() -> None:
    """As line 3 of the auditors' promises says; each receipt is mutated in two ways."""
    of_exports = EXPORT_MUTATIONS * len(FORMS)
    of_proofs = CHECKPOINT_MUTATIONS + 2 * RECEIPT_MUTATIONS
    assert of_exports + of_proofs + ROW_MUTATIONS + BIT_MUTATIONS >= 2_000
