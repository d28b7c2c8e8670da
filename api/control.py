"""The control socket: how the command line speaks to a running server.

One JSON object a line in, ``{"action", "args"}``, and one out, ``{"result"}`` or ``{"error"}``. The
socket has mode 0600 in a folder of mode 0700: who can open it could as well read the log itself.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import structlog

from api.actions import ACTIONS, ActionRefused
from api.records import Records, open_records
from eventstore.log import LogUnavailable
from projections.projector import ProjectionsBehind

SOCKET_NAME = "control.sock"
LINE_BYTES_MAX = 1024 * 1024
_UNIX_PATH_BYTES_MAX = 100  # the kernel's sun_path has 108, macOS's 104, both with a final zero

_log = structlog.get_logger()


async def call(folder: Path, action: str, **args: Any) -> Any:
    """Have the running server do it, or do it here when none runs.

    Raises :class:`api.actions.ActionRefused`, and :class:`api.records.CannotOpen` where the folder
    has to be opened and cannot be.
    """
    connection = _connect(folder)
    if connection is None:
        async with open_records(folder) as (records, _):
            with _shown_or_refused():
                return await ACTIONS[action](records, **args)
    return _result(await _ask(connection, orjson.dumps({"action": action, "args": args})))


def runs(folder: Path) -> bool:
    """Whether a server listens on this folder's socket."""
    connection = _connect(folder)
    if connection is not None:
        connection.close()
    return connection is not None


@contextmanager
def _shown_or_refused() -> Iterator[None]:
    try:
        yield
    except ProjectionsBehind as behind:
        raise ActionRefused(f"it is in the log, but the projections are behind: {behind}") from None
    except LogUnavailable as unavailable:
        raise ActionRefused(f"the outcome is unknown: {unavailable}") from None


def _connect(folder: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(folder) as address:
            connection.connect(address)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    connection.setblocking(False)
    return connection


async def _ask(connection: socket.socket, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=LINE_BYTES_MAX)
    try:
        writer.write(line + b"\n")
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _result(line: bytes) -> Any:
    if not line:
        raise ActionRefused("the server went away before it answered; the outcome is unknown")
    answer = orjson.loads(line)
    if "error" in answer:
        raise ActionRefused(answer["error"])
    return answer["result"]


@asynccontextmanager
async def serve_control(records: Records, folder: Path) -> AsyncIterator[None]:
    """Take actions through the folder's socket for as long as the context lasts."""
    turn = asyncio.Lock()  # one action at a time: each may look first and act upon what it saw

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                async with turn:
                    answer = await _perform(records, line)
                writer.write(orjson.dumps(answer) + b"\n")
                await writer.drain()
        except (OSError, ValueError):  # gone, or a line beyond the limit
            _log.debug("control connection ended")
        finally:
            writer.close()

    server = await asyncio.start_unix_server(talk, sock=_bind(folder), limit=LINE_BYTES_MAX)
    try:
        yield
    finally:
        (folder / SOCKET_NAME).unlink(missing_ok=True)
        server.close()
        await server.wait_closed()


def _bind(folder: Path) -> socket.socket:
    # The folder's lock is ours, so a socket that is there already is a dead server's.
    (folder / SOCKET_NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(folder) as address:
            listener.bind(address)
        (folder / SOCKET_NAME).chmod(0o600)
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """A name of the socket that is short enough for the kernel, however deep the folder."""
    path = str(folder / SOCKET_NAME)
    if len(os.fsencode(path)) <= _UNIX_PATH_BYTES_MAX:
        yield path
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET_NAME}"
    finally:
        os.close(handle)


async def _perform(records: Records, line: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(line)
        action, args = ACTIONS[request["action"]], request["args"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return {"error": "that is not an action"}
    try:
        with _shown_or_refused():
            return {"result": await action(records, **args)}
    except ActionRefused as refused:
        return {"error": str(refused)}
    except Exception:
        _log.exception("action failed", action=action.__name__)
        return {"error": "the server could not do it; its log says why"}
