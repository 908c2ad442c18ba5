"""Key by key against MLflow's gateway."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from spangate.exchange import AttemptRecord, Content, Exchange, Fault, Status
from spangate.prices.cost import PICO, Cost
from spangate.record.spans import TraceInfo, spans, trace_info, trace_row
from spangate.wire.usage import Usage

# Recorded from an MLflow 3.17.2 server: its gateway's own traces of the calls that we serve too, chunk events and stack traces cut.
RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded" / "mlflow_gateway_traces.json").read_text())

ONLY_MLFLOW = {
    "metadata mlflow.source.name": "the Python file that started MLflow's server",
    "metadata mlflow.source.type": "the same",
    "metadata mlflow.source.git.branch": "of the checkout that MLflow's server happened to be started in",
    "metadata mlflow.source.git.commit": "the same",
    "metadata mlflow.source.git.repoURL": "the same",
    "metadata mlflow.user": "the account that MLflow's server runs under; who called is mlflow.auth.username",
    "metadata mlflow.traceOutputs": "an empty text where there was no answer; we leave it out",
    "tag mlflow.artifactLocation": "spans are in the store; there are no artifacts",
    "root mlflow.spanFunctionName": "a function in MLflow's code",
    "child mlflow.spanFunctionName": "a function in MLflow's code",
    "child mlflow.spanInputs": "an empty object, which tells nothing; the request is at the root",
    "event exception.stacktrace": "tells where in the gateway's code it was noticed, not what the provider said",
}
ONLY_OURS = {
    *("metadata mlflow.auth.username", "metadata mlflow.auth.userId"),  # MLflow has them where its own authentication is on
    *("metadata spangate.call_id", "metadata spangate.status", "metadata spangate.http_status"),
    "root mlflow.llm.model",  # MLflow has it where it could parse the answer
    *("root spangate.call_id", "root spangate.status", "root spangate.http_status", "root spangate.format", "root spangate.path"),
    *("root spangate.streaming", "root spangate.request_bytes", "root spangate.caller", "root spangate.time_to_first_token_ms"),
    "child streaming",  # MLflow says so on its unified routes
    *("child gen_ai.operation.name", "child gen_ai.provider.name", "child gen_ai.request.model", "child gen_ai.response.model"),
    *("child gen_ai.usage.input_tokens", "child gen_ai.usage.output_tokens"),
    *("child gen_ai.usage.cache_read.input_tokens", "child gen_ai.usage.cache_creation.input_tokens"),
    *("child error.type", "child spangate.call_id", "child spangate.attempt", "child spangate.status", "child spangate.format"),
    *("child spangate.price_id", "child spangate.cost.unpriced", "metadata spangate.cost.unpriced"),  # MLflow does not say what it left out
    *("child spangate.upstream.http_status", "child spangate.usage.provenance", "child spangate.time_to_first_token_ms"),
}
# Both have the key, with another value.
OTHER_VALUES = {
    "metadata mlflow.traceInputs": "the words of the user, as in the preview; MLflow: the head of the JSON",
    "metadata mlflow.traceOutputs": "the words of the answer, as in the preview; MLflow: the head of the JSON",
    "metadata mlflow.trace.sizeBytes": "our spans are other bytes",
    "metadata mlflow.trace.sizeStats": "our spans are other bytes",
    "info response_preview": "always the words; MLflow shows JSON or a Python list where it does not know the format",
    "root mlflow.spanOutputs": "MLflow keeps some streams as a list of lines; ours are folded to the plain answer",
    "child mlflow.spanOutputs": "the same",
    "event exception.type": "a class of MLflow's code; ours is a word for the fault",
}


def _compared(recorded: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each key that either has, with where it is: MLflow's value in a list, and ours; None where there is none."""
    info = recorded["info"]
    exchange, content = _ours(recorded)
    costs = _costs(recorded)
    entry = trace_row(exchange, content)
    made = spans(exchange, content, costs=costs)
    mine = trace_info(exchange, request_preview=entry.request_preview, response_preview=entry.response_preview, spans=made, costs=costs)
    pairs: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
        ("metadata", _parsed(info["trace_metadata"]), _parsed(mine.metadata)),
        ("tag", info["tags"], mine.tags),
        ("info", _info(info), _our_info(mine)),
    ]
    for theirs, ours in zip(recorded["spans"], made, strict=True):
        assert (ours.name, ours.status, ours.parent_id is None) == (theirs["name"], theirs["status"], theirs["parent"] is None)
        bodies = {f"mlflow.span{kind.title()}": theirs[kind] for kind in ("inputs", "outputs") if theirs[kind] is not None}
        pairs.append(("child" if ours.parent_id else "root", theirs["attributes"] | bodies, ours.attributes))
        pairs += [("event", a["attrs"], b.attributes) for a, b in zip(theirs["events"], ours.events, strict=True)]
    for where, theirs, ours in pairs:
        for key in {**theirs, **ours}:
            value = _rounded(theirs[key]) if key in ("mlflow.llm.cost", "mlflow.trace.cost") else theirs.get(key)
            yield f"{where} {key}", [value] if key in theirs else None, [ours[key]] if key in ours else None


def _rounded(cost: Mapping[str, float]) -> dict[str, float]:
    """MLflow adds floats up; ours are made from whole picodollars."""
    return {name: round(dollars, 12) for name, dollars in cost.items()}


