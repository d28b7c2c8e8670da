"""The command line: the forms that scripts rely on, and the exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from websockets.frames import Frame, Opcode

from api.commands import COMMANDS, main
from tests.acceptance.world import running


def malote(folder: Path, *words: str, **environment: str) -> Result:
    """Run one command in this process."""
    env = {"MALOTE_DATA": str(folder), **environment}
    return CliRunner().invoke(main, words, env=env)


def good(folder: Path, *words: str) -> str:
    """What a command printed that exited with 0."""
    result = malote(folder, *words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an inbox and a user."""
    good(tmp_path / "data", "inbox", "add", "orders", "--provider", "standard")
    good(tmp_path / "data", "user", "add", "ana", "--role", "member", "--inbox", "orders")
    return tmp_path / "data"


def test_a_new_inbox_shows_its_secret_once(tmp_path: Path) -> None:
    """With the path its provider posts to; the list has no secrets."""
    printed = good(tmp_path / "data", "inbox", "add", "orders", "--provider", "standard")
    secret = re.search(r"whsec_\S+", printed)
    assert secret
    assert "/webhooks/orders" in printed
    listed = good(tmp_path / "data", "inbox", "list", "--json")
    assert json.loads(listed)["inbox"] == "orders"
    assert secret[0] not in listed
    given = good(
        tmp_path / "data", "inbox", "add", "chat", "--provider", "whatsapp",
        "--secret", "an app secret of mine", "--secret", "another app secret",
        "--verify-token", "my verify token",
    )  # fmt: skip
    assert "app secret" not in given
    assert "my verify token" not in given


def test_a_token_is_alone_on_standard_output(folder: Path) -> None:
    """TOKEN=$(malote token create ana) works."""
    for extra in ((), ("--ttl", "30d")):
        printed = good(folder, "token", "create", "ana", *extra)
        assert re.fullmatch(r"mlt_[0-9a-f]{32}_[A-Za-z0-9_-]{32}\n", printed)


@pytest.mark.parametrize("by", ["id", "token"])
def test_a_token_is_revoked_by_its_id_or_itself(folder: Path, by: str) -> None:
    """And is gone from the list."""
    token = good(folder, "token", "create", "ana").strip()
    token_id = token.split("_")[1]
    assert token_id in good(folder, "user", "list", "--json")
    printed = good(folder, "token", "revoke", token_id if by == "id" else token)
    assert token.split("_", 2)[2] not in printed
    assert token_id not in good(folder, "user", "list", "--json")


def test_a_rotated_secret_is_shown_once_and_the_old_one_has_its_date(folder: Path) -> None:
    """Until when, so that the other end can be changed in time."""
    printed = good(folder, "inbox", "rotate", "orders", "--overlap", "2h")
    assert re.search(r"whsec_\S+", printed)
    assert "until 20" in printed


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("inbox", "add", "orders", "--provider", "standard"), 1),
        (("inbox", "add", "a/b", "--provider", "standard"), 1),
        (("inbox", "add", "x", "--provider", "pigeon"), 2),
        (("inbox", "add", "x"), 2),
        (("inbox", "rotate", "nobody"), 1),
        (("user", "add", "x", "--role", "root"), 2),
        (("user", "add", "x", "--role", "member", "--inbox", "nowhere"), 1),
        (("token", "create", "nobody"), 1),
        (("token", "create", "ana", "--ttl", "soon"), 2),
        (("token", "create", "ana", "--ttl", "0d"), 2),
        (("token", "revoke", "nothing"), 1),
        (("nonsense",), 2),
        (("serve", "--port", "70000"), 2),
        (("serve", "--host", "0.0.0.0"), 2),  # noqa: S104 - it is refused
        (("serve", "--host", "192.0.2.1", "--port", "0"), 3),
    ],
)
def test_failures_exit_with_their_code_and_one_line(
    folder: Path, words: tuple[str, ...], code: int
) -> None:
    """1 failed, 2 usage, 3 could not start; never a traceback."""
    result = malote(folder, *words)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "Error: " in result.stderr


