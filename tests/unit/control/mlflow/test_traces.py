"""What the gateway recorded, read back by MLflow's own client."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import mlflow
import pytest
from mlflow.entities import SpanStatusCode
from mlflow.exceptions import RestException
from mlflow.store.tracking.rest_store import RestStore

from spangate.exchange import AttemptRecord, Content, Exchange, Fault, ProcessPosition, Settled, Status, trace_id
from spangate.wire.usage import Provenance, Usage

START = 1_800_000_000_123_456_789
TRACES = "/api/3.0/mlflow/traces"
REQUEST = {"model": "chat", "messages": [{"role": "user", "content": "Grüße 👋"}], "temperature": 0.7, "n": 1, "stop": None, "seed": 2**70}
RESPONSE = {"choices": [{"message": {"role": "assistant", "content": "Hello"}}], "usage": {"prompt_tokens": 11, "completion_tokens": 5}}
CONTENT = Content(request=json.dumps(REQUEST).encode(), response=json.dumps(RESPONSE).encode())
OK = AttemptRecord(
    no=1,
    provider="openai",
    model="gpt-5-mini",
    format="openai.chat",
    started=1_000_000,
    headed=80_000_000,
    first_token=90_000_000,
    ended=150_000_000,
    status=Status.ok,
    http_status=200,
    upstream_request_id="req_1",
    response_model="gpt-5-mini-2026",
    stop_reason="stop",
    usage=Usage(input=11, output=5, cache_read=3),
    provenance=Provenance.reported,
)
BROKEN = AttemptRecord(
    no=1,
    provider="openai",
    model="gpt-5-mini",
    format="openai.chat",
    started=0,
    ended=50_000_000,
    status=Status.error,
    http_status=429,
    fault=Fault("rate_limit", "Slow down", 429),
)


def exchange(number: int, experiment_id: str | None, **changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "call_id": f"01a20321-0000-7000-8000-{number:012x}",
        "format": "openai.chat",
        "request_type": "passthrough/model/openai-chat",
        "path": "/v1/chat/completions",
        "server": "127.0.0.1:4000",
        "received_at": START + number * 1_000_000_000,
        "status": Status.ok,
        "http_status": 200,
        "duration": 152_000_000,
        "endpoint_id": "e-1",
        "endpoint": "chat",
        "experiment_id": experiment_id,
        "model": "chat",
        "caller": "admin",
        "agent": "openai-python",
        "attempts": (OK,),
    }
    return Exchange(**(fields | changes))


@pytest.fixture
def experiment(store: RestStore) -> str:
    return store.create_experiment("gateway/chat")


@pytest.fixture
def client(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """mlflow's fluent functions, pointed here."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", gateway.key)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(gateway.url)
    yield
    mlflow.set_tracking_uri(before)


def keep(gateway: Any, *exchanges: Exchange, content: Content | None = CONTENT) -> None:
    records = [Settled(seq=no, exchange=one, content=content) for no, one in enumerate(exchanges, 1)]
    assert gateway.control.sink.keep(None, ProcessPosition("p-1", 1, 100, len(records)), records, gaps=[])


def test_search_traces_finds_what_was_recorded(gateway: Any, experiment: str, client: None) -> None:
    keep(gateway, *(exchange(number, experiment) for number in range(3)), exchange(9, None))
    found = mlflow.search_traces(locations=[experiment], return_type="list")
    assert [trace.info.trace_id for trace in found] == [trace_id(exchange(number, None).call_id) for number in (2, 1, 0)]
    trace = found[-1]
    assert trace.info.experiment_id == experiment
    assert trace.info.request_time == START // 1_000_000
    assert trace.info.execution_duration == 152
    assert trace.info.state.value == "OK"
    assert trace.info.token_usage == {"input_tokens": 11, "output_tokens": 5, "total_tokens": 16, "cache_read_input_tokens": 3}
    assert trace.info.request_preview == "Grüße 👋"
    assert trace.info.response_preview == "Hello"
    assert trace.info.tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    assert trace.info.trace_metadata["mlflow.gateway.endpointId"] == "e-1"
    root, child = trace.data.spans
    assert (root.name, child.name) == ("gateway/chat", "provider/openai/gpt-5-mini")
    assert (root.parent_id, child.parent_id) == (None, root.span_id)
    assert root.start_time_ns == START
    assert root.end_time_ns == START + 152_000_000
    assert root.inputs == {key: value for key, value in REQUEST.items() if key not in ("model", "seed")} | {"seed": str(2**70)}
    assert root.outputs == RESPONSE == child.outputs
    assert child.span_type == "LLM"
    assert child.get_attribute("mlflow.chat.tokenUsage")["input_tokens"] == 11
    assert child.get_attribute("spangate.usage.provenance") == "reported"
    assert child.get_attribute("spangate.time_to_head_ms") == 79.0
    assert root.status.status_code == child.status.status_code == SpanStatusCode.OK


