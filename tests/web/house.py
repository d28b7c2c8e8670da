"""A real server with the built inbox, a provider that signs, and the machine's Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
from attrs import define, field

from api import actions
from api.house import open_records
from tests.acceptance.world import SECRET, SERVE, Server, malote, running, signed

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        if (path := shutil.which(name))
    ),
    None,
)
BUILT = (ROOT / "api/static/index.html").is_file()
MISSING = (
    "no Chromium on this machine (Debian: apt-get install chromium)"
    if CHROMIUM is None
    else None
    if BUILT
    else "the web inbox is not built: make web"
)
_IDS = count(1)


def text(body: str) -> dict[str, Any]:
    """The content of a text message."""
    return {"type": "text", "text": {"body": body}}


@define
class House:
    """A server in a folder of its own, with inbox `support`, and tokens by user."""

    server: Server
    tokens: Mapping[str, str]
    sent: list[str] = field(factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    def link(self, user: str = "ana") -> str:
        """The login link."""
        return f"{self.url}/#token={self.tokens[user]}"

    def say(self, *bodies: str, contact: int = 1, name: str = "Beatriz Nogueira") -> None:
        """One contact writes these texts, in one webhook."""
        self.post([(contact, name, text(body)) for body in bodies])

    def post(self, said: Sequence[tuple[int, str, Mapping[str, Any]]], **extra: Any) -> None:
        """Deliver messages, signed, over HTTP, until they are taken: (contact, name, content)."""
        messages, contacts = [], {}
        for contact, name, content in said:
            number = f"55009555{contact:05d}"
            ident = f"wamid.{next(_IDS)}.{time.time_ns()}"
            self.sent.append(ident)
            envelope = {"from": number, "id": ident, "timestamp": str(int(time.time()))}
            messages.append({**envelope, **content})
            contacts[number] = {"profile": {"name": name}, "wa_id": number}
        self.change({"messages": messages, "contacts": list(contacts.values()), **extra})

    def echo(self, body: str, contact: int = 1) -> str:
        """The business answers from its phone; the message's id."""
        ident = f"wamid.out.{next(_IDS)}.{time.time_ns()}"
        echo = {"from": "551155550000", "to": f"55009555{contact:05d}", "id": ident}
        written = {**echo, "timestamp": str(int(time.time())), **text(body)}
        self.change({"message_echoes": [written]}, field="smb_message_echoes")
        return ident

    def report(self, ident: str, status: str, contact: int = 1) -> None:
        """The provider tells how far an answer got."""
        recipient = f"55009555{contact:05d}"
        told = {"id": ident, "status": status, "recipient_id": recipient}
        self.change({"statuses": [{**told, "timestamp": str(int(time.time()))}]})

    def change(self, value: Mapping[str, Any], field: str = "messages") -> None:
        """Deliver one change of the account."""
        metadata = {"display_phone_number": "551155550000", "phone_number_id": "1"}
        full = {"messaging_product": "whatsapp", "metadata": metadata, **value}
        change = {"field": field, "value": full}
        entry = [{"id": "1", "changes": [change]}]
        body = json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()
        answer = httpx2.post(
            f"{self.url}/webhooks/support", content=body, headers=signed(body), timeout=30
        )
        assert answer.status_code == 200, answer.text

    def revoke(self, user: str) -> None:
        """The administrator takes a user's token back."""
        token_id = self.tokens[user].split("_")[1]
        malote(self.server.folder, "token", "revoke", token_id)

    def restart(self) -> None:
        """Kill it as power would, and start it again on the same port."""
        port = self.server.port
        self.server.end(signal.SIGKILL)
        self.server.start(port)


MEMBERS = {"ana": ("member", ["support"]), "adm": ("admin", []), "aud": ("auditor", [])}


async def furnish(folder: Path) -> dict[str, str]:
    """The inbox, its members, and a token for each of them."""
    async with open_records(folder) as (records, _):
        await actions.add_inbox(records, id="support", provider="whatsapp", secrets=[SECRET])
        for user, (role, inboxes) in MEMBERS.items():
            await actions.add_user(records, name=user, role=role, inboxes=inboxes)  # type: ignore[arg-type]
        return {user: (await actions.create_token(records, user=user))["token"] for user in MEMBERS}


@contextlib.contextmanager
def opened(folder: Path, command: Sequence[str] = SERVE) -> Iterator[House]:
    """A house with a member, an administrator and an auditor."""
    # In a thread: Playwright's own event loop counts as running in this one.
    with ThreadPoolExecutor(1) as thread:
        tokens = thread.submit(asyncio.run, furnish(folder)).result()
    with running(folder, command) as server:
        yield House(server, tokens)