def test_a_folder_in_use_or_damaged_exits_with_3(folder: Path) -> None:
    """It could not even begin."""
    with running(folder):
        assert malote(folder, "serve", "--port", "0").exit_code == 3
    (folder / "keyring.json").write_text("damaged")
    for words in (("serve", "--port", "0"), ("user", "list")):
        result = malote(folder, *words)
        assert result.exit_code == 3
        assert "keyring.json is not a keyring" in result.stderr


def test_a_wrong_setting_exits_with_2_and_names_it(folder: Path) -> None:
    """And a secret that is too short is not repeated."""
    result = malote(folder, "serve", MALOTE_JWT_SECRET="too short a secret")
    assert result.exit_code == 2
    assert "jwt_secret" in result.stderr
    assert "too short a secret" not in result.stderr


def test_help_shows_every_setting_and_no_secret(folder: Path) -> None:
    """The environment is the configuration."""
    result = malote(folder, "serve", "--help", MALOTE_JWT_SECRET="s" * 40)
    assert result.exit_code == 0
    assert "MALOTE_PUBLIC_BASE_URL" in result.stdout
    assert "MALOTE_JWT_SECRET" in result.stdout
    assert "s" * 40 not in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_is_for(tmp_path: Path, name: str) -> None:
    """In --help, without opening anything."""
    result = malote(tmp_path / "data", name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {name} ")
    assert not (tmp_path / "data").exists()


def test_the_help_names_every_command(tmp_path: Path) -> None:
    """Each with the first line of its own help."""
    printed = good(tmp_path / "data", "--help")
    assert re.findall(r"^  ([a-z]+)  +[A-Z]", printed, re.MULTILINE) == sorted(COMMANDS)


def test_a_command_that_serves_nothing_loads_no_server() -> None:
    """Its start would take three times as long."""
    asked = ("verify", "tail", "trace", "inbox", "user", "token", "redact", "backup", "restore")
    program = f"""
import sys
from api.commands import main
for name in {asked}:
    assert main.get_command(None, name).name == name
print(*sys.modules)
"""
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert not {"starlette", "uvicorn", "websockets", "jwt", "prometheus_client"} & loaded


def test_commands_work_beside_a_running_server(folder: Path) -> None:
    """Through its socket, at once."""
    with running(folder):
        token = good(folder, "token", "create", "ana").strip()
        assert token.split("_")[1] in good(folder, "user", "list", "--json")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_good_order(folder: Path, how: signal.Signals) -> None:
    """Exit code 0, its socket is gone, and the folder is free."""
    with running(folder) as server:
        assert server.end(how) == 0
    assert not (folder / "control.sock").exists()
    good(folder, "user", "list")


def test_sockets_that_never_read_do_not_keep_the_server_from_ending(folder: Path) -> None:
    """Sessions and strangers, none of which reads or closes: exit code 0 within 10 s (G19)."""
    token = good(folder, "token", "create", "ana").strip()
    with running(folder) as server:
        port = int(server.url.rsplit(":", 1)[1])
        deaf = [deaf_socket(port, token, number) for number in range(6)]
        deaf += [deaf_socket(port, None, number) for number in range(3)]
        begun = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - begun < 10
        for each in deaf:
            each.close()


def deaf_socket(port: int, token: str | None, number: int) -> socket.socket:
    """A WebSocket that says hello, or with no token nothing, and then neither reads nor closes."""
    deaf = socket.create_connection(("127.0.0.1", port))
    deaf.sendall(
        b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    assert b"101" in deaf.recv(32)
    if token is not None:
        hello = {"type": "hello", "token": token, "device": f"d{number}", "cursor": None}
        frame = Frame(Opcode.TEXT, json.dumps(hello).encode())
        deaf.sendall(frame.serialize(mask=True))
        while b"welcome" not in deaf.recv(65536):
            pass
    return deaf


def test_the_installed_name_and_the_module_are_the_same_program(folder: Path) -> None:
    """`python -m api.commands` is what the tests use."""
    done = subprocess.run(
        [sys.executable, "-m", "api.commands", "user", "list", "--json"],
        env={**os.environ, "MALOTE_DATA": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["user"] == "ana"
    assert done.stderr == ""
