"""The demo's lines: they fit, they hold the numbers, and there is no colour without a terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from api.demo.display import NO_TIME, TIMES, Display
from api.demo.journey import Left, Line, Repeated, Returned, Travelled

LINK = "http://127.0.0.1:8080/#token=mlt_" + "0" * 32 + "_" + "A" * 32
LONG = "Consigo trocar 漢字漢字漢字 😅" * 4
HOUR = 3_600_000_000
LINES: list[Line] = [
    Travelled(1042, HOUR, "→", "Beatriz Nogueira", LONG, 2.13, 8.0, 2, 2),
    Travelled(104_200, HOUR, "✓", "", "read", None, None, 0, 2),
    Travelled(7, HOUR, "←", "Zoe", "Deal!", 1_500.0, 99.96, 1, 2),
    Repeated(1042, "Zoe Whitfield-Nogueira", 4.7),
    Left(HOUR, "bruno/phone"),
    Returned(HOUR, "bruno/phone", 8_100_000, 12, 14.2),
]  # fmt: skip


def shown(width: int, *lines: Line, terminal: bool = True) -> str:
    """What a console of this width gets."""
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system="auto",
        legacy_windows=False, highlight=False, markup=False, emoji=False,
        _environ={"TERM": "xterm"},
    )  # fmt: skip
    display = Display(console)
    for line in lines:
        display.show(line)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plain(text: str) -> list[str]:
    """Its lines without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


@pytest.mark.parametrize("width", [80, 99, 100, 120, 200])
def test_every_line_fits_the_window(width: int) -> None:
    """One line each, also with wide glyphs and six-digit positions."""
    found = plain(shown(width, *LINES))
    assert len(found) == len(LINES)
    assert all(cell_len(line) <= width for line in found)


def test_a_line_holds_time_name_position_and_what_was_measured() -> None:
    """Names and previews give way, numbers do not."""
    [line] = plain(shown(80, LINES[0]))
    assert "Beatriz Nog… Consigo trocar" in line
    assert line.endswith(f" 1042 stored 2.1 ms acked 8.0 ms {TIMES}2")


def test_what_was_not_measured_is_not_invented() -> None:
    """A dash stands where there is no number."""
    [line] = plain(shown(80, LINES[1]))
    assert f"stored      {NO_TIME} acked      {NO_TIME} {TIMES}0" in line


def test_absences_are_told_with_their_length_and_the_catch_up() -> None:
    """Away, missed, caught up."""
    assert (
        "bruno/phone is back after 8.1 s, caught up on 12 in 14 ms" in plain(shown(80, LINES[5]))[0]
    )


def test_there_is_no_escape_where_there_is_no_terminal() -> None:
    """A file gets text."""
    assert "\x1b" in shown(80, *LINES)
    assert "\x1b" not in shown(80, *LINES, terminal=False)


@pytest.mark.parametrize("width", [80, 120])
def test_the_login_link_is_never_broken_by_a_frame(width: int) -> None:
    """It can be copied and clicked, in a window of any width."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, legacy_windows=False)
    what_for = ("what it is for " * 6).strip()
    Display(console).box(LINK, what_for)
    assert isinstance(console.file, io.StringIO)
    lines = plain(console.file.getvalue())
    assert LINK in "\n".join(lines)
    told = [line for line in lines if LINK not in line]
    assert all(cell_len(line) <= max(width, len(LINK) + 4) for line in told)
    if width < len(LINK):
        assert all(cell_len(line) <= width for line in told), "words are not broken either"
