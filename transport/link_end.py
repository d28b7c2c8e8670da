"""Why a client's link ended, and whether that is final."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from transport.client_errors import (
    OriginRefused,
    Revoked,
    Stopped,
    Unauthorized,
    VersionNotSupported,
)
from transport.frames import CloseCode, may_reconnect

_BY_CODE: Mapping[int, type[Stopped]] = {
    CloseCode.UNAUTHORIZED: Unauthorized,
    CloseCode.REVOKED: Revoked,
    CloseCode.VERSION_NOT_SUPPORTED: VersionNotSupported,
}
_BY_STATUS: Mapping[int, type[Stopped]] = {
    401: Unauthorized,
    403: OriginRefused,
    426: VersionNotSupported,
}
_STATUS_OF_THE_MOMENT = frozenset({408, 425, 429})


@frozen
class LinkEnd:
    """Why a link ended or did not come about; ``status`` is that of a refused handshake."""

    code: int = CloseCode.ABNORMAL
    reason: str = ""
    status: int | None = None
    retry_after_s: float = 0.0


def stop_reason(end: LinkEnd) -> Stopped | None:
    """The error that ends the client for good after this, or None: come back.

    Final are the close codes 4500-4999, and a handshake answered with 3xx or 4xx: it is the wrong
    place or the wrong caller. All else is the network, a restart, or (408, 425, 429) the moment.
    """
    if end.status is None:
        final = not may_reconnect(end.code)
        return _BY_CODE.get(end.code, Stopped)(end.code, end.reason) if final else None
    final = end.status < 500 and end.status not in _STATUS_OF_THE_MOMENT
    return _BY_STATUS.get(end.status, Stopped)(end.status, end.reason) if final else None
