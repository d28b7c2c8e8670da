"""The house keeps its shape: who may import whom, and what pure files may not touch.

DESIGN section 3. The arrows are read from the source with `ast`, so that an import inside a
function or under a condition counts like any other.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("eventstore", "projections", "transport", "api")
MAY_IMPORT = {
    "eventstore": set(),
    "projections": {"eventstore"},
    "transport": {"eventstore"},
    "api": {"eventstore", "projections", "transport"},
}
EFFECTS = {"asyncio", "time", "random", "sqlite3", "aiosqlite", "starlette", "uvicorn"}
DOES_IO = {
    "eventstore": {
        *("backup", "commit", "connection", "folder", "log", "mark", "reader", "transfer"),
        *("verify", "waiting", "writer"),
    },
    "projections": {"lanes", "projector", "reading", "store"},
    "transport": {
        *(
            "client",
            "client_inbox",
            "client_link",
            "client_socket",
            "cursor_store",
            "direct",
            "http_protocol",
            "turnstile",
            "arrivals",
        ),
        *("hub", "recorder", "replayer", "server", "websocket", "websocket_protocol"),
    },
}
"""Modules of the lower packages that may touch clocks, loops, sockets or disks; no other may."""
PURE_IN_API = ("api/providers/", "api/strict_json.py", "api/simulat")

SOURCES = sorted(
    str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
)


def imported_roots(source: str) -> set[str]:
    """The top-level names a source text imports."""
    roots: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            roots.add((node.module or "").split(".")[0])
    return roots


def is_pure(path: str) -> bool:
    """Whether a file must do without clocks, loops, sockets and disks."""
    package, _, module = path.removesuffix(".py").partition("/")
    if package == "api":
        return path.startswith(PURE_IN_API)
    return module not in DOES_IO[package]


def test_the_sources_are_found() -> None:
    """A moved package must not turn the tests below into tests of nothing."""
    assert {path.split("/")[0] for path in SOURCES} == set(PACKAGES)
    listed = {f"{package}/{module}.py" for package, names in DOES_IO.items() for module in names}
    assert set(SOURCES) >= listed, f"gone, or renamed: {listed - set(SOURCES)}"


@pytest.mark.parametrize("path", SOURCES)
def test_a_package_imports_only_what_lies_below_it(path: str) -> None:
    """Projections and transport stand on eventstore, api on all three."""
    package = path.split("/")[0]
    ours = imported_roots((ROOT / path).read_text()) & set(PACKAGES)
    assert ours - {package} <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", [path for path in SOURCES if is_pure(path)])
def test_a_pure_file_touches_no_clock_loop_socket_or_disk(path: str) -> None:
    """What is pure can be simulated for thousands of hours; one import would end that."""
    assert not imported_roots((ROOT / path).read_text()) & EFFECTS


def test_the_verifier_shares_no_code_with_the_server() -> None:
    """An auditor copies one file; it must not inherit the bug it is to find (security row 36)."""
    assert not imported_roots((ROOT / "eventstore/verify.py").read_text()) & set(PACKAGES)


@pytest.mark.parametrize("path", SOURCES)
def test_digests_are_compared_in_constant_time_only(path: str) -> None:
    """No `==` on anything called digest or signature (security row 3)."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if not isinstance(node, ast.Compare):
            continue
        if not any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
            continue
        names = [ast.unparse(side).lower() for side in (node.left, *node.comparators)]
        secret = [name for name in names if name.endswith(("signature", "token_digest"))]
        assert not secret, f"{path}:{node.lineno} compares {secret} with =="


def test_no_module_is_called_utils() -> None:
    """A file is named after its noun; `utils` is what is left when nobody found one."""
    assert not [path for path in SOURCES if Path(path).stem in {"utils", "helpers", "common"}]
