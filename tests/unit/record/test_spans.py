import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.exchange import AttemptRecord, Content, Exchange, Fault, Status, TraceEntry
from spangate.prices.cost import Cost
from spangate.record.previews import LONGEST
from spangate.record.spans import Span, TraceInfo, spans, trace_info, trace_row
from spangate.wire.usage import Provenance, Usage

CALL = "0194f0c2-1111-7222-8333-444455556666"
TRACE = "0194f0c2111172228333444455556666"
WALL = 1_700_000_000_000_000_000

ATTEMPT = AttemptRecord(
    no=1,
    provider="openai",
    model="gpt-4o-mini",
    format="openai.chat",
    started=1_000_000,
    model_definition_id="d-1",
    secret_id="s-1",
    headed=101_000_000,
    first_token=201_500_000,
    ended=301_000_000,
    status=Status.ok,
    http_status=200,
    upstream_request_id="req_1",
    response_id="chatcmpl-1",
    response_model="gpt-4o-mini-2024-07-18",
    stop_reason="stop",
    usage=Usage(input=11, output=7, cache_read=4),
    provenance=Provenance.reported,
)
EXCHANGE = Exchange(
    call_id=CALL,
    format="openai.chat",
    request_type="passthrough/model/openai-chat",
    path="/v1/chat/completions",
    server="gw:4000",
    received_at=WALL,
    status=Status.ok,
    http_status=200,
    duration=302_000_000,
    first_token=201_500_000,
    endpoint_id="e-1",
    endpoint="chat",
    experiment_id="7",
    model="chat",
    stream=True,
    caller_id="k-1",
    caller="admin",
    agent="openai-python",
    request_bytes=80,
    attempts=(ATTEMPT,),
)
REQUEST = b'{"model":"chat","messages":[{"role":"user","content":"Say hi"}],"stream":true}'
ANSWER = b'{"id":"chatcmpl-1","choices":[{"message":{"role":"assistant","content":"Hello there."}}]}'
COST = Cost(price_id="p-1", input=1_350_000, output=4_200_000)
CONTENT = Content(request=REQUEST, response=ANSWER)


def change(**changes: Any) -> Exchange:
    return msgspec.structs.replace(EXCHANGE, **changes)


def change_attempt(**changes: Any) -> AttemptRecord:
    return msgspec.structs.replace(ATTEMPT, **changes)


# ---------------------------------------------------------------- whole values


def test_reads_as_a_root_and_a_child_an_attempt() -> None:
    root, child = spans(EXCHANGE, CONTENT, costs={1: COST})
    assert root == Span(
        trace_id=TRACE,
        span_id=root.span_id,
        name="gateway/chat",
        start=WALL,
        end=WALL + 302_000_000,
        status="OK",
        attributes={
            "mlflow.experimentId": "7",
            "mlflow.traceRequestId": f"tr-{TRACE}",
            "mlflow.spanType": "UNKNOWN",
            "mlflow.spanLogLevel": 10,
            "mlflow.spanInputs": {"messages": [{"role": "user", "content": "Say hi"}], "stream": True},
            "mlflow.spanOutputs": {"id": "chatcmpl-1", "choices": [{"message": {"role": "assistant", "content": "Hello there."}}]},
            "mlflow.llm.model": "gpt-4o-mini-2024-07-18",
            "endpoint_id": "e-1",
            "endpoint_name": "chat",
            "server_url": "gw:4000",
            "spangate.call_id": CALL,
            "spangate.status": "ok",
            "spangate.http_status": 200,
            "spangate.format": "openai.chat",
            "spangate.path": "/v1/chat/completions",
            "spangate.requested_model": "chat",
            "spangate.streaming": True,
            "spangate.request_bytes": 80,
            "spangate.caller": "admin",
            "spangate.time_to_first_token_ms": 201.5,
        },
    )
    assert child == Span(
        trace_id=TRACE,
        span_id=child.span_id,
        parent_id=root.span_id,
        name="provider/openai/gpt-4o-mini",
        start=WALL + 1_000_000,
        end=WALL + 301_000_000,
        status="OK",
        attributes={
            "mlflow.traceRequestId": f"tr-{TRACE}",
            "mlflow.spanType": "LLM",
            "mlflow.spanLogLevel": 20,
            "mlflow.llm.provider": "openai",
            "mlflow.llm.model": "gpt-4o-mini",
            "action": "openai_chat",
            "streaming": True,
            "mlflow.spanOutputs": {"id": "chatcmpl-1", "choices": [{"message": {"role": "assistant", "content": "Hello there."}}]},
            "mlflow.chat.tokenUsage": {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18, "cache_read_input_tokens": 4},
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "spangate.call_id": CALL,
            "spangate.attempt": 1,
            "spangate.status": "ok",
            "spangate.format": "openai.chat",
            "spangate.model_definition_id": "d-1",
            "spangate.upstream.http_status": 200,
            "spangate.upstream.request_id": "req_1",
            "spangate.time_to_head_ms": 100.0,
            "spangate.time_to_first_token_ms": 200.5,
            "spangate.usage.provenance": "reported",
            "mlflow.llm.cost": {"input_cost": 1.35e-06, "output_cost": 4.2e-06, "total_cost": 5.55e-06},
            "spangate.price_id": "p-1",
        },
    )


