"""Which web pages may open a WebSocket (security row 18).

A browser sends ``Origin`` with every WebSocket and lets any page open one, cookies or not; so the
server has to look. Compared are scheme, host and port, never text that merely starts alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

_FORM = re.compile(
    r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", re.IGNORECASE | re.ASCII
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@frozen
class Origin:
    """Scheme, host and port of a page."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """Read ``scheme://host[:port]``; None for anything else, ``null`` included."""
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        scheme = match[1].lower()
        port = int(match[3]) if match[3] else _DEFAULT_PORTS[scheme]
        return cls(scheme, match[2].lower(), port)


class OriginList:
    """The exact origins that may connect. Raises ValueError for an entry that is no origin."""

    def __init__(self, allowed: Iterable[str]) -> None:
        origins = {text: Origin.parse(text) for text in allowed}
        malformed = [text for text, origin in origins.items() if origin is None]
        if malformed:
            raise ValueError(f"not an origin (scheme://host[:port]): {', '.join(malformed)}")
        self._allowed = frozenset(origins.values())

    def allows(self, origins: list[str]) -> bool:
        """Judge a request's ``Origin`` headers. None at all is no browser: the token decides."""
        if not origins:
            return True
        return len(origins) == 1 and Origin.parse(origins[0]) in self._allowed - {None}
