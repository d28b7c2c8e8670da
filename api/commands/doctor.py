"""``malote doctor``: whether a server can run here, and runs well."""

from __future__ import annotations

import sys

import click
import orjson
from attrs import asdict
from rich.console import Console
from rich.text import Text

from api.commands.exits import settings
from api.doctor import Verdict, examine
from api.terminal import one_line

_MARKS: dict[Verdict, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("look", "yellow"),
    "fault": ("BAD", "bold red"),
}


@click.command()
@click.option("--deep", is_flag=True, help="Fold the whole log once more, and compare digests.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def doctor(deep: bool, as_json: bool) -> None:
    """Look at the data folder, the log, the clock, the disk and the settings; change nothing.

    Works beside a running server. Exit: 0 nothing is wrong, 1 something is (warnings are not).
    """
    console = Console(highlight=False, soft_wrap=True)
    wrong = False
    for finding in examine(settings(), deep=deep):
        wrong = wrong or finding.verdict == "fault"
        if as_json:
            click.echo(orjson.dumps(asdict(finding)))
            continue
        mark, style = _MARKS[finding.verdict]
        told = one_line(finding.told)
        console.print(Text.assemble((f"{mark:<5}", style), f"{finding.check:<12} {told}"))
    sys.exit(1 if wrong else 0)
