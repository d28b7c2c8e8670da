"""``malote inbox``: where one provider account's messages arrive."""

from __future__ import annotations

import click
import orjson

from api.commands.asking import ask
from api.commands.durations import DURATION
from api.commands.tables import print_table
from api.providers import PROVIDERS


@click.group()
def inbox() -> None:
    """Inboxes: one for each provider account."""


@inbox.command()
@click.argument("id")
@click.option("--provider", required=True, type=click.Choice(sorted(PROVIDERS)))
@click.option("--secret", "secrets", multiple=True, help="The provider's; default: a new one.")
@click.option("--verify-token", help="What the provider shows in its GET handshake.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def add(
    id: str,  # noqa: A002
    provider: str,
    secrets: tuple[str, ...],
    verify_token: str | None,
    as_json: bool,
) -> None:
    """Open an inbox; a secret made for it is shown this once."""
    made = ask(
        "add_inbox", id=id, provider=provider, secrets=list(secrets), verify_token=verify_token
    )
    if as_json:
        click.echo(orjson.dumps(made))
        return
    click.echo(f"inbox {id} takes webhooks of {provider} at {made['webhook_path']}")
    if not secrets:
        click.echo(f"secret (shown this once): {made['secrets'][0]}")


@inbox.command()
@click.argument("id")
@click.option("--secret", "secrets", multiple=True, help="The new secret; default: a new one.")
@click.option(
    "--overlap", type=DURATION, default="1d", show_default=True, help="Old ones live as long."
)
def rotate(id: str, secrets: tuple[str, ...], overlap: int) -> None:  # noqa: A002
    """Give an inbox a new secret beside the old one, which dies after the overlap."""
    made = ask("rotate_secret", id=id, secrets=list(secrets), overlap_s=overlap)
    if not secrets:
        click.echo(f"secret (shown this once): {made['secrets'][0]}")
    click.echo(f"older secrets are good until {made['old_secrets_until']}")


@inbox.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """The inboxes there are."""
    print_table(ask("list_inboxes"), as_json=as_json)
