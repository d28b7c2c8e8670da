"""The Python client over real sockets, against a server that a test can tell to misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from eventstore.cursor import Cursor
from tests.transport.fake_server import PATIENCE_S, FakeServer, Peer, cursor, events, live, welcome
from transport import client_link, client_socket, link_watch, token_life
from transport.client import Inbox, connect
from transport.client_errors import (
    ClientError,
    EventsSkipped,
    GaveUp,
    HistoryReset,
    OriginRefused,
    Revoked,
    Stopped,
    Unauthorized,
    VersionNotSupported,
)
from transport.client_session import State
from transport.client_socket import LinkEnded, websocket_url
from transport.cursor_store import MemoryCursorStore, SqliteCursorStore
from transport.frames import Reset, Skipped, Window
from transport.link_end import LinkEnd

Scenario = Callable[[FakeServer], Awaitable[None]]


def run(scenario: Scenario) -> None:
    """Run a scenario against a server of its own, in bounded time, and see that nothing is left."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_S), FakeServer() as server:
            await scenario(server)
            await server.until(lambda: len(server.closed) >= len(server.hellos))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(bounded())


def joined(server: FakeServer, **options: Any) -> AbstractAsyncContextManager[Inbox]:
    """A client of this server that reconnects without waiting."""
    defaults: dict[str, Any] = {"token": "a token", "device": "laptop", "rng": lambda: 0.0}
    return connect(server.url, **(defaults | options))


async def take(inbox: Inbox, count: int) -> list[int]:
    """The positions of the next events; the last one stays in hand."""
    return [(await anext(inbox)).position for _ in range(count)]


def client_tasks() -> list[str]:
    """The tasks that a client has running."""
    names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return [name for name in names if name.startswith("ClientLink")]


async def soon(condition: Callable[[], bool]) -> None:
    """Wait for what has no event of its own; `run` bounds it."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


# --- the loop and its acknowledgements ---------------------------------------------------------


def test_events_come_in_order_and_asking_for_the_next_acknowledges() -> None:
    """The one rule: the event in hand is not acknowledged, the ones before it are."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(25)
        async with joined(server) as inbox:
            assert await take(inbox, 25) == list(range(1, 26))
            await server.until(lambda: server.acks[-1:] == [24])
        assert server.acks[-1] == 24

    run(scenario)


def test_events_that_are_committed_later_arrive() -> None:
    """Live delivery is the same loop."""

    async def scenario(server: FakeServer) -> None:
        async with joined(server) as inbox:
            await inbox.caught_up()
            waiting = asyncio.create_task(take(inbox, 2))
            await server.commit()
            await server.commit()
            assert await waiting == [1, 2]

    run(scenario)


@pytest.mark.parametrize("say_done", [True, False])
def test_break_does_not_acknowledge_the_event_in_hand_unless_told(say_done: bool) -> None:
    """Nobody but the application knows whether it was done with it."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(5)
        async with joined(server) as inbox:
            async for event in inbox:
                if event.position == 3:
                    if say_done:
                        inbox.done()
                    break
        assert server.acks[-1] == (3 if say_done else 2)

    run(scenario)


def test_an_exception_in_the_loop_does_not_acknowledge_the_event_in_hand() -> None:
    """It was not handled; what came before it was."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(5)

        async def application() -> None:
            async with joined(server) as inbox:
                async for event in inbox:
                    if event.position == 3:
                        raise LookupError

        with pytest.raises(LookupError):
            await application()
        assert server.acks[-1] == 2

    run(scenario)


def test_a_second_loop_begins_with_what_the_first_left_unfinished() -> None:
    """Catching one's own exception inside the inbox loses nothing either."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(5)
        async with joined(server) as inbox:
            async for event in inbox:
                if event.position == 3:
                    break
            async for event in inbox:
                assert event.position == 3
                break

    run(scenario)


def test_a_second_loop_begins_after_what_the_first_stored(tmp_path: Path) -> None:
    """What is in the store is handled, whatever way the loop was left (G8)."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(5)
        with closing(sqlite3.connect(tmp_path / "app.db")) as database:
            async with joined(server, store=SqliteCursorStore(database)) as inbox:
                async for event in inbox:
                    with database:
                        inbox.store.save(event.cursor)
                    break
                async for event in inbox:
                    assert event.position == 2
                    break
        assert server.acks[-1] == 1

    run(scenario)


