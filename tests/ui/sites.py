"""The addresses of all pages, read from the router: a page that is added is looked at."""

import re
from collections.abc import Callable
from urllib.parse import quote

from playwright.sync_api import Page, expect

from tests.e2e.gateway import ROOT, Gateway

PATHS = re.findall(r'path: "(/[^"]*)"', (ROOT / "web/src/app/router.tsx").read_text())

# What stands for a parameter: something of the history.
GIVEN: dict[str, Callable[[Gateway], str]] = {
    "$name": lambda gateway: "support",
    "$traceId": lambda gateway: most_tried(gateway),
    "$sessionId": lambda gateway: gateway.rest.get("/api/v1/sessions", max_results=1)["sessions"][0]["session_id"],
}


def most_tried(gateway: Gateway) -> str:
    """The trace that took the most attempts."""
    return max(gateway.pages("/api/v1/traces", "traces", max_results=200), key=lambda trace: trace["attempts"])["trace_id"]


def address(path: str, gateway: Gateway) -> str:
    for parameter, given in GIVEN.items():
        if parameter in path.split("/"):
            path = path.replace(parameter, quote(given(gateway), safe=""))
    assert "$" not in path, f"say in {__name__}.GIVEN what stands for the parameter of {path}"
    return path


def settled(page: Page) -> None:
    """All is there that the page loads: no request is under way, and nothing is held a place for."""
    page.wait_for_load_state("networkidle")
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator('[class*="skeleton"]')).to_have_count(0)


def opened(page: Page, path: str, gateway: Gateway) -> None:
    page.goto(address(path, gateway))
    settled(page)
