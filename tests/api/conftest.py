"""A furnished folder, and a server on it; a test that needs another kind makes its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.api.serving import Place, furnished, serving


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A furnished folder."""
    return furnished(tmp_path / "data")


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A server on it."""
    with serving(place.folder) as client:
        yield client
