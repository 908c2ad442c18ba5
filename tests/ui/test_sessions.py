"""Sessions: conversations of several calls, read from their beginning."""

import re
import uuid
from urllib.parse import quote

import openai
from playwright.sync_api import Page, expect

from tests.e2e.gateway import ADMIN_KEY, Gateway, until

from .conftest import Watch
from .sites import opened, settled


def talk(gateway: Gateway, session_id: str, *lines: str) -> None:
    """As clients do it: each call sends all that was said before."""
    messages: list[dict[str, str]] = [{"role": "system", "content": "You know the catalogue."}]
    headers = {"x-spangate-session": session_id}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, default_headers=headers) as client:
        for line in lines:
            messages.append({"role": "user", "content": line})
            answer = client.chat.completions.create(model="demo", messages=messages)  # type: ignore[arg-type]
            messages.append({"role": "assistant", "content": answer.choices[0].message.content or ""})

    def there() -> bool:
        found = gateway.rest.get("/api/v1/sessions", q=session_id)["sessions"]
        return bool(found) and found[0]["traces"] == len(lines)

    until(there, 10, "the session is in the database")


def test_a_conversation_is_read_once_though_it_was_sent_again_and_again(page: Page, gateway: Gateway) -> None:
    session_id = f"ticket/{uuid.uuid4().hex[:8]}"
    lines = ("What is an ablative?", "And a locative?", "Thank you.")
    talk(gateway, session_id, *lines)
    opened(page, "/sessions", gateway)
    page.keyboard.press("/")
    page.keyboard.type(session_id)
    row = page.get_by_role("grid", name="Sessions").get_by_role("row").filter(has_text=session_id)
    expect(row).to_contain_text(lines[-1])
    expect(row.get_by_role("gridcell").nth(2)).to_have_text("3")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name=session_id)).to_be_visible()
    settled(page)
    asked = page.get_by_role("article").filter(has_text=re.compile("^(System|User)"))
    for at, line in enumerate(("You know the catalogue.", *lines)):
        expect(asked.nth(at)).to_contain_text(line)
    expect(page.get_by_role("article")).to_have_count(1 + 2 * len(lines))
    turns = page.get_by_role("main").locator("section")
    expect(turns).to_have_count(3)
    expect(turns.nth(1)).to_contain_text(lines[1])
    turns.nth(1).get_by_role("link", name="Trace").click()
    expect(page).to_have_url(re.compile(r"/traces/tr-[0-9a-f]{32}\?session="))
    settled(page)
    page.get_by_role("main").get_by_role("link", name=session_id).click()
    expect(page.get_by_role("heading", name=session_id)).to_be_visible()


def test_the_traces_of_a_session_are_listed(page: Page, gateway: Gateway) -> None:
    (session,) = gateway.rest.get("/api/v1/sessions", max_results=1)["sessions"]
    opened(page, f"/sessions/{quote(session['session_id'], safe='')}", gateway)
    page.get_by_role("button", name="Show its traces").click()
    expect(page).to_have_url(re.compile(r"/traces\?session="))
    settled(page)
    rows = page.get_by_role("grid", name="Traces").get_by_role("link")
    expect(rows).to_have_count(min(session["traces"], 40))


def test_what_a_session_came_to_can_be_asked_for_again(page: Page, watch: Watch, gateway: Gateway) -> None:
    watch.excuse(r"console: .*status of 403.*/api/v1/sessions\?")
    (session,) = gateway.rest.get("/api/v1/sessions", max_results=1)["sessions"]
    page.route("**/api/v1/sessions?*", lambda route: route.fulfill(status=403, json={"message": "Not now."}))
    page.goto(f"/sessions/{quote(session['session_id'], safe='')}")
    expect(page.get_by_role("alert")).to_contain_text("Not now.")
    settled(page)
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    told = page.get_by_role("main").locator("dl").first
    expect(told).to_contain_text(re.compile(rf"^Calls{session['traces']}First"))


def test_a_session_that_is_not_there_says_so(page: Page, watch: Watch, gateway: Gateway) -> None:
    watch.excuse(r"console: .*status of 404.*/api/v1/sessions/none-such")
    page.goto("/sessions/none-such")
    expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()