def test_a_slow_application_is_sent_no_more_than_its_window() -> None:
    """It acknowledges late, and that is all: nothing piles up on either side."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(50)
        async with joined(server, window=Window(frames=5)) as inbox:
            assert await take(inbox, 1) == [1]
            assert server.hellos[0]["window"]["frames"] == 5
            assert len(inbox._intake._buffer) == 4
            assert await take(inbox, 49) == list(range(2, 51))

    run(scenario)


# --- links -------------------------------------------------------------------------------------


def test_each_event_is_handed_out_once_across_cuts_and_resets() -> None:
    """Closed politely or torn: the next link continues at the cursor."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(30)
        async with joined(server) as inbox:
            seen = await take(inbox, 7)
            await server.cut(1012)
            seen += await take(inbox, 12)
            server.tear()
            seen += await take(inbox, 11)
        assert seen == list(range(1, 31))
        assert len(server.hellos) >= 2

    run(scenario)


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    """Connection refused is no error but a matter of time."""

    async def scenario(server: FakeServer) -> None:
        port = server.port
        await server.stop()
        states: list[State] = []
        async with connect(
            f"http://127.0.0.1:{port}", "t", device="d", on_state=states.append, rng=lambda: 0.01
        ) as inbox:
            await soon(lambda: State.RECONNECTING in states)
            await server.start(port)
            await inbox.caught_up()

    run(scenario)


def test_max_attempts_ends_in_an_exception() -> None:
    """Whoever wants to hear of it hears of it, with the reason."""

    async def scenario(server: FakeServer) -> None:
        await server.stop()
        with pytest.raises(GaveUp, match="ConnectionRefused"):
            async with joined(server, max_attempts=2) as inbox:
                await anext(inbox)
        assert not server.hellos

    run(scenario)


@pytest.mark.parametrize(
    ("code", "error"),
    [(4501, Unauthorized), (4503, Revoked), (4505, VersionNotSupported), (4600, Stopped)],
)
def test_a_final_close_code_comes_out_of_the_loop(code: int, error: type[Exception]) -> None:
    """4500-4999: do not reconnect; show it."""

    async def scenario(server: FakeServer) -> None:
        states: list[State] = []

        async def application() -> None:
            async with joined(server, on_state=states.append) as inbox:
                await inbox.caught_up()
                await server.cut(code, "because")
                await anext(inbox)

        with pytest.raises(error, match="because"):
            await application()
        assert len(server.hellos) == 1
        assert states[-1] is State.CLOSED

    run(scenario)


@pytest.mark.parametrize(
    ("status", "error"), [(401, Unauthorized), (403, OriginRefused), (404, Stopped), (302, Stopped)]
)
def test_a_refused_handshake_comes_out_of_the_loop(status: int, error: type[Exception]) -> None:
    """The wrong place or the wrong caller; and a redirect is not followed with our token."""

    async def scenario(server: FakeServer) -> None:
        server.refuse = lambda _: (status, {"Location": server.url + "/v1/ws?elsewhere"})
        with pytest.raises(error, match=str(status)):
            async with joined(server) as inbox:
                await anext(inbox)
        assert len(server.origins) == 1

    run(scenario)


def test_an_overloaded_server_is_tried_again() -> None:
    """503 and its Retry-After, here of no time at all."""

    async def scenario(server: FakeServer) -> None:
        server.refuse = lambda _: (503, {"Retry-After": "0"}) if len(server.origins) < 3 else None
        async with joined(server) as inbox:
            await inbox.caught_up()
        assert len(server.origins) == 3

    run(scenario)


