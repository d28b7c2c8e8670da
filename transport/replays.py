"""Parked events of one device that are delivered again on request, as one session sees them.

::

    wanted --sent--> awaited --replay_ack--> handled
                        +--nack--> parked again

* They lie below the client's cursor, so no ``events`` frame can carry them and no ``ack`` can speak
  of them: ``replayed`` carries them, and ``replay_ack`` names them one by one.
* What lies beyond the ack floor waits: until then the client may get it the usual way.
* One frame is on the way at a time, beside the window. A client that does not know the frame never
  answers it, and is sent one a session.
* What is not acknowledged comes again with the device's next session, and only then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

REPLAYS_MAX = 1_000
"""How many may be asked for and not yet handled, of one device."""


class Replays:
    """See the rules at the top of this file. ``wanted`` maps positions to their requests.

    A request is named by where in the log it is.
    """

    __slots__ = ("_awaited", "_wanted")

    def __init__(self, wanted: Mapping[int, int] | None = None) -> None:
        self._wanted = dict(wanted or {})
        self._awaited: dict[int, int] = {}

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send and nothing to wait for."""
        return not self._wanted and not self._awaited

    def ask(self, request: int, positions: Iterable[int]) -> None:
        """These are to be sent, unless an earlier request brings them."""
        for position in positions:
            if position not in self._awaited:
                self._wanted.setdefault(position, request)

    def due(self, floor: int, most: int) -> tuple[int, list[int]] | None:
        """The oldest request and the first ``most`` of its positions; None while none is due."""
        if self._awaited:
            return None
        ready = [(request, at) for at, request in self._wanted.items() if at <= floor]
        if not ready:
            return None
        oldest = min(ready)[0]
        return oldest, sorted(at for request, at in ready if request == oldest)[:most]

    def sent(self, request: int, positions: Sequence[int]) -> None:
        """They are on their way."""
        self.pass_over(positions)
        self._awaited |= dict.fromkeys(positions, request)

    def pass_over(self, positions: Iterable[int]) -> None:
        """They are not to be sent on this session: its user may not see them now."""
        for position in positions:
            self._wanted.pop(position, None)

    def acknowledge(self, request: int, positions: Iterable[int]) -> tuple[int, ...]:
        """Those of the positions that were awaited, and are no more."""
        handled = sorted({at for at in positions if self._awaited.get(at) == request})
        for position in handled:
            del self._awaited[position]
        return tuple(handled)

    def put_aside(self, position: int) -> bool:
        """Whether the position was awaited; it is no more."""
        return self._awaited.pop(position, None) is not None
