"""The playground in the browser: what is written there is what the provider gets, and what comes back is shown as it comes, and counted."""

import base64
import json
import os
import re
import subprocess
import sys
import uuid
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.gateway import ADMIN_KEY, Gateway, until
from tests.upstream.knobs import knobs, mark
from tests.upstream.process import Upstream

from .conftest import Watch
from .sites import opened
from .test_pages import outside, violations

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # a PNG of one dot


@pytest.fixture
def call() -> str:
    """What the provider tells a call by."""
    return f"pg-{uuid.uuid4().hex[:8]}"


def playground(page: Page, gateway: Gateway, endpoint: str = "live") -> None:
    opened(page, f"/playground?endpoint={endpoint}", gateway)


def column(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=re.compile(rf"^Column \d: {name}$"))


def add_column(page: Page, endpoint: str) -> Locator:
    page.get_by_role("button", name="Add a column").click()
    page.get_by_role("combobox", name=re.compile("^Endpoint of column")).last.fill(endpoint)
    page.get_by_role("option", name=endpoint).first.click()
    expect(page.get_by_role("combobox", name=re.compile("^Endpoint of column")).last).to_be_focused()
    return column(page, endpoint)


def write(page: Page, text: str, no: int = 1) -> None:
    page.get_by_label(f"Text of message {no}:").fill(text)


def send(page: Page) -> None:
    page.keyboard.press("Control+Enter")


def figure(where: Locator, term: str) -> Locator:
    """Its value, without what stands below it."""
    return where.locator("div", has=where.page.get_by_role("term").filter(has_text=re.compile(f"^{term}$"))).last.locator("dd").first


def counted(where: Locator) -> None:
    """The call is in the ledger."""
    expect(where.get_by_role("link", name="Open trace")).to_be_visible()


def asked(upstream: Upstream, call: str) -> dict[str, Any]:
    return json.loads(upstream.request(call).body)


def test_an_answer_is_read_as_it_comes_then_counted(page: Page, gateway: Gateway, upstream: Upstream, call: str) -> None:
    playground(page, gateway)
    words = mark(call, n=12, delay=0.25, cached=5, reasoning=4)
    write(page, words)
    send(page)
    live = column(page, "live")
    answer = live.get_by_role("group", name="Answer of live")
    expect(answer).to_contain_text("Every token")
    begun = len(answer.inner_text())
    expect(live.get_by_role("button", name="Stop live")).to_be_visible()  # it is still coming
    expect(answer).to_have_attribute("aria-busy", "true")
    page.wait_for_function("([box, begun]) => box.innerText.length > begun", arg=[answer.element_handle(), begun])
    expect(answer).to_have_attribute("aria-busy", "true")

    counted(live)
    given_in, given_out = knobs(words.encode(), "").tokens
    expect(figure(live, "Input")).to_have_text(f"{given_in:,}")
    expect(figure(live, "Output")).to_have_text(f"{given_out:,}")
    expect(live).to_contain_text("cached 5")
    expect(live).to_contain_text("reasoning 4")
    expect(figure(live, "Cost")).to_have_text(re.compile(r"^\$0\.\d+$"))
    expect(figure(live, "First token")).to_have_text(re.compile(r"ms$"))
    expect(figure(live, "Total")).to_have_text(re.compile(r"^[2-9]\.\d\d s$"))
    expect(live).to_contain_text(re.compile(r"gateway \d\.\d\d s"))
    assert asked(upstream, call)["stream_options"] == {"include_usage": True}
    assert outside(page) == []
    assert violations(page) == []

    live.get_by_role("link", name="Open trace").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("live")
    expect(page.get_by_role("main")).to_contain_text(call)
    page.go_back()  # all is as it was left
    counted(column(page, "live"))
    expect(page.get_by_label("Text of message 1:")).to_have_value(words)


