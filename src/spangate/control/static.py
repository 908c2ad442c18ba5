"""The web UI as files: what its build left, and for every path that a person opens in a browser, its one page.

Files are looked up among those that the build made, so no path leads out of its folder. Whatever is sent has the policy of the pages: they
load and call this origin alone, and stand in nobody's frame.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .policy import READING, Policy, allows

BUILT = Path(__file__).parent / "ui"
PAGE = "/index.html"
ASSETS = "/assets/"
HASHED = re.compile(ASSETS + r".*-[\w-]{8}\.\w+")  # as the build names what it has made: with its content's hash
CODINGS = (("br", ".br"), ("gzip", ".gz"))  # by preference
NOT_PAGES = ("/api/", "/ajax-api/", ASSETS)  # there a 404 in words that programs read is of more use, to people too

# Not from the system's table, which differs from machine to machine: with `nosniff` a wrong one breaks the page.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",  # what was said in a call may hold pictures and sounds; nothing of it is fetched from elsewhere
        "media-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
FOREVER = "public, max-age=31536000, immutable"

UNBUILT = b"""<!doctype html>
<html lang="en">
<title>Spangate</title>
<h1>The web UI is not built here</h1>
<p>In a checkout, <code>make ui</code> builds it; then load this page again. Released packages have it inside.</p>
<p>The gateway works without it: calls, the management API and the command line are all there.</p>
</html>
"""


@dataclass(frozen=True)
class Files:
    """A build's files by their paths, each with the codings that it is there in."""

    mark: tuple[int, int]  # of the page's file, which every build writes anew
    codings: Mapping[str, Mapping[str, Path]]


class Site:
    """The build in a folder; one that is made while we run is seen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: Files | None = None

    def page(self, request: Request) -> Response:
        return self.file(PAGE, request) or Response(UNBUILT, 503, headers=HEADERS | {"cache-control": "no-store"}, media_type="text/html")

    def file(self, path: str, request: Request) -> Response | None:
        files = self._there()
        codings = None if files is None else files.codings.get(path)
        if codings is None:
            return None
        accepted = request.headers.get("accept-encoding", "")
        coding = next((name for name, _ in CODINGS if name in codings and _accepts(accepted, name)), "")
        try:
            content = codings[coding].read_bytes()
        except OSError:  # a build is under way
            return None
        headers = HEADERS | {"vary": "accept-encoding"}
        if coding:
            headers["content-encoding"] = coding
        if HASHED.fullmatch(path):
            headers["cache-control"] = FOREVER
        else:
            headers |= {"cache-control": "no-cache", "etag": (etag := f'"{hashlib.sha256(content).hexdigest()[:32]}"')}
            if etag in request.headers.get("if-none-match", ""):
                return Response(status_code=304, headers=headers)
        # As a header and not as a media type, to which a charset would be added.
        headers["content-type"] = TYPES.get(os.path.splitext(path)[1], "application/octet-stream")
        return Response(content, headers=headers)

    def _there(self) -> Files | None:
        try:
            stat = (self._folder / PAGE[1:]).stat()
        except OSError:
            return None
        mark = (stat.st_mtime_ns, stat.st_ino)
        if self._files is None or self._files.mark != mark:
            self._files = Files(mark, _files(self._folder))
        return self._files


def mount(app: FastAPI, folder: Path) -> None:
    site = Site(folder)

    @app.api_route("/", methods=[*READING], include_in_schema=False, response_model=None)
    @allows(Policy.open)
    def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return site.page(request)

    @app.api_route(ASSETS + "{path:path}", methods=[*READING], include_in_schema=False, response_model=None)
    @allows(Policy.open)
    def asset(path: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        found = site.file(ASSETS + path, request)
        if found is None:
            raise HTTPException(404)
        return found

    nowhere = app.router.default

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        """What no route has: no route of its own, as that would hide which methods the others take. It tells of nothing but the build."""
        if scope["type"] == "http" and scope["method"] in READING:
            request = Request(scope)
            found = await run_in_threadpool(site.file, scope["path"], request)
            if found is None and "text/html" in request.headers.get("accept", "") and not scope["path"].startswith(NOT_PAGES):
                found = await run_in_threadpool(site.page, request)
            if found is not None:
                await found(scope, receive, send)
                return
        await nowhere(scope, receive, send)

    app.router.default = elsewhere


def _files(folder: Path) -> Mapping[str, Mapping[str, Path]]:
    paths = {"/" + file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    siblings = {path + ending for path in paths for _, ending in CODINGS}
    return {
        path: {"": file} | {coding: paths[path + ending] for coding, ending in CODINGS if path + ending in paths}
        for path, file in paths.items()
        if path not in siblings
    }


def _accepts(said: str, coding: str) -> bool:
    for part in said.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == coding:
            return weight.replace(" ", "").rstrip("0.") != "q="
    return False
