"""Who made a response: what control says of it, from the database or from what still waits in the journals."""

import httpx
import pytest

from spangate.exchange import AttemptRecord, Exchange, Status
from spangate.record.journal import FileJournal
from spangate.store.faults import Unavailable

from ..conftest import Gateway

CALL = "0194f0c2-0000-7000-8000-00000000000a"
MADE = Exchange(
    call_id=CALL,
    format="openai.responses",
    request_type="passthrough/model/openai-responses",
    path="/v1/responses",
    server="gw",
    received_at=1_700_000_000_000_000_000,
    status=Status.ok,
    http_status=200,
    duration=5,
    endpoint_id="e-1",
    endpoint="chat",
    attempts=(
        AttemptRecord(
            no=1,
            provider="openai",
            model="gpt",
            format="openai.responses",
            started=1,
            ended=4,
            model_definition_id="d-1",
            status=Status.ok,
            response_id="resp_1",
        ),
    ),
)


def test_what_waits_in_a_journal_is_drained_when_it_is_asked_for(gateway: Gateway, http: httpx.Client) -> None:
    gateway.control.draining.stop(10)  # nobody else drains meanwhile
    assert http.get("/api/v1/responses/resp_1").status_code == 404
    journal = FileJournal(gateway.settings.journals_dir)
    journal.begin(MADE)
    journal.settle(MADE, None)
    told = http.get("/api/v1/responses/resp_1")
    journal.close()
    assert (told.status_code, told.json()) == (
        200,
        {"response_id": "resp_1", "endpoint_id": "e-1", "model_definition_id": "d-1", "call_id": CALL},
    )


@pytest.mark.parametrize("response_id", ["resp_2", "x" * 300, "%00", "gr%C3%B6%C3%9Fe"])
def test_what_nobody_made_is_not_there(bare: httpx.Client, response_id: str) -> None:
    told = bare.get(f"/api/v1/responses/{response_id}")
    assert (told.status_code, told.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_what_may_be_in_a_journal_that_cannot_be_drained_is_not_denied(
    gateway: Gateway, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> bool:
        raise Unavailable("The database is locked.")

    gateway.control.draining.stop(10)
    monkeypatch.setattr(gateway.control.drain, "drain_once", broken)
    told = http.get("/api/v1/responses/resp_1")
    assert (told.status_code, told.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert "The database is locked." in told.json()["message"]
