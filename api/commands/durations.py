"""Durations as people write them: 90s, 15m, 12h, 30d."""

from __future__ import annotations

import re

import click

_FORM = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_S = 100 * 365 * 86_400


class Duration(click.ParamType[int]):
    """Seconds, from a number and a unit."""

    name = "duration"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read ``30d`` and its like; anything else is a usage error."""
        if isinstance(value, int):
            return value
        match = _FORM.fullmatch(value)
        if match is None or (seconds := int(match[1]) * _UNIT_S[match[2]]) > _LONGEST_S:
            self.fail(f"{value!r} is not a duration such as 90s, 15m, 12h or 30d", param, ctx)
        return seconds


DURATION = Duration()
