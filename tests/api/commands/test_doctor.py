"""``malote doctor``: what is well, what is not, and that it changes nothing."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.commands.doctor import doctor
from api.keyring import FILE_NAME
from eventstore.log import wall_clock_us
from projections.metrics import HOUR_US
from tests.api.serving import Place, furnished, order, post, serving


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A furnished folder with one message, and no server."""
    place = furnished(tmp_path / "data")
    with serving(place.folder) as client:
        post(client, "orders", order("m-1"))
        client.get("/v1/sync", headers=place.headers("otto"))
    return place


def found(folder: Path, *words: str, **settings: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and each check's verdict and words."""
    environment = {"MALOTE_DATA": str(folder), "MALOTE_PORT": "0", **settings}
    result = CliRunner().invoke(doctor, [*words, "--json"], env=environment)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return result.exit_code, {line["check"]: (line["verdict"], line["told"]) for line in lines}


def test_a_healthy_folder_is_well_also_when_folded_once_more(place: Place) -> None:
    """No fault and no warning; exit code 0; and the files are as before."""
    before = {path.name: path.read_bytes() for path in place.folder.iterdir() if path.is_file()}
    code, findings = found(place.folder, "--deep")
    assert code == 0
    assert {verdict for verdict, _ in findings.values()} == {"ok"}, findings
    assert "digests" in findings
    after = {path.name: path.read_bytes() for path in place.folder.iterdir() if path.is_file()}
    assert {name: after[name] for name in before} == before


def test_a_restored_folder_that_was_not_started_yet_has_no_fault(place: Place) -> None:
    """There is nothing to compare a fold with; the next start makes it."""
    (place.folder / "projections.db").unlink()
    code, findings = found(place.folder, "--deep")
    assert (code, findings["digests"][0]) == (0, "warning")


def test_beside_a_running_server_its_port_is_no_fault(place: Place) -> None:
    """The port is taken by the server whose folder this is."""
    with serving(place.folder), socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, findings = found(place.folder, MALOTE_PORT=port)
        assert (code, findings["server"][1]) == (0, "runs on it, and listens to commands")
        assert findings["port"][0] == "ok"


def test_a_port_that_somebody_else_has_is_a_fault(place: Place) -> None:
    """The server could not start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, findings = found(place.folder, MALOTE_PORT=str(taken.getsockname()[1]))
    assert (code, findings["port"][0]) == (1, "fault")


def flipped(folder: Path) -> None:
    """One event's content is another than its hash says."""
    with sqlite3.connect(folder / "log.db") as db:
        db.execute("DROP TRIGGER events_unchanged")
        db.execute("UPDATE events SET data = CAST('{}' AS BLOB) WHERE position = 3")


def forgotten_secret(folder: Path) -> None:
    """An inbox whose secrets were struck out."""
    keys = json.loads((folder / FILE_NAME).read_text())
    keys["inboxes"]["orders"]["secrets"] = []
    (folder / FILE_NAME).write_text(json.dumps(keys))


def wrong_row(folder: Path) -> None:
    """A projection with a row that the log does not give."""
    with sqlite3.connect(folder / "projections.db") as db:
        db.execute("UPDATE metrics SET messages = 99")


def silent(folder: Path) -> None:
    """An inbox with 20 messages every hour of the last weeks, until yesterday."""
    now = wall_clock_us() // HOUR_US
    with sqlite3.connect(folder / "projections.db") as db:
        db.execute("DELETE FROM metrics_inboxes")
        rows = [("orders", hour, 20, hour * HOUR_US) for hour in range(now - 800, now - 24)]
        db.executemany("INSERT INTO metrics_inboxes VALUES (?, ?, ?, ?)", rows)


@pytest.mark.parametrize(
    ("breaking", "check", "verdict", "words"),
    [
        (lambda folder: folder.chmod(0o755), "folder", "fault", "chmod 700"),
        (lambda folder: (folder / "log.db").chmod(0o644), "files", "fault", "log.db"),
        (flipped, "chain", "fault", "position 3"),
        (lambda folder: (folder / FILE_NAME).write_text("{"), "keyring", "fault", "copy"),
        (forgotten_secret, "keyring", "fault", "orders"),
        (lambda folder: (folder / "projections.db").write_bytes(b"x" * 9000),
         "projections", "fault", "cannot be looked at"),
        (lambda folder: (folder / "projections.db").unlink(), "projections", "warning", "folds"),
        (wrong_row, "digests", "fault", "metrics"),
        (silent, "silence", "warning", "orders should have had"),
    ],
)  # fmt: skip
def test_each_trouble_is_found_and_said(
    place: Place, breaking: Callable[[Path], object], check: str, verdict: str, words: str
) -> None:
    """With what to do about it; a fault is exit code 1, a warning is not."""
    breaking(place.folder)
    code, findings = found(place.folder, "--deep")
    assert findings[check][0] == verdict, findings
    assert words in findings[check][1]
    if verdict == "fault":
        assert code == 1


def test_a_low_disk_and_a_clock_behind_are_said(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the reserve it is a fault; a clock that is behind the log judges signatures wrongly."""
    monkeypatch.setattr("api.doctor.free_bytes", lambda _: 1)
    monkeypatch.setattr("api.doctor.time.time", lambda: 1_000_000_000.0)
    code, findings = found(place.folder)
    assert code == 1
    assert findings["space"][0] == "fault"
    assert findings["clock"][0] == "warning"


def test_a_public_address_without_tls_is_a_fault(place: Place) -> None:
    """Tokens would travel in the clear."""
    url = "MALOTE_PUBLIC_BASE_URL"
    assert found(place.folder, **{url: "http://inbox.example.org"})[1]["exposure"][0] == "fault"
    assert found(place.folder, **{url: "https://inbox.example.org"})[1]["exposure"][0] == "ok"


def test_before_the_first_start_there_is_nothing_wrong(tmp_path: Path) -> None:
    """Only things that are not there yet."""
    code, findings = found(tmp_path / "none")
    assert code == 0
    assert findings["folder"][0] == "warning"


def test_a_person_reads_a_line_for_each_check(place: Place) -> None:
    """The verdict first."""
    environment = {"MALOTE_DATA": str(place.folder), "MALOTE_PORT": "0"}
    printed = CliRunner().invoke(doctor, env=environment).stdout.splitlines()
    assert all(line.startswith("ok ") for line in printed)
