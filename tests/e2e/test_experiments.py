"""The rules of endpoints, experiments and tracing, row by row, through MLflow's own RestStore."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from mlflow.entities import GatewayEndpointModelConfig, GatewayModelLinkageType
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.rest_utils import MlflowHostCreds

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, Gateway, until
from .rest import RestError

GATEWAY_TAGS = {"mlflow.experiment.sourceType": "GATEWAY", "mlflow.experiment.isGateway": "true"}


@pytest.fixture
def store(gateway: Gateway) -> RestStore:
    return RestStore(lambda: MlflowHostCreds(gateway.url, username="admin", password=ADMIN_KEY))


@pytest.fixture
def name() -> str:
    return f"ep-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def config(store: RestStore, upstream: Upstream, name: str) -> list[GatewayEndpointModelConfig]:
    secret = store.create_gateway_secret(f"{name}-s", {"api_key": "sk-0123456789"}, "openai", {"api_base": upstream.base})
    model = store.create_gateway_model_definition(f"{name}-m", secret.secret_id, "openai", "gpt-replay")
    return [GatewayEndpointModelConfig(model.model_definition_id, GatewayModelLinkageType.PRIMARY)]


@pytest.fixture
def say(gateway: Gateway) -> Iterator[Any]:
    """Calls an endpoint and returns the reply's trace id, or None."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0) as client:

        def say(endpoint: str) -> str | None:
            call = f"say-{uuid.uuid4().hex[:12]}"
            messages: list[Any] = [{"role": "user", "content": f"canary of {endpoint} {mark(call)}"}]
            raw = client.chat.completions.with_raw_response.create(model=endpoint, messages=messages, extra_headers={CALLER: call})
            gateway.call_row(raw.headers["x-spangate-call-id"])
            return raw.headers.get("x-spangate-trace-id")

        yield say


def tags(experiment: Any) -> dict[str, str]:
    return dict(experiment.tags)


def test_tracking_absent_means_true(gateway: Gateway, config: Any, name: str) -> None:
    endpoint = gateway.create_endpoint(name, config[0].model_definition_id)
    assert endpoint["usage_tracking"] is True
    assert gateway.experiment(endpoint["experiment_id"])["name"] == f"gateway/{name}"


def test_tracking_makes_an_experiment_with_its_tags(store: RestStore, config: Any, name: str) -> None:
    endpoint = store.create_gateway_endpoint(name, config)
    experiment = store.get_experiment(endpoint.experiment_id)
    assert (experiment.name, experiment.lifecycle_stage) == (f"gateway/{name}", "active")
    assert tags(experiment).items() >= (GATEWAY_TAGS | {"mlflow.experiment.sourceId": endpoint.endpoint_id}).items()


def test_an_active_namesake_is_reused(store: RestStore, config: Any, name: str) -> None:
    before = store.create_experiment(f"gateway/{name}")
    assert store.create_gateway_endpoint(name, config).experiment_id == before


def test_a_deleted_namesake_is_not(store: RestStore, config: Any, name: str) -> None:
    store.delete_experiment(store.create_experiment(f"gateway/{name}"))
    endpoint = store.create_gateway_endpoint(name, config)
    assert store.get_experiment(endpoint.experiment_id).name == f"gateway/{name}-2"


def test_a_failed_create_leaves_no_orphan(store: RestStore, name: str) -> None:
    config = [GatewayEndpointModelConfig("d-" + "0" * 32, GatewayModelLinkageType.PRIMARY)]
    with pytest.raises(MlflowException):
        store.create_gateway_endpoint(name, config)
    assert store.get_experiment_by_name(f"gateway/{name}") is None


def test_a_given_experiment_is_taken(gateway: Gateway, store: RestStore, config: Any, name: str, say: Any) -> None:
    mine = store.create_experiment(f"mine-{name}")
    endpoint = store.create_gateway_endpoint(name, config, experiment_id=mine)
    assert endpoint.experiment_id == mine
    gateway.known(name)
    assert store.get_trace_info(say(name)).experiment_id == mine


@pytest.mark.parametrize("wrong", ["999999999", "deleted", "not-a-number"])
def test_a_given_experiment_must_be_there_and_active(store: RestStore, config: Any, name: str, wrong: str) -> None:
    if wrong == "deleted":
        wrong = store.create_experiment(f"gone-{name}")
        store.delete_experiment(wrong)
    with pytest.raises(MlflowException) as caught:
        store.create_gateway_endpoint(name, config, experiment_id=wrong)
    assert (caught.value.error_code, caught.value.get_http_status_code()) == ("INVALID_PARAMETER_VALUE", 400)
    assert store.get_experiment_by_name(f"gateway/{name}") is None


