"""Traces: a list of any length that is searched, filtered, walked through and watched, and all of one call."""

import datetime
import json
import re
import uuid
from typing import Any

import httpx
import openai
import pytest
from playwright.sync_api import Locator, Page, StorageState, expect

from tests.e2e.gateway import ADMIN_KEY, Gateway, until

from .conftest import Opened, Watch
from .sites import opened, settled

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def call(gateway: Gateway, content: Any, **more: Any) -> str:
    """A call that ended, by the id of its trace."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30) as client:
        answer = client.post(
            "/chat/completions", body={"model": "demo", "messages": [{"role": "user", "content": content}]} | more, cast_to=httpx.Response
        )
    trace_id = answer.headers["x-spangate-trace-id"]
    until(lambda: gateway.rest.get(f"/api/v1/traces/{trace_id}"), 10, "the trace is in the database")
    return trace_id


def links(page: Page) -> Locator:
    return page.get_by_role("grid", name="Traces").get_by_role("link")


def found(gateway: Gateway, **query: Any) -> list[str]:
    return [row["trace_id"] for row in gateway.rest.get("/api/v1/traces", **query)["traces"]]


@pytest.fixture
def word() -> str:
    """That nobody else says."""
    return f"xylograph{uuid.uuid4().hex[:8]}"


def test_what_is_looked_for_is_in_the_address(page: Page, gateway: Gateway) -> None:
    opened(page, "/traces", gateway)
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("combobox", name="Endpoint", exact=True).fill("support")
    page.get_by_role("button", name="Add filter").click()
    expect(page).to_have_url(f"{gateway.url}/traces?endpoint=support")
    page.keyboard.press("/")
    page.keyboard.type("the")
    expect(page).to_have_url(f"{gateway.url}/traces?q=the&endpoint=support")
    page.reload()
    settled(page)
    wanted = found(gateway, q="the", endpoint="support", max_results=3)
    for at, trace_id in enumerate(wanted):
        expect(links(page).nth(at)).to_have_attribute("href", re.compile(f"^/traces/{trace_id}"))
    page.get_by_role("button", name="Remove Endpoint support").click()
    expect(page).to_have_url(f"{gateway.url}/traces?q=the")


def test_a_number_is_taken_with_the_press_that_applies_it(page: Page, gateway: Gateway) -> None:
    opened(page, "/traces", gateway)
    page.get_by_role("button", name="Filter").click()
    dialog = page.get_by_role("dialog", name="Filter")
    dialog.get_by_role("button", name=re.compile("Filter by")).click()
    page.get_by_role("option", name="Took at least").click()
    apply = dialog.get_by_role("button", name="Add filter")
    apply.click()
    number = dialog.get_by_role("textbox", name="Took at least")
    expect(number).to_have_accessible_description("Say what to look for.")
    number.press_sequentially("250")
    apply.click()
    expect(page).to_have_url(f"{gateway.url}/traces?min_ms=250")
    expect(dialog).to_have_count(0)


def test_an_experiment_is_found_however_old_it_is(page: Page, gateway: Gateway, word: str) -> None:
    made = gateway.rest.post("/api/2.0/mlflow/experiments/create", name=f"of/{word}")["experiment_id"]
    newest = re.compile(r"/api/v1/experiments\?(?!.*\bq=\w)")
    page.route(newest, lambda route: route.fulfill(json={"experiments": [], "next_page_token": None}))
    opened(page, "/traces", gateway)
    page.get_by_role("button", name="Filter").click()
    dialog = page.get_by_role("dialog", name="Filter")
    dialog.get_by_role("button", name=re.compile("Filter by")).click()
    page.get_by_role("option", name="Experiment").click()
    dialog.get_by_role("combobox", name="Experiment").press_sequentially(word)
    page.get_by_role("option", name=f"of/{word}").click()
    expect(dialog.get_by_role("combobox", name="Experiment")).to_have_value(f"of/{word}")
    dialog.get_by_role("button", name="Add filter").click()
    expect(page).to_have_url(re.compile(rf"/traces\?experiment_id=.*{made}"))
    expect(page.get_by_role("button", name=f"Remove Experiment of/{word}")).to_be_visible()


def test_a_search_for_what_nobody_said_can_be_taken_back(page: Page, gateway: Gateway, word: str) -> None:
    opened(page, f"/traces?q={word}&status=ok", gateway)
    expect(page.get_by_role("heading", name="No trace is like that")).to_be_visible()
    page.get_by_role("button", name="Show all traces").click()
    expect(page).to_have_url(f"{gateway.url}/traces")
    expect(links(page).first).to_be_visible()


def test_columns_are_chosen_and_kept(page: Page, gateway: Gateway) -> None:
    opened(page, "/traces", gateway)
    key = page.get_by_role("columnheader", name="Key")
    expect(key).to_have_count(0)
    page.get_by_role("button", name="Columns").click()
    page.get_by_text("Key", exact=True).click()
    page.keyboard.press("Escape")
    expect(key).to_be_visible()
    page.reload()
    expect(key).to_be_visible()


def test_all_of_many_are_there_and_few_of_them_are_drawn(page: Page, gateway: Gateway) -> None:
    opened(page, "/traces", gateway)
    grid = page.get_by_role("grid", name="Traces")
    box = grid.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    deepest = 0
    for _ in range(60):
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(50)
        deepest = max(deepest, *(int(row.get_attribute("aria-rowindex") or 0) for row in grid.get_by_role("row").all()[-1:]))
        assert grid.get_by_role("row").count() < 100
        if deepest > 700:  # beyond several pages
            break
    assert deepest > 700


def test_the_keyboard_walks_through_the_rows_and_from_trace_to_trace(page: Page, gateway: Gateway) -> None:
    first, second, third = found(gateway, endpoint="support", max_results=3)
    opened(page, "/traces?endpoint=support", gateway)
    page.keyboard.press("j")
    expect(links(page).nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(links(page).nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{gateway.url}/traces/{second}?endpoint=support")
    settled(page)
    page.get_by_role("button", name="Older trace").click()
    expect(page).to_have_url(re.compile(third))
    settled(page)
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(page).to_have_url(re.compile(first))
    expect(page.get_by_role("button", name="Newer trace")).to_be_disabled()
    page.get_by_role("main").get_by_role("link", name="Traces").click()
    expect(page).to_have_url(f"{gateway.url}/traces?endpoint=support")


def test_a_row_opens_in_a_tab_of_its_own(page: Page, gateway: Gateway) -> None:
    opened(page, "/traces?endpoint=support", gateway)
    with page.context.expect_page() as opening:
        links(page).first.click(modifiers=["ControlOrMeta"])
    (newest,) = found(gateway, endpoint="support", max_results=1)
    expect(opening.value).to_have_url(f"{gateway.url}/traces/{newest}?endpoint=support")


def test_only_a_row_that_is_stayed_at_is_fetched_ahead(page: Page, gateway: Gateway) -> None:
    ids = found(gateway, endpoint="support", max_results=12)
    page.clock.install()
    opened(page, "/traces?endpoint=support", gateway)
    page.clock.pause_at(datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]) if "/api/v1/traces/tr-" in request.url else None)
    rows = page.get_by_role("grid", name="Traces").get_by_role("row")
    for at in range(1, len(ids)):
        rows.nth(at).hover()
        page.clock.run_for(50)
    page.clock.run_for(100)
    page.evaluate("fetch('/version')")  # comes after whatever was asked before
    assert asked == [ids[-2]]
    for _ in range(5):
        page.keyboard.press("j")
        page.clock.run_for(50)
    expect(links(page).nth(4)).to_be_focused()
    page.clock.run_for(100)
    rows.nth(1).hover()
    page.mouse.move(0, 0)
    page.clock.run_for(200)
    page.evaluate("fetch('/version')")
    assert asked == [ids[-2], ids[4]]


def test_the_live_tail_shows_a_call_as_soon_as_it_is_over(page: Page, gateway: Gateway, word: str) -> None:
    opened(page, "/traces", gateway)
    page.get_by_text("Live", exact=True).click()
    expect(page).to_have_url(f"{gateway.url}/traces?live=true")
    call(gateway, f"Is {word} there?")
    expect(links(page).first).to_have_accessible_name(re.compile(word))


def test_coming_back_to_the_list_finds_what_has_come_since(page: Page, gateway: Gateway, word: str) -> None:
    opened(page, "/traces?endpoint=demo", gateway)
    page.get_by_role("link", name="Endpoints", exact=True).click()
    call(gateway, f"Is {word} there?")
    page.go_back()
    expect(links(page).first).to_have_accessible_name(re.compile(word))


def test_a_trace_says_why_its_attempts_failed_and_what_was_done_then(page: Page, gateway: Gateway) -> None:
    rows = gateway.pages("/api/v1/traces", "traces", status="ok")
    row = next(row for row in rows if row["fell_back"] and row["attempts"] == 2)  # what fell back after retries says the same of each
    trace = gateway.rest.get(f"/api/v1/traces/{row['trace_id']}")
    failed, then = trace["tried"]
    opened(page, f"/traces/{row['trace_id']}", gateway)
    timeline = page.get_by_role("listitem").filter(has_text=failed["fault"]["message"])
    expect(timeline).to_contain_text(failed["fault"]["kind"])
    expect(timeline).to_contain_text(f"Then fell back to {then['provider']} · {then['model']}")
    tokens = page.get_by_role("row", name=re.compile("^Input "))
    expect(tokens.first).to_contain_text(f"{then['tokens']['input']:,}")
    expect(page.get_by_role("row", name=re.compile("^Counted by"))).to_contain_text("Provider")
    page.get_by_role("button", name=f"{then['provider']} · {then['model']}").click()
    expect(page.get_by_text("gen_ai.request.model").last).to_be_visible()


def test_a_request_can_be_taken_as_it_was_sent(context_of: Opened, gateway: Gateway, session: StorageState, word: str) -> None:
    context, _ = context_of(gateway, session, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    trace_id = call(gateway, word, seed=12345678901234567890)
    opened(page, f"/traces/{trace_id}?tab=request", gateway)
    expect(page.get_by_role("region", name="Request")).to_contain_text('"seed": 12345678901234567890')
    page.get_by_role("radio", name="As sent").click()
    page.get_by_role("button", name="Copy all").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    kept = gateway.rest.get(f"/api/v1/traces/{trace_id}")["request"]["text"]
    assert page.evaluate("navigator.clipboard.readText()") == kept
    assert json.loads(kept)["messages"][0]["content"] == word


def test_what_was_said_is_shown_and_does_nothing(page: Page, gateway: Gateway, word: str) -> None:
    """No markup, and nothing fetched: the page's watch fails the test if there is a request to elsewhere."""
    said = f"<img src='https://elsewhere.example/{word}.png' onerror='alert(1)'>\n  **{word}**"
    parts = [
        {"type": "text", "text": said},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "image_url", "image_url": {"url": f"https://elsewhere.example/{word}.png"}},
        {"type": "image_url", "image_url": {"url": "javascript:alert(1)"}},
        {"type": "text", "text": "long " * 2000},
    ]
    opened(page, f"/traces/{call(gateway, parts)}", gateway)
    spoken = page.get_by_role("article").filter(has_text=re.compile("^User"))
    assert said in spoken.inner_text()
    expect(spoken.get_by_role("img")).to_have_count(1)
    expect(spoken.get_by_role("img")).to_have_attribute("src", PIXEL)
    expect(spoken.get_by_role("link")).to_have_count(1)
    expect(spoken.get_by_role("link")).to_have_attribute("rel", "noreferrer noopener")
    short = len(spoken.inner_text())
    spoken.get_by_role("button", name=re.compile("Show all 10,000")).click()
    assert len(spoken.inner_text()) > short + 5000


def test_a_tool_and_its_call_are_shown(page: Page, gateway: Gateway) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "description": "Finds an order.", "parameters": {"type": "object"}}}
    opened(page, f"/traces/{call(gateway, 'Where is order 7?', tools=[tool])}?tab=offered", gateway)
    page.get_by_role("button", name=re.compile("look_up")).click()
    expect(page.get_by_role("tabpanel")).to_contain_text('"type": "object"')


def test_a_trace_that_is_not_there_says_so(page: Page, watch: Watch, gateway: Gateway) -> None:
    watch.excuse(r"console: .*status of 404.*/api/v1/traces/tr-none")
    page.goto("/traces/tr-none")
    expect(page.get_by_role("heading", name="There is no such trace")).to_be_visible()
