"""An event as the Python client hands it to the application (PROTOCOL section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from attrs import frozen

from eventstore.cursor import Cursor
from transport.frames import FrameError

_T = TypeVar("_T")


def parse_time(text: str) -> datetime:
    """A time as the protocol writes it; raise :class:`FrameError` for any other."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise FrameError("a malformed time") from None
    if time.tzinfo is None:
        raise FrameError("a time without its zone")
    return time


def _is(kind: type[_T], value: Any) -> _T:
    # A bool is an int to Python, and 1.0 equals 1; what an application is given is what it says.
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}")
    return value


@frozen
class InboxEvent:
    """One recorded fact. ``cursor`` is what to store with its effect; ``data`` None: redacted.

    ``request`` is None, or: it was put aside for this device before, and somebody asked there in
    the log for it to be delivered again. Its ``cursor`` is then where the application stands.
    """

    position: int
    cursor: Cursor
    type: str
    version: int
    time: datetime
    inbox: str
    conversation: str | None
    data: dict[str, Any] | None
    request: int | None = None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> InboxEvent:
        """Read one of an ``events`` frame; raise :class:`FrameError` on what is not an event."""
        try:
            event = cls(
                position=_is(int, wire["position"]),
                cursor=Cursor.parse(wire["cursor"]),
                type=_is(str, wire["type"]),
                version=_is(int, wire["version"]),
                time=parse_time(wire["time"]),
                inbox=_is(str, wire["inbox"]),
                conversation=None if (known := wire["conversation"]) is None else _is(str, known),
                data=None if (data := wire["data"]) is None else _is(dict, data),
            )
        except (KeyError, TypeError, ValueError):
            raise FrameError("a malformed event") from None
        if event.position != event.cursor.position:
            raise FrameError("an event whose cursor is another event's")
        return event
