"""The demo's stage: a real server in this process, an inbox, users, and the players' keys."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from attrs import frozen

from api import actions
from api.app import create_app
from api.demo.cable import OFFER, Cable
from api.house import House, open_house
from api.providers import Secret
from api.providers.contract import active
from api.records import Records
from api.settings import Settings
from transport.server import uvicorn_config

INBOX, PROVIDER = "support", "whatsapp"
AGENTS = (("ana", "laptop"), ("bruno", "phone"))
VISITOR = "you"
TOKEN_TTL_S = 24 * 3600


class DemoServer(uvicorn.Server):
    """uvicorn, without its hands on the signals: Ctrl-C ends the play first, the server after."""

    def __init__(self, config: uvicorn.Config, house: House) -> None:
        super().__init__(config)
        self._house = house

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Sessions are told 1012 and end; then what is under way has its time."""
        await self._house.retire()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


@asynccontextmanager
async def serving(listener: socket.socket, chosen: Settings) -> AsyncIterator[House]:
    """The server, answering; on leaving it retires its sessions and closes the log."""
    async with open_house(chosen) as house:
        cable = Cable(house.hub)
        house.offers = (OFFER,)
        app = cable.around(create_app(chosen, house, more=[cable.route]))
        config = uvicorn_config(app, timeout_graceful_shutdown=2)
        server = DemoServer(config, house)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.005)
            yield house
        finally:
            server.should_exit = True
            await task


@frozen
class Keys:
    """What the players need to take part; ``agents`` maps (user, device) to a token."""

    secret: Secret
    agents: Mapping[tuple[str, str], str]
    visitor: str


async def furnish(records: Records) -> Keys:
    """Make what is missing of inbox and users, and new tokens for a day."""
    if INBOX not in records.projector.access.inboxes:
        await actions.add_inbox(records, id=INBOX, provider=PROVIDER)
    for user, _ in AGENTS:
        if user not in records.projector.access.members:
            await actions.add_user(records, name=user, role="member", inboxes=[INBOX])
    # Also in a folder of an older demo, where a visitor saw neither operations nor the past.
    visitor = records.projector.access.members.get(VISITOR)
    if visitor is None or visitor.role != "admin":
        await actions.add_user(records, name=VISITOR, role="admin")
    agents = {(user, device): await _token(records, user) for user, device in AGENTS}
    secret = active(records.keyring.secrets(INBOX), int(time.time()))[0]
    return Keys(secret, agents, await _token(records, VISITOR))


async def _token(records: Records, user: str) -> str:
    made = await actions.create_token(records, user=user, ttl_s=TOKEN_TTL_S)
    return str(made["token"])
