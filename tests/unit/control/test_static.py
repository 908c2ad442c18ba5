import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from spangate.control import problems, static
from spangate.control.policy import Guarded, Policy, allows, check

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "accept-encoding": "identity"}
PAGE = b"<!doctype html><script src=/assets/app-B95Sgc4_.js></script>"
SCRIPT = b"console.log(1)" * 20


@pytest.fixture
def built(tmp_path: Path) -> Path:
    ui = tmp_path / "ui"
    (ui / "assets").mkdir(parents=True)
    (ui / "index.html").write_bytes(PAGE)
    (ui / "favicon.svg").write_bytes(b"<svg/>")
    (ui / "assets/app-B95Sgc4_.js").write_bytes(SCRIPT)
    (ui / "assets/app-B95Sgc4_.js.gz").write_bytes(gzip.compress(SCRIPT, mtime=0))
    (ui / "assets/app-B95Sgc4_.js.br").write_bytes(b"as if brotli")
    (ui / "assets/mark.svg").write_bytes(b"<svg>")
    (tmp_path / "secret.txt").write_text("not yours")
    return ui


def application(folder: Path) -> FastAPI:
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.router.route_class = Guarded
    app.state.body_limit = 100
    problems.install(app)

    @app.post("/act")
    @allows(Policy.open)
    def act() -> str:  # pyright: ignore[reportUnusedFunction]
        return "done"

    static.mount(app, folder)
    check(app)
    return app


@pytest.fixture
def browser(built: Path) -> Iterator[TestClient]:
    with TestClient(application(built), headers=BROWSER) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/traces", "/endpoints/chat/edit", "/sign-in", "/nothing.at.all", "/index.html"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whatever_a_person_opens_is_the_page(browser: TestClient, path: str, method: str) -> None:
    answer = browser.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-length"] == str(len(PAGE))
    assert method == "HEAD" or answer.content == PAGE


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/assets/gone.js", 404),
        ("GET", "/assets/", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/ajax-api/nothing", 404),
        ("POST", "/traces", 404),
        ("DELETE", "/assets/app-B95Sgc4_.js", 405),
        ("GET", "/act", 405),
    ],
)
def test_what_is_no_page_is_told_as_ever(browser: TestClient, method: str, path: str, status: int) -> None:
    answer = browser.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


def test_programs_get_no_pages(browser: TestClient) -> None:
    answer = browser.get("/traces", headers={"accept": "*/*"})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert browser.get("/", headers={"accept": "*/*"}).content == PAGE


@pytest.mark.parametrize("path", ["/", "/traces", "/assets/app-B95Sgc4_.js", "/favicon.svg"])
def test_everything_has_the_policy_of_the_pages(browser: TestClient, path: str) -> None:
    headers = browser.get(path).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "microphone=()" in headers["permissions-policy"]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("br;q=0, gzip;q=1.0", "gzip"),
        ("br; q=0.000", None),
        ("deflate", None),
        ("identity", None),
    ],
)
def test_assets_are_kept_for_good_and_come_packed(browser: TestClient, accepted: str, coding: str | None) -> None:
    with browser.stream("GET", "/assets/app-B95Sgc4_.js", headers={"accept-encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    assert raw == {"br": b"as if brotli", "gzip": gzip.compress(SCRIPT, mtime=0), None: SCRIPT}[coding]
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "accept-encoding"


def test_what_may_change_is_asked_for_again(browser: TestClient, built: Path) -> None:
    tags = {path: browser.get(path).headers["etag"] for path in ("/", "/favicon.svg", "/assets/mark.svg")}
    assert {browser.get(path).headers["cache-control"] for path in tags} == {"no-cache"}
    again = browser.get("/", headers={"if-none-match": f'W/"x", W/{tags["/"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tags["/"])
    assert "content-security-policy" in again.headers
    assert browser.get("/", headers={"if-none-match": tags["/favicon.svg"]}).status_code == 200
    icon = browser.get("/favicon.svg", headers={"accept": "image/*"})
    assert (icon.content, icon.headers["content-type"]) == (b"<svg/>", "image/svg+xml")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/assets//../secret.txt",
        "/..%2fsecret.txt",
        "/assets/app-B95Sgc4_.js.gz",
        "/assets/app-B95Sgc4_.js%00",
    ],
)
def test_no_path_leads_elsewhere(browser: TestClient, path: str) -> None:
    answer = browser.get(path, headers={"accept": "*/*"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


def test_a_build_that_comes_later_is_seen(tmp_path: Path) -> None:
    with TestClient(application(tmp_path / "ui"), headers=BROWSER) as client:
        for path in ("/", "/traces"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
            assert "make ui" in answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert client.get("/assets/a.js").status_code == 404
        (tmp_path / "ui/assets").mkdir(parents=True)
        (tmp_path / "ui/assets/a.js").write_text("a")
        (tmp_path / "ui/index.html").write_text("one")
        assert (client.get("/traces").text, client.get("/assets/a.js").text) == ("one", "a")
        (tmp_path / "ui/assets/b.js").write_text("b")
        (tmp_path / "ui/index.html").write_text("two")
        os.utime(tmp_path / "ui/index.html", ns=(1, 1))
        assert (client.get("/").text, client.get("/assets/b.js").text) == ("two", "b")
