"""Keys as people use them: official clients are told no in their own words, the bill has a name, and a revoked key is over in every
worker."""

import datetime
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import mlflow
import openai
import pytest
from google import genai
from google.genai import errors, types
from mlflow.exceptions import MlflowException

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, Gateway, listed, until
from .rest import Rest, RestError


def keys(gateway: Gateway, **said: Any) -> dict[str, Any]:
    """A key, once every worker knows it. A viewer's is for reading, which is asked of control."""
    made = gateway.rest.post("/api/v1/keys", name=f"k-{uuid.uuid4().hex[:12]}", **said)
    known(gateway, made["key"], lambda names: names is not None)
    return made


def known(gateway: Gateway, key: str, of: Callable[[list[str] | None], bool]) -> None:
    """Returns when it is so of what each worker lists for the key; None: it does not know it."""
    until(lambda: all(of(listed(*said)) for said in gateway.of_each_worker(key)), 10, "the key in each worker")


def revoke(gateway: Gateway, key: dict[str, Any]) -> None:
    gateway.rest.post(f"/api/v1/keys/{key['key_id']}/revoke")
    known(gateway, key["key"], lambda names: names is None)


def endpoint_id(gateway: Gateway, name: str) -> str:
    return gateway.rest.get("/api/3.0/mlflow/gateway/endpoints/get", name=name)["endpoint"]["endpoint_id"]


def chat(gateway: Gateway, key: str, call: str, model: str = "chat") -> openai.types.chat.ChatCompletion:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=30, default_headers={CALLER: call}) as client:
        return client.chat.completions.create(model=model, messages=[{"role": "user", "content": mark(call)}])


def claude(gateway: Gateway, key: str, call: str) -> anthropic.types.Message:
    with anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=30, default_headers={CALLER: call}) as client:
        return client.messages.create(model="claude", max_tokens=50, messages=[{"role": "user", "content": mark(call)}])


def gem(gateway: Gateway, key: str, call: str) -> types.GenerateContentResponse:
    client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gateway.url, headers={CALLER: call}, timeout=30_000))
    try:
        return client.models.generate_content(model="gem", contents=mark(call))
    finally:
        client.close()


def rows(gateway: Gateway, call: str, count: int) -> list[dict[str, Any]]:
    def found() -> list[dict[str, Any]]:
        return [row for row in gateway.rest.get("/api/v1/calls", max_results=200)["calls"] if row["agent"] == call]

    return until(lambda: len(found()) == count and found(), 10, f"{count} ledger rows of {call}")


def test_a_call_is_on_the_bill_of_its_keys_owner(gateway: Gateway, call: str) -> None:
    key = keys(gateway, owner="ann", team="search")
    assert chat(gateway, key["key"], call).choices
    (row,) = rows(gateway, call, 1)
    assert (row["caller_id"], row["caller"], row["owner"], row["team"]) == (key["key_id"], key["name"], "ann", "search")
    used = until(lambda: gateway.rest.get(f"/api/v1/keys/{key['key_id']}")["last_used_at"], 10, "its last use")
    assert used >= key["created_at"]


def test_a_revoked_key_is_over_in_every_worker_for_every_client(gateway: Gateway, call: str) -> None:
    key = keys(gateway)
    assert chat(gateway, key["key"], call).choices
    assert claude(gateway, key["key"], f"{call}-b").content
    assert gem(gateway, key["key"], f"{call}-c").text
    revoke(gateway, key)
    with pytest.raises(openai.AuthenticationError) as openais:
        chat(gateway, key["key"], f"{call}-d")
    assert (openais.value.type, openais.value.code) == ("authentication_error", "invalid_key")
    with pytest.raises(anthropic.AuthenticationError) as anthropics:
        claude(gateway, key["key"], f"{call}-e")
    assert anthropics.value.body["error"]["type"] == "authentication_error"  # type: ignore[index]
    with pytest.raises(errors.ClientError) as googles:
        gem(gateway, key["key"], f"{call}-f")
    assert (googles.value.code, googles.value.status) == (401, "UNAUTHENTICATED")
    with pytest.raises(RestError, match="not known here"):
        Rest(gateway.url, key["key"]).get("/api/v1/calls")


@pytest.mark.parametrize(
    ("said", "words"),
    [({"role": "viewer"}, "calls no endpoints"), ({"endpoints": []}, "is not for endpoint")],
    ids=["a viewer", "for another endpoint"],
)
def test_who_may_not_is_told_in_the_clients_own_words_and_is_on_record(
    gateway: Gateway, call: str, said: dict[str, Any], words: str
) -> None:
    key = keys(gateway, owner="bob", team="shop", **said)
    with pytest.raises(openai.PermissionDeniedError, match=words) as openais:
        chat(gateway, key["key"], call)
    assert openais.value.type == "permission_error"
    with pytest.raises(anthropic.PermissionDeniedError, match=words) as anthropics:
        claude(gateway, key["key"], call)
    assert anthropics.value.body["error"]["type"] == "permission_error"  # type: ignore[index]
    with pytest.raises(errors.ClientError, match=words) as googles:
        gem(gateway, key["key"], call)
    assert (googles.value.code, googles.value.status) == (403, "PERMISSION_DENIED")
    refused = rows(gateway, call, 3)
    assert {(row["status"], row["http_status"], row["owner"], row["team"], len(row["attempts"])) for row in refused} == {
        ("refused", 403, "bob", "shop", 0)
    }
    assert sorted(row["endpoint"] for row in refused) == ["chat", "claude", "gem"]


