"""What operators and builders are told to do works: commands, settings, files and recipes exist."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from api.commands import COMMANDS
from api.settings import PREFIX, Settings
from eventstore import verify as verifier
from eventstore.draft import Draft, idempotency_key
from eventstore.events import Contact, MessageReceived, MessageRedacted, ServerStarted, Text
from eventstore.log import EventLog
from projections.projection import Query
from projections.store import MEMORY, Store
from tests.projections.history import EPOCH, Log, ask, fold_into, system
from tests.transport.serving import site

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
DEPLOY = sorted((DOCS / "deploy").iterdir())
UNIT = (DOCS / "deploy" / "malote.service").read_text()

PATIENCE_S = 60.0

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@by_page
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    """In running text and in blocks; `m` is the alias of the operators' page."""
    known = set(COMMANDS)
    text = page.read_text()
    named = re.findall(r"(?:`|^|bin/|\| )malote ([a-z]+)", text, re.MULTILINE)
    named += re.findall(r"(?:^|`|&& |\| )m ([a-z]+)", text, re.MULTILINE)
    assert set(named) <= known


@pytest.mark.parametrize("page", [*PAGES, *DEPLOY], ids=lambda page: page.name)
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    """A variable that nothing reads is a setting that somebody believes in."""
    known = {f"{PREFIX}{field.name.upper()}" for field in attrs.fields(Settings)}
    known |= {f"{PREFIX}JWT_SECRET_FILE", f"{PREFIX}SEEDS", f"{PREFIX}TOKEN"}
    named = set(re.findall(r"MALOTE_[A-Z_]*[A-Z]", page.read_text()))
    assert named <= known


@by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """Within the repository; the outside is not asked."""
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize(
    "line",
    [
        *("User=malote", "NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes"),
        *("CapabilityBoundingSet=", "MemoryMax=1G", "TasksMax=256", "LimitNOFILE=16384"),
        *("StateDirectoryMode=0700", "UMask=0077", "TimeoutStopSec=15", "KillSignal=SIGTERM"),
    ],
)
def test_the_unit_takes_away_what_is_not_needed(line: str) -> None:
    """Security row 45."""
    assert line in UNIT.splitlines()


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """And rates the server's as well protected."""
    if (program := shutil.which("systemd-analyze")) is None:
        pytest.skip("there is no systemd-analyze here")
    for name in ("malote.service", "malote-backup.service", "malote-backup.timer"):
        text = (DOCS / "deploy" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/malote/.venv/bin/malote", "/bin/true"))
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    checked = subprocess.run([program, "verify", *units], capture_output=True, text=True)
    ours = [line for line in checked.stderr.splitlines() if "malote" in line]
    assert not ours
    command = [program, "security", "--offline=true", "--threshold=20"]
    rated = subprocess.run(
        [*command, str(tmp_path / "malote.service")], capture_output=True, text=True
    )
    assert rated.returncode == 0, rated.stdout[-300:]


def message(number: int) -> Draft:
    """A keyed message."""
    event = MessageReceived(f"m{number}", Contact("c"), Text(f"text {number}"))
    key = idempotency_key("a", "message", str(number))
    return Draft("inbox:a", event, conversation="c_1", key=key)


def test_the_mirror_takes_over_what_is_new_and_what_was_erased(tmp_path: Path) -> None:
    """Beside a running server, twice over; and what it holds verifies as a log."""
    folder, mirror = tmp_path / "malote", tmp_path / "mirror.db"
    sql = (DOCS / "deploy" / "mirror.sql").read_text()
    sql = sql.replace("/var/lib/malote/log.db", str(folder / "log.db"))

    async def scenario() -> str:
        log = await EventLog.open(folder)
        try:
            await log.append([message(1), message(2)])
            await log.backup(mirror)
            await log.append([message(3), message(4)])
            mirrored(mirror, sql)
            mirrored(mirror, sql)
            with closing(sqlite3.connect(folder / "log.db")) as db, db:
                db.execute("UPDATE events SET data = NULL, salt = NULL WHERE position = 2")
            erased = MessageRedacted((2,), "asked for", "eve")
            _, receipt = await log.append([Draft("inbox:a", erased), message(5)])
            mirrored(mirror, sql)
            return f"{receipt.position}:{receipt.hash.hex()}"
        finally:
            await log.close()

    receipt = asyncio.run(scenario())
    with closing(sqlite3.connect(mirror)) as db:
        kept = db.execute("SELECT position, data IS NULL FROM events ORDER BY position").fetchall()
        [(keys,)] = db.execute("SELECT count(*) FROM keys").fetchall()
    assert kept == [(1, 0), (2, 1), (3, 0), (4, 0), (5, 0), (6, 0)]
    assert keys == 5
    report = verifier.verify(mirror, verifier.read_receipt(receipt))
    assert report.fault is None


def mirrored(mirror: Path, sql: str) -> None:
    """Run the script as the sqlite3 program does."""
    with closing(sqlite3.connect(mirror, isolation_level=None, uri=True)) as db:
        for statement in statements(sql):
            db.execute(statement)


def statements(sql: str) -> list[str]:
    """The statements of a script."""
    bare = "\n".join(line.partition("--")[0] for line in sql.splitlines())
    return [part.strip() for part in bare.split(";") if part.strip()]


def example(page: str, named: str, **names: Any) -> dict[str, Any]:
    """What an example of a page defines."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL
    )
    [code] = [block for block in blocks if named in block]
    namespace: dict[str, Any] = {"__name__": "example", **names}
    exec(compile(code, page, "exec"), namespace)  # noqa: S102 - our own page
    return namespace


def test_the_hundred_line_client_reads_and_acknowledges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one pastes from writing-a-client.md has to work, against the real server."""
    read = example("writing-a-client.md", "async def read")["read"]

    async def scenario() -> None:
        async with asyncio.timeout(PATIENCE_S), site(tmp_path) as server:
            task = asyncio.create_task(read(server.url, "ana", str(server.log.cursor)))
            await server.append(1, 2)
            while not await server.recorded("delivery.acknowledged"):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    printed = capsys.readouterr().out
    assert printed.count("message.received") == 2
    assert "complete to" in printed


def test_the_example_of_a_projection_folds() -> None:
    """The one of adding-a-projection.md, on three starts in two days."""
    from eventstore.events import Event, RecordedEvent
    from projections.projection import Projection, Statement

    code = (DOCS / "adding-a-projection.md").read_text()
    assert "evolve=_evolve" in code
    text = re.findall(r"^```python\n(.*?)^```", code, re.MULTILINE | re.DOTALL)[0]
    projection, evolve = text.split("\n\n\n")
    names = {
        "Projection": Projection, "Statement": Statement, "ServerStarted": ServerStarted,
        "Event": Event, "RecordedEvent": RecordedEvent, "DAY_US": 86_400_000_000,
    }  # fmt: skip
    namespace: dict[str, Any] = {"__name__": "example", **names}
    exec(compile(f"{evolve}\n\n{projection}", "page", "exec"), namespace)  # noqa: S102
    starts: Projection = namespace["STARTS"]
    log = Log(*[system(ServerStarted("b", "1"))] * 3)
    store = fold_into(Store(MEMORY, [starts], EPOCH), log.events)
    question = Query("SELECT day, count FROM starts", {}, lambda *row: row, ("starts",))
    assert [count for _, count in ask(store, question)] == [3]
    assert json.dumps(store.digests())
