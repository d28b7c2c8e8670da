"""WebSocket framing (RFC 6455 section 5), as much as a server needs to stay fast.

Two pure things: the bytes of a text frame, so that one frame serves a thousand sockets, and a
splitter that cuts what arrives into whole frames. Short texts, which is what clients send, are
unmasked here; every other frame is for websockets' own parser. Because that is only ever given
whole frames, both can be used on one connection in any order.
"""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the wheel's C extension
    from websockets.utils import apply_mask

_FIN_TEXT = 0x81
_MASKED = 0x80
_LENGTH_BITS = 0x7F
_SHORT_MAX = 125
_TWO_BYTES, _EIGHT_BYTES = 126, 127
_MASK_BYTES = 4
_HEADER_BYTES_MIN = 2
_SHORT_HEADER_BYTES = 6


def text_frame(payload: bytes) -> bytes:
    """One unmasked, final text frame around ``payload``: what a server sends."""
    size = len(payload)
    if size <= _SHORT_MAX:
        return b"\x81%c%b" % (size, payload)
    if size < 1 << 16:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), payload)


def short_text(frame: bytes) -> bytes | None:
    """The payload if these bytes are exactly one short, masked, final text frame, else None."""
    size = len(frame) - _SHORT_HEADER_BYTES
    if 0 <= size <= _SHORT_MAX and frame[0] == _FIN_TEXT and frame[1] == _MASKED + size:
        return apply_mask(frame[6:], frame[2:6])
    return None


class FrameSplitter:
    """Cuts a byte stream into frames as they came, and has ``held`` what is incomplete.

    A header that promises more than ``payload_bytes_max`` is handed out at once, as if it were a
    frame, so that nobody makes us store what will be refused anyway.
    """

    __slots__ = ("_payload_bytes_max", "held")

    def __init__(self, payload_bytes_max: int) -> None:
        self._payload_bytes_max = payload_bytes_max
        self.held = b""

    def split(self, data: bytes, most: int | None = None) -> list[bytes]:
        """Take bytes; return the frames that are complete, ``most`` of them where it is given."""
        if self.held:
            data = self.held + data
            self.held = b""
        frames: list[bytes] = []
        start, end = 0, len(data)
        while start < end:
            stop = self._frame_end(data, start)
            if stop is None or stop > end or len(frames) == most:
                self.held = data[start:]
                break
            frames.append(data[start:stop])
            start = stop
        return frames

    def _frame_end(self, data: bytes, start: int) -> int | None:
        """Where the frame at ``start`` ends; None while its header is incomplete."""
        if len(data) - start < _HEADER_BYTES_MIN:
            return None
        length = data[start + 1] & _LENGTH_BITS
        body = start + _HEADER_BYTES_MIN
        if length >= _TWO_BYTES:
            width = 2 if length == _TWO_BYTES else 8
            if len(data) < body + width:
                return None
            length = int.from_bytes(data[body : body + width], "big")
            body += width
        if length > self._payload_bytes_max:
            return len(data)
        return body + length + (_MASK_BYTES if data[start + 1] & _MASKED else 0)
