"""Every frame of subprotocol ``malote.v1``, its codec, and the close codes (PROTOCOL section 3).

Frames are text, one JSON object each, with a ``type``. What a peer may say, and when, is decided by
the state machines in :mod:`transport.session` and :mod:`transport.client`; this file only knows
what a frame looks like. A frame that cannot be read raises :class:`FrameError`, which carries the
reply to send.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Literal, TypeAlias, get_args

import orjson
from attrs import field, frozen
from cattrs import Converter
from cattrs.errors import CattrsError
from cattrs.strategies import configure_tagged_union

from eventstore.cursor import Cursor

SUBPROTOCOL = "malote.v1"
HELLO_BYTES_MAX = 4 * 1024
FRAME_BYTES_MAX = 64 * 1024
_REMEMBERED_BYTES_MAX = 256
_REMEMBERED_MAX = 512
_REMEMBERED: dict[bytes, ClientFrame] = {}

Outcome: TypeAlias = Literal["resumed", "fresh", "reset"]
ResetReason: TypeAlias = Literal["epoch_changed", "ahead_of_log", "history_differs"]
SkipReason: TypeAlias = Literal["queue_limit", "expired"]
Quality: TypeAlias = Literal["good", "poor"]


class CloseCode(IntEnum):
    """Why a connection ends. 4000-4499: reconnect with the same cursor. 4500-4999: do not."""

    NORMAL = 1000
    ABNORMAL = 1006
    RESTART = 1012
    OVERLOADED = 1013
    BAD_FRAME = 4400
    STALLED = 4408
    REPLACED = 4409
    ACK_OVERDUE = 4410
    ACCESS_CHANGED = 4411
    TOO_FAST = 4429
    UNAUTHORIZED = 4501
    REVOKED = 4503
    VERSION_NOT_SUPPORTED = 4505


def may_reconnect(code: int) -> bool:
    """Whether a client that was closed with this code should come back (with the same cursor)."""
    return not 4500 <= code <= 4999


class FrameError(Exception):
    """The peer sent what the protocol does not allow; ``code`` is the close that answers it."""

    def __init__(self, reason: str, code: CloseCode = CloseCode.BAD_FRAME) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


# --- client -> server --------------------------------------------------------------------------


@frozen
class Window:
    """How much may be on the way unacknowledged: frames' events and their bytes."""

    frames: int = 100
    bytes: int = 256 * 1024


@frozen
class Hello:
    """The first frame: who I am, which device this is, and what I have (None: nothing yet)."""

    token: str = field(repr=False)
    device: str
    cursor: Cursor | None = None
    window: Window | None = None


@frozen
class Ack:
    """The application has handled everything up to this cursor."""

    cursor: Cursor


@frozen
class Nack:
    """Put this one event aside for me; I cannot handle it."""

    position: int
    reason: str


@frozen
class Pong:
    """The answer to the ping of this id, sent from the message handler."""

    id: int


@frozen
class Refresh:
    """A newer token, before the present one expires."""

    token: str = field(repr=False)


@frozen
class ReplayAck:
    """The application has handled these events, which came by ``replayed`` of this request."""

    request: int
    positions: tuple[int, ...]


ClientFrame: TypeAlias = Hello | Ack | Nack | ReplayAck | Pong | Refresh

# --- server -> client --------------------------------------------------------------------------


@frozen
class Heartbeat:
    """How often the server pings and how long it waits for the pong, in milliseconds."""

    interval_ms: int
    timeout_ms: int


@frozen
class Resume:
    """How the client's cursor was taken; ``pending`` events wait beyond ``cursor``."""

    outcome: Outcome
    cursor: Cursor
    pending: int
    reason: ResetReason | None = None


@frozen
class Welcome:
    """The answer to ``hello``: the session is open, the token good for ``expires_in_ms``."""

    session: str
    user: str
    device: str
    epoch: str
    server_time: str
    heartbeat: Heartbeat
    window: Window
    resume: Resume
    expires_in_ms: int | None = None


@frozen
class Refreshed:
    """The newer token was taken; it is good for so long, None: without an end."""

    expires_in_ms: int | None = None


@frozen
class Events:
    """The next events. ``after`` is the cursor they follow, ``cursor`` the last one's own."""

    after: Cursor
    cursor: Cursor
    attempt: int
    events: tuple[dict[str, Any], ...]  # decoded; what is sent is put together below


@frozen
class Live:
    """You are caught up: complete up to ``time``. ``cursor`` is the one you already have."""

    cursor: Cursor
    time: str


@frozen
class Skipped:
    """These fell out of your offline queue; they are still in ``/v1/sync``."""

    after: Cursor
    cursor: Cursor
    count: int
    reason: SkipReason


@frozen
class Reset:
    """Your cursor is not of this history: load the conversations and go on from ``cursor``."""

    cursor: Cursor
    reason: ResetReason


