"""``malote checkpoint``: the log's signed state, to be kept where the log is not."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from api.commands.asking import ask
from api.commands.exits import Failed


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--sign", is_flag=True, help="Sign the state as it is now, instead of the newest.")
@click.option("--key", is_flag=True, help="Print the public key that signs; nothing else.")
@click.option("--rotate", is_flag=True, help="Sign with another key from now on; print it.")
def checkpoint(file: Path | None, sign: bool, key: bool, rotate: bool) -> None:
    """Print the newest checkpoint, or save it to FILE.

    Keep it, and the public key, on another machine: `malote verify --checkpoint FILE --key KEY`
    proves with them that nothing up to there was changed or cut off.
    """
    if key or rotate:
        click.echo(ask("signing_key", rotate=rotate)["public_key"])
        return
    text = orjson.dumps(ask("checkpoint", sign=sign), option=orjson.OPT_APPEND_NEWLINE)
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.write_bytes(text)
    except OSError as trouble:
        raise Failed(f"{file}: {trouble.strerror}") from None
