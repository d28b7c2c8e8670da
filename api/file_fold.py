"""Rows made of a log's file, in memory: without the server, and without its projections' file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import takewhile

from api.log_reader import LogReader
from projections.projection import Projection
from projections.store import MEMORY, Store


@contextmanager
def folded(log: LogReader, projections: Sequence[Projection], until: int) -> Iterator[Store]:
    """A store of these projections' rows as of a position, or of the log's end before it."""
    with closing(Store(MEMORY, projections, log.epoch)) as store:
        names = tuple(store.cursors)
        while page := list(takewhile(lambda e: e.position <= until, log.after(store.position))):
            store.fold(page, names)
        yield store
