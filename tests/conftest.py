"""What all tests share: no deadlines, because no test asserts a time; loggers of one's own."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("malote", parent=settings.default, deadline=None)
settings.load_profile("malote")

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
