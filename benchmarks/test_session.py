"""What one delivery and its ack cost in the pure session, without any socket.

pytest benchmarks/test_session.py
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from eventstore.cursor import Cursor
from eventstore.tail import Visible
from transport.frames import Ack, Window, decode_client_frame, encode_frame
from transport.page import Page
from transport.session import Session
from transport.wire import short_text

ROUNDS = 1_000


def cursor(position: int) -> Cursor:
    """A cursor at a position."""
    return Cursor.at("e" * 32, position, sha256(b"%d" % position).digest())


def pages(events: int) -> list[Page]:
    """Consecutive pages of so many 400-byte events each."""
    made = []
    for first in range(1, ROUNDS * events + 1, events):
        visible = [Visible(p, p, cursor(p), "a", b"x" * 400) for p in range(first, first + events)]
        made.append(Page.of(cursor(first - 1), visible))
    return made


def deliver_and_acknowledge(prepared: list[Page]) -> None:
    """One session takes all pages, and acknowledges each."""
    session = Session("s", cursor(0), Window(), lambda: 0.5, 0.0)
    for number, page in enumerate(prepared):
        session.deliver(page, 0.0)
        session.frames_to_send()
        session.receive(Ack(page.cursor), number / 1000)
        session.events_to_record()


def test_a_delivery_with_its_ack(benchmark: Any) -> None:
    """One event a page, a thousand of them."""
    benchmark(deliver_and_acknowledge, pages(1))


def test_twenty_deliveries_with_one_ack(benchmark: Any) -> None:
    """What a group commit makes of it."""
    benchmark(deliver_and_acknowledge, pages(20))


def test_an_ack_from_the_socket(benchmark: Any) -> None:
    """Unmask and read what a thousand clients say alike."""
    text = encode_frame(Ack(cursor(12_345)))
    raw = bytes([0x81, 0x80 + len(text), 0, 0, 0, 0]) + text

    def read() -> None:
        for _ in range(ROUNDS):
            payload = short_text(raw)
            assert payload is not None
            decode_client_frame(payload)

    benchmark(read)
