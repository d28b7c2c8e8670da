"""``malote rebuild``: the digests depend on the events alone."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from api.commands.inbox import inbox
from api.commands.rebuild import rebuild
from projections import PROJECTIONS


def run(folder: Path, *words: str) -> Result:
    """The command on this data folder."""
    return CliRunner().invoke(rebuild, words, env={"MALOTE_DATA": str(folder)})


def furnished(folder: Path) -> Path:
    """A folder with an inbox, so that there is something to fold."""
    words = ["add", "support", "--provider", "whatsapp"]
    result = CliRunner().invoke(inbox, words, env={"MALOTE_DATA": str(folder)})
    assert result.exit_code == 0, result.output
    return folder


def test_every_projection_s_digest_is_printed(tmp_path: Path) -> None:
    """One a line, name first; all of them where none is named."""
    result = run(furnished(tmp_path))
    assert result.exit_code == 0, result.output
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert sorted(names) == sorted(projection.name for projection in PROJECTIONS)


def test_a_second_rebuild_gives_the_same_digest(tmp_path: Path) -> None:
    """Although the first one was itself recorded in the log."""
    folder = furnished(tmp_path)
    first = json.loads(run(folder, "access", "--json").stdout)
    second = json.loads(run(folder, "access", "--json").stdout)
    assert first == second
    assert list(first) == ["access"]


def test_an_unknown_projection_is_refused(tmp_path: Path) -> None:
    """Exit 1, by name; nothing is rebuilt."""
    result = run(furnished(tmp_path), "nothing-of-the-sort")
    assert result.exit_code == 1
    assert "nothing-of-the-sort" in result.output
