"""``malote tail``: every event a line, beside whoever writes, until the reader has enough."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from api.commands.tail import tail
from api.log_reader import LogReader
from eventstore.draft import Draft
from eventstore.events import Contact, Event, MessageReceived, ServerStarted, Text
from eventstore.log import EventLog
from tests.api.commands.running import commanded

PATIENCE_S = 30


def text(body: str) -> Draft:
    """A message of Zoe's in the inbox support."""
    event = MessageReceived(f"m-{body}", Contact("US.1", name="Zoe"), Text(body))
    return Draft("inbox:support", event, conversation="c_1")


STARTED: Event = ServerStarted(boot="b" * 32, release="0.1.0")
DRAFTS = (Draft("system", STARTED), text("one"), text("two"))


def written(folder: Path, drafts: Sequence[Draft] = DRAFTS) -> Path:
    """A data folder whose log holds these."""

    async def write() -> None:
        log = await EventLog.open(folder)
        try:
            await log.append(drafts)
        finally:
            await log.close()

    asyncio.run(write())
    return folder


run = partial(commanded, tail)


def follow(folder: Path) -> subprocess.Popen[str]:
    """The command as a process, following."""
    return subprocess.Popen(
        [sys.executable, "-m", "api.commands", "tail", "--json", "--follow"],
        env={**os.environ, "MALOTE_DATA": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell gives what it runs in the background a SIGINT to ignore, and so it would here.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def test_json_is_the_event_object_and_its_stream(tmp_path: Path) -> None:
    """One object a line, with all that PROTOCOL section 2 says, for events of every stream."""
    result = run(written(tmp_path), "--json")
    assert result.exit_code == 0, result.output
    started, one, _ = map(json.loads, result.output.splitlines())
    assert (started["stream"], started["inbox"]) == ("system", None)
    assert set(one) == {
        "stream", "position", "cursor", "type", "version", "time", "inbox", "conversation", "data",
    }  # fmt: skip
    assert (one["position"], one["inbox"]) == (2, "support")
    assert one["data"]["content"] == {"type": "text", "body": "one"}


def test_after_begins_behind_a_position(tmp_path: Path) -> None:
    """What a program has already, it does not get again."""
    result = run(written(tmp_path), "--json", "--after", "2")
    assert [json.loads(line)["position"] for line in result.output.splitlines()] == [3]


def test_people_get_aligned_lines_with_nothing_in_them_to_obey(tmp_path: Path) -> None:
    """Time, position, stream, type, and what it says with control characters escaped."""
    folder = written(tmp_path, [*DRAFTS, text("\x1b[2Jgone\nnext")])
    lines = run(folder).output.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[1:5] == ["2", "inbox:support", "message.received", "Zoe:"]
    assert lines[3].endswith(r"Zoe: \x1b[2Jgone next")
    assert len({line.index("message.received") for line in lines[1:]}) == 1


@pytest.mark.parametrize("page", [1, 2, 3])
def test_pages_have_no_seams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """Every event once, whatever a page holds."""
    # By its module's name: in the package the name is the command.
    monkeypatch.setattr(sys.modules[LogReader.__module__], "PAGE_EVENTS", page)
    result = run(written(tmp_path), "--json")
    assert [json.loads(line)["position"] for line in result.output.splitlines()] == [1, 2, 3]


def test_where_there_is_no_log_it_says_so_and_makes_none(tmp_path: Path) -> None:
    """Exit code 3, and the folder is left as it was."""
    result = run(tmp_path)
    assert result.exit_code == 3
    assert str(tmp_path) in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_follow_shows_what_a_writer_appends_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    """Beside an open log, without its lock; Ctrl-C is no error and prints no traceback."""

    async def scenario() -> None:
        log = await EventLog.open(tmp_path)
        process = follow(tmp_path)
        assert process.stdout is not None
        try:
            for draft in DRAFTS:
                await log.append([draft])
                line = await asyncio.wait_for(
                    asyncio.to_thread(process.stdout.readline), PATIENCE_S
                )
                assert json.loads(line)["type"] == draft.event.type
            process.send_signal(signal.SIGINT)
            _, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()
            process.communicate()
            await log.close()

    asyncio.run(scenario())


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    """`malote tail --follow | head -1`: no traceback, no complaint."""

    async def scenario() -> None:
        log = await EventLog.open(tmp_path)
        process = follow(tmp_path)
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            await log.append(DRAFTS[:1])
            await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), PATIENCE_S)
            process.stdout.close()
            await log.append(DRAFTS[1:])
            code = await asyncio.to_thread(process.wait, PATIENCE_S)
            assert (code, process.stderr.read()) == (0, "")
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
            await log.close()

    asyncio.run(scenario())


def test_where_there_is_no_log_yet_it_says_so_and_what_names_the_folder(tmp_path: Path) -> None:
    """Exit code 3, and not what SQLite calls it."""
    result = run(tmp_path / "elsewhere")
    assert result.exit_code == 3
    assert "there is none yet; MALOTE_DATA names its folder" in result.stderr