def test_retry_after_reaches_the_session() -> None:
    """Seconds are taken; a date is not, and our own backoff serves."""

    async def scenario(server: FakeServer) -> None:
        for header, expected_s in (("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)):
            server.refuse = lambda _, header=header: (503, {"Retry-After": header})  # type: ignore[misc]
            with pytest.raises(LinkEnded) as caught:
                await client_socket.open_websocket(websocket_url(server.url))
            assert (caught.value.end.status, caught.value.end.retry_after_s) == (503, expected_s)

    run(scenario)


def test_a_server_of_another_subprotocol_is_not_spoken_to() -> None:
    """The token stays with us."""

    async def scenario(_: FakeServer) -> None:
        async def other(socket: ServerConnection) -> None:
            async for message in socket:
                raise AssertionError(message)

        async with serve(other, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with pytest.raises(VersionNotSupported):
                async with connect(f"ws://127.0.0.1:{port}", "t", device="d") as inbox:
                    await anext(inbox)

    run(scenario)


def test_a_frame_that_cannot_be_read_ends_the_link_and_not_the_client() -> None:
    """The next link continues where this one was."""

    async def scenario(server: FakeServer) -> None:
        async with joined(server) as inbox:
            await inbox.caught_up()
            await server.broadcast({"type": "events", "after": 7})
            await server.until(lambda: len(server.hellos) == 2)
            await server.commit()
            assert await take(inbox, 1) == [1]

    run(scenario)


def test_unknown_frames_and_errors_are_survived(caplog: pytest.LogCaptureFixture) -> None:
    """A newer server may say more than we know; a refused frame is written down."""

    async def scenario(server: FakeServer) -> None:
        async with joined(server) as inbox:
            await inbox.caught_up()
            await server.broadcast({"type": "fashion_of_2030"})
            await server.broadcast({"type": "error", "problem": {"title": "too much"}})
            await server.commit()
            assert await take(inbox, 1) == [1]
        assert len(server.hellos) == 1

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert "too much" in caplog.text


def test_a_ping_is_answered_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeat, round trip and quality, over the wire; at once, not when a timer next fires."""
    monkeypatch.setattr(link_watch, "WELCOME_TIMEOUT_S", 1000.0)

    async def scenario(server: FakeServer) -> None:
        async with joined(server) as inbox:
            await inbox.caught_up()
            assert (inbox.quality, inbox.rtt_ms) == (None, None)
            shown = {"cursor": str(cursor(0)), "rtt_ms": 3.5, "quality": "good"}
            await server.broadcast({"type": "ping", "id": 9} | shown)
            await server.until(lambda: server.pongs == [9])
            assert (inbox.quality, inbox.rtt_ms) == ("good", 3.5)
            assert inbox.synced_at is not None

    run(scenario)


def test_a_link_that_falls_silent_is_left_for_another() -> None:
    """Half-open links are found by the timer of the welcome."""

    async def scenario(server: FakeServer) -> None:
        async def silent(peer: Peer, _: dict[str, Any]) -> None:
            await peer.send(welcome(cursor(0), heartbeat={"interval_ms": 20, "timeout_ms": 20}))
            server.on_hello = None

        server.on_hello = silent
        async with joined(server) as inbox:
            await inbox.caught_up()
        assert len(server.hellos) == 2

    run(scenario)


# --- what is not an event ----------------------------------------------------------------------


def test_a_reset_without_a_handler_is_raised_until_it_is_handled() -> None:
    """Never silently: the second loop raises it again, unless the application says `done`."""

    async def scenario(server: FakeServer) -> None:
        server.epoch = "e2"
        await server.commit(3)
        async with joined(server, store=MemoryCursorStore(cursor(2, "e1"))) as inbox:
            for _ in range(2):
                with pytest.raises(HistoryReset) as caught:
                    async for _event in inbox:
                        pass
            assert caught.value.reset == Reset(cursor(3, "e2"), "epoch_changed")
            inbox.done()
            assert inbox.store.load() == cursor(3, "e2")
            await server.commit()
            async for event in inbox:
                assert event.position == 4
                break

    run(scenario)


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_reset_goes_to_its_handler_and_the_loop_goes_on(kind: str) -> None:
    """The handler loads the conversations; the cursor moves when it has returned."""

    async def scenario(server: FakeServer) -> None:
        seen: list[Any] = []

        async def later(reset: Reset) -> None:
            await asyncio.sleep(0)
            seen.append((reset.cursor, store.load()))

        def at_once(reset: Reset) -> None:
            seen.append((reset.cursor, store.load()))

        server.epoch = "e2"
        await server.commit(3)
        store = MemoryCursorStore(cursor(2, "e1"))
        on_reset = later if kind == "async" else at_once
        async with joined(server, store=store, on_reset=on_reset) as inbox:
            waiting = asyncio.create_task(take(inbox, 1))
            await server.until(lambda: server.acks == [3])
            await server.commit()
            assert await waiting == [4]
        assert seen == [(cursor(3, "e2"), cursor(2, "e1"))]

    run(scenario)


@pytest.mark.parametrize("handled", [True, False])
def test_skipped_events_are_told(handled: bool) -> None:
    """By the handler, or by an exception where there is none."""

    async def scenario(server: FakeServer) -> None:
        async def overflow(peer: Peer, _: dict[str, Any]) -> None:
            await peer.send(welcome(cursor(0)))
            names = {"after": str(cursor(0)), "cursor": str(cursor(9))}
            await peer.send({"type": "skipped", "count": 9, "reason": "queue_limit"} | names)
            await peer.send(events(cursor(9), 10))
            await peer.send(live(cursor(10)))

        told: list[Skipped] = []
        server.on_hello = overflow
        async with joined(server, on_skipped=told.append if handled else None) as inbox:
            if not handled:
                with pytest.raises(EventsSkipped, match="9 events"):
                    await anext(inbox)
            assert await take(inbox, 1) == [10]
        assert [skipped.count for skipped in told] == ([9] if handled else [])

    run(scenario)


# --- G8: surfaced once -------------------------------------------------------------------------


class Application:
    """One process of an application that stores effect and cursor in one transaction."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path)
        self.database.execute("CREATE TABLE IF NOT EXISTS effects (position INTEGER)")
        self.attempted: list[int] = []

    @property
    def effects(self) -> list[int]:
        """What was done, in order."""
        return [row[0] for row in self.database.execute("SELECT * FROM effects ORDER BY rowid")]

    async def work(self, server: FakeServer, *, until: int, dies_at: int | None = None) -> None:
        """Handle events up to one; die at another, after the effect and before the commit."""
        async with joined(server, store=SqliteCursorStore(self.database)) as inbox:
            async for event in inbox:
                self.attempted.append(event.position)
                with self.database:
                    self.database.execute("INSERT INTO effects VALUES (?)", (event.position,))
                    inbox.store.save(event.cursor)
                    if event.position == dies_at:
                        raise KeyboardInterrupt
                if event.position == until:
                    return


def test_an_application_that_dies_in_its_transaction_gets_the_event_again(tmp_path: Path) -> None:
    """The event twice, its effect once; and the cursor in the store is the only truth (G8)."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(6)
        first = Application(tmp_path / "app.db")
        with closing(first.database), pytest.raises(KeyboardInterrupt):
            await first.work(server, until=6, dies_at=4)
        assert first.attempted == [1, 2, 3, 4]
        server.acks.clear()  # the server has forgotten, and the store has not
        second = Application(tmp_path / "app.db")
        with closing(second.database):
            await second.work(server, until=6)
            assert second.attempted == [4, 5, 6]
            assert second.effects == [1, 2, 3, 4, 5, 6]
        assert server.hellos[1]["cursor"] == str(cursor(3))

    run(scenario)


def test_the_last_stored_event_is_acknowledged_although_the_loop_was_left(tmp_path: Path) -> None:
    """Its cursor is committed, so it was handled."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(3)
        application = Application(tmp_path / "app.db")
        with closing(application.database):
            await application.work(server, until=3)
        assert server.acks[-1] == 3

    run(scenario)


def test_an_open_transaction_is_not_acknowledged(tmp_path: Path) -> None:
    """A batch: many events, one commit, and the ack follows the commit."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(4)
        with closing(sqlite3.connect(tmp_path / "app.db")) as database:
            store = SqliteCursorStore(database)
            async with joined(server, store=store) as inbox:
                for _ in range(3):
                    store.save((await anext(inbox)).cursor)
                assert store.load() == Cursor.parse(server.hellos[0]["cursor"] or str(cursor(0)))
                assert server.acks == []
                database.commit()
                await anext(inbox)
                await server.until(lambda: server.acks == [3])

    run(scenario)


def test_where_a_new_device_begins_is_stored_at_once(tmp_path: Path) -> None:
    """Or a crash before the first event would let it begin later, and miss what lies between."""

    async def scenario(server: FakeServer) -> None:
        with closing(sqlite3.connect(tmp_path / "app.db")) as database:
            store = SqliteCursorStore(database)
            async with joined(server, store=store) as inbox:
                waiting = asyncio.create_task(take(inbox, 1))
                await inbox.caught_up()
                await soon(lambda: store.load() is not None)
                assert store.load() == cursor(0)
                waiting.cancel()
                await asyncio.wait({waiting})

    run(scenario)


# --- leaving -----------------------------------------------------------------------------------


def test_leaving_closes_normally_and_leaves_nothing_behind() -> None:
    """`run` sees to the tasks; the server sees 1000."""

    async def scenario(server: FakeServer) -> None:
        async with joined(server) as inbox:
            await inbox.caught_up()
        assert client_tasks() == []
        assert inbox.state is State.CLOSED
        await server.until(lambda: server.closed == [1000])
        with pytest.raises(ClientError, match="left"):
            await anext(inbox)

    run(scenario)


@pytest.mark.parametrize("when", ["connecting", "live", "waiting to retry"])
def test_a_cancelled_application_leaves_nothing_behind(when: str) -> None:
    """At any moment, and the cancellation is not swallowed."""

    async def scenario(server: FakeServer) -> None:
        reached = asyncio.Event()
        wanted = State.LIVE if when == "live" else State.RECONNECTING

        def on_state(state: State) -> None:
            if state is wanted:
                reached.set()

        async def application() -> None:
            async with joined(server, on_state=on_state, rng=lambda: 1.0) as inbox:
                await anext(inbox)

        if when == "waiting to retry":
            server.refuse = lambda _: (503, {})
        task = asyncio.create_task(application())
        await (asyncio.sleep(0) if when == "connecting" else reached.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client_tasks() == []

    run(scenario)


def test_leaving_is_bounded_although_the_peer_never_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A close that waits for a dead peer would hang the program's exit."""
    monkeypatch.setattr(client_socket, "CLOSE_TIMEOUT_S", 0.05)

    async def scenario(server: FakeServer) -> None:
        async def deaf(peer: Peer, hello: dict[str, Any]) -> None:
            await server.greet(peer, hello)
            peer.socket.transport.pause_reading()

        server.on_hello = deaf
        async with joined(server) as inbox:
            await inbox.caught_up()
        server.tear()

    run(scenario)


def test_a_cancel_during_the_polite_ending_cuts_it_short() -> None:
    """Whoever is in a hurry is not held up by a peer, and still leaves nothing behind."""

    async def scenario(server: FakeServer) -> None:
        closing_now = asyncio.Event()
        left: list[bool] = []

        async def deaf(peer: Peer, hello: dict[str, Any]) -> None:
            await server.greet(peer, hello)
            peer.socket.transport.pause_reading()

        def on_state(state: State) -> None:
            if state is State.LIVE:
                closing_now.set()

        async def application() -> None:
            async with joined(server, on_state=on_state):
                await closing_now.wait()
                left.append(True)

        server.on_hello = deaf
        task = asyncio.create_task(application())
        await closing_now.wait()
        assert client_tasks()
        await soon(lambda: bool(left))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client_tasks() == []
        server.tear()

    run(scenario)


# --- tokens, callbacks, addresses --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_token_callable_is_asked_for_each_connection(kind: str) -> None:
    """Short-lived tokens come from elsewhere, fresh."""

    async def scenario(server: FakeServer) -> None:
        count = iter(range(10))

        def fresh() -> str:
            return f"token {next(count)}"

        async def fresh_later() -> str:
            return fresh()

        async with joined(server, token=fresh_later if kind == "async" else fresh) as inbox:
            await inbox.caught_up()
            await server.cut()
            await server.until(lambda: len(server.hellos) == 2)
        assert [hello["token"] for hello in server.hellos] == ["token 0", "token 1"]

    run(scenario)


def test_a_token_that_cannot_be_had_now_is_asked_for_again() -> None:
    """The identity service is a network peer like any other."""

    async def scenario(server: FakeServer) -> None:
        asked: list[int] = []

        def fresh() -> str:
            asked.append(1)
            if len(asked) == 1:
                raise ConnectionError("down")
            return "a token"

        async with joined(server, token=fresh) as inbox:
            await inbox.caught_up()

    run(scenario)


@pytest.mark.parametrize("where", ["token", "on_state"])
def test_a_callback_that_raises_is_raised_in_the_loop(where: str) -> None:
    """The application's own mistake comes to the application, and not to a log."""

    async def scenario(server: FakeServer) -> None:
        calls: list[object] = []

        def broken(*_: object) -> str:
            calls.append(_)
            if len(calls) == 1:
                raise LookupError("a mistake of mine")
            return "a token"

        with pytest.raises(LookupError):
            async with joined(server, **{where: broken}) as inbox:
                await anext(inbox)

    run(scenario)


def test_a_certificate_that_does_not_verify_stops_the_client() -> None:
    """Someone has to look; trying for ever would hide it."""

    async def scenario(server: FakeServer) -> None:
        async def open_socket(_: str) -> Any:
            raise ssl.SSLCertVerificationError("not who it says")

        with pytest.raises(ssl.SSLCertVerificationError):
            async with joined(server, open_socket=open_socket) as inbox:
                await anext(inbox)

    run(scenario)


def test_refresh_renews_the_token_on_the_link_and_for_the_next() -> None:
    """Before it expires, without a reconnect."""

    async def scenario(server: FakeServer) -> None:
        async with joined(server) as inbox:
            await inbox.caught_up()
            inbox.refresh("newer")
            await server.until(lambda: server.refreshed == ["newer"])
            await server.cut()
            await server.until(lambda: len(server.hellos) == 2)
        assert server.hellos[1]["token"] == "newer"

    run(scenario)


def test_a_token_callable_renews_in_band_before_the_end() -> None:
    """The connection is kept, and the identity service may fail once without anybody noticing."""

    async def scenario(server: FakeServer) -> None:
        server.expires_in_ms = 100
        count = iter(range(10))

        async def fresh() -> str:
            number = next(count)
            if number == 1:
                raise ConnectionError("down for a moment")
            server.expires_in_ms = 900_000 if number else 100
            return f"token {number}"

        async with joined(server, token=fresh) as inbox:
            await inbox.caught_up()
            await server.until(lambda: server.refreshed == ["token 2"])
            await server.cut()
            await server.until(lambda: len(server.hellos) == 2)
            await inbox.caught_up()
        assert [hello["token"] for hello in server.hellos] == ["token 0", "token 2"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_life, "ASK_AGAIN_S", 0.05)
        run(scenario)


def test_a_token_callable_that_raises_while_renewing_is_raised_in_the_loop() -> None:
    """The application's own mistake, also when nobody waits for a connection."""

    async def scenario(server: FakeServer) -> None:
        server.expires_in_ms = 50
        calls: list[int] = []

        def fresh() -> str:
            calls.append(1)
            if len(calls) > 1:
                raise LookupError("a mistake of mine")
            return "a token"

        with pytest.raises(LookupError):
            async with joined(server, token=fresh) as inbox:
                await anext(inbox)

    run(scenario)


def test_a_token_callable_that_never_answers_is_no_end_of_trying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An identity service that hangs counts as an attempt that failed."""
    monkeypatch.setattr(client_link, "TOKEN_TIMEOUT_S", 0.02)

    async def scenario(server: FakeServer) -> None:
        asked: list[int] = []

        async def fresh() -> str:
            asked.append(1)
            if len(asked) == 1:
                await asyncio.Event().wait()
            return "a token"

        async with joined(server, token=fresh) as inbox:
            await inbox.caught_up()
            assert inbox.last_end is not None
            assert inbox.last_end.reason.startswith("no token")

    run(scenario)


# --- what is shown, and what one may do about it ------------------------------------------------


def test_an_event_put_aside_is_told_to_the_server_and_the_loop_goes_on() -> None:
    """One poisonous event must not hold up the others, nor look handled."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(3)
        async with joined(server) as inbox:
            with pytest.raises(ValueError, match="in hand"):
                await inbox.put_aside("nothing there")
            async for event in inbox:
                if event.position == 2:
                    await inbox.put_aside("cannot be read")
                if event.position == 3:
                    inbox.done()
                    break
            assert inbox.store.load() == cursor(3)
        assert server.put_aside == [(2, "cannot be read")]
        assert server.acks[-1] == 3

    run(scenario)


def test_an_event_put_aside_without_a_connection_waits_for_one() -> None:
    """A server takes it only on the connection that brought the event."""

    async def scenario(server: FakeServer) -> None:
        await server.commit(1)
        async with joined(server) as inbox:
            event = await anext(inbox)
            await server.cut()
            await soon(lambda: inbox.state is State.RECONNECTING)
            await inbox.put_aside("later")
            assert inbox.store.load() == event.cursor
            await server.until(lambda: server.put_aside == [(1, "later")])
        assert len(server.hellos) == 2

    run(scenario)


def test_giving_up_is_told_at_once_also_to_an_application_that_is_busy() -> None:
    """It is not in the loop to see the exception."""

    async def scenario(server: FakeServer) -> None:
        await server.stop()
        gave_up: list[GaveUp] = []
        async with joined(server, max_attempts=3, on_gave_up=gave_up.append) as inbox:
            await soon(lambda: bool(gave_up))
            assert inbox.state is State.CLOSED
            assert inbox.attempts == 3
            with pytest.raises(GaveUp) as caught:
                await inbox.caught_up()
            assert gave_up == [caught.value]

    run(scenario)


def test_the_wait_for_the_next_attempt_is_shown_and_can_be_cut_short() -> None:
    """As in: Reconnecting, attempt 1, 10 s; with a button."""

    async def scenario(server: FakeServer) -> None:
        server.refuse = lambda _: (503, {"Retry-After": "300"})
        async with joined(server) as inbox:
            assert inbox.retry_in_s is None
            await soon(lambda: inbox.state is State.RECONNECTING)
            assert inbox.attempts == 1
            assert inbox.retry_in_s is not None
            assert 200 < inbox.retry_in_s <= 300
            server.refuse = lambda _: None
            inbox.try_now()
            await inbox.caught_up()
            assert (inbox.attempts, inbox.retry_in_s) == (0, None)

    run(scenario)


def test_changes_of_quality_are_told_and_end_with_the_connection() -> None:
    """A verdict on a connection that is gone would be a lie."""

    async def scenario(server: FakeServer) -> None:
        told: list[str | None] = []
        async with joined(server, on_quality=told.append) as inbox:
            await inbox.caught_up()
            for quality in ("good", "good", "poor"):
                shown = {"cursor": str(cursor(0)), "rtt_ms": 3.5, "quality": quality}
                await server.broadcast({"type": "ping", "id": len(told)} | shown)
            await soon(lambda: told == ["good", "poor"])
            await server.cut()
            await soon(lambda: told == ["good", "poor", None])
            assert inbox.rtt_ms is None

    run(scenario)


def test_what_is_still_to_come_is_counted_down() -> None:
    """As in: Catching up, 128. Told by the welcome, less with each frame."""

    async def scenario(server: FakeServer) -> None:
        async def slowly(peer: Peer, _: dict[str, Any]) -> None:
            resume = {"outcome": "resumed", "reason": None, "cursor": str(cursor(0)), "pending": 3}
            await peer.send(welcome(cursor(0), resume=resume))
            await peer.send(events(cursor(0), 1, 2))

        server.on_hello = slowly
        async with joined(server) as inbox:
            assert await take(inbox, 2) == [1, 2]
            assert (inbox.state, inbox.pending) == (State.CATCHING_UP, 1)
            await server.broadcast(events(cursor(2), 3))
            await server.broadcast(live(cursor(3)))
            await inbox.caught_up()
            assert inbox.pending == 0

    run(scenario)


def test_a_machine_that_slept_reconnects_although_no_timer_fired() -> None:
    """The clock went on by an hour; the sockets and the timers of the process did not."""

    async def scenario(server: FakeServer) -> None:
        slept_s = 0.0

        def clock() -> float:
            return asyncio.get_running_loop().time() + slept_s

        async with joined(server, clock=clock) as inbox:
            await inbox.caught_up()
            slept_s = 3600.0
            await server.until(lambda: len(server.hellos) == 2)
            await inbox.caught_up()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_link, "TICK_S_MAX", 0.05)
        patch.setattr(link_watch, "WOKEN_GRACE_S", 0.05)
        run(scenario)


def test_a_server_that_takes_nothing_does_not_hold_the_client_for_ever() -> None:
    """Its pings may go on; our pongs and acks do not get through, and nobody would look again."""

    async def scenario(server: FakeServer) -> None:
        class Stalled:
            def __init__(self) -> None:
                self.said = [welcome(cursor(0))]

            async def send(self, text: str) -> None:
                if '"hello"' not in text:
                    await asyncio.Event().wait()

            async def receive(self) -> str:
                if self.said:
                    return json.dumps(self.said.pop())
                shown = {"cursor": str(cursor(0)), "rtt_ms": 3.5, "quality": "good"}
                await asyncio.sleep(0.005)
                return json.dumps({"type": "ping", "id": 1} | shown)

            async def close(self) -> None:
                pass

        first = [Stalled()]

        async def open_socket(url: str) -> Any:
            return first.pop() if first else await client_socket.open_websocket(url)

        async with joined(server, open_socket=open_socket) as inbox:
            await soon(lambda: inbox.last_end is not None)
            assert inbox.last_end == LinkEnd(reason="the server takes nothing")
            await inbox.caught_up()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_link, "SEND_TIMEOUT_S", 0.05)
        run(scenario)


def test_states_are_told_in_order() -> None:
    """What a status line shows."""

    async def scenario(server: FakeServer) -> None:
        states: list[State] = []
        async with joined(server, on_state=states.append) as inbox:
            assert inbox.state is State.CONNECTING
            await inbox.caught_up()
            await server.cut()
            await server.until(lambda: len(server.hellos) == 2)
            await soon(lambda: states.count(State.LIVE) == 2)
        assert [state.value for state in states] == [
            "catching_up",
            "live",
            "reconnecting",
            "catching_up",
            "live",
            "closed",
        ]

    run(scenario)


def test_the_handshake_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Origin (we are no browser), no compression, and no proxy out of the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")

    async def scenario(server: FakeServer) -> None:
        headers: list[Any] = []

        def note(request: Any) -> None:
            headers.append((request.path, request.headers))

        server.refuse = note
        async with joined(server) as inbox:
            await inbox.caught_up()
        ((path, sent),) = headers
        assert path == "/v1/ws"
        assert "Origin" not in sent
        assert "Sec-WebSocket-Extensions" not in sent
        assert "Authorization" not in sent

    run(scenario)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host:8080", "ws://host:8080/v1/ws"),
        ("https://host/", "wss://host/v1/ws"),
        ("ws://[::1]:1", "ws://[::1]:1/v1/ws"),
        ("wss://host/malote/v1/ws", "wss://host/malote/v1/ws"),
    ],
)
def test_the_address_is_that_of_the_server(url: str, expected: str) -> None:
    """As one has it from the server's start-up line."""
    assert websocket_url(url) == expected


