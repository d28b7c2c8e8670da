"""Schemas of events, made of their classes, told apart by ``type``: for members and auditors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from api.schemas import CURSOR, TIME, Schema, Schemas, object_of
from eventstore.codec import EVENT_TYPES
from eventstore.events import Content, Event, MessageRedacted

POSITION: Schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_DIGITS: Schema = {"type": "string", "pattern": "^[0-9]{1,19}$"}
_TEXT: Schema = {"type": "string"}
_VERSION: Schema = {"type": "integer", "minimum": 1}
_FOR_MEMBERS = frozenset({"message", "contact", "conversation"})
_OF_INBOXES = _FOR_MEMBERS | {"webhook"}


def event(schemas: Schemas) -> Schema:
    """An event as every surface shows it: one of those that members see."""
    return _one_of(schemas, "Event", _plain, _FOR_MEMBERS)


def history_event(schemas: Schemas) -> Schema:
    """Any event, with what it takes to check it: a line of NDJSON."""
    return _one_of(schemas, "HistoryEvent", _checkable)


def cloud_event(schemas: Schemas) -> Schema:
    """Any event as a CloudEvent; what is not there has no attribute."""
    return _one_of(schemas, "CloudEvent", _cloud)


def content_by_type(schemas: Schemas) -> Schema:
    """What ``data`` of an inbox's event is by its ``type``; null of an erased and a raw one."""
    kinds = [cls for cls in EVENT_TYPES.values() if _area(cls) in _OF_INBOXES]
    each = [{"type": {"const": cls.type}, "data": _or_null(schemas.of(cls))} for cls in kinds]
    return {"oneOf": [{"properties": properties} for properties in each]}


def _one_of(
    schemas: Schemas,
    name: str,
    fields: Callable[[type[Event], Schema], Schema],
    areas: frozenset[str] | None = None,
) -> Schema:
    schemas.tagged(get_args(Content), [cls.__name__.lower() for cls in get_args(Content)])
    names = {}
    for type_, cls in EVENT_TYPES.items():
        if areas is None or _area(cls) in areas:
            names[type_] = f"{cls.__name__}{name}"
            schemas.named[names[type_]] = fields(cls, _data(schemas, cls))
    schemas.named[name] = schemas.either(names)
    return schemas.refer(name)


def _area(cls: type[Any]) -> str:
    kind: str = cls.type
    return kind.partition(".")[0]


def _data(schemas: Schemas, cls: type[Event]) -> Schema:
    """Its fields; null too where it may have been erased (eventstore/schema.sql)."""
    erasable = _area(cls) in {"message", "webhook"} and cls is not MessageRedacted
    return _or_null(schemas.of(cls)) if erasable else schemas.of(cls)


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _envelope(cls: type[Event]) -> dict[str, Schema]:
    of_inbox = _area(cls) in _OF_INBOXES
    return {
        "position": POSITION,
        "cursor": CURSOR,
        "type": {"const": cls.type},
        "version": _VERSION,
        "time": TIME,
        "inbox": _TEXT if of_inbox else {"type": "null"},
        "conversation": {"type": ["string", "null"]},
    }


def _plain(cls: type[Event], data: Schema) -> Schema:
    return object_of({**_envelope(cls), "data": data})


def _checkable(cls: type[Event], data: Schema) -> Schema:
    return object_of(
        {
            **_envelope(cls),
            "stream": _TEXT,
            "correlation_id": {"type": ["string", "null"]},
            "causation_id": _or_null(POSITION),
            "hash": HASH,
            "data_hash": HASH,
            "salt": {"type": ["string", "null"], "contentEncoding": "base16"},
            "data": data,
        }
    )


def _cloud(cls: type[Event], data: Schema) -> Schema:
    always: dict[str, Schema] = {
        "specversion": {"const": "1.0"},
        "id": _DIGITS,
        "source": {"type": "string", "pattern": "^urn:malote:[0-9a-f]{1,64}$"},
        "type": {"const": cls.type},
        "time": TIME,
        "datacontenttype": {"const": "application/json"},
        "stream": _TEXT,
        "eventversion": _VERSION,
        "hash": HASH,
        "datahash": HASH,
        "data": data,
    }
    where_known = {"subject": _TEXT, "correlationid": _TEXT, "causationid": _DIGITS, "salt": _TEXT}
    return object_of({**always, **where_known}, list(always))