def test_says_of_the_trace_what_mlflow_would() -> None:
    assert trace_info(EXCHANGE, request_preview="Say hi", response_preview="Hello there.", costs={1: COST}) == TraceInfo(
        trace_id=f"tr-{TRACE}",
        experiment_id="7",
        request_time=WALL,
        duration=302_000_000,
        state="OK",
        request_preview="Say hi",
        response_preview="Hello there.",
        metadata={
            "mlflow.gateway.endpointId": "e-1",
            "mlflow.gateway.requestType": "passthrough/model/openai-chat",
            "mlflow.gateway.caller": "openai-python",
            "mlflow.auth.username": "admin",
            "mlflow.auth.userId": "k-1",
            "mlflow.trace.tokenUsage": '{"input_tokens":11,"output_tokens":7,"total_tokens":18,"cache_read_input_tokens":4}',
            "mlflow.trace.cost": '{"input_cost":1.35e-6,"output_cost":4.2e-6,"total_cost":5.55e-6}',
            "mlflow.traceInputs": "Say hi",
            "mlflow.traceOutputs": "Hello there.",
            "mlflow.trace_schema.version": "3",
            "mlflow.trace.infoFinalized": "true",
            "spangate.call_id": CALL,
            "spangate.status": "ok",
            "spangate.http_status": "200",
        },
        tags={"mlflow.traceName": "gateway/chat", "mlflow.trace.spansLocation": "TRACKING_STORE"},
    )


def test_gives_the_store_its_row() -> None:
    assert trace_row(EXCHANGE, CONTENT) == TraceEntry(
        name="gateway/chat", state="OK", request_preview="Say hi", response_preview="Hello there."
    )
    assert trace_row(change(status=Status.timeout), None) == TraceEntry(name="gateway/chat", state="ERROR")


def test_session_and_user_are_what_a_header_says_else_what_the_body_does() -> None:
    asked = Content(request=b'{"messages":[],"user":"ann","metadata":{"session_id":"s-1"}}')
    entry = trace_row(EXCHANGE, asked)
    assert (entry.session_id, entry.user_id) == ("s-1", "ann")
    entry = trace_row(change(session_id="s-2"), asked)
    assert (entry.session_id, entry.user_id) == ("s-2", "ann")
    entry = trace_row(change(user_id="bob"), Content(request=b'["user", "ann"]'))
    assert (entry.session_id, entry.user_id) == (None, "bob")
    info = trace_info(EXCHANGE, request_preview=None, response_preview=None, session_id="s-1", user_id="ann")
    assert (info.metadata["mlflow.trace.session"], info.metadata["mlflow.trace.user"]) == ("s-1", "ann")
    assert info.metadata.keys() - trace_info(EXCHANGE, request_preview=None, response_preview=None).metadata.keys() == {
        "mlflow.trace.session",
        "mlflow.trace.user",
    }


def test_follows_its_trace_into_another_experiment_and_lets_what_was_set_since_win() -> None:
    info = trace_info(
        EXCHANGE,
        request_preview=None,
        response_preview=None,
        experiment_id="9",
        tags={"mlflow.traceName": "mine", "t": "1"},
        metadata={"mlflow.trace.session": "s"},
    )
    assert (info.experiment_id, info.tags["mlflow.traceName"], info.tags["t"]) == ("9", "mine", "1")
    assert info.metadata["mlflow.trace.session"] == "s"
    assert "mlflow.traceInputs" not in info.metadata
    assert spans(EXCHANGE, None, experiment_id="9")[0].attributes["mlflow.experimentId"] == "9"


