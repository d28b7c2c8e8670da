"""What the demo shows: a few quiet lines, a box with the login link, a line for each message.

Colour is for states only, and only on a terminal (rich obeys ``NO_COLOR``). Every line fits the
width; names and previews give way, numbers do not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import assert_never

from rich.cells import cell_len
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from api.demo.journey import INBOUND, OUTBOUND, Left, Line, Repeated, Returned, Travelled
from api.terminal import fit

WIDTH_MIN, WIDTH_MAX, WIDTH_PIPED = 72, 132, 100
FIXED_CELLS = 49
"""Everything on a message's line but the name and the preview."""

TIMES, NO_TIME = "\u00d7", "\u2013"
_MARK_STYLES = {INBOUND: "cyan", OUTBOUND: "magenta"}


class Screen(Console):
    """A console that reports a reader who has gone instead of ending the process."""

    def __init__(self, on_reader_gone: Callable[[], None]) -> None:
        super().__init__(highlight=False, markup=False, emoji=False)
        self._on_reader_gone = on_reader_gone

    def on_broken_pipe(self) -> None:
        """`malote demo | head`: say nothing more, and let the demo end in good order."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self._on_reader_gone()


class Display:
    """Lines onto a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @property
    def width(self) -> int:
        """Cells in a line; asked each time, because windows are resized."""
        if not self._console.is_terminal:
            return WIDTH_PIPED
        return max(WIDTH_MIN, min(self._console.width, WIDTH_MAX))

    def note(self, label: str, text: str) -> None:
        """One quiet line of what is going on."""
        self._print(Text.assemble((f"{label:<8}", "dim"), text))

    def box(self, link: str, *lines: str) -> None:
        """The login link, whole and alone on its line so that it can be clicked and copied."""
        title = Text(" Malote is running ", "bold")
        inside = cell_len(link) + 4
        if inside <= self._console.width:
            body = Text("\n").join(
                [Text(link, "bold cyan"), *(Text(line, "dim") for line in lines)]
            )
            self._console.print(Panel(body, title=title, title_align="left", width=inside))
            return
        # Broken by a frame the link would be no link any more: rules above and below, no sides.
        rule = "─" * (self.width - 2 - len(title.plain))
        self._print(Text.assemble("──", title, rule))
        self._console.print(Text(link, "bold cyan"), soft_wrap=True)
        for line in lines:
            self._console.print(Text(line, "dim"), width=self.width)
        self._print(Text("─" * self.width))

    def end(self, text: str, *, well: bool) -> None:
        """What was handled, after the last line (and after the ^C that a terminal shows)."""
        self._console.print()
        self._console.print(Text(text, "bold green" if well else "bold red"), soft_wrap=True)

    def show(self, line: Line) -> None:
        """One line of the play."""
        match line:
            case Travelled():
                self._print(self._travelled(line))
            case Repeated():
                self._print(self._repeated(line))
            case Left():
                said = f"{line.device} lost its network"
                self._print(Text.assemble(_clock(line.at_us), (f" ○ {said}", "yellow")))
            case Returned():
                self._print(Text.assemble(_clock(line.at_us), (f" ↻ {_returned(line)}", "green")))
            case _:
                assert_never(line)

    def _travelled(self, line: Travelled) -> Text:
        name_cells, preview_cells = self._cells(line.position)
        acked_by_all = line.acks >= line.devices
        return Text.assemble(
            _clock(line.at_us),
            (f" {line.mark} ", _MARK_STYLES.get(line.mark, "dim")),
            (fit(line.contact, name_cells), "bold" if line.mark == INBOUND else ""),
            " ",
            (fit(line.said, preview_cells), "" if line.mark in _MARK_STYLES else "dim"),
            (f" {line.position:>5} ", "dim"),
            ("stored ", "dim"),
            f"{_duration(line.stored_ms):>6} ",
            ("acked ", "dim"),
            f"{_duration(line.acked_ms):>6} ",
            (f"{TIMES}{line.acks}", "green" if acked_by_all else "yellow"),
        )

    def _repeated(self, line: Repeated) -> Text:
        name_cells, preview_cells = self._cells(line.position)
        said = fit("posted again", preview_cells)
        return Text.assemble(
            _clock(None),
            (" = ", "yellow"),
            fit(line.contact, name_cells),
            (f" {said} {line.position:>5} ", "dim"),
            ("first receipt again in ", "dim"),
            _duration(line.answered_ms),
        )

    def _cells(self, position: int) -> tuple[int, int]:
        """For the name and for the preview, beside a position of so many digits."""
        name_cells = 18 if self.width >= 100 else 12
        more_digits = max(0, len(str(position)) - 5)
        return name_cells, self.width - FIXED_CELLS - name_cells - more_digits

    def _print(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ignore", crop=False)


def _clock(at_us: int | None) -> tuple[str, str]:
    at = datetime.now(UTC) if at_us is None else datetime.fromtimestamp(at_us / 1_000_000, UTC)
    return f"{at.astimezone():%H:%M:%S}", "dim"


def _duration(milliseconds: float | None) -> str:
    """At most six cells, with the unit."""
    if milliseconds is None:
        return NO_TIME
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 999.5 else f"{milliseconds / 1000:.1f} s"


def _returned(line: Returned) -> str:
    back = f"{line.device} is back after {line.away_us / 1_000_000:.1f} s"
    if line.caught_up_ms is None:
        return f"{back}, nothing was missed"
    return f"{back}, caught up on {line.missed} in {_duration(line.caught_up_ms)}"
