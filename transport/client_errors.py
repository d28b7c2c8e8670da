"""What the client tells the application by raising it.

::

    ClientError
    ├── Stopped              the client will not come back by itself
    │   ├── Unauthorized         4501, or 401 before the upgrade
    │   ├── Revoked              4503
    │   ├── VersionNotSupported  4505, or a server without ``malote.v1``
    │   ├── OriginRefused        403 before the upgrade
    │   └── GaveUp               ``max_attempts`` attempts failed in a row
    ├── SyncRefused          ``sync``: an answer that is no page; ``retry_after_s`` may say when
    ├── SyncUnverified       ``sync``: a page that is not what its receipt says
    └── Interrupted          the history is not one unbroken line for this device; handle and go on
        ├── HistoryReset         carries ``reset``
        └── EventsSkipped        carries ``skipped``
"""

from __future__ import annotations

from transport.frames import Reset, Skipped


class ClientError(Exception):
    """Everything this client raises on its own account."""


class Stopped(ClientError):
    """The server does not want this client back: ``code`` is the close code, or the HTTP status."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason or 'no reason given'} ({code})")
        self.code = code
        self.reason = reason


class Unauthorized(Stopped):
    """The token is not taken: unknown, expired or malformed."""


class Revoked(Stopped):
    """The token was taken back, or its user may see nothing any more."""


class VersionNotSupported(Stopped):
    """The server speaks another version of the protocol."""


class OriginRefused(Stopped):
    """The server, or something before it, forbids the upgrade itself."""


class GaveUp(Stopped):
    """``max_attempts`` attempts in a row failed; ``code`` and ``reason`` are the last one's."""


class SyncRefused(ClientError):
    """``/v1/sync`` answered ``status``; asking again may help with 429 and 5xx."""

    def __init__(self, status: int, reason: str, retry_after_s: float) -> None:
        super().__init__(f"{reason or 'no reason given'} ({status})")
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


class SyncUnverified(ClientError):
    """A page of ``/v1/sync`` was not what its receipt says, and nothing of it was handed out."""


class Interrupted(ClientError):
    """Raised between two events where no handler was given, so that it cannot be overlooked."""


class HistoryReset(Interrupted):
    """The cursor is not of the server's history: load the conversations, then go on."""

    def __init__(self, reset: Reset) -> None:
        super().__init__(f"{reset.reason}: what this device knows must be loaded anew")
        self.reset = reset


class EventsSkipped(Interrupted):
    """Events fell out of this device's offline queue; they are still in ``/v1/sync``."""

    def __init__(self, skipped: Skipped) -> None:
        super().__init__(f"{skipped.count} events after {skipped.after} ({skipped.reason})")
        self.skipped = skipped
