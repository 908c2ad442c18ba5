"""Whatever is sent to whichever operation: an answer or a clear refusal, never a 5xx, never a word of SQL."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest

from spangate.control.mlflow import endpoints, experiments, models, secrets, traces
from spangate.control.mlflow.operations import Operation

OPERATIONS: list[Operation[Any]] = [
    *secrets.OPERATIONS,
    *models.OPERATIONS,
    *endpoints.OPERATIONS,
    *experiments.OPERATIONS,
    *traces.OPERATIONS,
]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**40,
    1.5,
    "",
    " ",
    "x",
    "0",
    "9" * 40,
    "-9223372036854775809",
    "\x00",
    "'; DROP TABLE secrets; --",
    "%_\\`\"'",
    "👋" * 200,
    "x" * 70_000,
    [],
    [None],
    ["x"],
    [{}],
    [[[]]],
    {},
    {"x": None},
    {"x": 5},
    {"\x00": "x"},
    {"x": {"y": "z"}},
]
WORDS = ("sql", "traceback", "psycopg", "sqlalchemy")


def plausible(operation: Operation[Any]) -> dict[str, Any]:
    """Something of the right type in each field that has to be there."""
    message: dict[str, Any] = {}
    for field in msgspec.structs.fields(operation.ask):
        if field.required:
            message[field.name] = "x"
    if "model_configs" in message:
        message["model_configs"] = [{"model_definition_id": "x", "linkage_type": "PRIMARY"}]
    if "model_config" in message:
        message["model_config"] = {"model_definition_id": "x", "linkage_type": "PRIMARY"}
    if "locations" in message:
        message["locations"] = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]
    return message


def told(http: httpx.Client, operation: Operation[Any], message: dict[str, Any]) -> httpx.Response:
    path = "/api" + operation.path.replace("{trace_id}", "tr-x")
    if operation.method == "GET":
        query = [(name, str(one)) for name, value in message.items() for one in (value if isinstance(value, list) else [value])]
        if sum(len(value) for _, value in query) > 30_000:  # a server's limit on the request line, not ours
            return httpx.Response(400, json={"error_code": "", "message": "too long"})
        return http.get(path, params=query)
    return http.request(operation.method, path, json=message)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_takes_anything(http: httpx.Client, operation: Operation[Any]) -> None:
    for field in msgspec.structs.fields(operation.ask):
        for odd in ODD:
            answer = told(http, operation, plausible(operation) | {field.name: odd})
            assert answer.status_code in (200, 400, 404), (field.name, odd, answer.text)
            body = answer.json()
            if answer.status_code != 200:
                assert body.keys() == {"error_code", "message"}
                assert body["message"], (field.name, odd)
                about = body["message"].lower().replace(str(odd).lower(), "")
                assert not any(word in about for word in WORDS), body


def test_of_many_at_once_one_gets_the_name(http: httpx.Client) -> None:
    def create(_: int) -> tuple[int, str]:
        answer = http.post("/api/2.0/mlflow/experiments/create", json={"name": "wanted"})
        return answer.status_code, answer.json().get("error_code", "")

    with ThreadPoolExecutor(8) as pool:
        told = sorted(pool.map(create, range(16)))
    assert told == [(200, ""), *[(400, "RESOURCE_ALREADY_EXISTS")] * 15]


def test_many_writers_and_readers_at_once(http: httpx.Client) -> None:
    def write(number: int) -> int:
        return http.post("/api/2.0/mlflow/experiments/create", json={"name": f"mine-{number}"}).status_code

    def read(number: int) -> int:
        return http.post("/api/2.0/mlflow/experiments/search", json={"filter": "name LIKE 'mine-%'"}).status_code

    with ThreadPoolExecutor(16) as pool:
        codes = [pool.submit(work, number) for number in range(30) for work in (write, read)]
        assert {code.result() for code in codes} == {200}
    found = http.post("/api/2.0/mlflow/experiments/search", json={"filter": "name LIKE 'mine-%'"}).json()["experiments"]
    ids = [int(experiment["experiment_id"]) for experiment in found]
    assert sorted(ids) == list(range(1, 31))
