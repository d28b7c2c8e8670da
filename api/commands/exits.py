"""What even the smallest command needs: the settings, and the exit codes of PROTOCOL section 4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from api.settings import Settings, SettingsInvalid, load


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
