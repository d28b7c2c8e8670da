"""How long a session waits for an ack, and what it does when none comes.

::

    nothing in flight        idle
    in flight, no progress   wait: 5 to 30 s by the round trip, then 10, 20, 40, 60 s
    overdue                  PROVE: ping, and wait for the pong, which the heartbeat bounds
    overdue, proven alive    RETRY, until the event was sent five times; then PARK it

Only a proof moves on to the next attempt. A dead link never proves anything and is closed by its
heartbeat, so a laptop that sleeps for an hour is not retried, and nothing of it is parked.

One event that cannot be handled costs one park. Where the next events fare no better, it is not the
events: after three parks in a row without an ack the session is closed with 4410 instead (GIVE_UP),
or a client that handles nothing would have all of its mail put aside.
"""

from __future__ import annotations

from enum import Enum, auto

ACK_WAIT_MIN_S = 5.0
ACK_WAIT_MAX_S = 30.0
ATTEMPTS_MAX = 5
BACKOFF_S = (10.0, 20.0, 40.0, 60.0)
"""How long each attempt but the first is given."""
PARKS_MAX = 3
_ROUND_TRIPS = 10
NEVER = float("inf")


def ack_wait_s(timeout_s: float) -> float:
    """How long the first attempt is given; ``timeout_s`` is what a round trip may take."""
    return min(ACK_WAIT_MAX_S, max(ACK_WAIT_MIN_S, _ROUND_TRIPS * timeout_s))


class Step(Enum):
    """What is to be done about an ack that did not come."""

    WAIT = auto()
    PROVE = auto()
    RETRY = auto()
    PARK = auto()
    GIVE_UP = auto()


class Patience:
    """See the rules at the top of this file; ``now`` is in seconds, monotonic.

    ``due`` is when the ack is overdue, :data:`NEVER` while nothing is in flight. ``attempt`` is how
    often the oldest event in flight was sent, ``waited_s`` how long the present attempt is given,
    ``parks`` how many events in a row were parked with no ack between.
    """

    __slots__ = ("attempt", "due", "parks", "waited_s")

    def __init__(self) -> None:
        self.attempt = 1
        self.due = NEVER
        self.waited_s = 0.0
        self.parks = 0

    def begin(self, now: float, wait_s: float) -> None:
        """Something is in flight; ``wait_s`` is what a first attempt is given."""
        if self.attempt > 1:
            wait_s = max(wait_s, BACKOFF_S[min(self.attempt, ATTEMPTS_MAX) - 2])
        self.waited_s = wait_s
        self.due = now + wait_s

    def progressed(self, due: float, wait_s: float) -> None:
        """The client handled something: what is left in flight begins with its first attempt.

        ``due`` is ``now + wait_s``, or :data:`NEVER` where nothing is left.
        """
        self.attempt = 1
        self.parks = 0
        self.due = due
        self.waited_s = wait_s

    def retried(self) -> None:
        """All that is in flight is to be sent again."""
        self.attempt += 1
        self.due = NEVER

    def step(self, now: float, proven_at: float) -> Step:
        """What is due; the peer is known to have lived at ``proven_at``."""
        if now < self.due:
            return Step.WAIT
        if proven_at < self.due:
            return Step.PROVE
        if self.attempt < ATTEMPTS_MAX:
            return Step.RETRY
        return Step.PARK if self.parks < PARKS_MAX else Step.GIVE_UP
