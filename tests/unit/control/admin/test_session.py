"""Signing in, as a browser does it: over HTTP, with cookies that it keeps by itself."""

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from spangate import __version__
from spangate.config import Settings
from spangate.control.admin import session
from spangate.control.app import Control

SESSION = "/api/v1/session"
OURS = {"sec-fetch-site": "same-origin"}
THEIRS = {"sec-fetch-site": "cross-site"}
ADMIN = {
    "name": "admin",
    "role": "admin",
    "key_id": "admin",
    "endpoints": None,
    "experiments": None,
    "version": __version__,
}


@pytest.fixture
def browser(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setattr(session, "WRONG", 0.0)
    with httpx.Client(base_url=gateway.url, headers=OURS, trust_env=False) as client:
        yield client


def signed_in(browser: httpx.Client, key: str) -> dict[str, Any]:
    answer = browser.post(SESSION, json={"key": key})
    assert answer.status_code == 200, answer.text
    return answer.json()


def made(http: httpx.Client, **said: Any) -> dict[str, Any]:
    return http.post("/api/v1/keys", json=said).json()


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def test_a_key_begins_a_session_and_signing_out_ends_it(gateway: Any, browser: httpx.Client) -> None:
    assert refused(browser.get(SESSION)) == (401, "UNAUTHENTICATED")
    answer = browser.post(SESSION, json={"key": f" {gateway.key}\n"})
    told = answer.json()
    left = datetime.datetime.fromisoformat(told.pop("expires_at")) - datetime.datetime.now(datetime.UTC)
    assert told == ADMIN
    assert datetime.timedelta(hours=11, minutes=59) < left <= datetime.timedelta(hours=12)
    words = [word.strip().lower() for word in answer.headers["set-cookie"].split(";")]
    assert sorted(words[1:]) == ["httponly", "max-age=43200", "path=/", "samesite=strict"]
    assert answer.headers["cache-control"] == "no-store"
    assert gateway.key not in answer.headers["set-cookie"]
    assert browser.get(SESSION).json() == answer.json()
    assert browser.get("/api/v1/keys").status_code == 200
    assert browser.put("/api/v1/aliases", json={"pattern": "x", "endpoint": "nobody"}).status_code == 404
    assert browser.delete(SESSION).json() == {}
    assert refused(browser.get(SESSION)) == (401, "UNAUTHENTICATED")


def test_over_https_the_cookie_is_secure(gateway: Any, browser: httpx.Client) -> None:
    answer = browser.post(SESSION, json={"key": gateway.key}, headers={"x-forwarded-proto": "https"})
    cookie, *words = (word.strip().lower() for word in answer.headers["set-cookie"].split(";"))
    assert cookie.startswith("__host-spangate_session=")
    assert sorted(words) == ["httponly", "max-age=43200", "path=/", "samesite=strict", "secure"]


@pytest.mark.parametrize("key", ["wrong", "\u00e9", "x" * 4096])
def test_a_wrong_key_begins_none(browser: httpx.Client, key: str) -> None:
    answer = browser.post(SESSION, json={"key": key})
    assert refused(answer) == (401, "UNAUTHENTICATED")
    assert "set-cookie" not in answer.headers
    assert key not in answer.text


def test_a_wrong_key_waits_and_no_other_does(gateway: Any, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "WRONG", 60.0)
    signed_in(browser, gateway.key)
    monkeypatch.setattr(session, "WRONG", 0.3)
    begun = time.monotonic()
    browser.post(SESSION, json={"key": "wrong"})
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize("body", [{}, {"key": ""}, {"key": 1}, {"key": "x", "more": 1}, {"key": "x" * 4097}])
def test_what_is_no_key_is_told_so(browser: httpx.Client, body: dict[str, Any]) -> None:
    assert refused(browser.post(SESSION, json=body)) == (400, "INVALID_PARAMETER_VALUE")


def test_a_session_may_and_sees_what_its_key_does(browser: httpx.Client, http: httpx.Client) -> None:
    ends = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat(timespec="milliseconds")
    key = made(http, name="v", role="viewer", experiments=["0"], expires_at=ends)
    told = signed_in(browser, key["key"])
    assert (told["name"], told["role"], told["key_id"], told["experiments"]) == ("v", "viewer", key["key_id"], ["0"])
    assert datetime.datetime.fromisoformat(told["expires_at"]) == datetime.datetime.fromisoformat(ends), "the key ends first"
    assert refused(browser.get("/api/v1/keys")) == (403, "PERMISSION_DENIED")


def test_a_session_is_over_with_its_key(browser: httpx.Client, http: httpx.Client) -> None:
    key = made(http, name="v", role="viewer")
    signed_in(browser, key["key"])
    http.post(f"/api/v1/keys/{key['key_id']}/revoke")
    answer = browser.get(SESSION)
    assert refused(answer) == (401, "UNAUTHENTICATED")
    assert answer.json()["message"] == "The session has ended: sign in again."


def test_pages_of_others_get_nothing_of_a_session(gateway: Any, browser: httpx.Client) -> None:
    signed_in(browser, gateway.key)
    for site in ("cross-site", "same-site"):
        assert refused(browser.get("/api/v1/keys", headers={"sec-fetch-site": site})) == (403, "PERMISSION_DENIED")
        assert refused(browser.post("/api/v1/keys", json={"name": "x"}, headers={"sec-fetch-site": site})) == (403, "PERMISSION_DENIED")
    assert browser.get("/api/v1/keys", headers={"sec-fetch-site": "none"}).status_code == 200
    assert refused(browser.post("/api/v1/keys", json={"name": "x"}, headers={"sec-fetch-site": "none"})) == (403, "PERMISSION_DENIED")
    del browser.headers["sec-fetch-site"]
    assert browser.get("/api/v1/keys").status_code == 200
    assert refused(browser.post("/api/v1/keys", json={"name": "x"})) == (403, "PERMISSION_DENIED")
    assert browser.post("/api/v1/keys", json={"name": "x"}, headers={"origin": gateway.url}).status_code == 200


def test_pages_of_others_sign_nobody_in_or_out(gateway: Any, browser: httpx.Client) -> None:
    assert refused(browser.post(SESSION, json={"key": gateway.key}, headers=THEIRS)) == (403, "PERMISSION_DENIED")
    signed_in(browser, gateway.key)
    assert refused(browser.delete(SESSION, headers=THEIRS)) == (403, "PERMISSION_DENIED")
    assert browser.get(SESSION).status_code == 200
    del browser.headers["sec-fetch-site"]
    elsewhere = {"origin": "http://elsewhere"}
    assert refused(browser.post(SESSION, json={"key": gateway.key}, headers=elsewhere)) == (403, "PERMISSION_DENIED")
    assert browser.post(SESSION, json={"key": gateway.key}).status_code == 200, "a program"


def test_a_link_signs_in_once_as_who_made_it(browser: httpx.Client, http: httpx.Client) -> None:
    made_by = http.post(f"{SESSION}/links").json()
    token = made_by["token"]
    assert made_by["path"] == f"/sign-in#{token}"
    left = datetime.datetime.fromisoformat(made_by["expires_at"]) - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(minutes=9) < left <= datetime.timedelta(minutes=10)
    assert refused(browser.post(f"{SESSION}/link", json={"token": token}, headers=THEIRS)) == (403, "PERMISSION_DENIED")
    told = browser.post(f"{SESSION}/link", json={"token": token}).json()
    assert told.pop("expires_at")
    assert told == ADMIN
    assert browser.get(SESSION).json()["role"] == "admin"
    again = browser.post(f"{SESSION}/link", json={"token": token})
    assert refused(again) == (401, "UNAUTHENTICATED")
    assert "spangate ui" in again.json()["message"]


def test_a_session_does_not_outlive_itself_by_a_link(gateway: Any, browser: httpx.Client) -> None:
    ends = signed_in(browser, gateway.key)["expires_at"]
    token = browser.post(f"{SESSION}/links").json()["token"]
    assert browser.post(f"{SESSION}/link", json={"token": token}).json()["expires_at"] == ends


def test_a_key_that_is_shown_is_told_whose_it_is(http: httpx.Client) -> None:
    assert http.get(SESSION).json() == ADMIN | {"expires_at": None}


def test_a_session_needs_no_database(tmp_path: Path) -> None:
    control = Control(Settings(data_dir=tmp_path, admin_key="sg-0123456789abcdef"))  # composed and not started: nothing is open
    with TestClient(control.app, headers=OURS) as browser:
        assert browser.post(SESSION, json={"key": "sg-0123456789abcdef"}).status_code == 200
        assert browser.get(SESSION).json()["role"] == "admin"
        assert browser.get("/api/v1/keys").status_code == 503
    control.stop()
