"""Per inbox its newest visible event, as far as commits have told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eventstore.cursor import Cursor


class Newest:
    """The newest event of each inbox that was touched since ``since``, a position.

    What an inbox received before is unknown here, but lies at or below ``since``.
    """

    def __init__(self, since: int) -> None:
        self._since = since
        self._cursors: dict[str, Cursor] = {}

    def update(self, cursors: Mapping[str, Cursor]) -> None:
        """A commit brought these inboxes to these cursors."""
        self._cursors.update(cursors)

    def bound(self, inboxes: Iterable[str]) -> int:
        """A position beyond which these inboxes have nothing; exact for what came since."""
        cursors, since = self._cursors, self._since
        positions = (cursors[name].position if name in cursors else since for name in inboxes)
        return max(positions, default=0)

    def seen(self, inboxes: frozenset[str] | None) -> Cursor | None:
        """The newest event that came since in these inboxes (None: in any), if one did."""
        known = self._cursors if inboxes is None else inboxes & self._cursors.keys()
        return max((self._cursors[name] for name in known), key=_position, default=None)


def _position(cursor: Cursor) -> int:
    return cursor.position
