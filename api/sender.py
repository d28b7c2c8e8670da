"""A provider's sending half: sign a body, POST it, and repeat it until it is answered 2xx.

Used by ``malote simulate`` and ``malote demo``. The standard library's HTTP client in a worker
thread: what is measured is a whole request as a provider sees it, and the server needs no HTTP
client among its dependencies.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from random import random
from urllib.parse import quote, urlsplit

import orjson
from attrs import frozen

from api.providers import Provider, Secret
from transport.backoff import Backoff

REQUEST_TIMEOUT_S = 15.0
IDLE_S = 2.0
"""A connection that rested longer is opened anew: the server may be closing it at this moment."""

ATTEMPTS_MAX = 10
TRANSIENT = frozenset({408, 425, 429})
ANSWER_BYTES_MAX = 1024 * 1024
_BACKOFF = Backoff()


class Refused(Exception):
    """The server does not want this webhook, and would not later; ``status`` is its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


class NotDelivered(Exception):
    """Every attempt failed: whether it was stored is unknown."""


@frozen
class Delivered:
    """A 2xx: the receipts of what was derived, and how long the last attempt took.

    ``duplicates`` of them were known before.
    """

    receipts: tuple[tuple[int, str], ...]
    """Position and chain hash, hex; worth keeping, `malote verify --receipt` takes them."""

    duplicates: int
    elapsed_ms: float
    attempts: int

    @property
    def positions(self) -> tuple[int, ...]:
        """Where they are in the log."""
        return tuple(position for position, _ in self.receipts)

    @property
    def repeat(self) -> bool:
        """Whether the webhook was known as a whole; a new message may repeat an alias beside it."""
        return 0 < len(self.receipts) == self.duplicates


class Sender:
    """One connection to one inbox; use one for each webhook that is to be under way at a time."""

    def __init__(
        self,
        url: str,
        inbox: str,
        provider: Provider,
        secret: Secret,
        backoff: Backoff = _BACKOFF,
    ) -> None:
        """Raise :class:`ValueError` for a ``url`` that is not a server's."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the server's URL has the form http://host:port or https://host")
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=REQUEST_TIMEOUT_S)
        self._path = f"{parts.path.rstrip('/')}/webhooks/{quote(inbox, safe='')}"
        self._provider = provider
        self._secret = secret
        self._backoff = backoff
        self._used_at = 0.0

    async def deliver(self, body: bytes) -> Delivered:
        """Send it until it is taken; raises :class:`Refused` or :class:`NotDelivered`."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            started = time.perf_counter()
            try:
                status, retry_after_s, answer = await asyncio.to_thread(self._post, body)
            except (OSError, http.client.HTTPException):
                self._connection.close()
                status, retry_after_s, answer = 0, 0.0, b""
            if 200 <= status < 300:
                return _delivered(answer, (time.perf_counter() - started) * 1e3, attempt)
            if status and status < 500 and status not in TRANSIENT:
                raise Refused(status)
            fraction = random()  # noqa: S311 - it spreads retries, it guards nothing
            await asyncio.sleep(max(retry_after_s, self._backoff.delay_s(attempt, fraction)))
        raise NotDelivered(f"{ATTEMPTS_MAX} attempts failed")

    def _post(self, body: bytes) -> tuple[int, float, bytes]:
        if time.monotonic() - self._used_at > IDLE_S:
            self._connection.close()
        headers = self._provider.sign(body, self._secret, now_s=int(time.time()))
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        answer = response.read(ANSWER_BYTES_MAX)
        self._used_at = time.monotonic()
        return response.status, _seconds(response.headers.get("Retry-After", "")), answer

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()


def _seconds(retry_after: str) -> float:
    return float(min(int(retry_after), 60)) if retry_after.isdecimal() else 0.0


def _delivered(answer: bytes, elapsed_ms: float, attempts: int) -> Delivered:
    """Receipts where the answer has them; a provider may want another body than ours."""
    try:
        told = orjson.loads(answer)
        receipts = tuple((each["position"], each["hash"]) for each in told["receipts"])
        return Delivered(receipts, told["duplicates"], elapsed_ms, attempts)
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return Delivered((), 0, elapsed_ms, attempts)
