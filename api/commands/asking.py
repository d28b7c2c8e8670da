"""How a command has its work done: by the running server, or here; what goes wrong is one line."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from api import control
from api.actions import ActionRefused
from api.commands.exits import CannotStart, Failed, data_folder
from api.records import CannotOpen
from eventstore.log import LogUnavailable

T = TypeVar("T")


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what our own code raises into one clear line and the right exit code."""
    try:
        yield
    except (ActionRefused, LogUnavailable) as refused:
        raise Failed(str(refused)) from None
    except CannotOpen as closed:
        raise CannotStart(str(closed)) from None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end, with :func:`exit_codes`."""
    with exit_codes():
        return asyncio.run(work)


def ask(action: str, **args: Any) -> Any:
    """Have the running server do an action, or do it here when none runs."""
    return run(control.call(data_folder(), action, **args))