def test_several_are_asked_the_same_each_with_parameters_of_its_own(page: Page, gateway: Gateway, upstream: Upstream, call: str) -> None:
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    gateway.endpoint(other := f"e-{call}", upstream.base, "anthropic", "claude-replay")
    playground(page, gateway)
    live = column(page, "live")
    live.get_by_role("button", name="Parameters of live").click()
    live.get_by_label("Temperature").fill("0.3")
    live.get_by_label("Max tokens").fill("70")
    live.get_by_label("Stop at").fill("END")
    live.get_by_label("More, as JSON").fill('{"user": "ann"}')
    page.get_by_label("System prompt").fill("Be short.")
    claude = add_column(page, other)  # begins with the parameters of the one beside it
    expect(claude).to_contain_text("temperature 0.3")
    demo = add_column(page, "demo")
    claude.get_by_role("button", name="Parameters of").click()
    claude.get_by_label("Temperature").fill("")
    claude.get_by_label("More, as JSON").fill("{")
    write(page, f"Hi {mark(call)}")
    send(page)
    expect(claude).to_contain_text("is not a JSON object")
    assert violations(page) == []
    counted(live)
    counted(demo)
    expect(demo).to_contain_text("This is a simulated answer")
    body = asked(upstream, call)
    assert body == {
        "model": "gpt-replay",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": f"Hi {mark(call)}"}],
        "temperature": 0.3,
        "max_completion_tokens": 70,
        "stop": ["END"],
        "user": "ann",
        "stream": True,
        "stream_options": {"include_usage": True},
    }

    for name in ("live", "demo"):
        page.get_by_role("button", name=f"Remove {name}").click()
    claude.get_by_label("More, as JSON").fill("")
    send(page)
    counted(claude)
    expect(claude.get_by_role("group", name=f"Answer of {other}")).to_contain_text("Every token")
    said = upstream.request(call)  # in the only format that its provider speaks
    assert said.path.startswith("/v1/messages")
    assert json.loads(said.body) == {
        "model": "claude-replay",
        "max_tokens": 70,
        "system": "Be short.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": f"Hi {mark(call)}"}]}],
        "stop_sequences": ["END"],
        "stream": True,
    }


def test_a_number_that_was_just_typed_is_sent(page: Page, gateway: Gateway, upstream: Upstream, call: str) -> None:
    playground(page, gateway)
    write(page, mark(call))
    live = column(page, "live")
    live.get_by_role("button", name="Parameters of live").click()
    for name, number in (("Top P", "0.999"), ("Temperature", "1.5")):
        live.get_by_label(name).press_sequentially(number)
    send(page)
    expect(live.get_by_label("Temperature")).to_be_focused()
    counted(live)
    body = asked(upstream, call)
    assert (body["temperature"], body["top_p"]) == (1.5, 0.999)


def test_an_image_comes_from_a_file_or_is_pasted(page: Page, gateway: Gateway, upstream: Upstream, call: str) -> None:
    playground(page, gateway)
    write(page, f"What is it? {mark(call)}")
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Add an image").click()
    chosen.value.set_files({"name": "dot.png", "mimeType": "image/png", "buffer": base64.b64decode(PIXEL)})
    expect(page.get_by_role("img", name="Image 1, 70 B")).to_be_visible()
    page.get_by_label("Text of message 1:").evaluate(
        """(field, bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(bytes), (one) => one.charCodeAt(0))], "pasted.png", { type: "image/png" }));
            field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }""",
        PIXEL,
    )
    expect(page.get_by_role("img", name="Image 2")).to_be_visible()
    page.get_by_role("button", name="Remove image 1").click()
    expect(page.get_by_role("img", name="Image 2")).to_have_count(0)
    send(page)
    counted(column(page, "live"))
    assert asked(upstream, call)["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": f"What is it? {mark(call)}"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
            ],
        }
    ]


