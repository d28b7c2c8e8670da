"""A furnished folder, and a server on it; a test that needs another kind makes its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from attrs import evolve
from starlette.testclient import TestClient

from tests.api.serving import Place, furnished, serving


@pytest.fixture(scope="session")
def furnished_once(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What each test gets a copy of: to make it takes a tenth of a second."""
    return furnished(tmp_path_factory.mktemp("furnished") / "data")


@pytest.fixture(scope="module")
def shared_place(furnished_once: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A furnished folder for a module's tests that change nothing."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    return evolve(furnished_once, folder=copytree(furnished_once.folder, folder))


@pytest.fixture
def place(furnished_once: Place, tmp_path: Path) -> Place:
    """A furnished folder."""
    return Place(copytree(furnished_once.folder, tmp_path / "data"), furnished_once.tokens)


@pytest.fixture
def client(place: Place) -> Iterator[TestClient]:
    """A server on it."""
    with serving(place.folder) as client:
        yield client