@pytest.mark.parametrize(
    "url", ["host:8080", "ftp://host", "http://", "http://u:p@host", "http://h/#token=x", ""]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    """A login link too: its token would stay unused and be printed in errors."""
    with pytest.raises(ValueError, match="form") as caught:
        websocket_url(url)
    assert "token=x" not in str(caught.value)


@pytest.mark.parametrize("device", ["", "my laptop", "a/b", "x" * 101, "über"])
def test_a_device_that_no_server_would_take_is_refused_at_once(device: str) -> None:
    """The server would close with 4400 each time, and the client would try for ever."""

    async def scenario(server: FakeServer) -> None:
        with pytest.raises(ValueError, match="device"):
            await joined(server, device=device).__aenter__()

    run(scenario)


def test_why_there_is_no_link_can_be_shown() -> None:
    """Reconnecting for ever needs a reason to look at."""

    async def scenario(server: FakeServer) -> None:
        async with joined(server) as inbox:
            await inbox.caught_up()
            assert inbox.last_end is None
            await server.cut(1012, "restart")
            await soon(lambda: inbox.last_end is not None)
            assert inbox.last_end == LinkEnd(1012, "restart")

    run(scenario)


def test_a_socket_of_ones_own_may_be_given() -> None:
    """What a simulation needs: no network at all."""

    async def scenario(server: FakeServer) -> None:
        opened: list[str] = []

        async def open_socket(url: str) -> Any:
            opened.append(url)
            raise LinkEnded(LinkEnd(4503, "gone"))

        with pytest.raises(Revoked):
            async with joined(server, open_socket=open_socket) as inbox:
                await anext(inbox)
        assert opened == [websocket_url(server.url)]

    run(scenario)
