"""What Spangate is for, by hand: an endpoint with usage tracking, a call to it with an SDK, and the trace that says what it came to."""

import re
import uuid

import openai
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.gateway import ADMIN_KEY, Gateway, until
from tests.upstream.knobs import mark

from .conftest import Watch
from .sites import opened, settled


@pytest.fixture
def name() -> str:
    """Of an endpoint that no other test has."""
    return f"mission-{uuid.uuid4().hex[:8]}"


def call(gateway: Gateway, model: str, said: str) -> str:
    """By OpenAI's own client; returns the trace's id."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30) as client:
        answer = client.chat.completions.with_raw_response.create(model=model, messages=[{"role": "user", "content": said}])
        assert answer.parse().choices[0].message.content
        return answer.headers["x-spangate-trace-id"]


def traced(gateway: Gateway, trace_id: str) -> None:
    until(lambda: gateway.rest.get(f"/api/v1/traces/{trace_id}"), 10, "the trace is in the database")


def test_an_endpoint_made_in_the_form_is_called_and_traced(page: Page, gateway: Gateway, name: str) -> None:
    opened(page, "/endpoints/new", gateway)
    page.get_by_role("combobox", name="Provider").fill("Simulated")
    page.get_by_role("option", name=re.compile("Simulated")).click()
    page.get_by_role("combobox", name="Model").fill("simulated")
    page.keyboard.press("Tab")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name=re.compile("^Tracing")).click()
    expect(page.get_by_role("switch", name="Usage tracking")).to_be_checked()
    page.get_by_role("button", name="Create endpoint").click()
    expect(page).to_have_url(f"{gateway.url}/endpoints/{name}")

    (experiment,) = gateway.rest.get("/api/v1/experiments", q=f"gateway/{name}")["experiments"]
    gateway.known(name)
    said = f"What is the capital of {name}?"
    trace_id = call(gateway, name, said)
    traced(gateway, trace_id)

    expect(page.get_by_role("link", name=experiment["name"])).to_have_attribute("href", re.compile(experiment["experiment_id"]))
    page.get_by_role("button", name="View traces").click()
    expect(page).to_have_url(re.compile(f"/traces.*{name}"))
    settled(page)
    rows = page.get_by_role("row").filter(has_text=said)
    expect(rows).to_have_count(1)
    rows.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(trace_id))
    settled(page)
    main = page.get_by_role("main")
    expect(main.get_by_text(said).first).to_be_visible()
    expect(main.get_by_text(re.compile("This is a simulated answer"))).to_be_visible()
    spans = main.get_by_role("list").first.get_by_role("listitem")
    expect(spans.get_by_role("button")).to_have_text([re.compile(name), re.compile("simulated")])


def test_a_fallback_is_seen_in_the_waterfall(page: Page, gateway: Gateway, name: str) -> None:
    broken = gateway.model(f"{name}-broken", gateway.secret(f"{name}-broken", "http://127.0.0.1:9/v1"), "openai", "gpt-gone")
    whole = next(
        one for one in gateway.rest.get("/api/3.0/mlflow/gateway/model-definitions/list")["model_definitions"] if one["name"] == "simulated"
    )
    configs = [
        {"model_definition_id": broken, "linkage_type": "PRIMARY", "weight": 1.0},
        {"model_definition_id": whole["model_definition_id"], "linkage_type": "FALLBACK", "fallback_order": 0},
    ]
    gateway.rest.post("/api/3.0/mlflow/gateway/endpoints/create", name=name, model_configs=configs)
    gateway.known(name)
    trace_id = call(gateway, name, "Anybody?")
    traced(gateway, trace_id)
    page.goto(f"/traces/{trace_id}")
    settled(page)
    main = page.get_by_role("main")
    expect(main.get_by_text("gpt-gone").first).to_be_visible()
    expect(main.get_by_text(re.compile("Then fell back to .*simulated"))).to_be_visible()


def test_a_key_is_shown_once(page: Page, gateway: Gateway, name: str) -> None:
    opened(page, "/keys", gateway)
    page.get_by_role("button", name="Create key").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name=f"{name} is ready")).to_be_visible()
    shown = re.search(
        r"sg-[\w-]{20,}",
        page.get_by_role("dialog").inner_text()
        + " ".join(page.locator("dialog input, [role=dialog] input").evaluate_all("(all) => all.map((one) => one.value)")),
    )
    assert shown is not None
    assert gateway.rest.call("GET", "/api/v1/session", headers={"x-api-key": shown[0]}) is not None
    page.get_by_role("button", name="I have copied it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text=name)).to_be_visible()
    assert shown[0] not in page.content()
    page.reload()
    settled(page)
    assert shown[0] not in page.content()


def test_an_answer_is_read_while_it_is_made(page: Page, watch: Watch, gateway: Gateway, name: str) -> None:
    watch.excuse(r"console: .*status of 404.*/api/v1/calls/")  # asked for until the ledger has it
    opened(page, "/playground?endpoint=live", gateway)
    page.get_by_role("textbox", name="Text of message 1").fill(f"Slowly, please {mark(name, n=6, delay=0.4)}")
    page.keyboard.press("Control+Enter")
    answer = page.get_by_role("group", name="Answer of live")
    expect(answer).to_have_attribute("aria-busy", "true")
    seen: list[str] = []
    while answer.get_attribute("aria-busy") == "true":
        said = answer.inner_text()
        if not seen or said != seen[-1]:
            seen.append(said)
        page.wait_for_timeout(50)
    assert len({len(said) for said in seen}) >= 4, seen
    page.get_by_role("link", name="Open trace").click()
    settled(page)
    expect(page.get_by_role("main").get_by_text("Slowly, please").first).to_be_visible()
