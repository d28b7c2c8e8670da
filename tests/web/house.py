"""A real server with the built inbox, a provider that signs, and the machine's Chromium.

To start a server costs what several tests cost together. So most tests have an inbox of their own
in one that they share, and a user who sees nothing else; what a test does to the server itself, or
sees with an administrator's or auditor's eyes, it does in a server of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from attrs import define, field

from api.control import call
from tests.acceptance.world import SERVE, Server, furnish_inbox, running, signed

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = next(
    (
        path
        # The shell has no window to draw at all, and costs a third.
        for name in ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)
BUILT = (ROOT / "api/static/index.html").is_file()
MISSING = (
    "no Chromium on this machine (Debian: apt-get install chromium-headless-shell)"
    if CHROMIUM is None
    else None
    if BUILT
    else "the web inbox is not built: make web"
)
_IDS = count(1)
T = TypeVar("T")


def text(body: str) -> dict[str, Any]:
    """The content of a text message."""
    return {"type": "text", "text": {"body": body}}


@define
class House:
    """An inbox on a server, and tokens by who somebody is there: `ana` is a member of it alone."""

    server: Server
    tokens: Mapping[str, str]
    inbox: str = "support"
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
            f"{self.url}/webhooks/{self.inbox}", content=body, headers=signed(body), timeout=30
        )
        assert answer.status_code == 200, answer.text

    def revoke(self, user: str) -> None:
        """The administrator takes a user's token back."""
        self.ask("revoke_token", token=self.tokens[user])

    def ask(self, action: str, **given: Any) -> Any:
        """What the command line asks of the server, without starting one."""
        return asked(call(self.server.folder, action, **given))

    def restart(self) -> None:
        """Kill it as power would, and start it again on the same port."""
        port = self.server.port
        self.server.end(signal.SIGKILL)
        self.server.start(port)


def asked(question: Coroutine[Any, Any, T]) -> T:
    """Its answer, from a thread: Playwright's own event loop counts as running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, question).result()


@contextlib.contextmanager
def opened(folder: Path, command: Sequence[str] = SERVE) -> Iterator[House]:
    """A server of its own, with a member, an administrator and an auditor."""
    with running(folder, command, forked=command is SERVE) as server:
        everybody = {"ana": "member", "adm": "admin", "aud": "auditor"}
        yield House(server, asked(furnish_inbox(folder, "support", everybody)))


def moved_in(server: Server) -> House:
    """One more inbox on a running server, with a member of its own."""
    number = next(_IDS)
    tokens = asked(furnish_inbox(server.folder, f"support-{number}", {f"ana-{number}": "member"}))
    return House(server, {"ana": tokens[f"ana-{number}"]}, f"support-{number}")
