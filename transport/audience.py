"""Sessions that may see the same inboxes: they read the same pages, so each is made once."""

from __future__ import annotations

from collections.abc import Sequence

from eventstore.cursor import Cursor
from eventstore.tail import Tail, Visible
from transport.page import PAGE_BYTES_MAX, PAGE_EVENTS_MAX, Page

PAGES_MAX = 64


class NotInMemory(Exception):
    """The tail does not reach back that far; the disk does."""


class Audience:
    """One set of inboxes: its newest event, and the pages already made since the last commit.

    ``newest`` is a position; nothing these inboxes may see lies beyond it.
    """

    __slots__ = ("_pages", "_tail", "inboxes", "newest")

    def __init__(self, inboxes: frozenset[str], tail: Tail, newest: int) -> None:
        self.inboxes = inboxes
        self.newest = newest
        self._tail = tail
        self._pages: dict[tuple[int, int], Page | None] = {}

    def advanced(self, newest: int) -> None:
        """A commit touched these inboxes: what was read before may be short of it."""
        self.newest = newest
        self._pages.clear()

    def page(self, after: Cursor, scanned: int) -> Page | None:
        """The page of a session that was sent ``after`` and has seen all up to ``scanned``.

        None if there is nothing more; raises :class:`NotInMemory`. The key needs no hash: ``after``
        is always a cursor of this log, never a client's word.
        """
        key = (after.position, scanned)
        try:
            return self._pages[key]
        except KeyError:
            events = self._tail.read(scanned, PAGE_EVENTS_MAX, self.inboxes, PAGE_BYTES_MAX)
            if events is None:
                raise NotInMemory from None
            return self.keep(after, scanned, events)

    def keep(self, after: Cursor, scanned: int, events: Sequence[Visible]) -> Page | None:
        """Remember what was read for such a session, for others that come back with it."""
        if len(self._pages) >= PAGES_MAX:
            self._pages.clear()
        page = Page.of(after, events) if events else None
        self._pages[after.position, scanned] = page
        return page
