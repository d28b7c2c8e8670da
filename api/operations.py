"""What each HTTP route takes and gives, for ``/openapi.json``.

Who may ask, the path and the summary are read from the routes and handlers themselves; schemas are
made of the classes that are handed out. This table holds the rest. Tests hold it against the code:
every route is here, with exactly the parameters that its handler reads, and the answers that a
real application gives are as they are said to be here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from attrs import field, frozen

from api.event_schemas import (
    HASH,
    POSITION,
    cloud_event,
    content_by_type,
    event,
    history_event,
)
from api.problems import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    CHALLENGE_REFUSED,
    CURSOR_MALFORMED,
    CURSOR_OF_ANOTHER_HISTORY,
    ENCODING_NOT_SUPPORTED,
    HISTORY_TOO_LONG,
    LOG_UNAVAILABLE,
    NOT_FOUND,
    OVERLOADED,
    WEBHOOK_REFUSED,
    ProblemType,
)
from api.routes.audit import CHECKPOINTS_MAX
from api.routes.conversations import PAGE_MAX, Q_CHARS_MAX
from api.routes.debug import CONNECTIONS_MAX, DEVICES_MAX
from api.routes.history import PAGE_EVENTS_MAX as HISTORY_MAX
from api.routes.ledger import ACCOUNTS_MAX
from api.routes.metrics import MINUTES_MAX
from api.routes.sync import PAGE_EVENTS_MAX
from api.routes.trace import DEVICES_MAX as TRACE_DEVICES_MAX
from api.schemas import CURSOR, TIME, Schema, Schemas, object_of
from api.screen import Screen
from api.trace import EventTrace, Trace
from eventstore.erasure import REASON_CHARS_MAX
from eventstore.events import Role
from projections.checkpoints import Checkpoint
from projections.connections import Connection, Presence
from projections.conversations import Conversation
from projections.deliveries import Delivery, Parked
from projections.ledger import Account
from projections.messages import Message
from projections.metrics import Minute
from transport.replays import REPLAYS_MAX

COUNT: Schema = {"type": "integer", "minimum": 0}
TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
DEVICE: Schema = {"type": "string", "pattern": "^[^/]+/.", "maxLength": 200}
MOMENT: Schema = {"anyOf": [POSITION, TIME], "description": "a position, or a time"}
RECEIPT = object_of({"position": POSITION, "hash": HASH})
RECEIPTS = object_of(
    {"accepted": COUNT, "duplicates": COUNT, "receipts": {"type": "array", "items": RECEIPT}}
)

MakesSchema = Callable[[Schemas], Schema]


@frozen
class Operation:
    """One method of one route. ``answer`` makes the schema of its 200, None of plain text.

    ``streams`` are media types in which the same comes line by line to whom accepts them.
    """

    answer: MakesSchema | None = None
    media_type: str = "application/json"
    parameters: Mapping[str, Schema] = field(factory=dict)
    headers: Mapping[str, Schema] = field(factory=dict)
    body: Schema | None = None
    problems: Sequence[ProblemType] = ()
    also: Mapping[int, MakesSchema] = field(factory=dict)
    streams: Sequence[str] = ()
    open_on_loopback: bool = False


def limit(most: int) -> Schema:
    """How many are wanted."""
    return {"type": "integer", "minimum": 1, "maximum": most}


def plain(schema: Schema) -> MakesSchema:
    """A schema without classes in it."""
    return lambda _: schema


def rows(name: str, cls: type[Any], **more: Schema) -> MakesSchema:
    """A page of rows, with the cursor at which it stands."""

    def make(schemas: Schemas) -> Schema:
        each = schemas.of(cls, whole=True)
        return object_of({name: {"type": "array", "items": each}, **more, "cursor": CURSOR})

    return make


def _conversations(schemas: Schemas) -> Schema:
    row = schemas.of(Conversation, whole=True)
    found = {"allOf": [row], "properties": {"match": {"type": "object"}}}
    return object_of({"conversations": {"type": "array", "items": found}, "cursor": CURSOR})


def _conversation(schemas: Schemas) -> Schema:
    return object_of({"conversation": schemas.of(Conversation, whole=True), "cursor": CURSOR})


def _sync(schemas: Schemas) -> Schema:
    receipt = object_of({"from": CURSOR, "to": CURSOR, "count": COUNT, "digest": HASH})
    touched = schemas.of(Conversation, whole=True)
    return object_of(
        {
            "events": {"type": "array", "items": event(schemas)},
            "conversations": {"type": "array", "items": touched},
            "after": CURSOR,
            "cursor": CURSOR,
            "has_more": {"type": "boolean"},
            "up_to_date": {"type": "boolean"},
            "skipped": {"type": "null"},
            "receipt": receipt,
        }
    )


def _deliveries(schemas: Schemas) -> Schema:
    return object_of(
        {
            "deliveries": {"type": "array", "items": schemas.of(Delivery, whole=True)},
            "parked": {"type": "array", "items": schemas.of(Parked, whole=True)},
            "count": COUNT,
            "cursor": CURSOR,
        }
    )


def _history(schemas: Schemas) -> Schema:
    each = {"anyOf": [history_event(schemas), cloud_event(schemas)]}
    return object_of(
        {
            "events": {"type": "array", "items": each},
            "after": POSITION,
            "position": POSITION,
            "has_more": {"type": "boolean"},
        }
    )


def _presence(schemas: Schemas) -> Schema:
    return object_of(
        {
            "online": {"type": "array", "items": schemas.of(Presence, whole=True)},
            "connections": {"type": "array", "items": schemas.of(Connection, whole=True)},
            "cursor": CURSOR,
        }
    )


def _trace(schemas: Schemas) -> Schema:
    reference = schemas.of(Trace, whole=True)
    schemas.named[EventTrace.__name__] |= content_by_type(schemas)
    return reference


def _devices(schemas: Schemas) -> Schema:
    events = {"type": "array", "items": schemas.of(Parked, whole=True)}
    each = {
        "allOf": [schemas.of(Delivery, whole=True)],
        "properties": {"events": events},
        "required": ["events"],
    }
    return object_of({"deliveries": {"type": "array", "items": each}, "cursor": CURSOR})


_SOME_POSITIONS: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": REPLAYS_MAX,
    "items": {**POSITION, "minimum": 1},
}
_INBOX = object_of({"id": TEXT, "provider": TEXT, "webhook_path": TEXT})
_ME = object_of(
    {
        "user": TEXT,
        "role": {"enum": list(get_args(Role))},
        "inboxes": {"type": "array", "items": _INBOX},
        "may": {"type": "array", "items": TEXT},
        "expires_at": {"anyOf": [TIME, {"type": "null"}]},
    }
)
_CONNECTION = object_of(
    {
        **dict.fromkeys(("session", "user", "device", "opened_at"), TEXT),
        "address": {"type": ["string", "null"]},
        "inboxes": {"type": "array", "items": TEXT},
        "state": {"enum": ["catching_up", "live", "closed"]},
        "quality": {"enum": ["good", "poor"]},
        "rtt_ms": {"type": ["number", "null"]},
        "attempt": COUNT,
        "sent": CURSOR,
        "acknowledged": CURSOR,
        "behind": COUNT,
        "in_flight": object_of({"events": COUNT, "bytes": COUNT}),
        "writable": {"type": "boolean"},
    }
)
_READY = object_of(
    {
        "status": {"enum": ["ready", "degraded", "not ready"]},
        "parts": {"type": "object", "additionalProperties": TEXT},
    },
    ["status"],
)
_PAGE = {"limit": limit(PAGE_MAX), "before": POSITION, "as_of": MOMENT}
_LATER = (LOG_UNAVAILABLE, OVERLOADED)

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("POST", "/webhooks/{inbox}"): Operation(
        plain(RECEIPTS),
        body={},
        problems=(
            *(WEBHOOK_REFUSED, BODY_TOO_LARGE, ENCODING_NOT_SUPPORTED),
            *_LATER,
        ),
    ),
    ("GET", "/webhooks/{inbox}"): Operation(media_type="text/plain", problems=(CHALLENGE_REFUSED,)),
    ("GET", "/v1/me"): Operation(plain(_ME), problems=(BAD_REQUEST,)),
    ("GET", "/v1/sync"): Operation(
        _sync,
        parameters={"cursor": CURSOR, "since": TIME, "limit": limit(PAGE_EVENTS_MAX)},
        problems=(BAD_REQUEST, CURSOR_MALFORMED, CURSOR_OF_ANOTHER_HISTORY, *_LATER),
    ),
    ("GET", "/v1/conversations"): Operation(
        _conversations,
        parameters={
            "inbox": NAME,
            "q": {"type": "string", "minLength": 1, "maxLength": Q_CHARS_MAX},
            **_PAGE,
        },
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("GET", "/v1/conversations/{id}"): Operation(
        _conversation,
        parameters={"as_of": MOMENT},
        problems=(BAD_REQUEST, NOT_FOUND, *_LATER),
    ),
    ("GET", "/v1/conversations/{id}/messages"): Operation(
        rows("messages", Message),
        parameters=_PAGE,
        problems=(BAD_REQUEST, NOT_FOUND, *_LATER),
    ),
    ("POST", "/v1/conversations/{id}/read"): Operation(
        plain(RECEIPT),
        body=object_of({"position": {**POSITION, "minimum": 1}}),
        problems=(BAD_REQUEST, NOT_FOUND, BODY_TOO_LARGE, *_LATER),
    ),
    ("POST", "/v1/inboxes/{inbox}/test-message"): Operation(
        plain(RECEIPTS), problems=(BAD_REQUEST, NOT_FOUND, *_LATER)
    ),
    ("GET", "/v1/events"): Operation(
        media_type="text/event-stream",
        headers={"Last-Event-ID": CURSOR},
        problems=(BAD_REQUEST, CURSOR_MALFORMED, *_LATER),
    ),
    ("GET", "/v1/audit/checkpoint"): Operation(
        lambda schemas: schemas.of(Checkpoint, whole=True),
        problems=(BAD_REQUEST, NOT_FOUND, *_LATER),
    ),
    ("GET", "/v1/audit/checkpoints"): Operation(
        rows("checkpoints", Checkpoint),
        parameters={"limit": limit(CHECKPOINTS_MAX), "before": POSITION},
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("GET", "/v1/audit/events"): Operation(
        _history,
        streams=("application/x-ndjson", "text/event-stream"),
        parameters={
            "after": POSITION,
            "since": TIME,
            "until": {"anyOf": [POSITION, TIME]},
            "stream": {"type": "string", "minLength": 1, "maxLength": 200},
            "type": {"type": "string", "minLength": 1, "maxLength": 200},
            "limit": limit(HISTORY_MAX),
            "format": {"enum": ["ndjson", "cloudevents"]},
            "follow": {"enum": ["false"]},
        },
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("GET", "/v1/audit/ledger"): Operation(
        rows("accounts", Account),
        parameters={
            "device": DEVICE,
            "after": DEVICE,
            "limit": limit(ACCOUNTS_MAX),
            "as_of": MOMENT,
        },
        problems=(BAD_REQUEST, HISTORY_TOO_LONG, *_LATER),
    ),
    ("GET", "/v1/audit/presence"): Operation(
        _presence,
        parameters={"limit": limit(CONNECTIONS_MAX), "before": POSITION, "as_of": MOMENT},
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("GET", "/v1/audit/screen"): Operation(
        lambda schemas: schemas.of(Screen, whole=True),
        parameters={
            "user": NAME,
            "device": NAME,
            "at": MOMENT,
            "conversation": NAME,
            "after": NAME,
            "limit": limit(PAGE_MAX),
            "before": POSITION,
        },
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("GET", "/v1/audit/trace/{position}"): Operation(
        _trace,
        parameters={"after": DEVICE, "limit": limit(TRACE_DEVICES_MAX)},
        problems=(BAD_REQUEST, NOT_FOUND, *_LATER),
    ),
    ("POST", "/v1/audit/redact"): Operation(
        plain(
            object_of(
                {
                    "position": POSITION,
                    "hash": {"type": "string"},
                    "erased": {"type": "array", "items": POSITION},
                    "purged": {"type": "boolean"},
                }
            )
        ),
        body=object_of(
            {
                "position": {**POSITION, "minimum": 1},
                "reason": {"type": "string", "minLength": 1, "maxLength": REASON_CHARS_MAX},
            }
        ),
        problems=(BAD_REQUEST, BODY_TOO_LARGE, *_LATER),
    ),
    ("GET", "/v1/deliveries"): Operation(
        _devices,
        parameters={
            "device": DEVICE,
            "after": DEVICE,
            "limit": limit(DEVICES_MAX),
            "as_of": MOMENT,
        },
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("POST", "/v1/deliveries/{device}/replay"): Operation(
        plain(
            object_of(
                {
                    "request": {"anyOf": [POSITION, {"type": "null"}]},
                    "positions": {"type": "array", "items": POSITION},
                    "left": COUNT,
                }
            )
        ),
        body=object_of({"user": NAME, "positions": _SOME_POSITIONS}, ["user"]),
        problems=(BAD_REQUEST, NOT_FOUND, BODY_TOO_LARGE, *_LATER),
    ),
    ("GET", "/v1/metrics/history"): Operation(
        rows("minutes", Minute),
        parameters={"since": TIME, "until": TIME, "limit": limit(MINUTES_MAX)},
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("GET", "/debug/connections"): Operation(
        plain(
            object_of(
                {
                    "connections": {"type": "array", "items": _CONNECTION},
                    "count": COUNT,
                    "head": POSITION,
                }
            )
        ),
        parameters={"user": NAME, "limit": limit(CONNECTIONS_MAX)},
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("GET", "/debug/deliveries"): Operation(
        _deliveries,
        parameters={"limit": limit(DEVICES_MAX)},
        problems=(BAD_REQUEST, *_LATER),
    ),
    ("GET", "/debug/config"): Operation(
        plain(
            object_of(
                {
                    **dict.fromkeys(("release", "python", "sqlite", "boot", "epoch"), TEXT),
                    "settings": {"type": "object", "additionalProperties": TEXT},
                }
            )
        ),
        problems=(BAD_REQUEST,),
    ),
    ("GET", "/livez"): Operation(plain(object_of({"status": {"const": "alive"}}))),
    ("GET", "/readyz"): Operation(
        plain(_READY), parameters={"verbose": {}}, also={503: plain(_READY)}
    ),
    ("GET", "/metrics"): Operation(media_type="text/plain", open_on_loopback=True),
    ("GET", "/openapi.json"): Operation(plain({"type": "object"})),
    ("GET", "/asyncapi.json"): Operation(plain({"type": "object"})),
}
