"""Log lines: nothing secret in them, and nobody can forge one."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from api import logs


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What was logged, one object a line."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_control_character_cannot_begin_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    r"""A path with \r\n stays in its line, pretty or not."""
    for form in ("json", "pretty"):
        logs.configure("info", form)
        structlog.get_logger().info("request", path="/a\r\nforged\x1b[2J\x9b")
        printed = capsys.readouterr().err
        assert len(printed.splitlines()) == 1
        assert "\\x0d\\x0aforged" in printed.replace("\\\\", "\\")
        assert "\x9b" not in printed
        assert "\x1b[2J" not in printed


@pytest.mark.parametrize("source", ["structlog", "logging"])
def test_an_exception_is_told_without_its_message(
    capsys: pytest.CaptureFixture[str], source: str
) -> None:
    """Messages quote what they choked on; type and place are enough to find the fault."""
    logs.configure("info", "json")
    try:
        int("the body was: my secret")
    except ValueError:
        if source == "structlog":
            structlog.get_logger().exception("failed")
        else:
            logging.getLogger("uvicorn.error").exception("failed")
    [line] = lines(capsys)
    assert line["exception"] == "ValueError"
    assert "my secret" not in json.dumps(line)
    assert "test_logs.py" in str(line["raised_at"])


def test_the_level_holds_for_both_kinds_of_logger(capsys: pytest.CaptureFixture[str]) -> None:
    """What is below it is not printed, ours or the libraries'."""
    logs.configure("warning", "json")
    structlog.get_logger().info("quiet")
    logging.getLogger("uvicorn.error").info("quiet")
    structlog.get_logger().warning("loud")
    logging.getLogger("uvicorn.error").warning("loud too")
    assert [line["event"] for line in lines(capsys)] == ["loud", "loud too"]


def test_libraries_that_print_what_they_carry_are_never_heard_below_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The debug lines of aiosqlite and websockets hold bodies and tokens; ours do not."""
    logs.configure("debug", "json")
    for name in ("aiosqlite", "websockets.server", "uvicorn.error"):
        logging.getLogger(name).debug("a body")
    logging.getLogger("eventstore.log").debug("ours")
    assert [line["event"] for line in lines(capsys)] == ["ours"]
