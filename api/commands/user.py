"""``malote user``: who may see which inboxes."""

from __future__ import annotations

import click

from api.commands.asking import ask
from api.commands.tables import print_table


@click.group()
def user() -> None:
    """Users: members of inboxes, auditors, admins."""


@user.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(["member", "auditor", "admin"]))
@click.option("--inbox", "inboxes", multiple=True, help="An inbox the member belongs to.")
def add(name: str, role: str, inboxes: tuple[str, ...]) -> None:
    """Make a user, or give one another role and other inboxes."""
    made = ask("add_user", name=name, role=role, inboxes=list(inboxes))
    seen = ", ".join(made["inboxes"]) if role == "member" else "every inbox"
    click.echo(f"user {name} is {role} of {seen or 'no inbox'}")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(as_json: bool) -> None:
    """The users there are."""
    print_table(ask("list_users"), as_json=as_json)
