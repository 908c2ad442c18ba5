"""The official openai client against a real gateway: it notices nothing but the base URL."""

import json
import time
from typing import Any

import openai
import pytest

from spangate.client import plain
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, Call, Gateway, until
from .invariant import expected_tokens

CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]


def say(call: str, **knobs: object) -> list[Any]:
    return [{"role": "user", "content": f"Tell me. {mark(call, **knobs)}"}]


def only_call(gateway: Gateway, call: str) -> Call:
    """The one ledger row of a mark, settled."""

    def find() -> Call | None:
        rows = [row for row in gateway.calls() if row.agent == call]
        assert len(rows) <= 1, rows
        return rows[0] if rows else None

    return until(find, 10, f"the ledger row of {call}")


@pytest.mark.parametrize("base", ["/v1", "/gateway/openai/v1"])
def test_plain(gateway: Gateway, call: str, base: str) -> None:
    with openai.OpenAI(base_url=gateway.url + base, api_key=ADMIN_KEY, max_retries=0, default_headers={CALLER: call}) as client:
        raw = client.chat.completions.with_raw_response.create(model="chat", messages=say(call, cached=8, reasoning=3))
    answer = raw.parse()
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == expected_tokens(call, cached=8, reasoning=3)
    assert answer.choices[0].message.content == "Every token is counted once"
    assert raw.headers["x-request-id"].startswith("req_")
    row = gateway.call_row(raw.headers["x-spangate-call-id"])
    assert (row.status, row.attempts[0].cache_read_tokens, row.endpoint) == ("ok", 8, "chat")
    assert raw.headers["x-spangate-trace-id"] == "tr-" + row.call_id.replace("-", "")