def test_a_key_for_an_endpoint_lists_and_calls_that_one(gateway: Gateway, call: str) -> None:
    key = keys(gateway, endpoints=[endpoint_id(gateway, "claude")])
    assert claude(gateway, key["key"], call).content
    known(gateway, key["key"], lambda names: names == ["claude"])
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key["key"], max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["claude"]
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("chat")
    with anthropic.Anthropic(base_url=gateway.url, api_key=key["key"], max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["claude"]
    google = genai.Client(api_key=key["key"], http_options=types.HttpOptions(base_url=gateway.url))
    assert [model.name for model in google.models.list()] == ["models/claude"]
    google.close()
    known(gateway, keys(gateway, role="viewer")["key"], lambda names: names == [])


def test_a_key_that_expires_is_told_so(gateway: Gateway, call: str) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=3)
    made = gateway.rest.post("/api/v1/keys", name=f"k-{uuid.uuid4().hex[:12]}", expires_at=soon.isoformat())

    def told() -> bool:
        return all("has expired" in str(body) for _, body in gateway.of_each_worker(made["key"]))

    until(told, 20, "every worker says that the key has expired")
    with pytest.raises(openai.AuthenticationError, match="has expired") as refused:
        chat(gateway, made["key"], call)
    assert refused.value.code == "expired_key"
    with pytest.raises(RestError, match="has expired"):
        Rest(gateway.url, made["key"]).get("/api/v1/calls")


# ---------------------------------------------------------------- MLflow's client


@pytest.fixture
def tracking(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(gateway.url)
    yield lambda key: monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
    mlflow.set_tracking_uri(before)


def test_mlflow_reads_with_a_viewers_key_and_writes_with_a_developers(gateway: Gateway, call: str, tracking: Callable[[str], None]) -> None:
    chat(gateway, ADMIN_KEY, call)
    (row,) = rows(gateway, call, 1)
    where, name = row["experiment_id"], f"exp-{uuid.uuid4().hex[:12]}"
    tracking(keys(gateway, role="viewer")["key"])
    found = until(lambda: mlflow.search_traces(locations=[where], return_type="list"), 10, "the trace")
    trace_id = row["trace_id"]
    assert trace_id in [trace.info.trace_id for trace in found]
    assert mlflow.get_experiment(where).name == "gateway/chat"
    for act in (lambda: mlflow.create_experiment(name), lambda: mlflow.set_trace_tag(trace_id, "seen", "yes")):
        with pytest.raises(MlflowException, match="needs the role `developer`") as refused:
            act()
        assert refused.value.error_code == "PERMISSION_DENIED"
    tracking(keys(gateway, role="developer")["key"])
    assert mlflow.create_experiment(name)
    mlflow.set_trace_tag(trace_id, "seen", "yes")
    assert mlflow.get_trace(trace_id).info.tags["seen"] == "yes"


def test_mlflow_does_not_find_what_the_key_is_not_for(gateway: Gateway, call: str, tracking: Callable[[str], None]) -> None:
    chat(gateway, ADMIN_KEY, call)
    (row,) = rows(gateway, call, 1)
    tracking(keys(gateway, role="viewer", experiments=["0"])["key"])
    assert [experiment.experiment_id for experiment in mlflow.search_experiments()] == ["0"]
    assert mlflow.search_traces(locations=[row["experiment_id"], "0"], return_type="list") == []
    assert mlflow.get_trace(row["trace_id"]) is None
    with pytest.raises(MlflowException) as refused:
        mlflow.get_experiment(row["experiment_id"])
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"


# ---------------------------------------------------------------- the command line, and what is kept


def test_from_the_command_line(gateway: Gateway, call: str) -> None:
    name = f"cli-{uuid.uuid4().hex[:10]}"
    made = gateway.cli("keys", "create", name, "--endpoint", "chat", "--owner", "ann", "--tag", "product=search")
    known(gateway, made["key"], lambda names: names == ["chat"])
    assert chat(gateway, made["key"], call).choices
    gateway.cli("keys", "revoke", name)
    known(gateway, made["key"], lambda names: names is None)
    assert gateway.cli("keys", "show", name)["owner"] == "ann"


def test_keys_outlive_a_restart_and_not_their_pepper(own: Callable[..., Gateway], alone: Upstream) -> None:
    gateway = own().start()
    gateway.endpoint("chat", alone.base)
    key = keys(gateway)
    assert chat(gateway, key["key"], "outlives").choices
    assert gateway.stop() == 0
    pepper = gateway.data_dir / "pepper.key"
    kept = pepper.read_text()
    pepper.unlink()
    gateway.start(ready=False)
    assert gateway.process is not None
    assert gateway.process.wait(60) != 0
    assert "pepper.key is missing" in gateway.log_text()
    assert not pepper.exists()
    pepper.write_text(kept)
    pepper.chmod(0o600)
    gateway.start()
    assert chat(gateway, key["key"], "outlives-b").choices
