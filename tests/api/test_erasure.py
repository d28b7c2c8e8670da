"""Erasing a message: from every answer, projection, file and open connection of this server."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import orjson
from click.testing import CliRunner
from starlette.testclient import TestClient

from api.commands.redact import redact
from eventstore.verify import verify
from tests.api.serving import Place, chat, furnished, order, post, serving, signed

WORDS = "rue des Lilas 7, third floor"


def erase(client: TestClient, place: Place, position: int, reason: str = "LGPD") -> Any:
    """As an auditor does."""
    return client.post(
        "/v1/audit/redact",
        json={"position": position, "reason": reason},
        headers=place.headers("aud"),
    )


def position_of(answer: Any) -> int:
    """Where a webhook's one message was recorded."""
    assert answer.status_code == 200
    position: int = answer.json()["receipts"][0]["position"]
    return position


def bytes_left(folder: Path, text: str = WORDS) -> list[str]:
    """The files in which the words stand, plain or as a part of a base64 body."""
    pieces = [text.encode()]
    for shift in range(3):
        whole = b64encode(bytes(shift) + text.encode())
        pieces.append(whole[8:-8])
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(piece in path.read_bytes() for piece in pieces)]


def messages(client: TestClient, place: Place) -> list[Any]:
    """All messages that Ana sees, over the projection."""
    listed = client.get("/v1/conversations", headers=place.headers("ana")).json()["conversations"]
    url = f"/v1/conversations/{listed[0]['id']}/messages"
    found: list[Any] = client.get(url, headers=place.headers("ana")).json()["messages"]
    return found


def test_a_message_and_its_webhook_are_erased_everywhere(tmp_path: Path) -> None:
    """Sync, lists, search and files: a tombstone at its place, and no byte of it."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        position = position_of(post(client, "support", chat("wamid.1", WORDS)))
        post(client, "support", chat("wamid.2", "kept"))
        assert bytes_left(tmp_path)
        answer = erase(client, place, position)
        assert answer.status_code == 200, answer.text
        done = answer.json()
        assert done["erased"] == [position - 1, position]
        assert done["purged"] is True
        assert bytes_left(tmp_path) == []
        synced = client.get("/v1/sync", headers=place.headers("ana"))
        assert WORDS not in synced.text
        [gone] = [it for it in synced.json()["events"] if it["position"] == position]
        assert gone["data"] is None
        newest, erased = messages(client, place)
        assert (newest["content"]["body"], erased["redacted"], erased["content"]) == (
            "kept", True, None,
        )  # fmt: skip
    assert verify(tmp_path).fault is None


def test_what_the_provider_sent_again_in_another_envelope_is_erased_with_it(
    tmp_path: Path,
) -> None:
    """Each raw webhook that carried the message is found; others are left alone."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        position = position_of(post(client, "support", chat("wamid.1", WORDS)))
        body, _ = chat("wamid.1", WORDS)
        again = body.replace(b'"object"', b' "object"')
        assert position_of(post(client, "support", (again, signed("support", again)))) == position
        post(client, "support", chat("wamid.2", f"about wamid.1: {'x' * 20}"))
        done = erase(client, place, position).json()
        assert len(done["erased"]) == 3
        assert bytes_left(tmp_path) == []
        assert bytes_left(tmp_path, "x" * 20)


def test_a_webhook_that_carried_other_messages_loses_its_raw_body_only(tmp_path: Path) -> None:
    """What was derived for the others stays."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        body, _ = chat("wamid.1", WORDS)
        both = orjson.loads(body)
        messages_ = both["entry"][0]["changes"][0]["value"]["messages"]
        messages_.append({**messages_[0], "id": "wamid.2", "text": {"body": "kept"}})
        body = orjson.dumps(both)
        answer = post(client, "support", (body, signed("support", body)))
        first, second = (receipt["position"] for receipt in answer.json()["receipts"])
        done = erase(client, place, first).json()
        assert done["erased"] == [first - 1, first]
        shown = {it["position"]: it["content"] for it in messages(client, place)}
        assert shown[first] is None
        assert shown[second]["body"] == "kept"


def test_messages_of_the_users_own_systems_are_erased_too(tmp_path: Path) -> None:
    """Standard Webhooks: the id is in a header, the words in the body."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        position = position_of(post(client, "orders", order("o-1", WORDS)))
        post(client, "orders", order("o-2", "kept"))
        done = erase(client, place, position).json()
        assert len(done["erased"]) == 2
        assert bytes_left(tmp_path) == []


def test_an_erasure_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """No such place, nothing that holds words, gone already, no reason; members may not at all."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        position = position_of(post(client, "support", chat("wamid.1", WORDS)))
        assert erase(client, place, 1).status_code == 400
        assert erase(client, place, 10**6).status_code == 400
        assert erase(client, place, position, " ").status_code == 400
        assert erase(client, place, position, "r" * 501).status_code == 400
        assert erase(client, place, position).status_code == 200
        assert "gone already" in erase(client, place, position).json()["detail"]
        for body in (b"", b"[]", b'{"position": true, "reason": "x"}', b'{"position": 1}'):
            answer = client.post("/v1/audit/redact", content=body, headers=place.headers("aud"))
            assert answer.status_code == 400, body
        long = client.post("/v1/audit/redact", content=b" " * 5_000, headers=place.headers("aud"))
        assert long.status_code == 413
        answer = client.post(
            "/v1/audit/redact",
            json={"position": position, "reason": "x"},
            headers=place.headers("ana"),
        )
        assert answer.status_code == 403


def test_the_command_erases_without_a_server(tmp_path: Path) -> None:
    """And says what it did; a second time it is refused, with exit code 1."""
    furnished(tmp_path)
    with serving(tmp_path) as client:
        position = position_of(post(client, "support", chat("wamid.1", WORDS)))
    environment = {"MALOTE_DATA": str(tmp_path)}
    words = [str(position), "--reason", "LGPD", "--json"]
    result = CliRunner().invoke(redact, words, env=environment)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["erased"] == [position - 1, position]
    assert bytes_left(tmp_path) == []
    assert CliRunner().invoke(redact, words, env=environment).exit_code == 1


def test_the_record_says_who_and_why_and_which_request(tmp_path: Path) -> None:
    """An erasure is itself part of the history."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        position = position_of(post(client, "support", chat("wamid.1", WORDS)))
        answer = erase(client, place, position, "asked by the person")
        house = client.app_state["house"]

        async def record() -> Any:
            at = answer.json()["position"]
            [event] = await house.log.read(at - 1, 1, until=at)
            return event

        event = client.portal.call(record)  # type: ignore[union-attr]
    assert orjson.loads(event.data)["by"] == "aud"
    assert orjson.loads(event.data)["reason"] == "asked by the person"
    assert event.correlation_id == answer.headers["x-request-id"]
