"""The documents are complete: what the code has, they name. Whether it is true, other tests say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import attrs
import pytest
from starlette.routing import Route

from api.app import ROUTES
from api.operations import OPERATIONS
from api.problems import PROBLEMS
from api.providers import PROVIDERS
from api.settings import Settings
from eventstore.codec import EVENT_TYPES
from eventstore.events import Content
from transport.doorkeeper import Refusal
from transport.frames import ClientFrame, CloseCode, ServerFrame, frame_type

DOCS = Path(__file__).parent.parent / "docs"
PROTOCOL = (DOCS / "protocol.md").read_text()


def table_row(first_cell: str) -> str:
    """The rows of protocol.md that start with this cell (`reset` is a frame and a problem)."""
    rows = re.findall(rf"^\| {re.escape(first_cell)} \|.*$", PROTOCOL, re.MULTILINE)
    assert rows, f"protocol.md has no row for {first_cell}"
    return "\n".join(rows)


@pytest.mark.parametrize("frame", [*get_args(ClientFrame), *get_args(ServerFrame)])
def test_every_frame_and_field_is_documented(frame: type[attrs.AttrsInstance]) -> None:
    """A reader of protocol.md can write a client without reading our code."""
    row = table_row(f"`{frame_type(frame)}`")
    missing = [f.name for f in attrs.fields(frame) if f"`{f.name}" not in row]
    assert not missing


@pytest.mark.parametrize("code", CloseCode)
def test_every_close_code_is_documented(code: CloseCode) -> None:
    """Number and name stand in one row."""
    assert f"`{code.name}`" in table_row(str(code.value))


@pytest.mark.parametrize("type_", sorted(EVENT_TYPES))
def test_every_event_type_is_documented(type_: str) -> None:
    """With its stream and who sees it."""
    assert f"`{type_}`" in PROTOCOL


@pytest.mark.parametrize("content", get_args(Content))
def test_every_kind_of_content_is_documented(content: type) -> None:
    """A client must know which kinds it can meet."""
    assert f"`{content.__name__.lower()}`" in PROTOCOL


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_problem_type_is_documented(problem: object) -> None:
    """Problem types are part of the contract: name and status in one row."""
    assert f"| {problem.status} |" in table_row(f"`{problem.name}`")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, route.path)
        for route in ROUTES
        if isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"})
    ],
)
def test_every_route_is_documented_for_people_and_for_programs(method: str, path: str) -> None:
    """In protocol.md's table, and in the table that /openapi.json is made of."""
    assert re.search(rf"`{method} {re.escape(path)}[?`]", PROTOCOL)
    assert (method, path) in OPERATIONS, "describe it in api/operations.py"


@pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.value)
def test_every_refusal_is_documented(refusal: Refusal) -> None:
    """Their names are what an operator sees counted."""
    assert f"`{refusal.value}`" in PROTOCOL


def test_every_provider_is_documented() -> None:
    """`malote inbox add --provider` takes exactly what the page says."""
    match = re.search(r"--provider (\S+)", PROTOCOL)
    assert match
    assert set(match[1].split("|")) == set(PROVIDERS)


@pytest.mark.parametrize("setting", attrs.fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_is_documented(setting: attrs.Attribute[object]) -> None:
    """Each setting stands in docs/settings.md as its environment variable, with its help text."""
    row = f"| `MALOTE_{setting.name.upper()}` | "
    [line] = [x for x in (DOCS / "settings.md").read_text().splitlines() if x.startswith(row)]
    assert line.endswith(f"| {setting.metadata['typed-settings']['help']} |")
