"""``malote serve``: the server, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import uvicorn
from attrs import evolve

from api import logs
from api.app import create_app
from api.commands.asking import exit_codes
from api.commands.exits import CannotStart, settings
from api.house import House, open_house
from api.settings import Settings, described
from transport.server import spare_the_collector, uvicorn_config

BACKLOG = 2048
ACCEPTS_A_TURN = 32
"""libuv takes one connection of a socket in each turn of the event loop: a provider that connects
while a thousand clients come back would wait until it is their turn, for seconds."""


class Serve(click.Command):
    """A command whose help ends with every setting, its present value and its meaning."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Append the settings to the help."""
        with formatter.section("Settings, from the environment"):
            formatter.write_dl(
                [(name, f"{text}  [{value}]") for name, value, text in described()], col_max=32
            )
        super().format_epilog(ctx, formatter)


@click.command(cls=Serve, epilog="A secret may also be in a file: MALOTE_JWT_SECRET_FILE.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder that holds everything.")
def serve(host: str | None, port: int | None, data: Path | None) -> None:
    """Take webhooks in and give events out, until SIGTERM."""
    chosen = settings(host=host, port=port, data=data)
    logs.configure(chosen.log_level, chosen.log_format, for_good=True)
    listener = bind(chosen)
    bound = evolve(chosen, port=listener.getsockname()[1])
    with exit_codes(), listener:
        serve_on(listener, bound)


def bind(chosen: Settings) -> socket.socket:
    """The listening socket. Bound before anything opens: a taken port costs nobody a lock."""
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    try:
        return socket.create_server((chosen.host, chosen.port), family=family, backlog=BACKLOG)
    except OSError as trouble:
        raise CannotStart(
            f"cannot listen on {chosen.host}:{chosen.port}: {trouble.strerror or trouble}"
        ) from None


def serve_on(listener: socket.socket, chosen: Settings) -> None:
    """Serve on a bound socket until a signal comes, on uvicorn's choice of event loop."""
    config_of_loop = uvicorn_config(None, timeout_graceful_shutdown=1)
    with asyncio.Runner(loop_factory=config_of_loop.get_loop_factory()) as runner:
        runner.run(_serve(listener, chosen))


async def _serve(listener: socket.socket, chosen: Settings) -> None:
    async with open_house(chosen) as house:
        config = uvicorn_config(
            create_app(chosen, house),
            timeout_graceful_shutdown=round(chosen.shutdown_timeout_s),
            proxy_headers=bool(chosen.trusted_proxies),
            forwarded_allow_ips=list(chosen.trusted_proxies),
        )
        doors = [listener, *(listener.dup() for _ in range(ACCEPTS_A_TURN - 1))]
        await Server(config, house).serve(sockets=doors)


class Server(uvicorn.Server):
    """uvicorn, told to say where it is and to let the house retire before connections close."""

    def __init__(self, config: uvicorn.Config, house: House) -> None:
        super().__init__(config)
        self._house = house

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then say where: whoever waits for the line can connect."""
        await super().startup(sockets)
        spare_the_collector()
        click.echo(f"malote listens on {self._house.settings.listen_url}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Readiness fails and sessions end first; then what is under way has its time."""
        await self._house.retire()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, which raises the signal again at the end: the house still has to close."""
        loop = asyncio.get_running_loop()
        caught = (signal.SIGINT, signal.SIGTERM)
        for number in caught:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)
