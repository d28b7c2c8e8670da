"""How many connections there may be: in all, of a user, from an address, and without a name.

Counting comes before judging: a refusal is to cost less than what it refuses. Each has a name and
is counted under it. What is counted per address is forgotten with the address's last connection,
so the memory of it is bounded by the connections themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from types import MappingProxyType

from attrs import frozen

from transport.connection import Refused
from transport.frames import CloseCode


class Refusal(Enum):
    """Why somebody was not let in, or sent away."""

    STOPPING = "stopping"
    TOTAL = "connections_total"
    USER = "connections_user"
    ADDRESS = "connections_address"
    STRANGERS = "unauthenticated_total"
    RECORDS = "records_full"
    UNSETTLED = "device_unsettled"
    HELLO_LATE = "hello_late"
    HELLO_BAD = "hello_bad"
    UNAUTHORIZED = "unauthorized"
    VERSION = "version"
    TOO_FAST = "too_fast"
    ORIGIN = "origin"


BY_CODE: Mapping[int, Refusal] = MappingProxyType(
    {
        CloseCode.STALLED: Refusal.HELLO_LATE,
        CloseCode.BAD_FRAME: Refusal.HELLO_BAD,
        CloseCode.UNAUTHORIZED: Refusal.UNAUTHORIZED,
        CloseCode.REVOKED: Refusal.UNAUTHORIZED,
        CloseCode.VERSION_NOT_SUPPORTED: Refusal.VERSION,
    }
)
"""What a first frame was refused for; refusals of other codes are counted where they are made."""


@frozen
class Doors:
    """How many at most; one user, or one address, holds half, so that nobody shuts out the others.

    ``strangers`` have not said a good hello yet, for which they have 5 s.
    """

    total: int = 5_000
    user: int = 2_500
    address: int = 2_500
    strangers: int = 2_500


DEFAULT_DOORS = Doors()


class Doorkeeper:
    """Counts who is in, and who was refused."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._refused: Counter[str] = Counter({refusal.value: 0 for refusal in Refusal})
        self._users: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()
        self.strangers = 0
        self.refusals: Mapping[str, int] = MappingProxyType(self._refused)

    def refused(self, refusal: Refusal) -> None:
        """Count one."""
        self._refused[refusal.value] += 1

    def refuse(self, refusal: Refusal, code: CloseCode = CloseCode.OVERLOADED) -> Refused:
        """Count one, and give the exception to raise for it."""
        self.refused(refusal)
        return Refused(code, f"refused: {refusal.value}")

    @contextmanager
    def stranger(self, address: str | None) -> Iterator[None]:
        """Somebody who has not said who they are; raises Refused where there are too many."""
        if self.strangers >= self._doors.strangers:
            raise self.refuse(Refusal.STRANGERS)
        self._check_address(address)
        self.strangers += 1
        self._count(self._addresses, address, 1)
        try:
            yield
        finally:
            self.strangers -= 1
            self._count(self._addresses, address, -1)

    def check(self, connected: int, user: str | None = None) -> None:
        """Whether there is room for one more than ``connected``, and for this user; or Refused."""
        if connected >= self._doors.total:
            raise self.refuse(Refusal.TOTAL)
        if user is not None and self._users[user] >= self._doors.user:
            raise self.refuse(Refusal.USER)

    def _check_address(self, address: str | None) -> None:
        if address is not None and self._addresses[address] >= self._doors.address:
            raise self.refuse(Refusal.ADDRESS)

    def entered(self, user: str, address: str | None) -> None:
        """A session began."""
        self._count(self._users, user, 1)
        self._count(self._addresses, address, 1)

    def left(self, user: str, address: str | None) -> None:
        """It ended."""
        self._count(self._users, user, -1)
        self._count(self._addresses, address, -1)

    @staticmethod
    def _count(counter: Counter[str], name: str | None, by: int) -> None:
        if name is None:
            return
        counter[name] += by
        if not counter[name]:
            del counter[name]
