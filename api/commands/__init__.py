"""The command line. Each verb is a file of its own; the tuple below is all there is."""

from __future__ import annotations

import click

from api import logs
from api.commands.backup import backup, restore
from api.commands.checkpoint import checkpoint
from api.commands.deliveries import deliveries
from api.commands.demo import demo
from api.commands.doctor import doctor
from api.commands.export import export, import_
from api.commands.inbox import inbox
from api.commands.rebuild import rebuild
from api.commands.redact import redact
from api.commands.replay import replay
from api.commands.screen import screen
from api.commands.serve import serve
from api.commands.simulate import simulate
from api.commands.sync import sync
from api.commands.tail import tail
from api.commands.token import token
from api.commands.trace import trace
from api.commands.user import user
from api.commands.verify import verify
from api.house import RELEASE

COMMANDS: tuple[click.Command, ...] = (
    serve,
    demo,
    inbox,
    user,
    token,
    tail,
    replay,
    sync,
    deliveries,
    trace,
    screen,
    verify,
    checkpoint,
    redact,
    rebuild,
    export,
    import_,
    backup,
    restore,
    simulate,
    doctor,
)


@click.group()
@click.version_option(RELEASE, prog_name="malote")
def main() -> None:
    """A self-hosted real-time inbox on one event log. MALOTE_DATA names its folder."""
    logs.configure("warning", "auto")  # standard output belongs to what a command answers


for command in COMMANDS:
    main.add_command(command)
