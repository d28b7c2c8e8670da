"""The wheel's build hook: a package without the web inbox is not built, it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class InboxBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Demands what ``make web`` builds; ``pip install -e`` links the source and needs none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called before a wheel is put together."""
        page = Path(self.root, "api", "static", "index.html")
        if version != "editable" and not page.is_file():
            raise FileNotFoundError("the web inbox is not built: run `make web` first")
