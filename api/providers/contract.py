"""What every provider is: verify and parse, bytes in, drafts out, no I/O.

A provider is a module with the members of :class:`Provider`, and one entry in
:data:`api.providers.PROVIDERS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Protocol

from attrs import field, frozen

from eventstore.draft import Draft


class SignatureInvalid(Exception):
    """The webhook is not proven to come from the provider. Carries no detail: all look alike."""


class SecretMalformed(ValueError):
    """An operator's secret is not of the provider's form; the message does not repeat it."""


@frozen
class Request:
    """One webhook as it came.

    ``headers`` have lower-case names. ``received_at`` is µs since the Unix epoch. ``request_id``
    is ours: one line, at most 200 characters.
    """

    inbox: str
    headers: Mapping[str, str]
    body: bytes
    received_at: int
    request_id: str | None = None

    @cached_property
    def body_digest(self) -> str:
        """SHA-256 of the body, hex; once for all the keys that are made of it."""
        return sha256(self.body).hexdigest()


@frozen
class Secret:
    """A signing secret as its owner writes it (``whsec_…`` included), in bytes.

    Past ``not_after_s``, seconds since the Unix epoch, it verifies nothing any more (rotation).
    """

    value: bytes = field(repr=False)
    not_after_s: int | None = None

    def __attrs_post_init__(self) -> None:
        # An empty HMAC key is one that everybody has.
        if not self.value:
            raise SecretMalformed("an empty secret")


def active(secrets: Sequence[Secret], now_s: int) -> list[Secret]:
    """Those that still count at ``now_s``, seconds since the Unix epoch."""
    return [each for each in secrets if each.not_after_s is None or now_s <= each.not_after_s]


class Provider(Protocol):
    """A source of webhooks; each member is pure."""

    @property
    def name(self) -> str:
        """As on the command line and in the log."""

    @property
    def body_bytes_max(self) -> int:
        """The largest body to read; more is refused while reading."""

    def challenge(self, query: Mapping[str, str], verify_token: str | None) -> str | None:
        """The plain text that answers the provider's GET handshake, None to refuse it."""

    def check_secret(self, secret: Secret) -> None:
        """Raise :class:`SecretMalformed` for a secret this provider cannot sign with."""

    def new_secret(self, entropy: bytes) -> str:
        """The text of a secret made of these random bytes, 24 at least."""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[Secret], now_s: int
    ) -> None:
        """Raise :class:`SignatureInvalid`, and only that, unless a secret signed these bytes."""

    def parse(self, request: Request) -> list[Draft]:
        """The drafts of an authentic webhook, all of them one append. Never raises.

        First ``webhook.received``; then, in the payload's order, what was derived from it, with
        ``webhook.unparsed`` in the place of each part that was not understood.
        """

    def sign(
        self,
        body: bytes,
        secret: Secret,
        *,
        now_s: int,
        id: str | None = None,  # noqa: A002 - the providers' word for it
    ) -> dict[str, str]:
        """The headers with which the provider would send this body (simulation and tests)."""


def conversation_id(inbox: str, contact_key: str) -> str:
    """``c_`` and 20 hex digits: the conversation with this contact in this inbox."""
    # The length in front keeps ("a", "bc") and ("ab", "c") apart.
    text = f"{len(inbox)}:{inbox}{contact_key}"
    return "c_" + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
