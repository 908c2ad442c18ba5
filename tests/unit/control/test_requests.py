"""What is counted and said of a request to the management API."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from spangate.control.requests import Requests
from spangate.observe import logs
from spangate.observe.metrics import METRICS
from spangate.observe.series import Living, Numbers, gather


async def ask(tmp_path: Path, scope: dict[str, Any], *, status: int | None = 200, said: bool = True) -> dict[tuple[str, ...], float]:
    """One request; returns what was counted."""
    seen: list[str | None] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(logs.call_id.get())
        if status is None:
            raise RuntimeError("broken")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_: Any) -> Any:
        return None

    numbers = Numbers(tmp_path, "control")
    try:
        await Requests(application, numbers, said=said)({"type": "http", "headers": [], **scope}, nothing, nothing)
    finally:
        found = {labels: values[0] for (_, labels), values in gather(tmp_path, METRICS)[0].items() if values[0]}
        numbers.close()
    assert seen == [scope.get("expected")]
    return found


async def test_says_what_was_asked_under_the_call_id_that_the_worker_gave(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "spangate.access")
    scope = {
        "method": "POST",
        "path": "/api/x",
        "query_string": b"token=secret",
        "headers": [(b"x-spangate-call-id", b"c-1")],
        "expected": "c-1",
    }
    assert await ask(tmp_path, scope, status=201) == {("POST", "201"): 1.0}
    (record,) = caplog.records
    said = record.__dict__["said"]
    assert said == {"method": "POST", "path": "/api/x", "http_status": 201, "ms": said["ms"]}
    assert "secret" not in record.getMessage()


async def test_what_fails_is_counted_as_it_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "spangate.access")
    with pytest.raises(RuntimeError):
        await ask(tmp_path, {"method": "BREW", "path": "/metrics"}, status=None)
    assert [record.__dict__["said"]["http_status"] for record in caplog.records] == [500]


async def test_control_is_among_the_living_before_anybody_asked_it_anything(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path, "control")
    Requests(lambda *_: asyncio.sleep(0), numbers, said=True)
    assert gather(tmp_path, METRICS)[1] == [Living("control", os.getpid())]
    numbers.close()


async def test_methods_that_callers_make_up_are_one(tmp_path: Path) -> None:
    assert await ask(tmp_path, {"method": "BREW", "path": "/x"}, status=405) == {("other", "405"): 1.0}


@pytest.mark.parametrize(
    ("method", "path", "status", "level"),
    [
        ("GET", "/metrics", 200, "DEBUG"),
        ("HEAD", "/api/v1/status", 200, "DEBUG"),
        ("POST", "/api/3.0/mlflow/traces/search", 200, "DEBUG"),
        ("POST", "/ajax-api/2.0/mlflow/experiments/search", 200, "DEBUG"),
        ("POST", "/api/3.0/mlflow/traces/batchGetInfos", 200, "DEBUG"),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create", 200, "INFO"),
        ("DELETE", "/api/3.0/mlflow/traces/search", 200, "INFO"),
        ("GET", "/metrics", 401, "INFO"),
        ("POST", "/api/3.0/mlflow/traces/search", 400, "INFO"),
        ("GET", "/x", 503, "WARNING"),
    ],
)
async def test_what_only_read_and_went_well_buries_no_other_line(
    method: str, path: str, status: int, level: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "spangate.access")
    assert await ask(tmp_path, {"method": method, "path": path}, status=status) == {(method, str(status)): 1.0}
    assert [record.levelname for record in caplog.records] == [level]


async def test_without_an_access_log_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "spangate.access")
    assert await ask(tmp_path, {"method": "POST", "path": "/x"}, status=503, said=False) == {("POST", "503"): 1.0}
    assert caplog.records == []
