"""The package that is published: it contains the web inbox, or it is not built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
INGREDIENTS = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE")
PACKAGES = ("eventstore", "projections", "transport", "api")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a wheel is made of, as it is here now."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in INGREDIENTS:
        shutil.copy(ROOT / name, folder / name)
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def build(project: Path) -> subprocess.CompletedProcess[str]:
    """What `pip wheel` and CI do, without fetching a build backend."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_a_wheel_contains_the_web_inbox(project: Path) -> None:
    """The page, and every asset that the page names."""
    if not (ROOT / "api/static/index.html").is_file():
        pytest.skip("the web inbox is not built here: make web")
    built = build(project)
    assert built.returncode == 0, built.stderr
    [wheel] = (project / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        page = archive.read("api/static/index.html").decode()
    assets = [name for name in names if name.startswith("api/static/assets/")]
    named = re.findall(r'"/assets/([^"]+)"', page)
    assert named
    assert {name.rsplit("/", 1)[1] for name in assets} >= set(named)
    assert "eventstore/schema.sql" in names


def test_a_wheel_without_the_web_inbox_is_not_built(project: Path) -> None:
    """It fails, and says what to do."""
    shutil.rmtree(project / "api/static", ignore_errors=True)
    built = build(project)
    assert built.returncode != 0
    assert "make web" in built.stderr + built.stdout
