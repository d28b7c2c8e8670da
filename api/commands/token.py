"""``malote token``: what users and programs log in with."""

from __future__ import annotations

import click

from api.commands.asking import ask
from api.commands.durations import DURATION


@click.group()
def token() -> None:
    """Access tokens."""


@token.command()
@click.argument("name")
@click.option("--ttl", type=DURATION, help="How long it is good, such as 30d; default: no end.")
def create(name: str, ttl: int | None) -> None:
    """Print a new token of a user, alone, on standard output; it is shown this once."""
    click.echo(ask("create_token", user=name, ttl_s=ttl)["token"])


@token.command()
@click.argument("token_id")
def revoke(token_id: str) -> None:
    """Make a token void, by its id (``malote user list`` has it) or by itself."""
    made = ask("revoke_token", token=token_id)
    click.echo(f"token {made['id']} of {made['user']} is revoked")
