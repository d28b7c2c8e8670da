"""A restored older backup is noticed by every client whose cursor lies beyond it (G9)."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.world import (
    Agent,
    Provider,
    furnish,
    listening,
    malote,
    run,
    running,
    signed,
    text_webhook,
    until,
)


async def post(provider: Provider, *message_ids: str) -> None:
    """Deliver these messages one after the other."""
    async with httpx2.AsyncClient() as client:
        for message_id in message_ids:
            await provider.post(client, message_id)


@pytest.mark.parametrize("by_hand", [False, True], ids=["malote restore", "a copied file"])
@pytest.mark.parametrize(("posted_after", "reason"), [(0, "ahead_of_log"), (40, "history_differs")])
def test_a_client_ahead_of_a_restored_backup_gets_a_reset(
    tmp_path: Path, by_hand: bool, posted_after: int, reason: str
) -> None:
    """Beyond the head, or overtaken by another history: told so, and then served from there."""
    data, backup = tmp_path / "data", tmp_path / "backup.db"
    tokens = furnish(data, "ana")
    agent = Agent.make(tmp_path, "ana", tokens["ana"])

    async def before() -> None:
        with running(data, forked=True) as server:
            provider = Provider(server)
            async with listening(server.url, agent):
                await post(provider, "wamid.1", "wamid.2")
                malote(data, "backup", str(backup))
                await post(provider, *(f"wamid.lost.{n}" for n in range(5)))
                await until(lambda: "wamid.lost.4" in agent.messages, "ana has it all")
            server.end()

    async def after() -> None:
        with running(data, forked=True) as server:
            provider = Provider(server)
            await post(provider, *(f"wamid.new.{n}" for n in range(posted_after)))
            async with listening(server.url, agent):
                await until(lambda: bool(agent.resets), "ana is told")
                await post(provider, "wamid.last")
                await until(lambda: "wamid.last" in agent.messages, "ana is served again")
            server.end()

    run(before)
    restore(data, backup, by_hand=by_hand)
    run(after)
    assert [reset.reason for reset in agent.resets] == [reason]  # type: ignore[attr-defined]
    malote(data, "verify")


def restore(data: Path, backup: Path, *, by_hand: bool) -> None:
    """As the manual says, or as somebody in a hurry does it."""
    if not by_hand:
        malote(data, "restore", str(backup))
        return
    put_in_place(data, backup)
    (data / "log.mark").unlink()


def put_in_place(data: Path, backup: Path) -> None:
    """An older log where a newer one was; the mark beside it still says how far that one was."""
    for file in data.glob("log.db*"):
        file.unlink()
    shutil.copy(backup, data / "log.db")
    (data / "projections.db").unlink()


def test_a_log_cut_short_stops_ingest_and_still_tells_the_client(tmp_path: Path) -> None:
    """Nobody said that the older log is to count: webhooks wait, and a newer cursor is answered."""
    data, backup = tmp_path / "data", tmp_path / "backup.db"
    tokens = furnish(data, "ana")
    agent = Agent.make(tmp_path, "ana", tokens["ana"])

    async def before() -> None:
        with running(data, forked=True) as server:
            provider = Provider(server)
            async with listening(server.url, agent):
                malote(data, "backup", str(backup))
                await post(provider, *(f"wamid.lost.{n}" for n in range(5)))
                await until(lambda: "wamid.lost.4" in agent.messages, "ana has it all")
            server.end()

    async def after() -> None:
        with running(data, forked=True) as server:
            body = text_webhook("wamid.new")
            async with httpx2.AsyncClient() as client:
                answer = await client.post(
                    f"{server.url}/webhooks/support", content=body, headers=signed(body)
                )
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            async with listening(server.url, agent):
                await until(lambda: bool(agent.resets), "ana is told")
            server.end()

    run(before)
    put_in_place(data, backup)
    run(after)
    assert [reset.reason for reset in agent.resets] == ["ahead_of_log"]  # type: ignore[attr-defined]
    assert "wamid.new" not in agent.messages
