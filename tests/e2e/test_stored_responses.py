"""What OpenAI's official client does with a response after it was made, against a real gateway with two workers."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, Call, Gateway, until
from .invariant import check, expected_tokens

BASES = ["/v1", "/gateway/openai/v1"]
TEXT = "Every token is counted once"


def client(gateway: Gateway, call: str, base: str = "/v1") -> openai.OpenAI:
    """Each request on a connection of its own, so that now this worker takes it, now that one."""
    headers = {CALLER: call, "connection": "close"}
    return openai.OpenAI(base_url=gateway.url + base, api_key=ADMIN_KEY, max_retries=0, timeout=30, default_headers=headers)


@pytest.fixture
def sdk(gateway: Gateway, call: str) -> Iterator[openai.OpenAI]:
    with client(gateway, call) as made:
        yield made


def rows(gateway: Gateway, call: str, count: int) -> list[Call]:
    """The ledger rows of a mark, oldest first."""
    found = until(
        lambda: len(rows := [row for row in gateway.calls() if row.agent == call]) == count and rows, 10, f"{count} rows of {call}"
    )
    return found[::-1]


def counted(found: list[Call]) -> list[tuple[int | None, int | None]]:
    return [(row.attempts[0].input_tokens, row.attempts[0].output_tokens) for row in found]


@pytest.mark.parametrize("base", BASES)
def test_a_response_is_read_again_by_any_worker_and_billed_once(gateway: Gateway, call: str, base: str) -> None:
    with client(gateway, call, base) as sdk:
        made = sdk.responses.create(model="chat", input=mark(call))
        again = [sdk.responses.retrieve(made.id, include=["message.output_text.logprobs"]) for _ in range(8)]
    assert {answer.output_text for answer in again} == {TEXT}
    assert {answer.model for answer in again} == {made.model}
    found = rows(gateway, call, 9)
    assert counted(found) == [expected_tokens(call), *[(None, None)] * 8], "who made it has its tokens, and nobody else"
    assert {(row.status, row.format, row.endpoint) for row in found[1:]} == {("ok", "openai.responses.stored", "chat")}


def test_the_query_goes_up_as_far_as_it_is_known(gateway: Gateway, upstream: Upstream, sdk: openai.OpenAI, call: str) -> None:
    made = sdk.responses.create(model="chat", input=mark(call))
    items = sdk.responses.input_items.list(made.id, limit=5, order="asc", extra_query={"key": "sk-of-the-client", "x": "1"})
    assert [item.id for item in items] == [f"msg_{call}"]
    kept = upstream.request(call)
    assert kept.path == f"/v1/responses/{made.id}/input_items?limit=5&order=asc"
    assert (kept.body, kept.header("content-type")) == (b"", None)
    assert ADMIN_KEY not in str(kept.headers)


def test_a_response_is_streamed_again_from_where_the_client_was(gateway: Gateway, sdk: openai.OpenAI, call: str) -> None:
    made = sdk.responses.create(model="chat", input=mark(call, n=6))
    events = list(sdk.responses.retrieve(made.id, stream=True, starting_after=4))
    assert [event.sequence_number for event in events] == [*range(5, events[-1].sequence_number + 1)]
    assert events[-1].type == "response.completed"
    _, again = rows(gateway, call, 2)
    assert (again.status, again.stream) == ("ok", True)


def test_a_response_made_in_the_background_is_billed_when_it_is_done(gateway: Gateway, sdk: openai.OpenAI, call: str) -> None:
    made = sdk.responses.create(model="chat", input=mark(call), background=True)
    assert (made.status, made.usage) == ("queued", None)
    states = []
    for _ in range(20):
        answer = sdk.responses.retrieve(made.id)
        states.append(answer.status)
        if answer.status not in ("queued", "in_progress"):
            break
        time.sleep(0.05)
    assert states == ["in_progress", "completed"]
    for _ in range(3):
        sdk.responses.retrieve(made.id)
    found = rows(gateway, call, 6)
    assert counted(found)[:2] == [(None, None)] * 2, "made and looked at too early"
    # Of the looks that were told one is billed, whichever worker's journal is drained first.
    assert sorted(map(str, counted(found)[2:])) == sorted(map(str, [expected_tokens(call), *[(None, None)] * 3]))
    assert {row.status for row in found} == {"ok"}


def test_a_response_is_stopped(gateway: Gateway, sdk: openai.OpenAI, call: str) -> None:
    made = sdk.responses.create(model="chat", input=mark(call), background=True)
    assert sdk.responses.cancel(made.id).status == "cancelled"
    found = rows(gateway, call, 2)
    assert [(row.status, row.attempts[0].provenance) for row in found] == [("ok", "estimated"), ("ok", "unknown")], "nobody ever said"


def test_a_response_is_deleted(gateway: Gateway, sdk: openai.OpenAI, call: str) -> None:
    made = sdk.responses.create(model="chat", input=mark(call))
    sdk.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{made.id}' not found"):
        sdk.responses.retrieve(made.id)
    assert [row.status for row in rows(gateway, call, 3)] == ["ok", "ok", "error"]


@pytest.mark.parametrize("what", ["retrieve", "delete", "cancel"])
def test_a_response_that_nobody_made_here_is_not_found(gateway: Gateway, sdk: openai.OpenAI, call: str, what: str) -> None:
    with pytest.raises(openai.NotFoundError, match="this gateway knows of none"):
        getattr(sdk.responses, what)("resp_of_somebody_else")
    (row,) = rows(gateway, call, 1)
    assert (row.status, row.http_status, row.fault_kind, row.attempts) == ("refused", 404, "unknown_response", [])


def test_its_trace_says_what_was_done(gateway: Gateway, sdk: openai.OpenAI, call: str) -> None:
    made = sdk.responses.create(model="chat", input=mark(call))
    sdk.responses.input_items.list(made.id)
    _, listed = rows(gateway, call, 2)
    trace = gateway.trace("tr-" + listed.call_id.replace("-", ""))
    assert trace["trace_info"]["trace_metadata"]["mlflow.gateway.requestType"] == "passthrough/model/openai-responses-input-items"
    assert len(trace["spans"]) == 2


# ---------------------------------------------------------------- several models behind an endpoint


@pytest.fixture
def split(own: Callable[..., Gateway], alone: Upstream) -> Iterator[tuple[Gateway, dict[str, Upstream]]]:
    """An endpoint whose calls are split over two providers; each knows only what it made itself."""
    with Upstream() as other, own(workers=2) as running:
        providers = {"one": alone, "two": other}
        first, second = (running.model(name, running.secret(name, each.base)) for name, each in providers.items())
        endpoint = running.create_endpoint("split", first)
        running.rest.post(
            "/api/3.0/mlflow/gateway/endpoints/models/attach",
            endpoint_id=endpoint["endpoint_id"],
            model_config={"model_definition_id": second, "linkage_type": "PRIMARY", "weight": 1.0},
        )
        running.known("split")
        yield running, providers
        check(running, providers.values())


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_each_response_is_looked_for_and_continued_where_it_was_made(split: tuple[Gateway, dict[str, Upstream]], call: str) -> None:
    gateway, providers = split
    conversations = [f"{call}-{n}" for n in range(12)]
    for each in conversations:
        with client(gateway, each) as sdk:
            made = sdk.responses.create(model="split", input=mark(each))
            sdk.responses.create(model="split", input=mark(each, n=2), previous_response_id=made.id)
            assert sdk.responses.retrieve(made.id).id == made.id
    served = {name: [row.id for row in provider.served() if row.id in conversations] for name, provider in providers.items()}
    assert all(served.values()), "both were drawn"
    assert {len([row for row in rows if row == each]) for rows in served.values() for each in set(rows)} == {3}
    assert not set(served["one"]) & set(served["two"]), "a conversation stays where it began"


# ---------------------------------------------------------------- outages


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_it_goes_on_without_control_and_says_so_where_it_cannot(own: Callable[..., Gateway], alone: Upstream, call: str) -> None:
    with own(workers=1) as gateway, client(gateway, call) as sdk:
        gateway.endpoint("chat", alone.base)
        (control,) = gateway.processes("control")
        made = sdk.responses.create(model="chat", input=mark(call))
        control.suspend()
        try:
            assert sdk.responses.retrieve(made.id).output_text == TEXT
            with pytest.raises(openai.InternalServerError, match="cannot be looked up right now") as failed:
                sdk.responses.retrieve("resp_that_this_worker_does_not_know")
        finally:
            control.resume()
        assert (failed.value.status_code, failed.value.response.headers["retry-after"]) == (503, "1")
        check(gateway, alone)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_response_outlives_the_worker_but_not_its_endpoint(own: Callable[..., Gateway], alone: Upstream, call: str) -> None:
    with own(workers=1) as gateway, client(gateway, call) as sdk:
        endpoint = gateway.endpoint("chat", alone.base)
        made = sdk.responses.create(model="chat", input=mark(call))
        gateway.kill("worker")
        gateway.wait_ready()
        assert sdk.responses.retrieve(made.id).output_text == TEXT
        gateway.rest.delete("/api/3.0/mlflow/gateway/endpoints/delete", endpoint_id=endpoint["endpoint_id"])
        until(lambda: "chat" not in gateway.models(), 20, "the endpoint is gone")
        with pytest.raises(openai.NotFoundError, match="the endpoint that made it was deleted"):
            sdk.responses.retrieve(made.id)


def test_what_a_client_may_send_as_an_id_never_becomes_another_path(gateway: Gateway, call: str) -> None:
    for hostile in ("..%2Fmodels", "%2e%2e", "a%2fb", "a%3Fb", "resp_1%00"):
        seen: Any = None
        try:
            gateway.rest.call("GET", f"/v1/responses/{hostile}", headers={CALLER: call})
        except Exception as error:
            seen = error
        assert getattr(seen, "status", None) == 404, hostile