def test_a_tool_is_called_and_its_result_typed_in(page: Page, gateway: Gateway, upstream: Upstream, call: str) -> None:
    playground(page, gateway)
    page.get_by_role("button", name="Add a tool").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Parameters, as JSON schema").fill("{")
    dialog.get_by_role("button", name="Save tool").click()
    expect(dialog).to_contain_text("Not a JSON object.")
    dialog.get_by_label("Name").fill("weather")
    dialog.get_by_label("Parameters, as JSON schema").fill('{"type": "object"}')
    dialog.get_by_role("button", name="Save tool").click()
    expect(dialog).to_have_count(0)
    write(page, mark(call, tool=True))
    send(page)
    live = column(page, "live")
    expect(live.get_by_role("group", name="Answer of live")).to_contain_text("Bern")
    counted(live)
    page.set_viewport_size({"width": 800, "height": 900})
    assert outside(page) == []
    live.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Text of message 3: Tool")).to_be_focused()
    page.keyboard.type("20 degrees")
    page.get_by_role("button", name="Add a message").click()
    write(page, mark(call + "b"), no=4)
    send(page)
    expect(live.get_by_role("group", name="Answer of live")).to_contain_text("Every token")
    counted(live)
    body = asked(upstream, call + "b")
    assert body["tools"] == [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    _, assistant, result, user = body["messages"]
    (called,) = assistant["tool_calls"]
    assert (assistant["content"], called["function"]["name"], json.loads(called["function"]["arguments"])) == (
        None,
        "weather",
        {"city": "Bern"},
    )
    assert result == {"role": "tool", "tool_call_id": called["id"], "content": "20 degrees"}
    assert user == {"role": "user", "content": mark(call + "b")}


def test_stopped_it_keeps_what_has_come_and_its_call_is_counted(page: Page, gateway: Gateway, call: str) -> None:
    playground(page, gateway)
    write(page, mark(call, n=200, delay=0.2))
    send(page)
    live = column(page, "live")
    answer = live.get_by_role("group", name="Answer of live")
    expect(answer).to_contain_text("Every token")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(answer).to_contain_text("Stopped.")
    expect(answer).to_contain_text("Every token")
    counted(live)
    expect(figure(live, "Output")).to_have_text(re.compile(r"^~\d"))  # nobody told: it is our estimate, and says so


def test_what_the_gateway_says_stands_in_the_place_of_the_answer(page: Page, watch: Watch, gateway: Gateway, call: str) -> None:
    watch.excuse(r"(status of 4\d\d|INCOMPLETE_CHUNKED_ENCODING) .*/v1/chat/completions")
    playground(page, gateway)
    write(page, mark(call, status=422))
    send(page)
    live = column(page, "live")
    expect(live.get_by_role("alert")).to_contain_text("HTTP 422")
    counted(live)  # a call that failed is one, too
    write(page, mark(call, n=9, drop=3, delay=0.1))
    live.get_by_role("button", name="Ask live again").click()
    expect(live.get_by_role("group", name="Answer of live")).to_contain_text("Every token")
    expect(live.get_by_role("alert")).not_to_contain_text("HTTP")
    page.get_by_role("button", name="Clear").click()
    send(page)
    expect(live).to_contain_text("There is nothing to send")


def test_a_trace_is_asked_again(page: Page, gateway: Gateway, upstream: Upstream, call: str) -> None:
    said = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": mark(call)},
    ]
    gateway.rest.post("/v1/chat/completions", model="live", messages=said, temperature=0.5, presence_penalty=1)

    def traced() -> str | None:
        rows = gateway.rest.get("/api/v1/traces", endpoint="live", max_results=20)["traces"]
        return next((row["trace_id"] for row in rows if call in (row["request_preview"] or "")), None)

    opened(page, f"/traces/{until(traced, 10, 'its trace')}", gateway)
    page.get_by_role("button", name="Open in playground").click()
    live = column(page, "live")
    expect(page.get_by_label("System prompt")).to_have_value("Be short.")
    expect(page.get_by_label("Text of message 2: Assistant")).to_have_value("Yes?")
    expect(live).to_contain_text("temperature 0.5")
    write(page, f"Why? {mark(call + 'b')}", no=3)
    send(page)
    counted(live)
    body = asked(upstream, call + "b")
    assert body["messages"] == [*said[:-1], {"role": "user", "content": f"Why? {mark(call + 'b')}"}]
    assert (body["temperature"], body["presence_penalty"], "stream" in body) == (0.5, 1, False)
    page.reload()  # what was changed since is not asked of the trace again
    expect(page.get_by_label("Text of message 3: User")).to_have_value(f"Why? {mark(call + 'b')}")
    counted(live)


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_it_is_saved_as_a_program_that_does_the_same(page: Page, gateway: Gateway, upstream: Upstream, call: str, language: str) -> None:
    playground(page, gateway)
    page.get_by_label("System prompt").fill('It\'s "so" \\ $HOME')
    write(page, f"Größe 🙂\n{mark(call)}")
    page.get_by_role("button", name="Save as").click()
    page.get_by_role("tab", name=language).click()
    program = page.get_by_role("region", name=language).inner_text()
    start = ["bash", "-c", program] if language == "curl" else [sys.executable, "-c", program]
    run = subprocess.run(start, env=os.environ | {"SPANGATE_KEY": ADMIN_KEY}, capture_output=True, text=True, timeout=60, check=True)
    assert "Every" in run.stdout
    body = asked(upstream, call)
    assert body["messages"] == [
        {"role": "system", "content": 'It\'s "so" \\ $HOME'},
        {"role": "user", "content": f"Größe 🙂\n{mark(call)}"},
    ]
    assert body["stream"] is True
