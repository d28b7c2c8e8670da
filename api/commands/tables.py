"""Lists: a table for people, one JSON object a line for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table


def print_table(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print the rows; rich obeys ``NO_COLOR`` and leaves escapes out where no terminal is."""
    if as_json:
        for row in rows:
            click.echo(orjson.dumps(row))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row.values()))
    Console(highlight=False, markup=False).print(table)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
