"""A browser in front of real processes: it signs in, looks, calls models by its session, and is out with its key."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from spangate.control import static
from tests.upstream.knobs import mark

from .client import CALLER
from .gateway import ADMIN_KEY, Gateway, until

OURS = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
TYPED = {"accept": "text/html,*/*;q=0.8", "sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture
def browser(gateway: Gateway) -> Iterator[httpx.Client]:
    """With a new connection for each request, so that any worker may take it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=gateway.url, headers=OURS, limits=limits, timeout=30, trust_env=False) as client:
        yield client


def signed_in(gateway: Gateway, browser: httpx.Client, **said: Any) -> dict[str, Any]:
    key = gateway.rest.post("/api/v1/keys", name=f"ui-{uuid.uuid4().hex[:12]}", **said)
    answer = browser.post("/api/v1/session", json={"key": key["key"]})
    assert answer.status_code == 200, answer.text
    workers_say(gateway, browser, 200)
    return key


def workers_say(gateway: Gateway, browser: httpx.Client, status: int) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    until(lambda: {told for told, _ in gateway.of_each_worker(None, cookie=cookie, **OURS)} == {status}, 10, f"a {status} of each worker")


def asked(call: str) -> dict[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": mark(call)}]}


def test_a_page_calls_models_by_its_session_on_its_keys_bill(gateway: Gateway, browser: httpx.Client, call: str) -> None:
    key = signed_in(gateway, browser, owner="ann")
    answer = browser.post("/v1/chat/completions", json=asked(call), headers={CALLER: call})
    assert answer.status_code == 200, answer.text

    def found() -> list[dict[str, Any]]:
        return [row for row in browser.get("/api/v1/calls").json()["calls"] if row["agent"] == call]

    (row,) = until(found, 10, "the call in the ledger")
    assert (row["caller_id"], row["owner"]) == (key["key_id"], "ann")
    refused = browser.post("/v1/chat/completions", json=asked(call), headers=TYPED | {"sec-fetch-site": "cross-site"})
    assert (refused.status_code, "own pages" in refused.json()["error"]["message"]) == (403, True)
    assert browser.get("/gateway/proxy/chat/files", headers=TYPED).status_code == 403
    assert browser.get("/api/v1/calls", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert browser.get("/api/v1/calls", headers=TYPED).status_code == 200


def test_a_session_ends_with_its_key_in_every_process(gateway: Gateway, browser: httpx.Client, call: str) -> None:
    key = signed_in(gateway, browser)
    gateway.rest.post(f"/api/v1/keys/{key['key_id']}/revoke")
    assert browser.get("/api/v1/session").status_code == 401
    workers_say(gateway, browser, 401)
    refused = browser.post("/v1/chat/completions", json=asked(call), headers={CALLER: call})
    assert (refused.status_code, "sign in again" in refused.json()["error"]["message"]) == (401, True)


def test_a_link_opens_the_pages(gateway: Gateway, browser: httpx.Client) -> None:
    page, _, token = gateway.cli("ui")["url"].partition("#")
    shown = browser.get(page, headers=TYPED)
    assert (shown.status_code, shown.headers["content-type"]) == (
        200 if (static.BUILT / "index.html").exists() else 503,
        "text/html; charset=utf-8",
    )
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert browser.head("/", headers=TYPED).headers["content-length"] == str(len(browser.get("/", headers=TYPED).content))
    assert browser.post("/api/v1/session/link", json={"token": token}).json()["name"] == "admin"
    assert browser.get("/api/v1/session").json()["role"] == "admin"
    assert browser.post("/api/v1/session/link", json={"token": token}).status_code == 401
    assert browser.delete("/api/v1/session").status_code == 200
    assert browser.get("/api/v1/session").status_code == 401
    assert (token in gateway.log_text(), ADMIN_KEY in gateway.log_text()) == (False, False)
