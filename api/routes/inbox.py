"""GET / and /assets/…: the web inbox, built from ``web/`` into ``api/static/``.

All of it is read into memory at the start, a few hundred kilobytes: no path of a request ever
reaches the disk, and a ``Range`` is not even looked at (security row 44). Names of assets contain
the hash of their content, so a browser may keep them for ever; the page itself it asks for anew.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path

from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

STATIC = Path(__file__).parent.parent / "static"
GZIP_BYTES_MIN = 1024
_PACKED = ("image/png", "font/")

# What contacts write is shown as text. Should a bug ever make it more, these still run nothing:
# no inline script, no eval, no HTML from a string, nothing from elsewhere.
PAGE_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "object-src 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-cache",
}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}

_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Malote</title>
<h1>The web inbox was not built</h1>
<p>The server runs, and its API works. Build the inbox with <code>make web</code> in the project's
folder and start the server again; packages from a release contain it.</p></html>
"""


@frozen
class Asset:
    """One file, ready to be sent: as it is, and gzipped where that saves something."""

    body: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, path: Path) -> Asset:
        """Read a file."""
        body = path.read_bytes()
        media_type = guess_type(path.name)[0] or "application/octet-stream"
        return cls(body, media_type, f'"{sha256(body).hexdigest()[:32]}"')

    @cached_property
    def zipped(self) -> bytes | None:
        """Made for the first browser that asks: it takes as long as half the start of a server."""
        small = len(self.body) < GZIP_BYTES_MIN or self.media_type.startswith(_PACKED)
        return None if small else gzip.compress(self.body, mtime=0)

    def response(self, request: Request, headers: Mapping[str, str]) -> Response:
        """The answer to this request: the body, or that the browser has it."""
        told = {**headers, "ETag": self.etag, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=told)
        if "gzip" in request.headers.get("accept-encoding", "") and self.zipped is not None:
            told["Content-Encoding"] = "gzip"
            return Response(self.zipped, headers=told, media_type=self.media_type)
        return Response(self.body, headers=told, media_type=self.media_type)


class WebInbox:
    """The built inbox in memory; without one, a page that says how to build it."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._assets = {
            path.name: Asset.of(path) for path in folder.glob("assets/*") if path.is_file()
        }
        page = folder / "index.html"
        self._page = Asset.of(page) if page.is_file() else None

    @property
    def routes(self) -> tuple[Route, Route]:
        """The page, and what it loads."""
        return (Route("/", self.get_page), Route("/assets/{name}", self.get_asset))

    async def get_page(self, request: Request) -> Response:
        """The one page; everything else happens in it."""
        if self._page is None:
            return HTMLResponse(_NOT_BUILT, status_code=503)
        return self._page.response(request, PAGE_HEADERS)

    async def get_asset(self, request: Request) -> Response:
        """A script, a style or a picture, by its name with the hash in it."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        return asset.response(request, FOR_EVER)
