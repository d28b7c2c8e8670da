"""A command in this process, on a data folder, in a terminal that is wide enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result


def commanded(command: click.Command, folder: Path, *words: str) -> Result:
    """Run it; how it ended and what it printed."""
    environment = {"MALOTE_DATA": str(folder), "COLUMNS": "200"}
    return CliRunner().invoke(command, words, env=environment)


def answered(command: click.Command, folder: Path, *words: str) -> list[dict[str, Any]]:
    """Its answer as a program reads it, in lines of JSON; it must exit 0."""
    result = commanded(command, folder, *words, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]
