"""What every command shares: the data folder, and the exit codes of PROTOCOL section 4."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from api import control
from api.actions import ActionRefused
from api.house import CannotOpen
from api.settings import Settings, SettingsInvalid, load
from eventstore.log import LogUnavailable

T = TypeVar("T")


class Failed(click.ClickException):
    """It was tried, and did not work: exit code 1."""

    exit_code = 1


class CannotStart(click.ClickException):
    """It could not even begin: exit code 3."""

    exit_code = 3


def settings(**overrides: Any) -> Settings:
    """The settings; a wrong one is a usage error, exit code 2."""
    try:
        return load(**overrides)
    except SettingsInvalid as invalid:
        raise click.UsageError(str(invalid)) from None


def data_folder() -> Path:
    """Where everything is."""
    return settings().data


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
