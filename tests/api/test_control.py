"""The control socket: the same actions with a server and without one."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from api.actions import ACTIONS, ActionRefused
from api.control import SOCKET_NAME, call, serve_control
from api.records import CannotOpen, Records, open_records
from eventstore.log import LogUnavailable
from projections.projector import ProjectionsBehind
from tests.api.serving import STANDARD_SECRET


def with_server(folder: Path, scenario: Callable[[Records], Awaitable[None]]) -> None:
    """Run a scenario beside an open folder whose control socket is served."""

    async def serve() -> None:
        async with open_records(folder) as (records, _), serve_control(records, folder):
            await scenario(records)

    asyncio.run(serve())


async def furnish(folder: Path) -> dict[str, Any]:
    """One inbox, one user, one token, through whatever answers."""
    made = await call(folder, "add_inbox", id="orders", provider="standard")
    await call(folder, "add_user", name="ana", role="member", inboxes=["orders"])
    token = await call(folder, "create_token", user="ana", ttl_s=3600)
    return {"secret": made["secrets"][0], "token": token}


async def demand_furnished(folder: Path, made: dict[str, Any]) -> None:
    """What was made is there, and its secrets are not shown again."""
    [inbox] = await call(folder, "list_inboxes")
    [user] = await call(folder, "list_users")
    assert inbox == {
        "inbox": "orders", "provider": "standard", "webhook_path": "/webhooks/orders", "secrets": 1,
    }  # fmt: skip
    assert user["tokens"] == [made["token"]["id"]]
    assert made["secret"] not in str((inbox, user))


def test_actions_work_without_a_server(tmp_path: Path) -> None:
    """The folder is opened for each, and closed again."""

    async def scenario() -> None:
        await demand_furnished(tmp_path / "data", await furnish(tmp_path / "data"))

    asyncio.run(scenario())


def test_actions_go_through_the_server_that_runs(tmp_path: Path) -> None:
    """A second process could not open the folder; and the token works at once."""
    folder = tmp_path / "data"

    async def scenario(records: Records) -> None:
        made = await furnish(folder)
        await demand_furnished(folder, made)
        token_id = records.keyring.token_id(made["token"]["token"])
        assert records.projector.access.tokens[token_id].user == "ana"

    with_server(folder, scenario)


def test_a_deep_folder_is_no_obstacle(tmp_path: Path) -> None:
    """The kernel takes 108 bytes of path for a socket; folders may be longer."""
    folder = tmp_path.joinpath(*["a-rather-long-name-of-a-folder"] * 6)

    async def scenario(_: Records) -> None:
        await demand_furnished(folder, await furnish(folder))

    with_server(folder, scenario)


def test_the_socket_is_private_and_goes_with_the_server(tmp_path: Path) -> None:
    """Mode 0600 in a folder of mode 0700; a dead server's is taken over."""
    folder = tmp_path / "data"

    async def scenario(_: Records) -> None:
        assert stat.S_IMODE((folder / SOCKET_NAME).stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    old = os.umask(0)
    try:
        with_server(folder, scenario)
    finally:
        os.umask(old)
    assert not (folder / SOCKET_NAME).exists()


def test_a_dead_servers_socket_is_no_server(tmp_path: Path) -> None:
    """After kill -9 the file is left behind and nobody listens."""
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / SOCKET_NAME))
    asyncio.run(furnish(folder))

    async def scenario(_: Records) -> None:
        assert len(await call(folder, "list_users")) == 1

    with_server(folder, scenario)


def test_a_folder_in_use_without_a_socket_is_refused(tmp_path: Path) -> None:
    """Another command has it: say so, rather than write beside it."""

    async def scenario() -> None:
        async with open_records(tmp_path / "data"):
            with pytest.raises(CannotOpen):
                await call(tmp_path / "data", "list_users")

    asyncio.run(scenario())


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("add_inbox", {"id": "orders", "provider": "standard"}),
    ("add_inbox", {"id": "new", "provider": "carrier-pigeon"}),
    ("add_inbox", {"id": "a/b", "provider": "standard"}),
    ("add_inbox", {"id": "", "provider": "standard"}),
    ("add_inbox", {"id": "a\nb", "provider": "standard"}),
    ("add_inbox", {"id": "new", "provider": "standard", "secrets": ["short"]}),
    ("add_inbox", {"id": "new", "provider": "standard", "secrets": ["whsec_not base64 at all !"]}),
    ("rotate_secret", {"id": "nobody"}),
    ("add_user", {"name": "../x", "role": "member"}),
    ("add_user", {"name": "x", "role": "root"}),
    ("add_user", {"name": "x", "role": "member", "inboxes": ["nowhere"]}),
    ("create_token", {"user": "nobody"}),
    ("revoke_token", {"token": "nothing"}),
    ("rebuild", {"projections": ["nothing"]}),
]