def test_get_trace(gateway: Any, experiment: str, client: None, store: RestStore, http: httpx.Client) -> None:
    keep(gateway, exchange(1, experiment))
    (found,) = mlflow.search_traces(locations=[experiment], return_type="list")
    got = mlflow.get_trace(found.info.trace_id)
    assert got is not None
    assert got.to_dict() == found.to_dict()
    assert store.get_trace_info(found.info.trace_id).to_dict() == store.batch_get_trace_infos([found.info.trace_id])[0].to_dict()
    # Without the content, and so without sizes.
    alone = http.get(f"{TRACES}/{found.info.trace_id}").json()["trace"]
    assert alone.keys() == {"trace_info"}
    assert "mlflow.trace.sizeBytes" not in alone["trace_info"]["trace_metadata"]


def test_an_error_says_what_the_provider_said(gateway: Any, experiment: str, client: None) -> None:
    fault = Fault("rate_limit", "Slow down", 429)
    keep(gateway, exchange(1, experiment, status=Status.error, http_status=429, fault=fault, attempts=(BROKEN,)), content=None)
    (trace,) = mlflow.search_traces(locations=[experiment], return_type="list")
    assert trace.info.state.value == "ERROR"
    for span in trace.data.spans:
        assert span.status.status_code == SpanStatusCode.ERROR
        assert span.status.description == "rate_limit: Slow down"
        (event,) = span.events
        assert (event.name, event.attributes["exception.message"]) == ("exception", "Slow down")
    assert trace.data.spans[1].get_attribute("spangate.upstream.http_status") == 429


def test_the_wire(gateway: Any, experiment: str, http: httpx.Client) -> None:
    keep(gateway, exchange(1, experiment))
    wanted = trace_id(exchange(1, None).call_id)
    info, spans = http.get(f"{TRACES}/batchGet", params={"trace_ids": [wanted, "tr-none"]}).json()["traces"][0].values()
    assert info["trace_location"] == {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    assert info["request_time"] == "2027-01-15T08:00:01.123Z"
    assert info["execution_duration"] == "0.152s"
    assert info["state"] == "OK"
    root, child = spans
    assert root["trace_id"] == "AaIDIQAAcACAAAAAAAAAAQ=="
    assert "parent_span_id" not in root
    assert child["parent_span_id"] == root["span_id"]
    assert root["start_time_unix_nano"] == START + 1_000_000_000
    assert root["status"] == {"code": "STATUS_CODE_OK"}
    assert "events" not in root
    values = {item["key"]: item["value"] for item in root["attributes"]}
    assert values["mlflow.traceRequestId"] == {"string_value": wanted}
    assert values["spangate.streaming"] == {"bool_value": False}
    assert values["mlflow.spanLogLevel"] == {"int_value": 10}
    inputs = {item["key"]: item["value"] for item in values["mlflow.spanInputs"]["kvlist_value"]["values"]}
    assert inputs["temperature"] == {"double_value": 0.7}
    assert inputs["stop"] == {}
    assert inputs["seed"] == {"string_value": str(2**70)}


NESTED: Any = "end"
for _ in range(200):
    NESTED = {"a": [NESTED]}


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"\xff\xfe",
        b'{"a": NaN, "b": 1e999, "c": -1e999}',
        b'{"half": "\\ud83d", "\\udc4b": 1}',
        b'"only text"',
        b"[1, 2]",
        b"{}",
        b"",
        json.dumps(NESTED).encode(),
        b"[" * 5000 + b"]" * 5000,
        b"{" + b'"a":{' * 5000,
        b'{"a": "\\u0000"}',
        json.dumps({"n": [2**63 - 1, -(2**63), 2**63]}).encode(),
    ],
)
def test_the_client_reads_any_content(gateway: Any, experiment: str, client: None, body: bytes) -> None:
    keep(gateway, exchange(1, experiment), content=Content(request=body, response=body, request_truncated=True))
    (trace,) = mlflow.search_traces(locations=[experiment], return_type="list")
    assert len(trace.data.spans) == 2
    assert trace.data.spans[0].get_attribute("spangate.request_truncated") is True


def test_deep_content_is_kept_as_text_where_the_client_cannot_follow(gateway: Any, experiment: str, client: None) -> None:
    keep(gateway, exchange(1, experiment), content=Content(request=json.dumps(NESTED).encode()))
    (trace,) = mlflow.search_traces(locations=[experiment], return_type="list")
    inner = trace.data.spans[0].inputs
    depth = 0
    while not isinstance(inner, str):
        inner = inner["a"] if isinstance(inner, dict) else inner[0]
        depth += 1
    while inner != "end":
        inner = json.loads(inner) if isinstance(inner, str) else inner["a"] if isinstance(inner, dict) else inner[0]
        depth += 1
    assert depth == 401


