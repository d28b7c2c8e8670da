"""The web inbox as it is served: headers, caching, and nothing of the disk but what was built."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from api.app import EXCEPTION_HANDLERS, create_app
from api.routes.inbox import WebInbox
from api.settings import Settings

SCRIPT = "/* a script */ " * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a build leaves, and a file beside it that must not get out."""
    built = tmp_path / "static"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>Malote</title>")
    (built / "assets" / "index-1a2b3c4d.js").write_text(SCRIPT)
    (tmp_path / "secret").write_text("secret")
    return built


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    """A client of the built inbox."""
    app = Starlette(routes=WebInbox(folder).routes, exception_handlers=EXCEPTION_HANDLERS)
    with TestClient(app) as client:
        yield client


def test_the_page_allows_no_inline_script_and_no_html_from_strings(client: TestClient) -> None:
    """Security row 32; and nobody frames it."""
    answer = client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_assets_are_kept_for_ever_and_the_page_is_asked_for_anew(client: TestClient) -> None:
    """An asset's name has its content's hash; a page kept would name assets that are gone."""
    assert "immutable" in client.get("/assets/index-1a2b3c4d.js").headers["cache-control"]
    page = client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_asset_travels_gzipped_to_whoever_takes_that(client: TestClient) -> None:
    """And as it is to whoever does not."""
    path = "/assets/index-1a2b3c4d.js"
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())).decode() == SCRIPT
    bare = client.get(path, headers={"Accept-Encoding": "identity"})
    assert (bare.text, "content-encoding" in bare.headers) == (SCRIPT, False)


@pytest.mark.parametrize(
    "path",
    [
        *("/assets/..%2f..%2fsecret", "/assets/%2e%2e/%2e%2e/secret", "/assets/../../secret"),
        *("/assets/", "/assets/none.js", "/static/index.html", "/assets/index-1a2b3c4d.js%00"),
    ],
)
def test_nothing_but_what_was_built_can_be_asked_for(client: TestClient, path: str) -> None:
    """A name is looked up among those read at the start (security row 44)."""
    assert client.get(path).status_code == 404


def test_ranges_cost_nothing(client: TestClient) -> None:
    """Ten thousand of them are one whole answer."""
    ranges = "bytes=" + ",".join(f"{n}-{n}" for n in range(2_000))
    answer = client.get("/assets/index-1a2b3c4d.js", headers={"Range": ranges})
    assert (answer.status_code, answer.text) == (200, SCRIPT)


def test_without_a_build_the_page_says_so(tmp_path: Path) -> None:
    """And how to build it; the API does not depend on it."""
    app = Starlette(routes=WebInbox(tmp_path).routes)
    answer = TestClient(app).get("/")
    assert answer.status_code == 503
    assert "make web" in answer.text


def test_the_application_serves_the_inbox_beside_the_common_headers(tmp_path: Path) -> None:
    """The page's own policy wins over the API's; the rest is as on every answer."""
    with TestClient(
        create_app(Settings(data=tmp_path / "data")), base_url="http://localhost"
    ) as client:
        answer = client.get("/")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-request-id"]