def test_absent_is_not_false(gateway: Gateway, store: RestStore, config: Any, name: str) -> None:
    on = store.create_gateway_endpoint(name, config)
    assert gateway.update_endpoint(on.endpoint_id, name=f"{name}-b")["usage_tracking"] is True
    gateway.update_endpoint(on.endpoint_id, usage_tracking=False)
    off = gateway.update_endpoint(on.endpoint_id, name=f"{name}-c")
    assert off.get("usage_tracking", False) is False
    assert off["experiment_id"] == on.experiment_id


def test_turned_off_there_is_a_bill_but_no_trace(gateway: Gateway, store: RestStore, config: Any, name: str, say: Any) -> None:
    endpoint = store.create_gateway_endpoint(name, config)
    gateway.known(name)
    assert store.get_trace_info(say(name)).experiment_id == endpoint.experiment_id
    store.update_gateway_endpoint(endpoint.endpoint_id, usage_tracking=False)
    changed = time.monotonic()
    until(lambda: say(name) is None and say(name) is None, 20, "calls are no longer traced", step=0)
    assert time.monotonic() - changed < 3
    for _ in range(4):
        assert say(name) is None
    assert store.get_gateway_endpoint(endpoint.endpoint_id).experiment_id == endpoint.experiment_id
    rows = [row for row in gateway.calls() if row.endpoint_id == endpoint.endpoint_id]
    untraced = [row for row in rows if row.experiment_id is None]
    assert len(untraced) >= 6
    assert all(row.attempts[0].input_tokens for row in untraced)
    traced = {info["trace_id"] for info in gateway.traces(endpoint.experiment_id)}
    assert len(traced) == len(rows) - len(untraced)
    # On again: the same experiment.
    store.update_gateway_endpoint(endpoint.endpoint_id, usage_tracking=True)
    trace = until(lambda: say(name), 20, "calls are traced again")
    assert store.get_trace_info(trace).experiment_id == endpoint.experiment_id


def test_renaming_keeps_the_experiment(gateway: Gateway, store: RestStore, config: Any, name: str, say: Any) -> None:
    endpoint = store.create_gateway_endpoint(name, config)
    store.update_gateway_endpoint(endpoint.endpoint_id, name=f"{name}-renamed")
    gateway.known(f"{name}-renamed")
    experiment = store.get_experiment(endpoint.experiment_id)
    assert experiment.name == f"gateway/{name}"
    assert store.get_trace_info(say(f"{name}-renamed")).experiment_id == endpoint.experiment_id


def test_a_deleted_experiment_is_replaced_and_the_endpoint_says_so(
    gateway: Gateway, store: RestStore, config: Any, name: str, say: Any
) -> None:
    endpoint = store.create_gateway_endpoint(name, config)
    gateway.known(name)
    say(name)
    store.delete_experiment(endpoint.experiment_id)
    after = store.get_gateway_endpoint(endpoint.endpoint_id)
    assert after.experiment_id != endpoint.experiment_id
    fresh = store.get_experiment(after.experiment_id)
    assert fresh.lifecycle_stage == "active"
    assert fresh.name.startswith(f"gateway/{name}")
    shown = gateway.get_endpoint(endpoint.endpoint_id)
    assert any(tag["key"] == "spangate.experiment.replaced" and endpoint.experiment_id in tag["value"] for tag in shown["tags"])
    until(lambda: store.get_trace_info(say(name)).experiment_id == after.experiment_id, 20, "traces go to the fresh experiment")


def test_a_change_is_in_force_in_every_worker_within_a_second(gateway: Gateway, store: RestStore, config: Any, name: str, say: Any) -> None:
    """A worker that had not heard of the change would answer one of these calls by the old snapshot."""
    endpoint = store.create_gateway_endpoint(name, config)
    time.sleep(1)
    assert all(say(name) for _ in range(6))
    store.delete_gateway_endpoint(endpoint.endpoint_id)
    time.sleep(1)
    for _ in range(6):
        with pytest.raises(openai.NotFoundError):
            say(name)


def test_ids_of_experiments_are_never_reused(gateway: Gateway, store: RestStore, name: str) -> None:
    first = store.create_experiment(f"{name}-1")
    store.delete_experiment(first)
    assert int(store.create_experiment(f"{name}-2")) > int(first)
    with pytest.raises(RestError) as again:
        gateway.rest.post("/api/2.0/mlflow/experiments/create", name=f"{name}-2")
    assert again.value.status == 400
    assert again.value.body["error_code"] == "RESOURCE_ALREADY_EXISTS"
