"""The one rule for what people name: inboxes and users."""

from __future__ import annotations

import re

NAME_RULE = "1 to 64 characters: letters, digits and . _ @ | + : -, a letter or digit first"
# No slash, which ends the user in `client:<user>/<device>`; nothing that needs care in a terminal.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@|+:-]{0,63}", re.ASCII)


def is_name(value: object) -> bool:
    """Whether it can name an inbox or a user."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
