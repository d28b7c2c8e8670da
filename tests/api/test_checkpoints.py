"""Checkpoints from end to end: signed by the server, kept elsewhere, held against the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.commands import main
from api.signing import FILE_NAME, Signer, SigningKeyDamaged
from eventstore import checkpoint as checkpoints
from eventstore.log import EventLog
from eventstore.verify import read_anchors, verify
from tests.api.serving import chat, furnished, post, serving


def run(folder: Path, *words: object) -> Result:
    """A command on this folder."""
    command, *rest = map(str, words)
    return CliRunner().invoke(main, [command, *rest], env={"MALOTE_DATA": str(folder)})


def kept(folder: Path, target: Path, *words: str) -> Path:
    """A checkpoint saved by the command."""
    result = run(folder, "checkpoint", target, *words)
    assert result.exit_code == 0, result.output
    return target


def test_the_first_checkpoint_makes_a_key_for_its_owner_only(tmp_path: Path) -> None:
    """0600, and the log says from where on the key signs."""
    place = furnished(tmp_path / "data")
    kept(place.folder, tmp_path / "c.json")
    assert (place.folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    lines = run(place.folder, "tail", "--json").output.splitlines()
    types = [json.loads(line)["type"] for line in lines]
    assert types[-2:] == ["checkpoint.key_made", "checkpoint.signed"]


def test_a_checkpoint_and_its_key_verify_the_log(tmp_path: Path) -> None:
    """Kept elsewhere, both together; the report says how far the log itself is signed."""
    place = furnished(tmp_path / "data")
    file = kept(place.folder, tmp_path / "c.json")
    key = run(place.folder, "checkpoint", "--key").output.strip()
    report = verify(place.folder, read_anchors(file), keys=[key])
    assert report.fault is None
    assert report.checkpoint == json.loads(file.read_bytes())["position"]
    assert run(place.folder, "verify", "--checkpoint", file, "--key", key).exit_code == 0


def changed(field: str, value: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """A change of one field."""
    return lambda checkpoint: checkpoint.update({field: value(checkpoint[field])})


CHANGES: tuple[Callable[[dict[str, Any]], Any], ...] = (
    changed("position", lambda position: position - 1),
    changed("hash", lambda _: "0" * 64),
    changed("hash", lambda text: text[:8]),
    changed("time", lambda text: text.replace("Z", "z")),
    changed("epoch", lambda _: "f" * 32),
    changed("key_id", lambda text: text[::-1]),
    changed("public_key", lambda _: "ab" * 32),
    changed("signature", lambda text: text[:64] + "0" * 64),
    lambda checkpoint: checkpoint.pop("signature"),
    lambda checkpoint: checkpoint.update(more=1),
)


def test_a_checkpoint_changed_anywhere_is_never_accepted(tmp_path: Path) -> None:
    """Also where the log would agree: its signature does not."""
    place = furnished(tmp_path / "data")
    file = kept(place.folder, tmp_path / "c.json")
    whole = file.read_bytes()
    for number, change in enumerate(CHANGES):
        checkpoint = json.loads(whole)
        change(checkpoint)
        file.write_text(json.dumps(checkpoint))
        assert run(place.folder, "verify", "--checkpoint", file).exit_code in {1, 2}, number


def test_a_checkpoint_by_another_key_is_refused_once_a_key_is_given(tmp_path: Path) -> None:
    """Anybody can sign with a key of their own."""
    place = furnished(tmp_path / "data")
    file = kept(place.folder, tmp_path / "c.json")
    result = run(place.folder, "verify", "--checkpoint", file, "--key", "ab" * 32)
    assert result.exit_code == 1
    assert "none of those given" in result.output


def test_after_a_rotation_the_old_key_has_signed_for_the_new_one(tmp_path: Path) -> None:
    """Its last checkpoint covers the event that names the successor."""
    place = furnished(tmp_path / "data")
    old = run(place.folder, "checkpoint", "--key").output.strip()
    new = run(place.folder, "checkpoint", "--rotate").output.strip()
    assert new != old
    assert run(place.folder, "checkpoint", "--key").output.strip() == new
    lines = map(json.loads, run(place.folder, "tail", "--json").output.splitlines())
    kinds = {"checkpoint.key_made", "checkpoint.signed"}
    events = [event for event in lines if event["type"] in kinds]
    assert [event["data"]["public_key"] for event in events] == [old, new, old, new]
    assert events[2]["data"]["position"] >= events[1]["position"]
    assert verify(place.folder, keys=[old]).checkpoint == events[2]["data"]["position"]


def test_a_damaged_key_file_is_never_replaced_in_silence(tmp_path: Path) -> None:
    """Another key would make every later checkpoint strange to its readers."""
    place = furnished(tmp_path)
    (place.folder / FILE_NAME).write_text("rubbish")
    result = run(place.folder, "checkpoint")
    assert result.exit_code == 3
    assert (place.folder / FILE_NAME).read_text() == "rubbish"

    async def scenario() -> None:
        log = await EventLog.open(tmp_path / "other")
        try:
            with pytest.raises(SigningKeyDamaged):
                Signer(log, place.folder / FILE_NAME)
        finally:
            await log.close()

    asyncio.run(scenario())


def test_a_server_with_traffic_signs_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Auditors read the newest and all of them; members do not."""
    monkeypatch.setattr(checkpoints, "EVENTS_MAX", 3)
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        for number in range(3):
            assert post(client, "support", chat(f"wamid.{number}")).status_code == 200
        while True:
            answer = client.get("/v1/audit/checkpoint", headers=place.headers("aud"))
            if answer.status_code == 200 and answer.json()["position"] >= 3:
                break
        listed = client.get("/v1/audit/checkpoints?limit=1", headers=place.headers("adm")).json()
        assert set(answer.json()) == {
            "epoch", "position", "hash", "time", "key_id", "public_key", "signature",
        }  # fmt: skip
        assert len(listed["checkpoints"]) == 1
        assert client.get("/v1/audit/checkpoint", headers=place.headers("ana")).status_code == 403
    (tmp_path / "kept.json").write_text(json.dumps(listed))
    assert verify(tmp_path, read_anchors(tmp_path / "kept.json")).fault is None


def test_before_the_first_checkpoint_there_is_none_to_show(tmp_path: Path) -> None:
    """404, not an empty proof."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        answer = client.get("/v1/audit/checkpoint", headers=place.headers("aud"))
        assert answer.status_code == 404


def test_the_key_is_in_no_event_and_no_answer(tmp_path: Path) -> None:
    """Neither the log nor a command ever shows the secret half."""
    place = furnished(tmp_path)
    shown = run(place.folder, "checkpoint").output + run(place.folder, "checkpoint", "--key").output
    seed = (place.folder / FILE_NAME).read_text().strip()
    assert seed not in shown + run(place.folder, "tail", "--json").output
