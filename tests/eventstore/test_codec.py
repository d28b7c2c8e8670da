"""Every event survives the trip to bytes and back, and nothing unknown is guessed at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore import codec
from eventstore.codec import EVENT_TYPES, EventUnknown, decode, encode, encode_recorded, time_text
from eventstore.events import (
    ConversationRead,
    Event,
    Generic,
    MessageReceived,
    RecordedEvent,
    WebhookReceived,
)

# JSON has no NaN, no lone surrogates and no integers past 64 bits (strict_json sees to that).
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(
    datetime, st.datetimes(datetime(1971, 1, 1), datetime(2900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis wants naive bounds
)  # fmt: skip
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
st.register_type_strategy(Generic, st.builds(Generic, st.text(), st.none() | st.text(), _json))
_received = st.builds(
    MessageReceived, referral=st.none() | st.dictionaries(st.text(), _json, max_size=2)
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    _received, *(st.builds(cls) for cls in get_args(Event) if cls is not MessageReceived)
)


@settings(max_examples=300)
@given(EVENTS)
def test_every_event_comes_back_as_it_was(event: Event) -> None:
    """G5, G13: decode(encode(e)) == e, and equal events give equal bytes."""
    data = encode(event)
    assert decode(event.type, event.version, data) == event
    assert encode(decode(event.type, event.version, data)) == data


def test_raw_bytes_are_kept() -> None:
    """G5: a webhook's body may be any bytes at all."""
    event = WebhookReceived("standard", bytes(range(256)), {"webhook-id": "1"})
    assert decode(event.type, 1, encode(event)) == event


def test_types_are_unique() -> None:
    """Two classes of one type would make decoding a guess."""
    assert len(EVENT_TYPES) == len(get_args(Event))


@pytest.mark.parametrize(("type_", "version"), [("no.such", 1), ("conversation.read", 2)])
def test_an_unknown_type_or_version_is_refused(type_: str, version: int) -> None:
    """A log of a newer release is not misread."""
    with pytest.raises(EventUnknown):
        decode(type_, version, b'{"position":1,"by":"ana"}')


def test_old_versions_are_brought_up_to_date_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upcasts chain: version 1 to 2 to 3."""

    def by_user(fields: dict[str, Any]) -> dict[str, Any]:
        return {"position": fields["position"], "by": fields["user"]}

    def from_one(fields: dict[str, Any]) -> dict[str, Any]:
        return fields | {"position": fields["position"] + 1}

    monkeypatch.setattr(ConversationRead, "version", 3)
    upcasts = {("conversation.read", 1): by_user, ("conversation.read", 2): from_one}
    monkeypatch.setattr(codec, "UPCASTS", upcasts)
    old = decode("conversation.read", 1, b'{"position":1,"user":"ana"}')
    assert old == ConversationRead(2, "ana")
    assert decode("conversation.read", 2, b'{"position":1,"by":"ana"}') == old


def _recorded(data: bytes | None) -> RecordedEvent:
    return RecordedEvent(
        7, 1_700_000_000_000_001, "inbox:a", "c_1", "x.y", 1, data, None, None, b"\xab" * 32
    )


@given(_json)
def test_the_spliced_envelope_is_json(data: object) -> None:
    """What fan-out sends, made without decoding, parses to the envelope and the data."""
    body = encode_recorded(_recorded(orjson.dumps(data)), "e")
    assert orjson.loads(body) == {
        "position": 7,
        "cursor": "e.7.abababab",
        "type": "x.y",
        "version": 1,
        "time": "2023-11-14T22:13:20.000001Z",
        "inbox": "a",
        "conversation": "c_1",
        "data": data,
    }


def test_a_redacted_event_is_a_tombstone() -> None:
    """Idea 2: it is delivered all the same, without its content."""
    recorded = _recorded(None)
    assert orjson.loads(encode_recorded(recorded, "e"))["data"] is None
    assert codec.decode_recorded(recorded) is None


@given(st.datetimes(datetime(1970, 1, 1), datetime(2900, 1, 1)))  # noqa: DTZ001  naive bounds
def test_times_are_exact_to_the_microsecond(moment: datetime) -> None:
    """No float comes near a time."""
    aware = moment.replace(tzinfo=UTC)
    microseconds = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // (aware.resolution)
    assert datetime.fromisoformat(time_text(microseconds)) == aware
