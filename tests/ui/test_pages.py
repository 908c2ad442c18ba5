"""Every page: whole, still, as wide as its window, and for everybody to use."""

import json
import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # pyright: ignore[reportMissingTypeStubs]
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.e2e.gateway import Gateway

from .conftest import SIZE, Opened, Watch, signed_in
from .sites import PATHS, opened

WIDTHS = (2560, 1400, 800)
SLOW = {"offline": False, "latency": 150, "downloadThroughput": -1, "uploadThroughput": -1}  # ms; no limit
SHIFT = 0.005  # of layout, in all; up to 0.1 is called good (web.dev/cls)
every_page = pytest.mark.parametrize("path", PATHS)


def violations(page: Page) -> list[str]:
    response: dict[str, Any] = Axe().run(page).response  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    found: list[dict[str, Any]] = response["violations"]
    return [f"{one['id']}: {node['html'][:200]}\n  {node['failureSummary']}" for one in found for node in one["nodes"]]


def outside(page: Page) -> list[str]:
    """What makes the page wider than its window."""
    return page.evaluate("""() => {
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= width) return [];
        const reaches = (element) => Math.round(element.getBoundingClientRect().right);
        return [...document.body.querySelectorAll("*")]
            .filter((element) => reaches(element) > width)
            .map((element) => `${reaches(element)} of ${width}: ${element.outerHTML.slice(0, 160)}`);
    }""")


@every_page
def test_a_page_is_whole_stays_where_it_is_and_fits_its_window(page: Page, gateway: Gateway, path: str) -> None:
    line = page.context.new_cdp_session(page)  # a slow one, so that whatever is shown meanwhile is seen
    line.send("Network.emulateNetworkConditions", SLOW)
    for width in (800, 1400):
        page.set_viewport_size({"width": width, "height": SIZE[1]})
        opened(page, path, gateway)
        expect(page).to_have_title(re.compile(r".+ · Spangate"))
        expect(page.get_by_role("alert")).to_have_count(0)
        watched = page.evaluate("window.watched")
        assert watched["shift"] <= SHIFT, (width, json.dumps(watched["moved"], indent=2))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": SIZE[1]})
        for _ in range(20):
            if not (found := outside(page)):
                break
            page.wait_for_timeout(100)  # charts follow a moment later
        assert (width, found) == (width, [])


@every_page
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_is_for_everybody(context_of: Opened, session: StorageState, gateway: Gateway, path: str, theme: str) -> None:
    context, _ = context_of(gateway, session, color_scheme=theme)
    page = context.new_page()
    opened(page, path, gateway)
    assert violations(page) == []


def test_pages_without_anything_in_them(empty: Gateway, browser: Browser, context_of: Opened) -> None:
    """Just started for the first time: nothing fails for want of data, and each page says what there is to do."""
    context, _ = context_of(empty, signed_in(browser, empty))
    page = context.new_page()
    for path in (path for path in PATHS if "$" not in path):
        opened(page, path, empty)
        expect(page.get_by_role("alert")).to_have_count(0)
        assert (path, page.evaluate("window.watched.shift") <= SHIFT, outside(page), violations(page)) == (path, True, [], [])


def test_an_address_that_is_nowhere_says_so(page: Page) -> None:
    page.goto("/nowhere/at/all")
    expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link", name="Traces")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Go to the overview").click()
    expect(page).to_have_title("Overview · Spangate")


def test_a_gateway_that_is_not_reached_is_said_to_everybody(anonymous: Page, nobody: tuple[Page, Watch]) -> None:
    nobody[1].excuse(r"net::ERR_FAILED|Object\.onError")  # React says what it caught
    anonymous.route("**/api/v1/session", lambda route: route.abort())
    anonymous.goto("/traces")
    expect(anonymous.get_by_role("button", name="Load it again")).to_be_visible()
    assert violations(anonymous) == []
    anonymous.unroute("**/api/v1/session")
    anonymous.get_by_role("button", name="Load it again").click()
    expect(anonymous).to_have_title("Sign in · Spangate")