def _costs(recorded: Mapping[str, Any]) -> dict[int, Cost]:
    """What MLflow's own price list made of the attempts."""
    costs = [child["attributes"].get("mlflow.llm.cost") for child in recorded["spans"][1:]]
    return {
        no: Cost(price_id="p-1", input=round(cost["input_cost"] * PICO), output=round(cost["output_cost"] * PICO))
        for no, cost in enumerate(costs, 1)
        if cost is not None
    }


def _parsed(metadata: Mapping[str, str]) -> dict[str, Any]:
    return {key: json.loads(value) if value.startswith("{") and value.endswith("}") else value for key, value in metadata.items()}


def _info(info: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: info[key] for key in ("trace_id", "state", "request_preview", "response_preview") if key in info}
    return plain | {"experiment_id": info["trace_location"]["mlflow_experiment"]["experiment_id"]}


def _our_info(info: TraceInfo) -> dict[str, Any]:
    plain = {key: getattr(info, key) for key in ("trace_id", "state", "request_preview", "response_preview", "experiment_id")}
    return {key: value for key, value in plain.items() if value is not None}


def _ours(recorded: Mapping[str, Any]) -> tuple[Exchange, Content]:
    """The exchange that our recorder would have made of the same call."""
    info, (root, *children) = recorded["info"], recorded["spans"]
    metadata, digits = info["trace_metadata"], info["trace_id"].removeprefix("tr-")
    outputs = root["outputs"]
    if isinstance(outputs, list):  # a stream that MLflow did not fold
        outputs = {"model": "gpt-4o-mini-2024-07-18", "choices": [{"message": {"role": "assistant", "content": "Hello there, friend."}}]}
    anthropic = metadata["mlflow.gateway.requestType"].endswith("anthropic-messages")
    format = {"unified": "mlflow.chat"}.get(
        metadata["mlflow.gateway.requestType"].split("/")[0], "anthropic.messages" if anthropic else "openai.chat"
    )
    attempts: list[AttemptRecord] = []
    for no, child in enumerate(children, 1):
        attributes, usage = child["attributes"], child["attributes"].get("mlflow.chat.tokenUsage")
        if usage is None and child["status"] == "OK":
            usage = {"input_tokens": 11, "output_tokens": 7}
        fault = None
        if child["status"] != "OK":
            status = 429 if "429" in child["name"] else 500
            fault = Fault("upstream_error", child["events"][0]["attrs"]["exception.message"], status)
        attempts.append(
            AttemptRecord(
                no=no,
                provider=attributes["mlflow.llm.provider"],
                model=attributes["mlflow.llm.model"],
                format=format,
                started=1,
                first_token=2,
                ended=3,
                status=Status.ok if fault is None else Status.error,
                http_status=200 if fault is None else fault.http_status,
                response_model=outputs["model"] if outputs and fault is None else None,
                fault=fault,
                usage=Usage()
                if usage is None
                else Usage(
                    input=usage["input_tokens"],
                    output=usage["output_tokens"],
                    cache_read=usage.get("cache_read_input_tokens"),
                    cache_write=usage.get("cache_creation_input_tokens"),
                ),
            )
        )
    ok = info["state"] == "OK"
    exchange = Exchange(
        call_id=f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
        format=format,
        request_type=metadata["mlflow.gateway.requestType"],
        path="/gateway",
        server=root["attributes"]["server_url"],
        received_at=1_700_000_000_000_000_000,
        status=Status.ok if ok else Status.error,
        http_status=200 if ok else 500,
        duration=4,
        first_token=2,
        endpoint_id=root["attributes"]["endpoint_id"],
        endpoint=root["attributes"]["endpoint_name"],
        experiment_id=info["trace_location"]["mlflow_experiment"]["experiment_id"],
        stream="stream" in root["inputs"],
        caller_id="admin",
        caller="admin",
        agent=metadata["mlflow.gateway.caller"],
        attempts=tuple(attempts),
        fault=None if ok else attempts[-1].fault,
    )
    request = json.dumps({"model": exchange.endpoint, **root["inputs"]}).encode()
    return exchange, Content(request=request, response=None if outputs is None else json.dumps(outputs).encode())


@pytest.mark.parametrize("name", RECORDED)
def test_has_mlflows_keys_and_values(name: str) -> None:
    for key, theirs, ours in _compared(RECORDED[name]):
        if ours is None:
            assert key in ONLY_MLFLOW, f"MLflow has {key} = {theirs}: add it, or say why not"
        elif theirs is None:
            assert key in ONLY_OURS | OTHER_VALUES.keys(), f"only we have {key} = {ours}: is that meant?"
        elif theirs != ours:
            assert key in OTHER_VALUES, f"{key} is {theirs} there, {ours} here"


def test_names_no_difference_that_there_is_not() -> None:
    missing, added, other = set[str](), set[str](), set[str]()
    for recorded in RECORDED.values():
        for key, theirs, ours in _compared(recorded):
            if theirs != ours:
                (missing if ours is None else added if theirs is None else other).add(key)
    assert (missing, other) == (ONLY_MLFLOW.keys(), OTHER_VALUES.keys())
    assert added - OTHER_VALUES.keys() == ONLY_OURS
