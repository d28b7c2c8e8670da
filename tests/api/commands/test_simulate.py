"""``malote simulate``: signed sample webhooks against a server that really runs."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from api.commands.tail import tail

PATIENCE_S = 60
START_TIMEOUT_S = 30.0


def malote(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "api.commands", *words],
        env={**os.environ, "MALOTE_DATA": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server on a free port; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api.commands", "serve", "--port", "0"],
        env={**os.environ, "MALOTE_DATA": str(folder)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert select.select([process.stdout], [], [], START_TIMEOUT_S)[0], "it did not start"
        found = re.search(rb"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        yield found[0].decode()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        process.stdout.close()


def types(folder: Path) -> list[str]:
    """The type of every event in the log."""
    result = CliRunner().invoke(tail, ["--json"], env={"MALOTE_DATA": str(folder)})
    return [json.loads(line)["type"] for line in result.output.splitlines()]


def test_sample_webhooks_are_taken_with_the_keyring_s_secret(tmp_path: Path) -> None:
    """Every one of them is in the log; the summary says so, with measured times."""
    malote(tmp_path, "inbox", "add", "shop", "--provider", "standard")
    words = ("--rate", "200", "--count", "20", "--json")
    with serving(tmp_path) as url:
        done = malote(tmp_path, "simulate", "shop", "--url", url, *words)
        numbers = json.loads(done.stdout)
        assert (done.returncode, numbers["taken"], numbers["failed"]) == (0, 20, 0)
        assert 0 < numbers["p50_ms"] <= numbers["p99_ms"]
        assert types(tmp_path).count("message.received") == 20


def test_the_same_seed_is_the_same_webhooks(tmp_path: Path) -> None:
    """So a second run is a provider that repeats itself, and adds no message."""
    malote(tmp_path, "inbox", "add", "shop", "--provider", "whatsapp")
    words = ("--rate", "200", "--count", "10", "--seed", "7", "--json")
    with serving(tmp_path) as url:
        first = json.loads(malote(tmp_path, "simulate", "shop", "--url", url, *words).stdout)
        before = types(tmp_path).count("message.received")
        again = json.loads(malote(tmp_path, "simulate", "shop", "--url", url, *words).stdout)
        assert types(tmp_path).count("message.received") == before > 0
    # A status report of another second is another report; a message is the same message.
    assert (first["taken"], first["duplicates"]) == (10, 0)
    assert again["taken"] == 10 >= again["duplicates"] > 0


def test_a_wrong_secret_is_told_as_such(tmp_path: Path) -> None:
    """Exit 1; nothing is in the log."""
    malote(tmp_path, "inbox", "add", "shop", "--provider", "whatsapp")
    with serving(tmp_path) as url:
        done = malote(
            tmp_path, "simulate", "shop", "--url", url, "--count", "1",
            "--secret", "not the secret of this inbox",
        )  # fmt: skip
    assert done.returncode == 1
    assert "401" in done.stderr
    assert "webhook.received" not in types(tmp_path)


def test_an_inbox_nobody_knows_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """There is neither a provider to play nor a secret to sign with."""
    done = malote(tmp_path, "simulate", "nowhere", "--count", "1")
    assert done.returncode == 1
    assert "no inbox nowhere" in done.stderr
