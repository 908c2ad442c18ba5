import webbrowser
from typing import Any

import httpx
import pytest

from .conftest import Gateway


def signed_in(gateway: Gateway, url: str) -> dict[str, Any]:
    """Who a browser is that follows the link."""
    page, _, token = url.partition("#")
    assert page == f"{gateway.url}/sign-in"
    with httpx.Client(base_url=gateway.url, trust_env=False) as browser:
        assert browser.post("/api/v1/session/link", json={"token": token}).status_code == 200
        return browser.get("/api/v1/session").json()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: not urls.append(url))
    return urls


def test_it_says_a_link_that_signs_in(gateway: Gateway, opened: list[str]) -> None:
    said = gateway.run("ui")
    assert said.exit_code == 0, said.output
    assert signed_in(gateway, said.stdout.strip())["role"] == "admin"
    assert signed_in(gateway, gateway.json("ui")["url"])["name"] == "admin"
    assert opened == []


def test_it_opens_the_link_it_says(gateway: Gateway, opened: list[str]) -> None:
    said = gateway.run("ui", "--open")
    assert opened == [said.stdout.strip()]


def test_where_there_is_no_browser_it_says_so(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    said = gateway.run("ui", "--open")
    assert (said.exit_code, "/sign-in#" in said.stdout, "no browser" in said.stderr) == (0, True, True)


def test_it_needs_an_admins_key(gateway: Gateway) -> None:
    key = gateway.json("keys", "create", "small")["key"]
    said = gateway.run("ui", key=key)
    assert said.exit_code == 1
    assert "needs the role `admin`" in str(said.exception)
