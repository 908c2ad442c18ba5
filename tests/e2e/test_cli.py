"""The same rules through our own command line, and the first minute with the gateway: `spangate up`."""

import json
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, PROVIDER_SECRET, Gateway, until


@pytest.fixture
def name(gateway: Gateway, upstream: Upstream) -> str:
    """The name of an endpoint to be made; its model `NAME-m` is there."""
    name = f"cli-{uuid.uuid4().hex[:10]}"
    config = ("--value", f"api_key={PROVIDER_SECRET}", "--config", f"api_base={upstream.base}")
    gateway.cli("secrets", "create", f"{name}-s", "--provider", "openai", *config)
    gateway.cli("models", "create", f"{name}-m", "--provider", "openai", "--model", "gpt-replay", "--secret", f"{name}-s")
    return name


def create(gateway: Gateway, name: str, *more: str) -> dict[str, Any]:
    return gateway.cli("endpoints", "create", name, "--model", f"{name}-m", *more)


def say(gateway: Gateway, endpoint: str) -> str | None:
    """Calls an endpoint; the reply's trace id."""
    call = f"cli-{uuid.uuid4().hex[:12]}"
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, default_headers={CALLER: call}) as client:
        raw = client.chat.completions.with_raw_response.create(model=endpoint, messages=[{"role": "user", "content": mark(call)}])
    gateway.call_row(raw.headers["x-spangate-call-id"])
    return raw.headers.get("x-spangate-trace-id")


def experiment(gateway: Gateway, id: str) -> dict[str, Any]:
    return gateway.cli("experiments", "show", id)


def test_an_endpoint_gets_its_experiment_and_keeps_it(gateway: Gateway, name: str) -> None:
    endpoint = create(gateway, name)
    assert endpoint["usage_tracking"] is True
    assert experiment(gateway, endpoint["experiment_id"])["name"] == f"gateway/{name}"
    renamed = gateway.cli("endpoints", "update", name, "--rename", f"{name}-b")
    assert (renamed["usage_tracking"], renamed["experiment_id"]) == (True, endpoint["experiment_id"])
    assert experiment(gateway, endpoint["experiment_id"])["name"] == f"gateway/{name}"


def test_off_and_on(gateway: Gateway, name: str) -> None:
    endpoint = create(gateway, name, "--no-usage-tracking")
    assert (endpoint.get("usage_tracking", False), endpoint.get("experiment_id")) == (False, None)
    gateway.known(name)
    assert say(gateway, name) is None
    on = gateway.cli("endpoints", "update", name, "--usage-tracking")
    trace = until(lambda: say(gateway, name), 20, "calls are traced")
    (shown,) = [info for info in gateway.traces(on["experiment_id"]) if info["trace_id"] == trace]
    assert shown["state"] == "OK"
    off = gateway.cli("endpoints", "update", name, "--no-usage-tracking")
    assert off["experiment_id"] == on["experiment_id"]
    until(lambda: say(gateway, name) is None, 20, "calls are not traced")


def test_a_given_experiment_must_be_active(gateway: Gateway, name: str) -> None:
    mine = gateway.cli("experiments", "create", f"mine-{name}")["experiment_id"]
    gateway.cli("experiments", "delete", mine)
    said = gateway.cli("endpoints", "create", name, "--model", f"{name}-m", "--experiment", mine, check=False)
    assert isinstance(said, str), said
    gateway.cli("experiments", "restore", mine)
    assert create(gateway, name, "--experiment", f"mine-{name}")["experiment_id"] == mine


def test_a_deleted_experiment_is_replaced(gateway: Gateway, name: str) -> None:
    endpoint = create(gateway, name)
    gateway.cli("experiments", "delete", endpoint["experiment_id"])
    after = gateway.cli("endpoints", "show", name)
    assert after["experiment_id"] != endpoint["experiment_id"]
    assert experiment(gateway, after["experiment_id"])["lifecycle_stage"] == "active"
    assert any(tag["key"] == "spangate.experiment.replaced" for tag in after["tags"])


def test_traces_and_doctor(gateway: Gateway, name: str) -> None:
    endpoint = create(gateway, name)
    gateway.known(name)
    trace = say(gateway, name)
    assert trace is not None
    rows = gateway.cli("traces", "list", "--experiment", endpoint["experiment_id"])
    assert [row["trace_id"] for row in rows] == [trace]
    shown = gateway.cli("traces", "show", trace)
    assert "Every token is counted once" in json.dumps(shown)
    assert gateway.cli("doctor")


def free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.skipif(not all(free(port) for port in (11434, 8000, 1234)), reason="a local model server is running: `up` would take it")
def test_up_prints_a_call_that_answers(own: Callable[..., Gateway]) -> None:
    gateway = own(command="up", admin_key="", allow_private_upstreams="false").start()
    gateway.rest.key = (gateway.data_dir / "admin.key").read_text().strip()
    text = until(lambda: "Stop it:" in gateway.log_text() and gateway.log_text(), 30, "the call to paste")
    assert "SIMULATED" in text
    token = text.partition(f"Open it: {gateway.url}/sign-in#")[2].partition("\n")[0]
    assert gateway.rest.post("/api/v1/session/link", token=token)["role"] == "admin"
    start = text.index("curl")
    command = text[start : text.index("Watch it:", start)].strip()
    answered = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30)
    at = time.monotonic()
    assert answered.returncode == 0, answered
    assert "choices" in answered.stdout or "data:" in answered.stdout, answered.stdout
    rows = until(lambda: gateway.cli("traces", "list"), 20, "the trace")
    assert len(rows) == 1
    assert time.monotonic() - at < 8
    # In process: nothing was served by any upstream, yet the books are whole.
    until(lambda: gateway.completeness()["complete"], 10, "completeness")
    (row,) = gateway.calls()
    assert (row.status, row.attempts[0].provider) == ("ok", "simulated")
    paths = ["chat/completions", "completions", "embeddings", "responses", "messages"]
    said = {"messages": [{"role": "user", "content": "hi"}], "prompt": "hi", "input": "hi"}
    for path in paths:
        for stream in (False, True):
            body = {"model": row.endpoint, "max_tokens": 50, **said, "stream": stream}
            assert gateway.rest.call("POST", f"/v1/{path}", body), (path, stream)
    expected = 1 + 2 * len(paths)
    assert {call.status for call in until(lambda: len(gateway.calls()) == expected and gateway.calls(), 20, "all calls")} == {"ok"}
    assert gateway.stop() == 0


def test_doctor_says_when_nobody_is_there(own: Callable[..., Gateway]) -> None:
    gateway = own()
    gateway.data_dir.mkdir(parents=True)
    said = gateway.cli("doctor", check=False)
    assert isinstance(said, str)
