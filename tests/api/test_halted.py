"""A server on a log that lost its end: it takes nothing, says so, and goes on reading (G16)."""

from __future__ import annotations

from pathlib import Path

from api.house import HALTED
from eventstore.mark import HighWaterMark, Mark
from tests.api.serving import chat, furnished, post, serving


def test_a_server_whose_log_lost_its_end_reads_on_and_takes_nothing(tmp_path: Path) -> None:
    """Webhooks are answered 503 and nothing is written; lists, sync and history are there."""
    place = furnished(tmp_path)
    with serving(tmp_path) as client:
        assert post(client, "support", chat("wamid.1")).status_code == 200
    mark = HighWaterMark(tmp_path).read()
    assert mark is not None
    HighWaterMark(tmp_path).write(Mark(mark.epoch, mark.position + 3, b"x" * 32))
    before = (tmp_path / "log.db").read_bytes()
    with serving(tmp_path) as client:
        answer = post(client, "support", chat("wamid.2"))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        ready = client.get("/readyz?verbose")
        assert ready.status_code == 503
        assert ready.json()["parts"]["log"] == HALTED
        assert client.get("/livez").status_code == 200
        for path, user in (
            ("/v1/conversations", "ana"),
            ("/v1/sync", "ana"),
            ("/v1/audit/events", "aud"),
        ):
            answer = client.get(path, headers=place.headers(user))
            assert answer.status_code == 200, path
            assert "wamid.1" in answer.text or path == "/v1/conversations"
        redaction = {"position": mark.position, "reason": "LGPD"}
        answer = client.post("/v1/audit/redact", json=redaction, headers=place.headers("aud"))
        assert answer.status_code in {400, 503}
    assert (tmp_path / "log.db").read_bytes() == before
    assert HighWaterMark(tmp_path).read() == Mark(mark.epoch, mark.position + 3, b"x" * 32)
