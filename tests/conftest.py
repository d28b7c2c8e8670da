"""What all tests share: no deadlines, because no test asserts a time; loggers of one's own."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# Each HTTP client would read all of the machine's certificates, for 60 ms; none here speaks TLS.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = os.devnull

settings.register_profile("malote", parent=settings.default, deadline=None)
settings.load_profile("malote")

_LONG = ("tests/acceptance/", "tests/projections/test_long_past.py", "Machine")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker begins with its share of what takes long.

    Begun last, a test of a minute would have one processor to itself and leave the others idle.
    """
    long = [item for item in items if any(name in item.nodeid for name in _LONG)]
    short = [item for item in items if item not in long]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    # The scheduler deals out the list in as many parts as there are workers, one after the other.
    left, items[:] = len(items), []
    for number in range(workers):
        share = long[number::workers]
        part = left // (workers - number)
        fill = max(0, part - len(share))
        items += share + short[:fill]
        del short[:fill]
        left -= part
    items += short


_LOGGERS = ("", "malote", "api", "eventstore", "projections", "transport", "uvicorn")


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """Undo what a test configured, or the next one in this process prints more lines."""
    before = {
        name: (log.level, log.handlers[:]) for name in _LOGGERS if (log := logging.getLogger(name))
    }
    yield
    structlog.reset_defaults()
    for name, (level, handlers) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers
