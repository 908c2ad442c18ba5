"""The official anthropic client against a real gateway."""

from typing import Any

import anthropic
import pytest

from tests.upstream.knobs import mark

from .client import CALLER
from .gateway import ADMIN_KEY, Gateway
from .invariant import expected_tokens
from .test_openai import attributes, only_call

TOOLS: list[Any] = [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]


def say(call: str, **knobs: object) -> list[Any]:
    return [{"role": "user", "content": f"Tell me. {mark(call, **knobs)}"}]


@pytest.mark.parametrize("base", ["", "/gateway/anthropic"])
def test_plain(gateway: Gateway, call: str, base: str) -> None:
    with anthropic.Anthropic(base_url=gateway.url + base, api_key=ADMIN_KEY, max_retries=0, default_headers={CALLER: call}) as client:
        raw = client.messages.with_raw_response.create(model="claude", max_tokens=64, messages=say(call, cached=5, written=3))
    answer = raw.parse()
    given_in, given_out = expected_tokens(call, cached=5, written=3)
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (given_in - 8, given_out)
    row = gateway.call_row(raw.headers["x-spangate-call-id"])
    attempt = row.attempts[0]
    assert (attempt.input_tokens, attempt.output_tokens, attempt.cache_read_tokens, attempt.cache_write_tokens) == (
        given_in,
        given_out,
        5,
        3,
    )


def test_stream(gateway: Gateway, claude: anthropic.Anthropic, call: str) -> None:
    with claude.messages.stream(model="claude", max_tokens=64, messages=say(call, n=13, cached=2, crlf=True, comments=True)) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "Every token is counted once, and only once. Größe 日本 🙂"
    given_in, given_out = expected_tokens(call, cached=2)
    assert (final.usage.input_tokens, final.usage.output_tokens, final.stop_reason) == (given_in - 2, given_out, "end_turn")
    row = only_call(gateway, call)
    trace = gateway.trace("tr-" + row.call_id.replace("-", ""))
    outputs = attributes(trace["spans"][0])["mlflow.spanOutputs"]
    assert outputs["content"] == [{"type": "text", "text": text}]
    assert (outputs["role"], outputs["stop_reason"], outputs["usage"]["output_tokens"]) == ("assistant", "end_turn", given_out)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_tool_use(gateway: Gateway, claude: anthropic.Anthropic, call: str, stream: bool) -> None:
    if stream:
        with claude.messages.stream(model="claude", max_tokens=64, messages=say(call, tool=True), tools=TOOLS) as running:
            answer = running.get_final_message()
    else:
        answer = claude.messages.create(model="claude", max_tokens=64, messages=say(call, tool=True), tools=TOOLS)  # type: ignore[assignment]
    assert (answer.content[0].type, answer.content[0].input, answer.stop_reason) == ("tool_use", {"city": "Bern"}, "tool_use")


@pytest.mark.parametrize("base", ["", "/gateway/anthropic"])
def test_a_count_of_tokens_is_not_booked(gateway: Gateway, call: str, base: str) -> None:
    with anthropic.Anthropic(base_url=gateway.url + base, api_key=ADMIN_KEY, max_retries=0, default_headers={CALLER: call}) as client:
        counted = client.messages.count_tokens(model="claude", messages=say(call), tools=TOOLS)
    assert counted.input_tokens == expected_tokens(call)[0]
    row = only_call(gateway, call)
    attempt = row.attempts[0]
    assert (row.status, row.format) == ("ok", "anthropic.count_tokens")
    assert (attempt.input_tokens, attempt.output_tokens, attempt.provenance) == (None, None, "unknown")


ERRORS = [
    (400, anthropic.BadRequestError),
    (401, anthropic.AuthenticationError),
    (404, anthropic.NotFoundError),
    (429, anthropic.RateLimitError),
    (500, anthropic.InternalServerError),
    (529, anthropic.APIStatusError),
]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("status", "kind"), ERRORS, ids=[str(status) for status, _ in ERRORS])
def test_the_providers_errors_keep_their_status(
    gateway: Gateway, claude: anthropic.Anthropic, call: str, status: int, kind: type[anthropic.APIStatusError], stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        claude.messages.create(model="claude", max_tokens=64, messages=say(call, status=status, retry_after="3"), stream=stream)  # type: ignore[call-overload]
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "3"
    body: Any = caught.value.body
    assert (body["type"], body["error"]["message"]) == ("error", f"replayed fault {status}")
    assert only_call(gateway, call).attempts[0].http_status == status


def test_refusals_have_anthropics_shape(gateway: Gateway, claude: anthropic.Anthropic, call: str) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.create(model="no-such-endpoint", max_tokens=64, messages=say(call))
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "not_found_error")
    with anthropic.Anthropic(base_url=gateway.url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as wrong:
            client.messages.create(model="claude", max_tokens=64, messages=say(call))
        body = wrong.value.body
        assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")


def test_a_format_that_the_provider_does_not_speak_is_a_400(gateway: Gateway, claude: anthropic.Anthropic, call: str) -> None:
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model="chat", max_tokens=64, messages=say(call))
    assert only_call(gateway, call).status == "refused"


def test_models(gateway: Gateway, claude: anthropic.Anthropic) -> None:
    assert {"chat", "claude"} <= {model.id for model in claude.models.list()}
    assert claude.models.retrieve("claude").type == "model"


def test_hanging_up_midway(gateway: Gateway, claude: anthropic.Anthropic, call: str) -> None:
    stream = claude.messages.create(model="claude", max_tokens=64, messages=say(call, n=100, delay=0.05), stream=True)
    for _, _event in zip(range(8), stream, strict=False):
        pass
    stream.close()
    row = only_call(gateway, call)
    assert (row.status, row.attempts[0].status) == ("client_gone", "client_gone")


def test_a_drop_midway(gateway: Gateway, claude: anthropic.Anthropic, call: str) -> None:
    got = []
    stream = claude.messages.create(model="claude", max_tokens=64, messages=say(call, n=20, drop=5), stream=True)
    with pytest.raises(anthropic.APIError):
        got.extend(event.type for event in stream)
    assert "message_stop" not in got
    assert only_call(gateway, call).status == "provider_gone"
