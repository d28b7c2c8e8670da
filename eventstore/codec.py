"""Events to bytes and back: one cattrs converter, and upcasts of old versions.

What tells the classes apart, the event's ``type``, lies in a column of its own, not in the data.
Stored bytes never change; an old version is brought up to date each time it is read.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar, get_args

import orjson
from cattrs import Converter
from cattrs.strategies import configure_tagged_union

from eventstore.cursor import Cursor
from eventstore.events import Content, Event, RecordedEvent

E = TypeVar("E", bound=Event)
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""Data of one version in, data of the next version out."""

UPCASTS: Mapping[tuple[str, int], Upcast] = {}
"""(type, old version) -> its upcast. Chained until the class's version is reached."""

EVENT_TYPES: Mapping[str, type[Event]] = {cls.type: cls for cls in get_args(Event)}


class EventUnknown(ValueError):
    """The log holds a type or version this release does not know; never guessed at."""


def time_text(microseconds: int) -> str:
    """RFC 3339 in UTC with microseconds, from µs since the Unix epoch."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{_second_text(seconds)}.{fraction:06d}Z"


def datetime_of(microseconds: int) -> datetime:
    """The moment so many µs after the Unix epoch, exactly: through float it would lose digits."""
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)


# Formatting the second is most of the cost of encode_recorded, and neighbours in the log share it.
@lru_cache(maxsize=256)
def _second_text(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _datetime_text(value: datetime) -> str:
    # strftime takes twice as long, for each message on its way into the log.
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _content_tag(cls: type[Any]) -> str:
    return cls.__name__.lower()


def _make_converter() -> Converter:
    converter = Converter(omit_if_default=True, prefer_attrib_converters=True)
    converter.register_unstructure_hook(bytes, lambda value: b64encode(value).decode("ascii"))
    converter.register_structure_hook(bytes, lambda value, _: b64decode(value, validate=True))
    converter.register_unstructure_hook(datetime, _datetime_text)
    converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    configure_tagged_union(Content, converter, tag_name="type", tag_generator=_content_tag)
    for cls in EVENT_TYPES.values():  # now, and not at the cost of the first event of each type
        converter.get_structure_hook(cls)
        converter.get_unstructure_hook(cls)
    return converter


CONVERTER = _make_converter()


def encode(event: Event) -> bytes:
    """The event's data as JSON bytes, without the tag. Equal events give equal bytes."""
    return orjson.dumps(CONVERTER.unstructure(event))


def decode(type_: str, version: int, data: bytes) -> Event:
    """The event whose data these bytes are, brought up to the version this release knows.

    Raises :class:`EventUnknown` for a type or a version from the future, and what orjson or cattrs
    raise for bytes that are not such an event's.
    """
    cls = EVENT_TYPES.get(type_)
    if cls is None or version > cls.version:
        raise EventUnknown(f"{type_} version {version} is not known to this release")
    fields = orjson.loads(data)
    while version < cls.version:
        fields = UPCASTS[type_, version](fields)
        version += 1
    return CONVERTER.structure(fields, cls)


def decode_recorded(recorded: RecordedEvent) -> Event | None:
    """The event inside the envelope; None once it was redacted."""
    if recorded.data is None:
        return None
    return decode(recorded.type, recorded.version, recorded.data)


def of_type(events: Iterable[RecordedEvent], cls: type[E]) -> Iterator[tuple[RecordedEvent, E]]:
    """Those of one type, each with the event inside; without the ones that were redacted."""
    for recorded in events:
        if recorded.type == cls.type and (event := decode_recorded(recorded)) is not None:
            assert isinstance(event, cls)
            yield recorded, event


def encode_recorded(recorded: RecordedEvent, epoch: str) -> bytes:
    """An event as every surface shows it (PROTOCOL section 2), by splicing the stored data.

    ``data`` is never decoded here: this is what fan-out and replay run on. A redacted event comes
    out as a tombstone, with ``"data":null``.
    """
    cursor = Cursor.at(epoch, recorded.position, recorded.hash)
    envelope = orjson.dumps(
        {
            "position": recorded.position,
            "cursor": str(cursor),
            "type": recorded.type,
            "version": recorded.version,
            "time": time_text(recorded.recorded_at),
            "inbox": recorded.inbox,
            "conversation": recorded.conversation,
        }
    )
    return b'%b,"data":%b}' % (envelope[:-1], recorded.data or b"null")