@pytest.mark.parametrize(("action", "args"), REFUSED)
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    tmp_path: Path, action: str, args: dict[str, Any]
) -> None:
    """In the same words with a server and without."""
    folder = tmp_path / "data"
    asyncio.run(furnish(folder))
    with pytest.raises(ActionRefused) as alone:
        asyncio.run(call(folder, action, **args))

    async def scenario(records: Records) -> None:
        head = records.log.head
        with pytest.raises(ActionRefused) as served:
            await call(folder, action, **args)
        assert str(served.value) == str(alone.value)
        assert records.log.head == head

    with_server(folder, scenario)


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{}\n", b"[]\n", b"\xff\n", b'{"action": "add_user"}\n',
     b'{"action": "x", "args": {}}\n',
     b'{"action": "add_user", "args": {"nonsense": 1}}\n', b'{"action": "add_user", "args": 7}\n'],
)  # fmt: skip
def test_nonsense_is_answered_and_the_server_goes_on(tmp_path: Path, line: bytes) -> None:
    """One line in, one line out, whatever it was."""
    folder = tmp_path / "data"

    async def scenario(_: Records) -> None:
        reader, writer = await asyncio.open_unix_connection(str(folder / SOCKET_NAME))
        writer.write(line)
        assert "error" in orjson.loads(await reader.readline())
        writer.write(b'{"action": "list_users", "args": {}}\n')
        assert orjson.loads(await reader.readline()) == {"result": []}
        writer.close()
        await writer.wait_closed()

    with_server(folder, scenario)


def test_a_rotated_secret_lives_on_for_its_overlap(tmp_path: Path) -> None:
    """Old and new count; the old one has its date, and a second rotation does not prolong it."""
    folder = tmp_path / "data"

    async def scenario(records: Records) -> None:
        await call(
            folder, "add_inbox", id="orders", provider="standard", secrets=[STANDARD_SECRET],
            verify_token="verify-me",
        )  # fmt: skip
        first = await call(folder, "rotate_secret", id="orders", overlap_s=60)
        await call(folder, "rotate_secret", id="orders", overlap_s=3600)
        newest, middle, oldest = records.keyring.secrets("orders")
        assert newest.not_after_s is None
        assert middle.value.decode() == first["secrets"][0]
        assert oldest.value.decode() == STANDARD_SECRET
        assert middle.not_after_s - oldest.not_after_s > 3000  # type: ignore[operator]
        assert records.keyring.verify_token("orders") == "verify-me"

    with_server(folder, scenario)


def test_rebuild_and_backup_answer_what_they_did(tmp_path: Path) -> None:
    """Digests by projection; the backup's head; and no file is overwritten."""
    folder, target = tmp_path / "data", tmp_path / "backup.db"

    async def scenario(records: Records) -> None:
        await furnish(folder)
        digests = await call(folder, "rebuild")
        assert "access" in digests
        assert await call(folder, "rebuild", projections=["access"]) == {
            "access": digests["access"]
        }
        head = records.log.head
        made = await call(folder, "backup", target=str(target))
        assert made == {"position": head.position, "hash": head.hash.hex()}
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        with pytest.raises(ActionRefused):
            await call(folder, "backup", target=str(target))

    with_server(folder, scenario)


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("trouble", [ProjectionsBehind("stuck"), LogUnavailable("disk")])
def test_our_own_trouble_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception, served: bool
) -> None:
    """What became of it, with a server and without."""

    async def fail(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(Records, "record", fail)

    async def scenario(*_: Records) -> None:
        with pytest.raises(
            ActionRefused, match="is in the log" if "stuck" in str(trouble) else "unknown"
        ):
            await call(tmp_path / "data", "add_user", name="ana", role="admin")

    with_server(tmp_path / "data", scenario) if served else asyncio.run(scenario())


def test_every_action_is_named_after_its_function() -> None:
    """The name on the wire is the name in the code."""
    assert all(action.__name__ == name for name, action in ACTIONS.items())  # type: ignore[attr-defined]
