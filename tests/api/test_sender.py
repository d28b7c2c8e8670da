"""The provider's sending half: signed, repeated until taken, and honest about what came back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

import pytest
from attrs import define, field

from api.providers import PROVIDERS, Secret
from api.sender import Delivered, NotDelivered, Refused, Sender
from transport.backoff import Backoff

SECRET = Secret(b"a secret for tests only")
AT_ONCE = Backoff(base_s=0.0, cap_s=0.0)
TAKEN = json.dumps(
    {"accepted": 1, "duplicates": 0, "receipts": [{"position": 7, "hash": "ab" * 32}]}
).encode()


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An HTTP response."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@define
class Endpoint:
    """A server with a list of answers; None hangs up instead of answering."""

    answers: Sequence[bytes | None]
    got: list[tuple[bytes, bytes]] = field(factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after the other."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.got.append((head, await reader.readexactly(size)))
                reply = self.answers[len(self.got) - 1]
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def exchange(endpoint: Endpoint, talk: Callable[[Sender], Awaitable[Delivered]]) -> Delivered:
    """Run ``talk`` with a sender to this endpoint."""

    async def scenario() -> Delivered:
        server = await asyncio.start_server(endpoint.talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        sender = Sender(url, "a b", PROVIDERS["whatsapp"], SECRET, AT_ONCE)
        try:
            return await talk(sender)
        finally:
            sender.close()
            server.close()
            await server.wait_closed()

    return asyncio.run(scenario())


def test_a_webhook_is_signed_as_the_provider_signs() -> None:
    """The bytes that arrive are the bytes that were signed, at the inbox's own path."""
    endpoint = Endpoint([answer(200, TAKEN)])
    delivered = exchange(endpoint, lambda sender: sender.deliver(b'{"a": 1}'))
    [(head, body)] = endpoint.got
    expected = PROVIDERS["whatsapp"].sign(body, SECRET, now_s=0)["x-hub-signature-256"]
    assert head.startswith(b"POST /webhooks/a%20b HTTP/1.1\r\n")
    assert expected.encode() in head
    assert (delivered.receipts, delivered.attempts) == (((7, "ab" * 32),), 1)
    assert not delivered.repeat


@pytest.mark.parametrize(
    "trouble", [answer(503, b"", "Retry-After: 0"), answer(500), answer(429), None]
)
def test_trouble_of_the_moment_is_outlasted(trouble: bytes | None) -> None:
    """503, 429, a connection that breaks: the outcome is unknown, and the same bytes come again."""
    endpoint = Endpoint([trouble, trouble, answer(200, TAKEN)])
    delivered = exchange(endpoint, lambda sender: sender.deliver(b"{}"))
    assert delivered.attempts == 3
    assert len({body for _, body in endpoint.got}) == 1


def test_a_refusal_is_not_repeated() -> None:
    """401 today is 401 tomorrow."""
    endpoint = Endpoint([answer(401)])
    with pytest.raises(Refused) as refused:
        exchange(endpoint, lambda sender: sender.deliver(b"{}"))
    assert (refused.value.status, len(endpoint.got)) == (401, 1)


def test_it_gives_up_after_a_bounded_number_of_attempts() -> None:
    """And says that it does not know."""
    endpoint = Endpoint([answer(503)] * 50)
    with pytest.raises(NotDelivered):
        exchange(endpoint, lambda sender: sender.deliver(b"{}"))
    assert len(endpoint.got) == 10


@pytest.mark.parametrize(
    ("receipts", "duplicates", "repeat"),
    [(1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True), (0, 0, False)],
)
def test_a_webhook_is_a_repeat_when_all_of_it_was_known(
    receipts: int, duplicates: int, repeat: bool
) -> None:
    """A batch with something new in it is news."""
    told = [(position, "00") for position in range(1, receipts + 1)]
    assert Delivered(tuple(told), duplicates, 1.0, 1).repeat is repeat


@pytest.mark.parametrize("body", [b"", b"<Response></Response>", b"[]", b'{"receipts": 1}'])
def test_another_2xx_body_is_taken_as_it_is(body: bytes) -> None:
    """Some providers want an answer of their own: then there are no receipts."""
    endpoint = Endpoint([answer(200, body)])
    assert exchange(endpoint, lambda sender: sender.deliver(b"{}")).receipts == ()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://example.org", "http://"])
def test_what_is_no_server_s_url_is_refused(url: str) -> None:
    """At once, not at the first webhook."""
    with pytest.raises(ValueError, match="form http"):
        Sender(url, "support", PROVIDERS["whatsapp"], SECRET)
