"""What stands around every page: the way to it, by hand and by keyboard, its theme, and word of what is amiss."""

import re

import pytest
from playwright.sync_api import Page, Route, StorageState, expect

from tests.e2e.gateway import Gateway

from .conftest import Opened
from .sites import opened, settled

DARK = "rgb(14, 16, 20)"  # tokens.css: --bg
LIGHT = "rgb(246, 247, 249)"


@pytest.fixture
def narrow(context_of: Opened, session: StorageState, gateway: Gateway) -> Page:
    context, _ = context_of(gateway, session, width=800)
    return context.new_page()


# ---------------------------------------------------------------- by keyboard


def test_the_list_of_shortcuts_tells_the_truth(page: Page, gateway: Gateway) -> None:
    opened(page, "/", gateway)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    rows = dialog.locator("dl > div")
    told = {row.locator("dt").inner_text(): row.locator("kbd").all_inner_texts() for row in rows.all()}
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    places = {name.removeprefix("Go to "): keys for name, keys in told.items() if name.startswith("Go to ")}
    links = page.get_by_role("navigation", name="Main").locator("li").get_by_role("link")
    assert sorted(places) == sorted(link.get_attribute("aria-label") or "" for link in links.all())
    for name, keys in places.items():
        for key in keys:
            page.keyboard.press(key)
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")
        settled(page)


def test_letters_in_a_field_are_letters(page: Page, gateway: Gateway) -> None:
    opened(page, "/endpoints", gateway)
    page.keyboard.press("/")
    search = page.get_by_role("searchbox").first
    expect(search).to_be_focused()
    page.keyboard.type("gt?")
    expect(search).to_have_value("gt?")
    expect(page).to_have_url(re.compile("/endpoints"))


@pytest.mark.parametrize("path", ["/endpoints", "/traces", "/sessions", "/models"])
def test_a_slash_leads_to_the_search(page: Page, gateway: Gateway, path: str) -> None:
    opened(page, path, gateway)
    page.keyboard.press("/")
    expect(page.locator("input:focus")).to_have_count(1)
    expect(page.locator("input:focus")).to_have_value("")


@pytest.mark.parametrize("path", ["/credentials", "/experiments", "/keys", "/models", "/traces", "/sessions"])
def test_letters_of_a_search_go_where_the_caret_is(page: Page, gateway: Gateway, path: str) -> None:
    opened(page, path, gateway)
    page.keyboard.press("/")
    page.keyboard.type("gate")
    expect(page).to_have_url(re.compile("q=gate$"))
    page.keyboard.press("Home")
    page.keyboard.type("span", delay=50)
    expect(page.get_by_role("searchbox").first).to_have_value("spangate")
    expect(page).to_have_url(re.compile("q=spangate$"))


def row_with_focus(page: Page) -> int | None:
    rows = """() => [...document.querySelectorAll("tr, [role=row]")].findIndex((row) => row.contains(document.activeElement))"""
    index: int = page.evaluate(rows)
    return None if index < 0 else index


@pytest.mark.parametrize("path", ["/endpoints", "/traces", "/sessions"])
def test_arrows_walk_through_a_table(page: Page, gateway: Gateway, path: str) -> None:
    opened(page, path, gateway)
    rows = page.get_by_role("row")
    expect(rows.nth(3)).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if row_with_focus(page) is not None:
            break
    begin = row_with_focus(page)
    assert begin is not None, "no key leads into the table"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(rows.nth(begin + 1).and_(page.locator(":focus-within"))).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"{path}/.+"))


def test_a_keyboard_skips_the_navigation(page: Page, gateway: Gateway) -> None:
    opened(page, "/", gateway)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_who_goes_to_a_page_is_on_it(page: Page, gateway: Gateway) -> None:
    opened(page, "/", gateway)
    page.get_by_role("link", name="Traces", exact=True).press("Enter")
    expect(page).to_have_title("Traces · Spangate")
    expect(page.get_by_role("main")).to_be_focused()


# ---------------------------------------------------------------- with little room


def test_icons_alone_say_what_they_are(narrow: Page, gateway: Gateway) -> None:
    opened(narrow, "/", gateway)
    links = narrow.get_by_role("navigation", name="Main").locator("li").get_by_role("link")
    expect(links).not_to_have_count(0)
    narrow.mouse.move(400, 400)  # a hand is at the mouse
    for link in links.all():
        link.hover()
        expect(narrow.get_by_role("tooltip")).to_have_text(link.get_attribute("aria-label") or "nothing")
    narrow.keyboard.press("Tab")
    narrow.get_by_role("link", name="Endpoints", exact=True).focus()
    expect(narrow.get_by_role("tooltip", name="Endpoints")).to_be_visible()


def test_words_are_not_said_twice(page: Page, gateway: Gateway) -> None:
    opened(page, "/", gateway)
    page.mouse.move(700, 400)
    page.get_by_role("link", name="Traces", exact=True).hover()
    page.wait_for_timeout(600)  # longer than a tooltip waits
    expect(page.get_by_role("tooltip")).to_have_count(0)
    page.get_by_role("radio", name="Dark").hover()
    expect(page.get_by_role("tooltip")).to_have_text("Dark")


def test_theme_and_way_out_are_there_with_little_room(narrow: Page, gateway: Gateway) -> None:
    opened(narrow, "/", gateway)
    narrow.get_by_role("radio", name="Dark").click()
    expect(narrow.locator("html")).to_have_attribute("data-theme", "dark")
    expect(narrow.get_by_role("button", name="Sign out (admin")).to_be_in_viewport()


# ---------------------------------------------------------------- theme


def test_the_chosen_theme_is_there_before_the_app(context_of: Opened, session: StorageState, gateway: Gateway) -> None:
    """The app is held back: what is painted meanwhile is dark already."""
    context, _ = context_of(gateway, session, color_scheme="light")
    page = context.new_page()
    opened(page, "/", gateway)
    expect(page.locator("body")).to_have_css("background-color", LIGHT)
    page.get_by_role("radio", name="Dark").click()
    expect(page.locator("body")).to_have_css("background-color", DARK)
    held: list[Route] = []
    page.route("**/assets/index-*.js", lambda route: held.append(route))
    page.goto("/", wait_until="commit")
    expect(page.locator("body")).to_have_css("background-color", DARK)
    expect(page.locator("#root > *")).to_have_count(0)
    for route in held:
        route.continue_()
    settled(page)
    expect(page.locator("body")).to_have_css("background-color", DARK)
    page.get_by_role("radio", name="System").click()
    expect(page.locator("body")).to_have_css("background-color", LIGHT)


# ---------------------------------------------------------------- what is amiss


def test_what_is_amiss_is_said_in_words(page: Page, gateway: Gateway) -> None:
    status = gateway.rest.get("/api/v1/status") | {"ok": False, "degraded": ["The drain stands still.", "No new prices."]}
    page.route("**/api/v1/status", lambda route: route.fulfill(json=status))
    opened(page, "/", gateway)
    notice = page.get_by_role("link", name="2 things are amiss")
    page.mouse.move(700, 400)
    notice.hover()
    expect(page.get_by_role("tooltip")).to_have_text("The drain stands still.\nNo new prices.")
    notice.click()
    expect(page).to_have_title("Settings · Spangate")