@frozen
class Replayed:
    """Events that were put aside for this device, again, because somebody asked for it.

    They lie below the client's cursor, which they do not move. ``request`` is where in the log
    that was asked for: of one request each event is to be handled once, however often it comes.
    """

    request: int
    events: tuple[dict[str, Any], ...]


@frozen
class Ping:
    """Are you there? ``cursor`` is the last event you may see, for noticing a gap when quiet."""

    id: int
    cursor: Cursor
    quality: Quality
    rtt_ms: float | None = None


@frozen
class Error:
    """The frame before was refused; the connection lives. ``problem`` is an RFC 9457 object."""

    problem: dict[str, Any]


@frozen
class Bye:
    """The close follows, with this code."""

    code: int
    reason: str
    retry_after_ms: int | None = None


ServerFrame: TypeAlias = (
    Welcome | Events | Live | Skipped | Reset | Replayed | Ping | Refreshed | Error | Bye
)


def frame_type(cls: type[Any]) -> str:
    """The ``type`` by which a frame goes over the wire: ``ReplayAck`` is ``replay_ack``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


_TAGS = {cls: frame_type(cls) for cls in (*get_args(ClientFrame), *get_args(ServerFrame))}


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=False, detailed_validation=False)
    converter.register_unstructure_hook(Cursor, str)
    converter.register_structure_hook(Cursor, _structure_cursor)
    for scalar in (str, int, float):
        converter.register_structure_hook(scalar, _strict)
    configure_tagged_union(ClientFrame, converter, tag_name="type", tag_generator=frame_type)
    configure_tagged_union(ServerFrame, converter, tag_name="type", tag_generator=frame_type)
    return converter


def _structure_cursor(value: Any, _: Any) -> Cursor:
    if not isinstance(value, str):
        raise TypeError("a cursor is a string")
    return Cursor.parse(value)


def _strict(value: Any, kind: type[Any]) -> Any:
    # cattrs would turn 7 into "7" and "7" into 7; a peer that confuses them has a bug to hear of.
    allowed = (int, float) if kind is float else (kind,)
    if not isinstance(value, allowed) or isinstance(value, bool):
        raise TypeError(f"expected {kind.__name__}")
    return value


_CONVERTER = _make_converter()
CLIENT_TYPES = frozenset(_TAGS[cls] for cls in get_args(ClientFrame))
SERVER_TYPES = frozenset(_TAGS[cls] for cls in get_args(ServerFrame))


def decode_client_frame(text: bytes) -> ClientFrame:
    """Read what a client sent; raise :class:`FrameError` on anything that is not a frame.

    Short frames are remembered: a thousand clients that acknowledge the same commit send the same
    bytes, and they are read once, into one object. Those with a token are not.
    """
    frame = _REMEMBERED.get(text)
    if frame is None:
        frame = _structure(text, ClientFrame, CLIENT_TYPES)
        if len(text) <= _REMEMBERED_BYTES_MAX and not isinstance(frame, Hello | Refresh):
            if len(_REMEMBERED) >= _REMEMBERED_MAX:
                _REMEMBERED.clear()
            _REMEMBERED[text] = frame
    return frame


def decode_server_frame(text: bytes | str) -> ServerFrame | None:
    """Read what the server sent; None for a type of a newer server, to be ignored.

    Raises :class:`FrameError` where a known type has the wrong shape.
    """
    frame: ServerFrame | None = _structure(text, ServerFrame, SERVER_TYPES, newer_ok=True)
    return frame


def _structure(
    text: bytes | str, union: Any, known: frozenset[str], *, newer_ok: bool = False
) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise FrameError("not JSON") from None
    if not isinstance(value, dict) or not isinstance(kind := value.get("type"), str):
        raise FrameError("a frame is an object with a type")
    if kind not in known:
        if newer_ok:
            return None
        raise FrameError(f"no frame has the type {kind[:40]!r}")
    try:
        return _CONVERTER.structure(value, union)
    except (CattrsError, ValueError, TypeError, KeyError, AttributeError):
        raise FrameError(f"a malformed {kind} frame") from None


def encode_frame(frame: ClientFrame | ServerFrame) -> bytes:
    """The frame as JSON text bytes; ``events`` are put together below."""
    return orjson.dumps({"type": _TAGS[type(frame)], **_CONVERTER.unstructure(frame)})


def encode_events(after: Cursor, cursor: Cursor, attempt: int, bodies: Sequence[bytes]) -> bytes:
    """An ``events`` frame around events that are already JSON; none of them is decoded."""
    return b'{"type":"events","after":"%b","cursor":"%b","attempt":%d,"events":[%b]}' % (
        str(after).encode(),
        str(cursor).encode(),
        attempt,
        b",".join(bodies),
    )


def encode_replayed(request: int, bodies: Sequence[bytes]) -> bytes:
    """A ``replayed`` frame around events that are already JSON."""
    return b'{"type":"replayed","request":%d,"events":[%b]}' % (request, b",".join(bodies))