def test_stream_with_usage(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    stream = chat.chat.completions.create(model="chat", messages=say(call, n=30), stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == expected_tokens(call)
    assert only_call(gateway, call).status == "ok"


def test_stream_without_usage_is_counted_all_the_same(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    chunks = list(chat.chat.completions.create(model="chat", messages=say(call, n=30), stream=True))
    assert not [c for c in chunks if c.usage or not c.choices], "the usage frame that the client did not ask for"
    row = only_call(gateway, call)
    assert (row.attempts[0].input_tokens, row.attempts[0].output_tokens) == expected_tokens(call)
    assert row.attempts[0].provenance == "reported"


def test_usage_in_a_frame_with_choices_and_no_done(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    chunks = list(chat.chat.completions.create(model="chat", messages=say(call, usage="choices", done=False), stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    row = only_call(gateway, call)
    assert (row.status, row.attempts[0].provenance) == ("ok", "reported")


def test_tool_calls(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    answer = chat.chat.completions.create(model="chat", messages=say(call, tool=True), tools=TOOLS)
    (tool,) = answer.choices[0].message.tool_calls or []
    assert json.loads(tool.function.arguments) == {"city": "Bern"}  # type: ignore[union-attr]


def test_streamed_tool_calls_are_folded_in_the_trace(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    with chat.chat.completions.stream(model="chat", messages=say(call, tool=True), tools=TOOLS) as stream:
        final = stream.get_final_completion()
    (tool,) = final.choices[0].message.tool_calls or []
    assert json.loads(tool.function.arguments) == {"city": "Bern"}
    row = only_call(gateway, call)
    trace = gateway.trace("tr-" + row.call_id.replace("-", ""))
    outputs = attributes(trace["spans"][0])["mlflow.spanOutputs"]
    (kept,) = outputs["choices"][0]["message"]["tool_calls"]
    assert kept["function"] == {"name": "weather", "arguments": {"city": "Bern"}}, (
        "JSON text in the trace; decoded here, as all JSON text is"
    )


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return plain(span.get("attributes", []))


ERRORS = [
    (400, openai.BadRequestError),
    (401, openai.AuthenticationError),
    (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError),
    (429, openai.RateLimitError),
    (500, openai.InternalServerError),
    (503, openai.InternalServerError),
]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("status", "kind"), ERRORS, ids=[str(status) for status, _ in ERRORS])
def test_the_providers_errors_keep_their_status(
    gateway: Gateway, chat: openai.OpenAI, call: str, status: int, kind: type[openai.APIStatusError], stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        chat.chat.completions.create(model="chat", messages=say(call, status=status, retry_after="7"), stream=stream)  # type: ignore[call-overload]
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "7"
    assert f"replayed fault {status}" in caught.value.message
    assert isinstance(caught.value.body, dict)
    row = only_call(gateway, call)
    assert (row.status, row.http_status, row.attempts[0].http_status) == ("error", status, status)


def test_an_unknown_model(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    with pytest.raises(openai.NotFoundError):
        chat.chat.completions.create(model="no-such-endpoint", messages=say(call))
    row = only_call(gateway, call)
    assert (row.status, row.http_status, row.attempts) == ("refused", 404, [])


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_wrong_key(gateway: Gateway, upstream: Upstream, call: str, stream: bool) -> None:
    before = upstream.stats()["calls"]
    with (
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.chat.completions.create(model="chat", messages=say(call), stream=stream)  # type: ignore[call-overload]
    assert isinstance(caught.value.body, dict)
    assert "message" in caught.value.body
    assert upstream.stats()["calls"] == before


def test_models(gateway: Gateway, chat: openai.OpenAI) -> None:
    assert {"chat", "claude"} <= {model.id for model in chat.models.list()}
    assert chat.models.retrieve("chat").id == "chat"
    with pytest.raises(openai.NotFoundError):
        chat.models.retrieve("no-such-endpoint")


@pytest.mark.parametrize("wrong", ["yes", 1, {}, []])
def test_stream_of_a_wrong_type_is_a_400(gateway: Gateway, chat: openai.OpenAI, call: str, wrong: Any) -> None:
    with pytest.raises(openai.BadRequestError):
        chat.chat.completions.create(model="chat", messages=say(call), extra_body={"stream": wrong})


@pytest.mark.parametrize("no", [None, False])
def test_stream_null_and_false_mean_no(gateway: Gateway, chat: openai.OpenAI, call: str, no: Any) -> None:
    answer = chat.chat.completions.create(model="chat", messages=say(call), extra_body={"stream": no})
    assert answer.choices[0].finish_reason == "stop"


def test_hanging_up_midway(gateway: Gateway, upstream: Upstream, chat: openai.OpenAI, call: str) -> None:
    """The upstream's connection is closed within a second, and the call is in the books."""
    stream = chat.chat.completions.create(model="chat", messages=say(call, n=100, delay=0.05), stream=True)
    for _, _chunk in zip(range(6), stream, strict=False):
        pass
    stream.close()
    left = time.monotonic()
    until(lambda: next(row for row in upstream.served() if row.id == call).outcome == "client_gone", 20, "the upstream was let go")
    assert time.monotonic() - left < 3
    row = only_call(gateway, call)
    assert (row.status, row.attempts[0].status) == ("client_gone", "client_gone")
    assert row.attempts[0].provenance in ("unknown", "estimated")


def test_hanging_up_before_the_first_byte(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    with pytest.raises(openai.APITimeoutError):
        chat.with_options(timeout=0.3).chat.completions.create(model="chat", messages=say(call, first=1.5), stream=True)
    row = only_call(gateway, call)
    assert (row.status, row.http_status) == ("client_gone", 499)


def test_a_drop_midway_is_an_error_and_no_end(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    stream = chat.chat.completions.create(model="chat", messages=say(call, n=20, drop=5), stream=True)
    got = []
    with pytest.raises(openai.APIError):
        got.extend(stream)
    assert len(got) == 6
    assert not [c for c in got if c.choices and c.choices[0].finish_reason]
    row = only_call(gateway, call)
    assert (row.status, row.attempts[0].status) == ("provider_gone", "provider_gone")


def test_an_early_end_is_not_made_whole(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    """The client sees the end that the provider made: nothing is added; the books say that it was not whole."""
    got = list(chat.chat.completions.create(model="chat", messages=say(call, n=20, end=5), stream=True))
    assert len(got) == 6
    assert not [c for c in got if c.choices and c.choices[0].finish_reason]
    row = only_call(gateway, call)
    assert (row.status, row.fault_kind) == ("provider_gone", "incomplete")


def test_an_error_event_midway(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    stream = chat.chat.completions.create(model="chat", messages=say(call, n=20, err=5), stream=True)
    with pytest.raises(openai.APIError, match="replayed fault midway"):
        list(stream)
    row = only_call(gateway, call)
    assert (row.status, row.attempts[0].status) == ("error", "error")


def test_a_stall_times_out(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    stream = chat.chat.completions.create(model="chat", messages=say(call, n=20, stall=5), stream=True)
    with pytest.raises(openai.APIError):
        list(stream)
    assert only_call(gateway, call).status == "timeout"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_late_head_times_out(gateway: Gateway, chat: openai.OpenAI, call: str, stream: bool) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        chat.chat.completions.create(model="chat", messages=say(call, first=6), stream=stream)  # type: ignore[call-overload]
    assert caught.value.status_code == 504
    assert only_call(gateway, call).status == "timeout"


@pytest.mark.parametrize("usage", ["null", "none", "negative", "absurd"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_odd_usage_harms_nobody(gateway: Gateway, chat: openai.OpenAI, call: str, usage: str, stream: bool) -> None:
    answer = chat.chat.completions.create(model="chat", messages=say(call, usage=usage), stream=stream)  # type: ignore[call-overload]
    if stream:
        list(answer)
    row = only_call(gateway, call)
    attempt = row.attempts[0]
    assert (row.status, attempt.provenance) == ("ok", "estimated")
    assert 0 < (attempt.input_tokens or 0) < 100
    assert 0 < (attempt.output_tokens or 0) < 100


async def test_many_at_once_with_the_async_client(gateway: Gateway, call: str) -> None:
    import asyncio

    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, default_headers={CALLER: call}) as client:

        async def one(i: int) -> int:
            stream = await client.chat.completions.create(
                model="chat", messages=say(f"{call}-{i}", n=10, delay=0.01), stream=True, extra_headers={CALLER: f"{call}-{i}"}
            )
            return len([chunk async for chunk in stream])

        assert set(await asyncio.gather(*(one(i) for i in range(24)))) == {12}
