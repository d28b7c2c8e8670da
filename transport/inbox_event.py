"""An event as the Python client hands it to the application (PROTOCOL section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from eventstore.cursor import Cursor
from transport.frames import FrameError


@frozen
class InboxEvent:
    """One recorded fact. ``cursor`` is what to store with its effect; ``data`` None: redacted."""

    position: int
    cursor: Cursor
    type: str
    version: int
    time: datetime
    inbox: str
    conversation: str | None
    data: dict[str, Any] | None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> InboxEvent:
        """Read one of an ``events`` frame; raise :class:`FrameError` on what is not an event."""
        try:
            event = cls(
                position=wire["position"],
                cursor=Cursor.parse(wire["cursor"]),
                type=wire["type"],
                version=wire["version"],
                time=datetime.fromisoformat(wire["time"]),
                inbox=wire["inbox"],
                conversation=wire["conversation"],
                data=wire["data"],
            )
        except (KeyError, TypeError, ValueError):
            raise FrameError("a malformed event") from None
        if event.position != event.cursor.position:
            raise FrameError("an event whose cursor is another event's")
        return event
