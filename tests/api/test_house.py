"""The house: what is recorded of a server's life, and what happens when a part of it fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.house import PROJECTIONS_BEHIND_MAX, House, open_house
from api.records import CannotOpen, Tasks, open_records
from api.settings import Settings
from eventstore.codec import decode_recorded
from eventstore.events import (
    Event,
    ServerStarted,
    ServerStopped,
)
from eventstore.log import EventLog
from projections.projector import Projector
from tests.api.serving import serving
from transport.hub import Hub

PATIENCE_S = 10


def in_house(folder: Path, scenario: Callable[[House], Awaitable[None]]) -> None:
    """Run a scenario in an open house."""

    async def live() -> None:
        async with open_house(Settings(data=folder)) as house:
            await scenario(house)

    asyncio.run(live())


def recorded(folder: Path) -> list[Event | None]:
    """What is in the log."""

    async def read() -> list[Event | None]:
        log = await EventLog.open(folder)
        try:
            return [decode_recorded(event) for event in await log.read(0, 1000)]
        finally:
            await log.close()

    return asyncio.run(read())


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - the condition belongs to the code under test
            await asyncio.sleep(0.01)


async def nothing(_: House) -> None:
    """Do nothing in the house."""


def test_start_and_stop_are_recorded_with_the_same_boot(tmp_path: Path) -> None:
    """The next boot has another id."""
    for _ in range(2):
        in_house(tmp_path / "data", nothing)
    first, stopped, second, _ = recorded(tmp_path / "data")
    assert isinstance(first, ServerStarted)
    assert stopped == ServerStopped(boot=first.boot)
    assert isinstance(second, ServerStarted)
    assert second.boot != first.boot


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    """Neither after a good life nor after a failed start: threads would hang the exit."""
    before = set(threading.enumerate())
    in_house(tmp_path / "data", nothing)
    (tmp_path / "data" / "keyring.json").write_text("damaged")
    with pytest.raises(CannotOpen, match="keyring"):
        in_house(tmp_path / "data", nothing)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CannotOpen):
        in_house(tmp_path / "file", nothing)
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_a_projector_that_cannot_open_lets_the_log_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is free for the next try."""

    async def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space")

    with monkeypatch.context() as broken:
        broken.setattr(Projector, "open", fail)
        with pytest.raises(CannotOpen):
            in_house(tmp_path / "data", nothing)
    in_house(tmp_path / "data", nothing)


def test_a_folder_in_use_cannot_be_opened_twice(tmp_path: Path) -> None:
    """One process owns it."""

    async def open_again(_: House) -> None:
        with pytest.raises(CannotOpen):
            async with open_records(tmp_path / "data"):
                pass

    in_house(tmp_path / "data", open_again)


@pytest.mark.parametrize(
    ("part", "broken"), [("hub", Hub), ("projector", Projector)], ids=["hub", "projector"]
)
def test_a_crashed_task_makes_the_server_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, broken: type
) -> None:
    """It is told which; and the process still lives."""

    async def crash(_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(broken, "run", crash)
    monkeypatch.setattr(Projector, "wait_for", lambda *_: asyncio.sleep(0))
    with serving(tmp_path / "data") as client:
        house: House = client.app_state["house"]
        client.portal.call(until, lambda: part in house.tasks.failed)
        answer = client.get("/readyz?verbose")
        assert answer.status_code == 503
        assert answer.json()["parts"][part] == "crashed"
        assert client.get("/readyz").json() == {"status": "not ready"}
        assert client.get("/livez").status_code == 200


def test_readiness_fails_before_anything_closes(tmp_path: Path) -> None:
    """A retiring house says so while it still answers."""
    with serving(tmp_path / "data") as client:
        assert client.get("/readyz").status_code == 200
        house: House = client.app_state["house"]
        client.portal.call(house.retire)
        assert client.get("/readyz").status_code == 503
        assert client.get("/readyz?verbose").json()["parts"]["server"] == "stopping"
        client.portal.call(house.retire)


def test_a_log_that_takes_nothing_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Webhooks had better go elsewhere, or wait."""
    with serving(tmp_path / "data") as client:
        monkeypatch.setattr(EventLog, "writable", property(lambda _: False))
        assert client.get("/readyz?verbose").json()["parts"]["log"] == "takes no events"
        assert client.get("/readyz").status_code == 503


def test_a_disk_below_the_reserve_is_a_worry_and_keeps_the_server_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading and delivery go on; a balancer that sent everybody away would end them too."""
    with serving(tmp_path / "data") as client:
        monkeypatch.setattr(EventLog, "disk_is_low", property(lambda _: True))
        answer = client.get("/readyz?verbose")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert answer.json()["parts"]["disk"] == "below the reserve"
        assert client.get("/readyz").json() == {"status": "degraded"}


@pytest.mark.parametrize(
    ("attribute", "value", "told"),
    [
        ("position", -PROJECTIONS_BEHIND_MAX - 1, "behind"),
        ("trouble", OSError("full"), "do not get on"),
    ],
)
def test_projections_that_lag_are_a_worry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attribute: str, value: object, told: str
) -> None:
    """The lists are old; what is delivered is not."""
    with serving(tmp_path / "data") as client:
        house: House = client.app_state["house"]
        monkeypatch.setattr(house.projector, attribute, value)
        assert client.get("/readyz?verbose").json()["parts"]["projections"] == told
        assert client.get("/readyz").status_code == 200


def test_a_task_that_ends_by_itself_has_failed_and_a_stopped_one_has_not() -> None:
    """They ought to run for as long as the house stands."""

    async def scenario() -> None:
        tasks = Tasks()
        tasks.start("short", lambda: asyncio.sleep(0))
        tasks.start("long", asyncio.Event().wait)  # type: ignore[arg-type] # its True is not looked at
        await until(lambda: bool(tasks.failed))
        await tasks.stop()
        assert tasks.failed == {"short"}

    asyncio.run(scenario())


def test_readyz_tells_anyone_only_the_parts(tmp_path: Path) -> None:
    """No path, no number, no name."""
    with serving(tmp_path / "data") as client:
        assert isinstance(client, TestClient)
        assert client.get("/readyz?verbose").json() == {
            "status": "ready",
            "parts": dict.fromkeys(
                ("server", "log", "projector", "hub", "disk", "projections", "ledger", "inboxes"),
                "ok",
            ),
        }
