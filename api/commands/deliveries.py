"""``malote deliveries``: what was put aside for devices, and its delivery again."""

from __future__ import annotations

import getpass

import click
import orjson

from api.commands.asking import ask
from api.commands.tables import print_table


@click.group()
def deliveries() -> None:
    """Devices' deliveries: what was put aside, and delivering it again."""


@deliveries.command("list")
@click.option("--user", help="This user's devices only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(user: str | None, as_json: bool) -> None:
    """What is put aside, device by device, the newest first."""
    rows = ask("list_parked_events", user=user)
    if not rows and not as_json:
        click.echo("nothing is put aside", err=True)
        return
    print_table(rows, as_json=as_json)


@deliveries.command()
@click.argument("user")
@click.argument("device")
@click.argument("positions", metavar="[POSITION]...", nargs=-1, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def replay(user: str, device: str, positions: tuple[int, ...], as_json: bool) -> None:
    """Deliver what was put aside for USER's DEVICE again: all of it, or these POSITIONs.

    At once if the device is connected, else when it comes back. What is not put aside, or was
    asked for already, is passed over; at most 1,000 events of a device are under way so at a time.
    """
    asked = ask(
        "replay_parked_events",
        user=user,
        device=device,
        positions=list(positions) or None,
        by=getpass.getuser(),
    )
    if as_json:
        click.echo(orjson.dumps(asked))
        return
    count, left = len(asked["positions"]), asked["left"]
    rest = f"; {left} more are put aside" if left else ""
    click.echo(f"{count} will be delivered again to {user}/{device}{rest}")
