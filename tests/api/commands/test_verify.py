"""``malote verify``: the verifier on the data folder, with the exit codes of PROTOCOL section 4."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.commands.verify import verify
from eventstore.draft import Draft, Receipt
from eventstore.events import ServerStarted
from eventstore.log import EventLog


def written(folder: Path, events: int = 5) -> list[Receipt]:
    """A log written by the real thing, and the receipts it gave."""

    async def write() -> list[Receipt]:
        log = await EventLog.open(folder)
        try:
            drafts = [Draft("system", ServerStarted(f"b{n}", "0.1.0")) for n in range(events)]
            return await log.append(drafts)
        finally:
            await log.close()

    return asyncio.run(write())


def run(folder: Path, *words: str | Path) -> Result:
    """The command on this data folder."""
    return CliRunner().invoke(verify, list(map(str, words)), env={"MALOTE_DATA": str(folder)})


def tamper(folder: Path, statement: str) -> None:
    """Change the file behind the log's back."""
    with closing(sqlite3.connect(folder / "log.db", isolation_level=None)) as log:
        for (name,) in log.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            log.execute(f"DROP TRIGGER {name}")
        log.execute(statement)


def shown(receipt: Receipt) -> str:
    """As people note a receipt."""
    return f"{receipt.position}:{receipt.hash.hex()}"


def test_a_log_and_all_its_receipts_are_verified(tmp_path: Path) -> None:
    """Exit 0, with the head; as text and as one JSON object."""
    receipts = written(tmp_path)
    words = [word for receipt in receipts for word in ("--receipt", shown(receipt))]
    result = run(tmp_path, *words)
    assert result.exit_code == 0, result.output
    assert receipts[-1].hash.hex() in result.output
    report = json.loads(run(tmp_path, "--json").output)
    assert (report["fault"], report["events"]) == (None, 5)


def test_the_first_bad_position_is_named(tmp_path: Path) -> None:
    """Exit 1, where, what, and what it means."""
    written(tmp_path)
    tamper(tmp_path, "UPDATE events SET stream = 'inbox:x' WHERE position = 3")
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "position 3" in result.output


def test_a_cut_off_end_is_found_with_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    """Without one it cannot be: the output says that none was presented."""
    receipts = written(tmp_path)
    tamper(tmp_path, "DELETE FROM events WHERE position > 3")
    assert "would not show" in run(tmp_path).output
    kept = tmp_path / "checkpoint.json"
    kept.write_text(json.dumps({"position": 5, "hash": receipts[4].hash.hex()}))
    result = run(tmp_path, "--checkpoint", kept)
    assert result.exit_code == 1
    assert "position 4" in result.output


def test_it_works_beside_the_process_that_owns_the_folder(tmp_path: Path) -> None:
    """No lock is needed for reading, and the events in the WAL are seen."""

    async def scenario() -> None:
        log = await EventLog.open(tmp_path)
        try:
            await log.append([Draft("system", ServerStarted("b", "0.1.0"))])
            result = await asyncio.to_thread(run, tmp_path, "--json")
            assert json.loads(result.output)["events"] == 1
        finally:
            await log.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("words", [["--receipt", "nonsense"], ["--checkpoint", "/nowhere.json"]])
def test_what_is_no_proof_is_a_usage_error(tmp_path: Path, words: list[str]) -> None:
    """Exit 2: a proof that cannot be read must not pass for one that agreed."""
    written(tmp_path)
    assert run(tmp_path, *words).exit_code == 2


def test_where_there_is_no_log_nothing_is_said_about_one(tmp_path: Path) -> None:
    """Exit 3: neither verified nor faulty."""
    result = run(tmp_path)
    assert result.exit_code == 3
    assert "verified" not in result.output
