"""``malote rebuild``: projections folded anew from the first event."""

from __future__ import annotations

import click
import orjson

from api.commands.asking import ask


@click.command()
@click.argument("projections", nargs=-1, metavar="[PROJECTION]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, name to digest.")
def rebuild(projections: tuple[str, ...], as_json: bool) -> None:
    """Fold these projections, or all of them, from zero; print each one's digest.

    The digest depends on the events alone: it is the same after every rebuild, on any machine.
    """
    digests: dict[str, str] = ask("rebuild", projections=list(projections))
    if as_json:
        click.echo(orjson.dumps(digests))
        return
    width = max(map(len, digests), default=0)
    for name, digest in digests.items():
        click.echo(f"{name:<{width}}  {digest}")
