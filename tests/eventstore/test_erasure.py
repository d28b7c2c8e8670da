"""Erasure: the content is gone from memory, file and WAL, and everything else still stands."""

from __future__ import annotations

import asyncio
import sqlite3
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path

import orjson
import pytest

from eventstore import reader
from eventstore.connection import Fetch
from eventstore.draft import Draft, idempotency_key
from eventstore.erasure import CannotErase
from eventstore.events import (
    Contact,
    ConversationRead,
    MessageReceived,
    RecordedEvent,
    ServerStarted,
    Text,
    WebhookReceived,
)
from eventstore.log import EventLog, Limits
from eventstore.verify import verify

SUPPORT = frozenset({"support"})
FROM_DISK = Limits(recent_events_max=0, tail_events_max=1)
WORDS = "the words of a person who wants them gone"


def message(name: str, text: str = WORDS, inbox: str = "support") -> Draft:
    """A message, idempotent by its name."""
    event = MessageReceived(name, Contact("c", name="Zoe"), Text(text))
    return Draft(f"inbox:{inbox}", event, "c_1", idempotency_key(inbox, "message", name))


def webhook(body: bytes) -> Draft:
    """The raw webhook that carried something."""
    return Draft("inbox:support", WebhookReceived("standard", body))


def run(folder: Path, scenario: Callable[[EventLog], Awaitable[None]], limits: Limits) -> None:
    """A scenario on an open log."""

    async def opened() -> None:
        log = await EventLog.open(folder, limits=limits)
        try:
            await scenario(log)
        finally:
            await log.close()

    asyncio.run(opened())


def on_disk(folder: Path) -> bytes:
    """Every byte of every file there."""
    found = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # the mark is written beside, and put in place
            found.append(path.read_bytes() if path.is_file() else b"")
    return b"".join(found)


@pytest.mark.parametrize("limits", [Limits(), FROM_DISK], ids=["memory", "disk"])
def test_erased_content_is_gone_from_every_read_and_every_file(
    tmp_path: Path, limits: Limits
) -> None:
    """Members and auditors get a tombstone at the same place; no byte is left, WAL included."""

    async def scenario(log: EventLog) -> None:
        await log.append([message("before", "kept"), message("a"), message("after", "kept too")])
        assert WORDS.encode() in on_disk(tmp_path)
        receipt, positions = await log.redact(2, reason="LGPD", by="aud")
        assert (receipt.position, tuple(positions)) == (4, (2,))
        assert log.purged
        assert WORDS.encode() not in on_disk(tmp_path)
        events = await log.read(0, 10)
        assert [event.data is None for event in events] == [False, True, False, False]
        page = await log.read_visible(0, 10, SUPPORT)
        bodies = [orjson.loads(visible.body) for visible in page]
        assert [body["position"] for body in bodies] == [1, 2, 3, 4]
        assert bodies[1]["data"] is None
        assert bodies[1]["conversation"] == "c_1"
        assert bodies[3]["data"] == {"positions": [2], "reason": "LGPD", "by": "aud"}

    run(tmp_path, scenario, limits)
    report = verify(tmp_path)
    assert (report.fault, report.events, report.erased) == (None, 4, 1)


def test_large_content_leaves_no_page_behind(tmp_path: Path) -> None:
    """A webhook of many overflow pages: those freed are overwritten, not only unlinked."""

    async def scenario(log: EventLog) -> None:
        body = b"".join(b"%06d-secret;" % number for number in range(20_000))
        await log.append([webhook(body), message("a", WORDS * 5_000)])
        await log.redact(2, reason="LGPD", by="aud", also=(1,))
        left = on_disk(tmp_path)
        assert WORDS[:12].encode() not in left
        # In the log a raw body is base64: look for a piece of that, in each of its alignments.
        for start in range(3):
            piece = b64encode(body[start + 3000 : start + 3300])
            assert piece[4:-4] not in left

    run(tmp_path, scenario, Limits())


def test_a_repeat_of_an_erased_message_is_a_duplicate_still(tmp_path: Path) -> None:
    """Its key stays: the provider that sends it again does not bring it back."""

    async def scenario(log: EventLog) -> None:
        [first] = await log.append([message("a")])
        await log.redact(1, reason="LGPD", by="aud")
        [again] = await log.append([message("a")])
        assert (again.position, again.duplicate) == (first.position, True)
        assert log.head.position == 2
        assert WORDS.encode() not in on_disk(tmp_path)

    run(tmp_path, scenario, Limits())


@pytest.mark.parametrize(
    ("position", "also"),
    [(0, ()), (9, ()), (1, ()), (3, ()), (4, ()), (2, (5,))],
    ids=["none", "beyond", "system", "read", "erasure", "another inbox"],
)
def test_what_cannot_be_erased_is_refused_and_nothing_changes(
    tmp_path: Path, position: int, also: tuple[int, ...]
) -> None:
    """Only messages and webhooks, of one inbox, and never the record of an erasure."""

    async def scenario(log: EventLog) -> None:
        await log.append([Draft("system", ServerStarted("b", "1")), message("a")])
        read = ConversationRead(2, "ana")
        await log.append([Draft("inbox:support", read, "c_1"), message("b")])
        await log.append([message("c", inbox="orders")])
        await log.redact(4, reason="once", by="aud")
        head = log.head
        with pytest.raises(CannotErase):
            await log.redact(position, reason="LGPD", by="aud", also=also)
        assert log.head == head

    run(tmp_path, scenario, Limits())


def test_a_page_that_was_being_read_while_the_erasure_landed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reader's snapshot still held must not be handed out after the tombstone."""
    original = reader.page

    async def scenario(log: EventLog) -> None:
        await log.append([message("a"), message("b", "kept")])
        held = asyncio.Event()
        let_go = asyncio.Event()
        slow = [True]

        async def page(
            fetch: Fetch, after: int, until: int, limit: int, *rest: object
        ) -> list[RecordedEvent]:
            found = await original(fetch, after, until, limit, *rest)  # type: ignore[arg-type]
            if limit == 7 and slow.pop():
                slow.append(False)
                held.set()
                await let_go.wait()
            return found

        monkeypatch.setattr(reader, "page", page)
        reading = asyncio.create_task(log.read(0, 7))
        await held.wait()
        await log.redact(1, reason="LGPD", by="aud")
        slow[:] = [False]
        let_go.set()
        events = await reading
        assert events[0].data is None

    run(tmp_path, scenario, FROM_DISK)


def test_the_wal_is_emptied_once_the_reader_that_held_it_is_gone(tmp_path: Path) -> None:
    """An auditor's long read delays it; the erasure itself is durable at once."""

    async def scenario(log: EventLog) -> None:
        await log.append([message("a")])
        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM events").fetchone()
            erasing = asyncio.create_task(log.redact(1, reason="LGPD", by="aud"))
            while log.head.position < 2:  # noqa: ASYNC110  the log tells nobody
                await asyncio.sleep(0.01)
            assert not log.purged
            other.execute("ROLLBACK")
        await erasing
        assert log.purged
        assert WORDS.encode() not in on_disk(tmp_path)

    run(tmp_path, scenario, Limits())