def test_says_sizes_when_it_has_the_spans() -> None:
    both = spans(EXCHANGE, CONTENT)
    sizes = sorted(len(msgspec.json.encode(span)) for span in both)
    metadata = trace_info(EXCHANGE, request_preview=None, response_preview=None, spans=both).metadata
    assert metadata["mlflow.trace.sizeBytes"] == str(sum(sizes))
    stats = json.loads(metadata["mlflow.trace.sizeStats"])
    assert stats["total_size_bytes"] == sum(sizes)
    assert (stats["num_spans"], stats["max"], stats["p50"]) == (2, sizes[1], sum(sizes) // 2)


def test_makes_the_same_ids_again_and_another_for_each_attempt() -> None:
    exchange = change(attempts=(ATTEMPT, change_attempt(no=2), change_attempt(no=3)))
    ids = [span.span_id for span in spans(exchange, CONTENT)]
    assert ids == [span.span_id for span in spans(exchange, None)]
    assert len({*ids, spans(change(call_id=CALL[:-1] + "7"), None)[0].span_id}) == 5
    assert all(len(span_id) == 16 and int(span_id, 16) for span_id in ids)


GENERATE, EMBED, COUNT = (f"passthrough/model/gemini-{word}" for word in ("generateContent", "batchEmbedContents", "countTokens"))


@pytest.mark.parametrize(
    ("format", "request_type", "path", "said"),
    [
        ("openai.completions", "passthrough/model/openai-completions", "/v1/completions", ("openai_completions", None, "text_completion")),
        ("openai.embeddings", "passthrough/model/openai-embeddings", "/v1/embeddings", ("openai_embeddings", None, "embeddings")),
        ("openai.embeddings", "unified/embeddings", "/gateway/e/mlflow/invocations", (None, "embeddings", "embeddings")),
        ("openai.responses", "passthrough/model/openai-responses", "/v1/responses", ("openai_responses", None, "chat")),
        ("openai.responses", "passthrough/model/openai-responses", "/v1/responses/compact", ("openai_responses_compact", None, "chat")),
        ("gemini.generate", GENERATE, "/v1beta/models/e:generateContent", ("gemini_generate_content", None, "generate_content")),
        ("gemini.embeddings", EMBED, "/v1beta/models/e:batchEmbedContents", ("gemini_batch_embed_contents", None, "embeddings")),
        ("gemini.count_tokens", COUNT, "/v1beta/models/e:countTokens", ("gemini_count_tokens", None, "count_tokens")),
    ],
)
def test_names_the_operation_as_mlflow_and_opentelemetry_do(
    format: str, request_type: str, path: str, said: tuple[str | None, str | None, str]
) -> None:
    exchange = change(request_type=request_type, path=path, stream=False, attempts=(change_attempt(format=format),))
    child = spans(exchange, None)[1].attributes
    assert (child.get("action"), child.get("method"), child["gen_ai.operation.name"]) == said


def test_names_geminis_stream_as_mlflow_does() -> None:
    root, child = spans(change(format="gemini.generate", request_type=GENERATE, stream=True), None)
    assert child.attributes["action"] == "gemini_stream_generate_content"
    assert root.attributes["mlflow.message.format"] == "gemini"


# ---------------------------------------------------------------- how it ends


def test_shows_what_the_provider_said_as_an_exception() -> None:
    fault = Fault("rate_limit", "slow down", 429)
    attempt = change_attempt(status=Status.error, fault=fault, http_status=429, usage=Usage(), stop_reason=None)
    root, child = spans(change(status=Status.error, http_status=429, fault=fault, attempts=(attempt,)), Content(request=REQUEST))
    for span in (root, child):
        assert (span.status, span.description) == ("ERROR", "rate_limit: slow down")
        (event,) = span.events
        assert (event.name, event.time) == ("exception", span.end)
        assert event.attributes == {"exception.type": "rate_limit", "exception.message": "slow down"}
        assert span.attributes["mlflow.spanLogLevel"] == 40
        assert "mlflow.spanOutputs" not in span.attributes
        assert "mlflow.chat.tokenUsage" not in span.attributes
    assert child.attributes["error.type"] == "rate_limit"
    assert child.attributes["spangate.upstream.http_status"] == 429


def test_is_ok_as_a_whole_when_a_later_attempt_answered() -> None:
    lost = change_attempt(status=Status.error, fault=Fault("overloaded", "later", 529), usage=Usage(), http_status=529)
    won = change_attempt(no=2, provider="anthropic", model="claude")
    root, first, second = spans(change(attempts=(lost, won)), CONTENT)
    assert [span.status for span in (root, first, second)] == ["OK", "ERROR", "OK"]
    assert (root.events, len(first.events), second.events) == ((), 1, ())
    assert "mlflow.spanOutputs" not in first.attributes
    assert "mlflow.spanOutputs" in second.attributes


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.ok])
def test_has_words_for_each_status_that_is_not_ok(status: Status) -> None:
    root, child = spans(change(status=status, attempts=(change_attempt(status=status),)), None)
    for span in (root, child):
        assert span.status == "ERROR"
        assert span.description.startswith(f"{status.value}: ")
        assert span.events[0].attributes["exception.type"] == status.value
    assert trace_row(change(status=status), None).state == "ERROR"


