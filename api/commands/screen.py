"""``malote screen``: what a user's devices showed, now or at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import orjson
from rich.console import Console
from rich.text import Text

from api.commands.asking import ask
from api.moment import Moment
from api.routes import as_of
from api.terminal import one_line


class At(click.ParamType[Moment]):
    """A position, or a time as RFC 3339."""

    name = "position|time"

    def convert(
        self,
        value: str | Moment,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Moment:
        """Read it; anything else is a usage error."""
        if isinstance(value, Moment):
            return value
        try:
            return as_of.moment(value)
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


@click.command()
@click.argument("user")
@click.option("--device", help="This device only.")
@click.option("--at", type=At(), help="As of then: a position, or 2026-11-22T10:00:00Z.")
@click.option("--conversation", metavar="ID", help="This conversation, with its messages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def screen(
    user: str,
    device: str | None,
    at: Moment | None,
    conversation: str | None,
    as_json: bool,
) -> None:
    """Show what USER's devices had of the inbox, as they had acknowledged it by then.

    Of each device how it was connected, the newest 20 conversations as of its ack floor, and how
    many events were outstanding.
    """
    found = ask(
        "screen",
        user=user,
        device=device,
        conversation=conversation,
        position=None if at is None else at.position,
        time_us=None if at is None else at.time_us,
    )
    if as_json:
        click.echo(orjson.dumps(found))
        return
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if not found["devices"]:
        click.echo(f"{user} had no device here", err=True)
    for each in found["devices"]:
        for line in _lines(user, each):
            console.print(line)


def _lines(user: str, device: Mapping[str, Any]) -> Iterator[Text]:
    link, waiting = device["link"], device["outstanding"]["count"]
    if device["connected"]:
        state = f"connected since {_time(link['since'])}"
    else:
        state = f"away since {_time(link['ended'])} ({link['code']} {one_line(link['reason'])})"
    yield Text.assemble((one_line(f"{user}/{device['device']}"), "bold"), f"  {state}")
    ack = device["last_ack"]
    told = "nothing acknowledged" if ack is None else f"last ack {_time(ack['time'])}"
    yield Text(f"  as of position {device['ack_floor']}, {told}; {waiting} outstanding", "dim")
    for row in device["conversations"]:
        unread = f" ({row['unread']} unread)" if row["unread"] else ""
        name = one_line(row["contact"]["name"] or row["id"])
        yield Text.assemble(
            f"  {_time(row['last_at'])}  {one_line(row['inbox'])}  ",
            (name, "bold"),
            f"{unread}  {_words(row['last']['text'], row['last'])}",
        )
    for row in reversed(device["messages"] or []):
        message = row["message"]
        yield Text.assemble(
            f"    {_time(message['time'])} {message['position']:>8}  ",
            (f"{row['how']:<12}", "cyan"),
            f"  {_words(message['preview'], message)}",
        )


def _time(text: str) -> str:
    return f"{text[:19]}Z"


def _words(text: str | None, of: Mapping[str, Any]) -> str:
    if of["redacted"]:
        return "(erased)"
    return one_line(text or f"({of['kind']})")