@pytest.mark.parametrize(
    ("filter_string", "numbers"),
    [
        ("attributes.status = 'ERROR'", [3]),
        ("trace.status = 'OK' AND trace.name = 'gateway/chat'", [2, 1, 0]),
        (f"trace.timestamp_ms > {START // 1_000_000 + 1000}", [3, 2]),
        ("metadata.`mlflow.gateway.requestType` = 'passthrough/model/openai-chat'", [3, 2, 1, 0]),
        ("tags.team = 'core'", [1]),
        ("trace.name = 'other'", []),
    ],
)
def test_filters(gateway: Any, experiment: str, client: None, store: RestStore, filter_string: str, numbers: list[int]) -> None:
    keep(gateway, *(exchange(n, experiment) for n in range(3)), exchange(3, experiment, status=Status.error))
    store.set_trace_tag(trace_id(exchange(1, None).call_id), "team", "core")
    found = mlflow.search_traces(locations=[experiment], filter_string=filter_string, return_type="list", include_spans=False)
    assert [trace.info.trace_id for trace in found] == [trace_id(exchange(n, None).call_id) for n in numbers]


def test_pages_are_stable_while_traces_come_in(gateway: Any, experiment: str, store: RestStore) -> None:
    keep(gateway, *(exchange(n, experiment) for n in range(5)))
    first, token = store.search_traces(locations=[experiment], max_results=2, order_by=["timestamp_ms DESC"])
    late = [Settled(seq=6, exchange=exchange(7, experiment))]
    before = ProcessPosition("p-1", 1, 100, 5)
    assert gateway.control.sink.keep(before, ProcessPosition("p-1", 1, 200, 6), late, gaps=[])
    second, token = store.search_traces(locations=[experiment], max_results=2, order_by=["timestamp_ms DESC"], page_token=token)
    third, token = store.search_traces(locations=[experiment], max_results=2, order_by=["timestamp_ms DESC"], page_token=token)
    numbers = [int(info.trace_id[-4:], 16) for info in [*first, *second, *third]]
    assert numbers == [4, 3, 2, 1, 0]
    assert not token


def test_tags(gateway: Any, experiment: str, store: RestStore) -> None:
    keep(gateway, exchange(1, experiment))
    wanted = trace_id(exchange(1, None).call_id)
    store.set_trace_tag(wanted, "team", "core")
    assert store.get_trace_info(wanted).tags["team"] == "core"
    store.delete_trace_tag(wanted, "team")
    assert "team" not in store.get_trace_info(wanted).tags
    with pytest.raises(RestException, match="INVALID_PARAMETER_VALUE"):
        store.set_trace_tag(wanted, "mlflow.traceName", "mine")
    with pytest.raises(RestException, match="RESOURCE_DOES_NOT_EXIST"):
        store.set_trace_tag("tr-none", "team", "core")


def test_what_is_not_there(http: httpx.Client) -> None:
    for path in (f"{TRACES}/tr-none", f"{TRACES}/get?trace_id=tr-none"):
        missing = http.get(path)
        assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert http.get(f"{TRACES}/batchGet", params={"trace_ids": "tr-none"}).json() == {}
    assert http.get(f"{TRACES}/batchGet").json() == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"locations": []},
        {"locations": "1"},
        {"locations": [{"type": "INFERENCE_TABLE", "inference_table": {"full_table_name": "a"}}]},
        {"locations": [{"type": "NOWHERE"}]},
        {"locations": [{"mlflow_experiment": {"experiment_id": 1}}]},
        *(
            {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]} | more
            for more in (
                {"max_results": 0},
                {"max_results": 501},
                {"max_results": "all"},
                {"filter": "bogus = 1"},
                {"filter": "status = 'OK' OR status = 'ERROR'"},
                {"filter": "'"},
                {"order_by": ["bogus"]},
                {"order_by": "timestamp"},
                {"page_token": "!"},
            )
        ),
    ],
)
def test_a_wrong_search_is_a_clear_400(bare: httpx.Client, body: dict[str, Any]) -> None:
    refused = bare.post(f"{TRACES}/search", json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert refused.json()["message"]


@pytest.mark.parametrize("experiment_id", ["", "abc", "-1", "9" * 40])
def test_an_experiment_that_cannot_be_has_no_traces(bare: httpx.Client, experiment_id: str) -> None:
    body = {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}]}
    assert bare.post(f"{TRACES}/search", json=body).json() == {}