def test_has_an_end_even_where_nobody_saw_one() -> None:
    lost = change(status=Status.unknown, duration=None, attempts=(change_attempt(ended=None, status=Status.unknown),))
    root, child = spans(lost, None)
    assert root.end == child.end == WALL + 201_500_000
    assert trace_info(lost, request_preview=None, response_preview=None).duration == 201_500_000
    refused = change(status=Status.refused, duration=None, attempts=())
    (root,) = spans(refused, None)
    assert root.start == root.end == WALL


# ---------------------------------------------------------------- tokens


def test_adds_up_the_tokens_of_all_attempts_and_makes_up_none() -> None:
    def usage(*usages: Usage) -> Any:
        attempts = tuple(change_attempt(no=no, usage=each) for no, each in enumerate(usages, 1))
        value = trace_info(change(attempts=attempts), request_preview=None, response_preview=None).metadata.get("mlflow.trace.tokenUsage")
        return None if value is None else json.loads(value)

    assert usage() is None
    assert usage(Usage()) is None
    assert usage(Usage(input=5)) == {"input_tokens": 5}
    assert usage(Usage(input=0, output=0, cache_read=0)) == {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    assert usage(Usage(input=5, output=1, cache_write=3, cache_write_1h=2), Usage(input=2, output=2, cache_read=1)) == {
        "input_tokens": 7,
        "output_tokens": 3,
        "total_tokens": 10,
        "cache_read_input_tokens": 1,
        "cache_creation_input_tokens": 3,
        "cache_creation_input_tokens_above_1hr": 2,
    }


def test_tells_all_classes_of_tokens_and_who_counted() -> None:
    usage = Usage(
        input=20, output=9, cache_read=1, cache_write=5, cache_write_5m=2, cache_write_1h=3, reasoning=4, audio_input=6, audio_output=7,
        invalid=("x",),
    )  # fmt: skip
    attributes = spans(change(attempts=(change_attempt(usage=usage, provenance=Provenance.drained),)), None)[1].attributes
    told = {key.removeprefix("spangate.usage."): value for key, value in attributes.items() if key.startswith("spangate.usage.")}
    assert told == {
        "provenance": "drained",
        "cache_write_5m": 2,
        "cache_write_1h": 3,
        "reasoning": 4,
        "audio_input": 6,
        "audio_output": 7,
        "invalid": ["x"],
    }


def test_never_shows_an_estimate_as_a_count() -> None:
    guessed = change_attempt(no=1, usage=Usage(input=20, output=9, cache_read=4), provenance=Provenance.estimated)
    counted = change_attempt(no=2, usage=Usage(input=5, output=1))
    made = change(attempts=(guessed, counted))
    info = trace_info(made, request_preview=None, response_preview=None)
    assert json.loads(info.metadata["mlflow.trace.tokenUsage"]) == {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6}
    attributes = spans(made, None)[1].attributes
    assert {key: value for key, value in attributes.items() if "usage" in key.lower()} == {
        "gen_ai.usage.cache_read.input_tokens": 4,  # the provider's own word
        "spangate.usage.provenance": "estimated",
        "spangate.usage.estimated_input": 20,
        "spangate.usage.estimated_output": 9,
    }


# ---------------------------------------------------------------- bodies


def test_never_shows_the_cost_of_an_estimate_as_a_cost() -> None:
    guessed = change_attempt(no=2, usage=Usage(input=5, output=1), provenance=Provenance.estimated)
    exchange, costs = change(attempts=(ATTEMPT, guessed)), {1: COST, 2: Cost(price_id="p-2", input=250_000, output=0)}
    _, counted, estimated = spans(exchange, None, costs=costs)
    assert counted.attributes["mlflow.llm.cost"] == {"input_cost": 1.35e-06, "output_cost": 4.2e-06, "total_cost": 5.55e-06}
    assert "mlflow.llm.cost" not in estimated.attributes
    assert estimated.attributes["spangate.cost.estimated"] == {"input_cost": 2.5e-07, "output_cost": 0.0, "total_cost": 2.5e-07}
    assert estimated.attributes["spangate.price_id"] == "p-2"
    metadata = trace_info(exchange, request_preview=None, response_preview=None, costs=costs).metadata
    assert json.loads(metadata["mlflow.trace.cost"]) == counted.attributes["mlflow.llm.cost"]
    assert json.loads(metadata["spangate.cost.estimated"]) == estimated.attributes["spangate.cost.estimated"]
    assert "spangate.cost.unpriced" not in metadata


def test_says_which_tokens_have_no_price() -> None:
    silent = change_attempt(no=3, usage=Usage(), provenance=Provenance.unknown)
    exchange = change(attempts=(ATTEMPT, change_attempt(no=2), silent))
    _, priced, unpriced, unknown = spans(exchange, None, costs={1: COST})
    assert unpriced.attributes["spangate.cost.unpriced"] is True
    for attributes in (priced.attributes, unknown.attributes):
        assert "spangate.cost.unpriced" not in attributes
    for attributes in (unpriced.attributes, unknown.attributes):
        assert not {"mlflow.llm.cost", "spangate.price_id", "spangate.cost.estimated"} & attributes.keys()
    metadata = trace_info(exchange, request_preview=None, response_preview=None, costs={1: COST}).metadata
    assert json.loads(metadata["mlflow.trace.cost"])["total_cost"] == 5.55e-06  # what is known; the rest is said beside it
    assert metadata["spangate.cost.unpriced"] == "1"


def test_costs_of_several_attempts_are_added_up_before_they_are_floats() -> None:
    exchange = change(attempts=tuple(change_attempt(no=no) for no in range(1, 11)))
    metadata = trace_info(
        exchange,
        request_preview=None,
        response_preview=None,
        costs={no: Cost(price_id="p-1", input=100_000_000_000) for no in range(1, 11)},
    ).metadata
    assert json.loads(metadata["mlflow.trace.cost"]) == {"input_cost": 1.0, "output_cost": 0.0, "total_cost": 1.0}


def test_keeps_the_text_of_a_body_that_was_cut() -> None:
    root, _ = spans(EXCHANGE, Content(request=REQUEST[:20], response=b"\xff", request_truncated=True, response_truncated=True))
    assert root.attributes["mlflow.spanInputs"] == REQUEST[:20].decode()
    assert root.attributes["mlflow.spanOutputs"] == "\ufffd"
    assert (root.attributes["spangate.request_truncated"], root.attributes["spangate.response_truncated"]) == (True, True)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["messages", "role", "content", "choices", "message", "text", "type"]), inner)
    ),
)


@given(_JSON.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_takes_any_body(body: bytes) -> None:
    row = trace_row(EXCHANGE, Content(request=body, response=body))
    for text in (row.request_preview, row.response_preview):
        assert text is not None
        assert len(text) <= LONGEST
        text.encode()
    msgspec.msgpack.encode(row)
    both = spans(EXCHANGE, Content(request=body, response=body))
    assert len(both) == 2
    trace_info(EXCHANGE, request_preview=None, response_preview=None, spans=both)


def test_says_the_sizes_of_what_utf8_cannot_hold() -> None:
    both = spans(EXCHANGE, Content(request=b'{"a":"\\ud800"}'))
    assert "mlflow.trace.sizeStats" in trace_info(EXCHANGE, request_preview=None, response_preview=None, spans=both).metadata


def test_takes_a_body_that_is_too_deep() -> None:
    body = b"[" * 100_000 + b"]" * 100_000
    assert (trace_row(EXCHANGE, Content(request=body, response=None)).request_preview or "").startswith("[[[")
    assert len(spans(EXCHANGE, Content(request=body, response=body))) == 2
