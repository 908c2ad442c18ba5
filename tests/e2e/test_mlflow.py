"""The unmodified mlflow client: its tracing reads, its management calls, and the gateway routes that only MLflow has."""

import json
import time
from collections.abc import Iterator
from typing import Any

import mlflow
import openai
import pytest
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.rest_utils import MlflowHostCreds

from tests.upstream.knobs import mark

from .client import CALLER
from .gateway import ADMIN_KEY, MLFLOW, Gateway, until
from .invariant import expected_tokens
from .rest import Rest, RestError


@pytest.fixture
def tracking(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_KEY)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(gateway.url)
    yield
    mlflow.set_tracking_uri(before)


@pytest.fixture
def store(gateway: Gateway) -> RestStore:
    return RestStore(lambda: MlflowHostCreds(gateway.url, token=ADMIN_KEY))


def say(call: str, **knobs: object) -> list[Any]:
    return [{"role": "user", "content": f"Tell me. {mark(call, **knobs)}"}]


def experiment(gateway: Gateway, endpoint: str) -> str:
    return gateway.rest.get(f"{MLFLOW}/gateway/endpoints/get", name=endpoint)["endpoint"]["experiment_id"]


ROOT_KEYS = {
    "endpoint_id",
    "endpoint_name",
    "server_url",
    "mlflow.spanType",
    "mlflow.traceRequestId",
    "mlflow.llm.model",
    "mlflow.spanLogLevel",
}
CHILD_KEYS = {"mlflow.spanType", "mlflow.traceRequestId", "mlflow.llm.provider", "mlflow.llm.model", "mlflow.chat.tokenUsage"}
METADATA_KEYS = {
    "mlflow.gateway.endpointId",
    "mlflow.gateway.requestType",
    "mlflow.gateway.caller",
    "mlflow.trace.tokenUsage",
    "mlflow.trace_schema.version",
    "mlflow.traceInputs",
    "mlflow.traceOutputs",
}


@pytest.mark.usefixtures("tracking")
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_search_traces_shows_the_call_within_two_seconds(gateway: Gateway, chat: openai.OpenAI, call: str, stream: bool) -> None:
    answer = chat.chat.completions.create(model="chat", messages=say(call, cached=4), stream=stream)  # type: ignore[call-overload]
    if stream:
        list(answer)
    answered = time.monotonic()
    where = experiment(gateway, "chat")

    def find() -> Any:
        found = mlflow.search_traces(locations=[where], filter_string=f"metadata.`mlflow.gateway.caller` = '{call}'", return_type="list")
        return found[0] if found else None

    trace = until(find, 20, "the trace in mlflow.search_traces")
    assert time.monotonic() - answered < 2.5
    given_in, given_out = expected_tokens(call, cached=4)
    usage = {"input_tokens": given_in, "output_tokens": given_out, "total_tokens": given_in + given_out, "cache_read_input_tokens": 4}
    assert trace.info.state == "OK"
    assert {k: v for k, v in trace.info.token_usage.items() if k in usage} == usage
    assert trace.info.trace_metadata.keys() >= METADATA_KEYS
    assert trace.info.tags["mlflow.traceName"] == "gateway/chat"
    root, child = trace.data.spans
    assert (root.name, child.name, child.parent_id) == ("gateway/chat", "provider/openai/gpt-replay", root.span_id)
    assert root.attributes.keys() >= ROOT_KEYS
    assert child.attributes.keys() >= CHILD_KEYS
    assert root.inputs["messages"][0]["content"].endswith(mark(call, cached=4))
    assert root.outputs["choices"][0]["message"]["content"] == "Every token is counted once"
    assert root.outputs["choices"][0]["finish_reason"] == "stop"
    assert len(root.events) == len(child.events) == 0
    whole = mlflow.get_trace(trace.info.trace_id)
    assert whole.to_dict() == trace.to_dict()


