"""``malote redact``: erase what a message says (LGPD, GDPR)."""

from __future__ import annotations

import getpass

import click
import orjson

from api.commands.asking import ask


@click.command()
@click.argument("position", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why; it is recorded, and shown to members.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def redact(position: int, reason: str, as_json: bool) -> None:
    """Erase the message or webhook at POSITION for good, wherever the log holds its words.

    Its place, time and hashes stay, and so does the proof that nothing else was changed. What this
    cannot reach: backups, exports and what clients copied elsewhere (docs/erasure.md).
    """
    done = ask("redact", position=position, reason=reason, by=getpass.getuser())
    if as_json:
        click.echo(orjson.dumps(done))
        return
    erased = ", ".join(map(str, done["erased"]))
    click.echo(f"erased {erased}; recorded at {done['position']}")
    if not done["purged"]:
        click.echo("a reader holds the WAL: its bytes go with the next checkpoint", err=True)
