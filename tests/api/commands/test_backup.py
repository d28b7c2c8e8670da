"""``malote backup`` and ``malote restore``: there and back, verified, under a new epoch."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import click
from click.testing import CliRunner, Result

from api.commands.backup import backup, restore
from eventstore.draft import Draft
from eventstore.events import ServerStarted
from eventstore.log import EventLog
from eventstore.verify import read_receipt, verify


def append(folder: Path, events: int) -> str:
    """Append so many events; the log's epoch."""

    async def write() -> str:
        log = await EventLog.open(folder)
        try:
            await log.append([Draft("system", ServerStarted(f"b{n}", "1")) for n in range(events)])
            return log.epoch
        finally:
            await log.close()

    return asyncio.run(write())


def run(command: click.Command, folder: Path, *words: str | Path) -> Result:
    """The command on this data folder."""
    return CliRunner().invoke(command, list(map(str, words)), env={"MALOTE_DATA": str(folder)})


def test_a_backup_verifies_against_the_receipt_it_printed(tmp_path: Path) -> None:
    """One file, mode 0600, whole without a WAL beside it."""
    append(tmp_path / "data", 5)
    file = tmp_path / "backup.db"
    result = run(backup, tmp_path / "data", file)
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    receipt = result.output.split("receipt ")[1].strip()
    assert verify(file, read_receipt(receipt)).fault is None


def test_a_restored_folder_has_the_backup_s_history_and_a_new_epoch(tmp_path: Path) -> None:
    """What came after the backup is gone; clients that had it will be told by the epoch."""
    folder, file = tmp_path / "data", tmp_path / "backup.db"
    epoch = append(folder, 5)
    made = json.loads(run(backup, folder, file, "--json").output)
    append(folder, 3)
    result = run(restore, folder, file, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["hash"] == made["hash"]
    report = verify(folder)
    assert (report.fault, report.hash) == (None, made["hash"])
    assert report.epoch != epoch


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    """The file that is there may be the only good one."""
    append(tmp_path / "data", 1)
    file = tmp_path / "backup.db"
    file.write_bytes(b"precious")
    result = run(backup, tmp_path / "data", file)
    assert result.exit_code == 1
    assert file.read_bytes() == b"precious"


def test_a_folder_in_use_is_not_restored_into(tmp_path: Path) -> None:
    """Exit 1, and the log that is open stays as it is."""
    folder, file = tmp_path / "data", tmp_path / "backup.db"
    append(folder, 2)
    run(backup, folder, file)

    async def scenario() -> None:
        log = await EventLog.open(folder)
        try:
            result = await asyncio.to_thread(run, restore, folder, file)
            assert result.exit_code == 1
            assert "in use" in result.output
        finally:
            await log.close()

    asyncio.run(scenario())


def test_a_damaged_backup_is_refused_before_anything_is_replaced(tmp_path: Path) -> None:
    """Exit 1; the old log is still the log."""
    folder, file = tmp_path / "data", tmp_path / "backup.db"
    append(folder, 2)
    file.write_bytes(b"not a log at all" * 500)
    before = verify(folder).hash
    result = run(restore, folder, file)
    assert result.exit_code == 1
    assert verify(folder).hash == before
