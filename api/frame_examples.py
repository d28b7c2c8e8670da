"""One frame of each kind, for ``/asyncapi.json``: a session from ``hello`` to ``bye``."""

from __future__ import annotations

from typing import Any

import orjson

from api.problems import BAD_REQUEST, Problem
from eventstore.cursor import Cursor
from transport.frames import (
    Ack,
    Bye,
    ClientFrame,
    CloseCode,
    Error,
    Events,
    Hello,
    Live,
    Nack,
    Ping,
    Pong,
    Refresh,
    Refreshed,
    ReplayAck,
    Replayed,
    Reset,
    Resume,
    ServerFrame,
    Skipped,
    Welcome,
    Window,
)
from transport.heartbeat import ANNOUNCED

_EPOCH = "4f5c0d3a9be1"
_BEFORE, _NEWEST = Cursor(_EPOCH, 1041, "07d2c4e8"), Cursor(_EPOCH, 1042, "9ab31c07")
_TIME = "2026-11-22T14:02:11.123456Z"
_EVENT: dict[str, Any] = {
    "position": _NEWEST.position,
    "cursor": str(_NEWEST),
    "type": "message.received",
    "version": 1,
    "time": _TIME,
    "inbox": "support",
    "conversation": "c_e854dd308c07ce6acec7",
    "data": {
        "message_id": "wamid.HBgM",
        "contact": {"id": "5500955500001", "name": "Beatriz Nogueira"},
        "content": {"type": "text", "body": "Are you open on Saturday?"},
        "direction": "inbound",
    },
}
_PROBLEM = orjson.loads(Problem(BAD_REQUEST).body("0123456789abcdef0123456789abcdef"))

EXAMPLES: tuple[ClientFrame | ServerFrame, ...] = (
    Hello("mlt_…", "laptop", _BEFORE),
    Welcome(
        session="2kly4Zry81ntN4yFvmrMrg",
        user="ana",
        device="laptop",
        epoch=_EPOCH,
        server_time=_TIME,
        heartbeat=ANNOUNCED,
        window=Window(),
        resume=Resume("resumed", _BEFORE, pending=1),
        expires_in_ms=3_600_000,
    ),
    Events(_BEFORE, _NEWEST, attempt=1, events=(_EVENT,)),
    Ack(_NEWEST),
    Live(_NEWEST, _TIME),
    Nack(1042, "no such screen"),
    Replayed(request=1050, events=(_EVENT,)),
    ReplayAck(request=1050, positions=(1042,)),
    Ping(7, _NEWEST, "good", rtt_ms=42.0),
    Pong(7),
    Refresh("mlt_…"),
    Refreshed(expires_in_ms=3_600_000),
    Skipped(_BEFORE, _NEWEST, count=1, reason="queue_limit"),
    Reset(_NEWEST, "history_differs"),
    Error(_PROBLEM),
    Bye(CloseCode.RESTART, "the server restarts", retry_after_ms=1_500),
)
