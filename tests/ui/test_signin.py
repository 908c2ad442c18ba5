"""The door: a key, a link that opens it once, and when it shuts again."""

import re
import uuid

import pytest
from playwright.sync_api import Browser, Page, expect

from spangate.control.static import CONTENT_POLICY
from tests.e2e.gateway import ADMIN_KEY, Gateway

from .conftest import Opened, Watch, signed_in

REFUSED = r"console: .*status of 401"


def enter(page: Page, key: str) -> None:
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def inside(page: Page) -> None:
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


def test_who_has_no_session_signs_in_and_comes_back(anonymous: Page, gateway: Gateway) -> None:
    anonymous.goto("/traces?status=failed")
    expect(anonymous.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(anonymous.get_by_label("Key")).to_be_focused()
    enter(anonymous, f" {ADMIN_KEY}\n")  # as it comes with a copy
    inside(anonymous)
    expect(anonymous).to_have_url(f"{gateway.url}/traces?status=failed")


def test_a_wrong_key_is_refused_in_words(nobody: tuple[Page, Watch]) -> None:
    page, watch = nobody
    watch.excuse(REFUSED)
    page.goto("/sign-in")
    enter(page, "sg-not-a-key")
    expect(page.get_by_role("alert")).to_contain_text("key")
    expect(page.get_by_label("Key")).to_have_value("sg-not-a-key")
    assert page.context.cookies() == []
    enter(page, ADMIN_KEY)
    inside(page)


@pytest.mark.parametrize("elsewhere", ["https://example.com/", "//example.com/", "/\\example.com/"])
def test_a_link_with_a_place_to_go_to_leads_nowhere_else(anonymous: Page, gateway: Gateway, elsewhere: str) -> None:
    anonymous.goto(f"/sign-in?next={elsewhere}")
    enter(anonymous, ADMIN_KEY)
    inside(anonymous)
    expect(anonymous).to_have_url(f"{gateway.url}/")


def test_a_link_signs_in_once(nobody: tuple[Page, Watch], context_of: Opened, gateway: Gateway) -> None:
    page, watch = nobody
    watch.excuse(REFUSED)
    link = gateway.rest.post("/api/v1/session/links")["path"]
    page.goto(link)
    inside(page)
    expect(page).to_have_url(f"{gateway.url}/")
    assert page.evaluate("history.length") <= 2, "the link is still in the history"

    context, second = context_of(gateway)
    second.excuse(REFUSED)
    late = context.new_page()
    late.goto(link)
    expect(late.get_by_role("alert")).to_contain_text("used before")
    expect(late).to_have_url(f"{gateway.url}/sign-in")
    assert context.cookies() == []


def test_no_script_reads_the_session(page: Page) -> None:
    page.goto("/")
    (cookie,) = page.context.cookies()
    assert (cookie.get("httpOnly"), cookie.get("sameSite"), cookie.get("path")) == (True, "Strict", "/")
    assert page.evaluate("document.cookie") == ""
    assert ADMIN_KEY not in str(page.context.storage_state())


def test_who_signs_out_is_out(page: Page, watch: Watch) -> None:
    watch.excuse(REFUSED)
    page.goto("/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/endpoints")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("navigation", name="Main")).to_have_count(0)


def test_who_signs_in_next_finds_nothing_of_who_was_here(page: Page, watch: Watch) -> None:
    watch.excuse(REFUSED)
    page.goto("/playground")
    written = page.get_by_label("Text of message 1:")
    written.fill("Between you and me")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("JSON.stringify(sessionStorage)").count("Between you") == 0
    enter(page, ADMIN_KEY)
    inside(page)
    page.get_by_role("link", name="Playground").click()
    expect(written).to_have_value("")


def test_who_cannot_sign_out_is_told_so(page: Page, watch: Watch) -> None:
    watch.excuse(r"console: .*ERR_FAILED.*/api/v1/session")
    page.goto("/")
    page.route("**/api/v1/session", lambda route: route.abort() if route.request.method == "DELETE" else route.continue_())
    page.get_by_role("button", name="Sign out").click()
    told = page.get_by_role("alert").filter(has_text="You are still signed in")
    expect(told).to_contain_text("gateway")
    told.get_by_role("button", name="Close").click()
    expect(told).to_have_count(0)
    inside(page)


def test_a_revoked_key_ends_its_session_on_the_page(browser: Browser, context_of: Opened, gateway: Gateway) -> None:
    key = gateway.rest.post("/api/v1/keys", name=f"ui-{uuid.uuid4().hex[:12]}", role="viewer")
    context, watch = context_of(gateway, signed_in(browser, gateway, key["key"]))
    watch.excuse(REFUSED)
    page = context.new_page()
    page.goto("/")
    inside(page)
    expect(page.get_by_role("navigation", name="Main")).to_contain_text("viewer")
    gateway.rest.post(f"/api/v1/keys/{key['key_id']}/revoke")
    page.get_by_role("link", name="Traces").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()  # a page that asks nothing hears of it by its status
    expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Ftraces"))


def test_a_page_of_another_site_does_nothing_with_the_session(page: Page, watch: Watch, gateway: Gateway) -> None:
    """Localhost is another site than 127.0.0.1; a cookie that were sent on would still count for nothing."""
    page.goto("/")
    other = gateway.url.replace("127.0.0.1", "localhost")
    (cookie,) = page.context.cookies()
    page.context.add_cookies([{"name": cookie["name"], "value": cookie["value"], "url": other, "sameSite": "None", "secure": True}])  # type: ignore[typeddict-item]
    page.goto(f"{other}/version")
    watch.excuse("")
    ask = """async ([url, method]) => {
        try { return (await fetch(url, { method, credentials: "include", mode: "no-cors" })).type } catch (error) { return String(error) }
    }"""
    before = gateway.rest.get("/api/v1/keys")
    assert page.evaluate(ask, [f"{gateway.url}/api/v1/keys", "POST"]) != "basic"
    assert gateway.rest.get("/api/v1/keys") == before


def test_the_policy_lets_pages_load_and_call_this_origin_alone(page: Page, watch: Watch) -> None:
    answer = page.goto("/")
    assert answer is not None
    assert answer.headers["content-security-policy"] == CONTENT_POLICY
    watch.excuse("policy: ")
    watch.excuse("console: ")
    inline = """() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.head.append(script);
        return window.ran ?? false;
    }"""
    assert page.evaluate(inline) is False
    assert page.evaluate("fetch('https://example.com/').then(() => 'sent', (error) => error.name)") == "TypeError"
    assert {said.split(":")[0] for said in page.evaluate("window.watched.violations")} == {"script-src-elem", "connect-src"}