@pytest.mark.usefixtures("tracking")
def test_what_a_call_cost_is_in_its_trace_and_another_price_shows_at_once(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    chat.chat.completions.create(model="chat", messages=say(call))
    found = {"locations": [experiment(gateway, "chat")], "filter_string": f"metadata.`mlflow.gateway.caller` = '{call}'"}
    (trace,) = until(lambda: mlflow.search_traces(**found, return_type="list"), 20, "the trace")
    row = gateway.call_row(trace.info.trace_metadata["spangate.call_id"])

    def shown(trace: Any) -> tuple[Any, Any]:
        return trace.info.cost, trace.data.spans[1].get_attribute("mlflow.llm.cost")

    given_in, given_out = expected_tokens(call)
    cost = {"input_cost": given_in * 1.25 / 1e6, "output_cost": given_out * 10 / 1e6}
    cost["total_cost"] = float(row.cost or 0)
    assert cost["total_cost"] == pytest.approx(cost["input_cost"] + cost["output_cost"], rel=1e-12)
    assert shown(trace) == (cost, cost) == shown(mlflow.get_trace(trace.info.trace_id))
    assert trace.data.spans[1].get_attribute("spangate.price_id") == row.attempts[0].price_id

    dearer = gateway.rest.post(
        "/api/v1/prices/overrides", name=call, endpoint_id=row.endpoint_id, rates={"output": {"usd": "1000"}, "input": {"usd": "0"}}
    )
    try:
        done = gateway.rest.post("/api/v1/reprice", since="2020-01")
        assert done["changed_calls"] > 0
        again = {"input_cost": 0.0, "output_cost": given_out / 1e3, "total_cost": given_out / 1e3}
        assert shown(mlflow.get_trace(trace.info.trace_id)) == (again, again)
    finally:
        gateway.rest.call("DELETE", f"/api/v1/prices/overrides/{dearer['override_id']}")
        gateway.rest.post("/api/v1/reprice", since="2020-01")
    assert shown(mlflow.get_trace(trace.info.trace_id)) == (cost, cost)


@pytest.mark.usefixtures("tracking")
def test_an_error_is_in_the_trace_with_what_the_provider_said(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    with pytest.raises(openai.RateLimitError):
        chat.chat.completions.create(model="chat", messages=say(call, status=429, retry_after="9"))
    filter = f"metadata.`mlflow.gateway.caller` = '{call}' AND status = 'ERROR'"
    (trace,) = until(
        lambda: mlflow.search_traces(locations=[experiment(gateway, "chat")], filter_string=filter, return_type="list"), 20, "the trace"
    )
    root, child = trace.data.spans
    assert (root.status.status_code, child.status.status_code) == ("ERROR", "ERROR")
    assert "replayed fault 429" in json.dumps([event.attributes for event in child.events])


@pytest.mark.usefixtures("tracking")
def test_a_page_at_a_time(gateway: Gateway, chat: openai.OpenAI, call: str) -> None:
    for _ in range(7):
        chat.chat.completions.create(model="chat", messages=say(call))
    client = mlflow.MlflowClient()
    where, filter = experiment(gateway, "chat"), f"metadata.`mlflow.gateway.caller` = '{call}'"
    until(lambda: len(client.search_traces(locations=[where], filter_string=filter)) == 7, 20, "seven traces")
    seen, token = [], None
    while True:
        page = client.search_traces(locations=[where], filter_string=filter, max_results=2, page_token=token, order_by=["timestamp_ms ASC"])
        seen += [trace.info.trace_id for trace in page]
        token = page.token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.usefixtures("tracking")
def test_set_experiment(gateway: Gateway) -> None:
    made = mlflow.set_experiment("made by the client")
    assert mlflow.get_experiment(made.experiment_id).name == "made by the client"
    assert "made by the client" in {e.name for e in mlflow.search_experiments()}
    assert mlflow.get_experiment("0").name == "Default"


def test_management_nouns(gateway: Gateway, store: RestStore) -> None:
    from mlflow.entities import GatewayEndpointModelConfig, GatewayModelLinkageType

    secret = store.create_gateway_secret("nouns-s", {"api_key": "sk-abcdefghijklmnop"}, "openai", {"api_base": "http://127.0.0.1:9/v1"})
    assert secret.masked_values == {"api_key": "sk-...mnop"}
    assert store.get_secret_info(secret_name="nouns-s").secret_id == secret.secret_id
    model = store.create_gateway_model_definition("nouns-m", secret.secret_id, "openai", "gpt-5")
    config = [GatewayEndpointModelConfig(model.model_definition_id, GatewayModelLinkageType.PRIMARY)]
    endpoint = store.create_gateway_endpoint("nouns-e", config)
    assert store.get_gateway_endpoint(name="nouns-e").endpoint_id == endpoint.endpoint_id
    assert endpoint.endpoint_id in {e.endpoint_id for e in store.list_gateway_endpoints(provider="openai")}
    store.update_gateway_secret(secret.secret_id, {"api_key": "sk-zzzzzzzzzzzz9999"})
    assert store.get_secret_info(secret.secret_id).masked_values == {"api_key": "sk-...9999"}
    with pytest.raises(RestError) as used:
        gateway.rest.delete(f"{MLFLOW}/gateway/model-definitions/delete", model_definition_id=model.model_definition_id)
    assert used.value.status in (400, 409)
    with pytest.raises(RestError) as twice:
        gateway.rest.post(f"{MLFLOW}/gateway/secrets/create", secret_name="nouns-s", secret_value={"api_key": "x"})
    assert (twice.value.status, twice.value.body["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")
    store.delete_gateway_endpoint(endpoint.endpoint_id)
    store.delete_gateway_model_definition(model.model_definition_id)
    store.delete_gateway_secret(secret.secret_id)
    with pytest.raises(RestError) as gone:
        gateway.rest.get(f"{MLFLOW}/gateway/secrets/get", secret_id=secret.secret_id)
    assert (gone.value.status, gone.value.body["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_what_we_do_not_serve_says_so(gateway: Gateway) -> None:
    for method, path in [("POST", "/api/2.0/mlflow/runs/create"), ("GET", "/api/2.0/mlflow/registered-models/search")]:
        with pytest.raises(RestError) as caught:
            gateway.rest.call(method, path, {} if method == "POST" else None)
        assert (caught.value.status, caught.value.body["error_code"]) == (501, "NOT_IMPLEMENTED")


@pytest.mark.parametrize("path", [f"{MLFLOW}/gateway/secrets/list", "/api/2.0/mlflow/experiments/get?experiment_id=0", "/api/v1/calls"])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_nothing_is_told_without_a_key(gateway: Gateway, path: str, key: str | None) -> None:
    with pytest.raises(RestError) as caught:
        Rest(gateway.url, key).get(path)
    assert caught.value.status == 401


def test_version(gateway: Gateway) -> None:
    major, minor, *_ = str(gateway.rest.get("/version")).split(".")
    assert (int(major), int(minor)) >= (3, 4)


# ---------------------------------------------------------------- the unified route


def test_unified_plain(gateway: Gateway, call: str) -> None:
    with openai.OpenAI(
        base_url=f"{gateway.url}/gateway/mlflow/v1", api_key=ADMIN_KEY, max_retries=0, default_headers={CALLER: call}
    ) as client:
        answer: Any = client.chat.completions.create(model="chat", messages=say(call, cached=4))
        assert {"chat", "claude"} <= {model.id for model in client.models.list()}
    assert answer.provider == "openai"
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == expected_tokens(call, cached=4)


def test_unified_stream(gateway: Gateway, call: str) -> None:
    with openai.OpenAI(
        base_url=f"{gateway.url}/gateway/mlflow/v1", api_key=ADMIN_KEY, max_retries=0, default_headers={CALLER: call}
    ) as client:
        chunks: list[Any] = list(client.chat.completions.create(model="chat", messages=say(call, n=5), stream=True))
    assert {chunk.provider for chunk in chunks} == {"openai"}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Every token is counted once"
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == expected_tokens(call)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_unified_errors_keep_their_status(gateway: Gateway, call: str, stream: bool) -> None:
    with (
        openai.OpenAI(
            base_url=f"{gateway.url}/gateway/mlflow/v1", api_key=ADMIN_KEY, max_retries=0, default_headers={CALLER: call}
        ) as client,
        pytest.raises(openai.RateLimitError),
    ):
        client.chat.completions.create(model="chat", messages=say(call, status=429), stream=stream)  # type: ignore[call-overload]


def test_invocations(gateway: Gateway, call: str) -> None:
    body = {"messages": say(call)}
    answer = gateway.rest.call("POST", "/gateway/chat/mlflow/invocations", body, headers={CALLER: call})
    assert answer["provider"] == "openai"
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == expected_tokens(call)
