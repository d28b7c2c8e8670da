"""The command line. Each verb is a file of its own; the table below is all there is.

A verb's file is imported when the verb is asked for: with all that a server needs, each command
would take three times as long to start.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from api import logs

COMMANDS: Mapping[str, str] = {
    "serve": "serve:serve",
    "demo": "demo:demo",
    "inbox": "inbox:inbox",
    "user": "user:user",
    "token": "token:token",
    "tail": "tail:tail",
    "replay": "replay:replay",
    "sync": "sync:sync",
    "deliveries": "deliveries:deliveries",
    "trace": "trace:trace",
    "screen": "screen:screen",
    "ledger": "ledger:ledger",
    "verify": "verify:verify",
    "checkpoint": "checkpoint:checkpoint",
    "redact": "redact:redact",
    "rebuild": "rebuild:rebuild",
    "export": "export:export",
    "import": "export:import_",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "simulate": "simulate:simulate",
    "doctor": "doctor:doctor",
}
"""Verb -> the file here that has it, and its name there."""


class Verbs(click.Group):
    """The group of all verbs; it knows their names, and each by its file."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the alphabet."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb of this name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        file, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"api.commands.{file}"), name)
        return found


@click.group(cls=Verbs)
@click.version_option(package_name="malote", prog_name="malote")
def main() -> None:
    """A self-hosted real-time inbox on one event log. MALOTE_DATA names its folder."""
    logs.configure("warning", "auto")  # standard output belongs to what a command answers
