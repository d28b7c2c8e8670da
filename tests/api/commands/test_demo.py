"""``malote demo``: it starts, shows what happened, loses nothing, and ends when it is told to."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

from eventstore.verify import verify

PATIENCE_S = 60
LINE = re.compile(
    r"\d\d:\d\d:\d\d [→←✓] .* stored +[\d.]+ m?s acked +[\d.]+ m?s .[12]$", re.MULTILINE
)
SUMMARY = re.compile(
    r"([\d,]+) events \(([\d,]+) messages\), ([\d,]+) deliveries, duplicates: (\d+), "
    r"lost: (\d+), verified: (\w+)"
)
FAST = ("--rate", "40", "--seed", "11")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The demo as a process, its two outputs apart."""
    environment = {name: value for name, value in os.environ.items() if name != "MALOTE_PORT"}
    return subprocess.Popen(
        [sys.executable, "-m", "api.commands", "demo", *words],
        env={**environment, "MALOTE_DATA": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    """The demo to its end: exit code and both outputs."""
    process = start(folder, *words)
    try:
        output, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, output, errors


def port_of(output: str) -> int:
    """Where the login link points."""
    found = re.search(r"http://127\.0\.0\.1:(\d+)/#token=mlt_[0-9a-f]{32}_[\w-]{32}", output)
    assert found is not None, output
    return int(found[1])


def test_messages_travel_and_nothing_is_lost(tmp_path: Path) -> None:
    """Exit 0; a line for each message with measured times; a summary that adds up."""
    code, output, errors = run(tmp_path / "demo", "--messages", "30", *FAST)
    assert (code, errors) == (0, ""), output + errors
    found = SUMMARY.search(output)
    assert found is not None, output
    events, messages, deliveries, _, lost = (int(n.replace(",", "")) for n in found.groups()[:5])
    assert messages >= 30
    assert deliveries == 2 * events >= 2 * messages
    assert (lost, found[6]) == (0, "yes")
    assert LINE.search(output)
    assert output.count(" acked ") >= messages
    assert "lost its network" in output
    assert "is back after" in output
    assert verify(tmp_path / "demo").fault is None


def test_it_gives_its_port_back_and_keeps_its_folder_to_its_owner(tmp_path: Path) -> None:
    """Mode 0700, files 0600; and the port can be bound at once."""
    _, output, _ = run(tmp_path / "demo", "--messages", "3", *FAST)
    with socket.create_server(("127.0.0.1", port_of(output))):
        pass
    assert stat.S_IMODE((tmp_path / "demo").stat().st_mode) == 0o700
    for file in (tmp_path / "demo").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_second_run_goes_on_in_the_same_log(tmp_path: Path) -> None:
    """Same inbox, same people, positions go on; --fresh begins anew and keeps the old folder."""
    folder = tmp_path / "demo"
    run(folder, "--messages", "3", *FAST)
    before = verify(folder).events
    code, output, errors = run(folder, "--messages", "3", "--rate", "40")
    assert (code, errors) == (0, "")
    assert f"goes on after {before:,} events" in output
    code, output, _ = run(folder, "--messages", "3", "--fresh", *FAST)
    assert code == 0
    assert "a new log" in output
    assert len([each for each in tmp_path.iterdir() if each.name.startswith("demo.")]) == 1


def test_ctrl_c_ends_it_in_good_order(tmp_path: Path) -> None:
    """Within seconds, exit 0, no traceback, and the line of what was handled."""
    process = start(tmp_path / "demo", *FAST)
    assert process.stdout is not None
    try:
        seen = ""
        while not LINE.search(seen):
            assert select.select([process.stdout], [], [], PATIENCE_S)[0], seen
            line = process.stdout.readline()
            assert line, f"the demo ended: {seen}"
            seen += line
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert "lost: 0, verified: yes" in rest


def test_a_reader_who_leaves_ends_it_too(tmp_path: Path) -> None:
    """`malote demo | head`: no traceback, and the log is closed in good order."""
    process = start(tmp_path / "demo", *FAST)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        process.stdout.readline()
        process.stdout.close()
        code = process.wait(PATIENCE_S)
        errors = process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert (code, errors) == (0, "")
    assert verify(tmp_path / "demo").fault is None


def test_invented_messages_never_get_into_a_real_log(tmp_path: Path) -> None:
    """A folder with a log that no demo made is left alone: exit 3."""
    environment = {**os.environ, "MALOTE_DATA": str(tmp_path)}
    words = [sys.executable, "-m", "api.commands", "inbox", "add", "shop", "--provider", "standard"]
    subprocess.run(words, env=environment, check=True, capture_output=True, timeout=PATIENCE_S)
    before = verify(tmp_path).events
    code, _, errors = run(tmp_path, "--messages", "1")
    assert code == 3
    assert "no demo made" in errors
    assert verify(tmp_path).events == before


def test_a_folder_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    """A second demo beside the first: exit 3 and no traceback."""
    first = start(tmp_path / "demo", *FAST)
    assert first.stdout is not None
    try:
        while "#token=" not in (line := first.stdout.readline()):
            assert line, "the first demo ended"
        code, _, errors = run(tmp_path / "demo", "--messages", "1")
    finally:
        first.kill()
        first.communicate()
    assert code == 3
    assert "Traceback" not in errors
