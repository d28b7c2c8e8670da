"""What ``/openapi.json`` says of events is true of each class, and of each example in the docs."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings

from api.app import ROUTES
from api.openapi import openapi
from eventstore.codec import EVENT_TYPES, encode, encode_recorded
from eventstore.events import Event, RecordedEvent
from eventstore.interchange import FORMATS, HistoryRow
from tests.eventstore.test_codec import EVENTS

EPOCH = "e1"
OF_INBOXES = ("message.", "webhook.", "contact.", "conversation.")
FOR_MEMBERS = ("message.", "contact.", "conversation.")
SCHEMAS = {"ndjson": "HistoryEvent", "cloudevents": "CloudEvent"}
DOCS = Path(__file__).parent.parent.parent / "docs"


@cache
def validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    """A schema of the document by its name."""
    document = openapi(ROUTES)
    reference = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(reference, validate_formats=True)


def recorded(type_: str, data: bytes | None) -> RecordedEvent:
    """An event as the log would hold it, in a stream where such events are."""
    stream = "inbox:support" if type_.startswith(OF_INBOXES) else "client:ana/phone"
    return RecordedEvent(
        7, 1_780_000_000_000_001, stream, None, type_, 1, data, "r1", 6, b"\xab" * 32
    )


def line(form: str, type_: str, data: bytes | None) -> Any:
    """One line of an export, read."""
    salt = None if data is None else bytes(16)
    return json.loads(FORMATS[form](HistoryRow(recorded(type_, data), bytes(32), salt), EPOCH))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_every_event_is_as_it_is_described(event: Event) -> None:
    """To members, to auditors, and as a CloudEvent."""
    data = encode(event)
    for form, schema in SCHEMAS.items():
        validator(schema).validate(line(form, event.type, data))
    if event.type.startswith(FOR_MEMBERS):
        shown = json.loads(encode_recorded(recorded(event.type, data), EPOCH))
        validator("Event").validate(shown)


@pytest.mark.parametrize("type_", sorted(EVENT_TYPES))
def test_each_type_has_content_of_its_own(type_: str) -> None:
    """Null where it may be erased, and only there; a type that is none has no schema."""
    erasable = type_.startswith(("message.", "webhook.")) and type_ != "message.redacted"
    for form, schema in SCHEMAS.items():
        assert validator(schema).is_valid(line(form, type_, None)) == erasable
        assert not validator(schema).is_valid(line(form, type_, b"7"))
        assert not validator(schema).is_valid(line(form, "no.such", b"{}"))


def test_every_union_names_its_schemas_by_type() -> None:
    """A generator of clients makes one type of each, and reads it by ``discriminator``."""
    schemas = openapi(ROUTES)["components"]["schemas"]
    for schema in SCHEMAS.values():
        mapping = schemas[schema]["discriminator"]["mapping"]
        assert set(mapping) == set(EVENT_TYPES)
        assert [one["$ref"] for one in schemas[schema]["oneOf"]] == list(mapping.values())
        for type_, reference in mapping.items():
            named = schemas[reference.rpartition("/")[2]]
            assert named["properties"]["type"] == {"const": type_}


def examples() -> list[Any]:
    """Each block of JSON in the documents."""
    texts = [(path.name, path.read_text()) for path in sorted(DOCS.glob("*.md"))]
    return [
        pytest.param(found, id=f"{name}-{number}")
        for name, text in texts
        for number, found in enumerate(re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    ]


@pytest.mark.parametrize("example", examples())
def test_each_example_in_the_docs_is_as_it_is_described(example: str) -> None:
    """It can be parsed, and a client written after it meets no surprise."""
    read = json.loads(example)
    validator("Trace" if "devices" in read else "Event").validate(read)


def test_there_are_examples() -> None:
    """Or the test above proves nothing."""
    assert len(examples()) >= 2
