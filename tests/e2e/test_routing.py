"""Several models behind one endpoint: who is tried, in which order, and that each try is written down."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.upstream.process import Upstream

from .client import Client, Seen
from .flaky import Flaky
from .gateway import ADMIN_KEY, MLFLOW, Call, Gateway, free_port, until
from .invariant import Books, check


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One of its own: the providers of these calls are others than the shared gateway's."""
    with Gateway(tmp_path_factory.mktemp("routing") / "data", workers=1, first_byte_timeout=1, idle_timeout=2) as running:
        yield running


class Lane:
    """An endpoint for one test, from its models: each with the words that the replay upstream obeys."""

    def __init__(self, gateway: Gateway, name: str, base: str) -> None:
        self.gateway = gateway
        self.name = name
        self.base = base
        self.configs: list[dict[str, Any]] = []

    def model(self, name: str, words: str = "", *, base: str | None = None, order: int | None = None, weight: float = 1.0) -> "Lane":
        secret = self.gateway.secret(f"{self.name}-{name}", base or self.base)
        definition = self.gateway.model(f"{self.name}-{name}", secret, model_name=";".join(filter(None, [name, words])))
        config: dict[str, Any] = {"model_definition_id": definition, "linkage_type": "PRIMARY", "weight": weight}
        if order is not None:
            config |= {"linkage_type": "FALLBACK", "fallback_order": order}
        self.configs.append(config)
        return self

    def made(self, max_attempts: int | None = None) -> "Lane":
        fallback = {"strategy": "SEQUENTIAL"} | ({} if max_attempts is None else {"max_attempts": max_attempts})
        self.gateway.rest.post(
            f"{MLFLOW}/gateway/endpoints/create",
            name=self.name,
            model_configs=self.configs,
            routing_strategy="REQUEST_BASED_TRAFFIC_SPLIT",
            fallback_config=fallback,
        )
        self.gateway.known(self.name)
        return self

    def call(self, mark: str, **more: Any) -> Seen:
        (seen,) = self.calls([mark], **more)
        return seen

    def calls(self, marks: Iterable[str], **more: Any) -> list[Seen]:
        async def run() -> list[Seen]:
            async with Client(self.gateway.url, ADMIN_KEY) as client:
                some = asyncio.Semaphore(8)

                async def one(mark: str) -> None:
                    async with some:
                        await client.call(self.name, mark, **more)

                await asyncio.gather(*(one(mark) for mark in marks))
                return client.seen

        return asyncio.run(run())

    def rows(self) -> list[Call]:
        return [row for row in self.gateway.calls() if row.endpoint == self.name]

    def row(self) -> Call:
        return until(lambda: next(iter(self.rows()), None), 20, f"the ledger row of {self.name}")


@pytest.fixture
def lane(gateway: Gateway, provider: Upstream, call: str) -> Lane:
    return Lane(gateway, call, provider.base)


def tries(row: Call) -> list[tuple[str, str, int | None]]:
    return [(attempt.model.partition(";")[0], attempt.status, attempt.http_status) for attempt in row.attempts]


REFUSERS: list[Flaky] = []  # what other providers the gateway's endpoints called so far: their books count too


def agreed(gateway: Gateway, provider: Upstream, *seen: Seen) -> Books:
    return check(gateway, [*REFUSERS, provider], seen)


# ---------------------------------------------------------------- who is tried


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503, 529])
def test_fallbacks_in_their_order(gateway: Gateway, provider: Upstream, lane: Lane, call: str, status: int, stream: bool) -> None:
    fault = f"status={status};retry_after=9"
    lane.model("third", order=3).model("first", fault).model("second", fault, order=1).made()
    seen = lane.call(call, stream=stream)
    assert (seen.status, seen.whole) == (200, True)
    agreed(gateway, provider, seen)
    assert tries(lane.row()) == [("first", "error", status), ("second", "error", status), ("third", "ok", 200)]


def test_each_attempt_is_a_span_that_says_why_it_ended(gateway: Gateway, provider: Upstream, lane: Lane, call: str) -> None:
    lane.model("gone", base=f"http://127.0.0.1:{free_port()}/v1").model("full", "status=529;retry_after=9", order=1).model("good", order=2)
    seen = lane.made(3).call(call)
    assert seen.whole
    agreed(gateway, provider, seen)
    assert seen.trace_id is not None
    root, *children = gateway.trace(seen.trace_id)["spans"]
    assert root["status"]["code"] == "STATUS_CODE_OK"
    assert [(span["name"], span["status"]["code"], span["status"].get("message", "").partition(":")[0]) for span in children] == [
        ("provider/openai/gone", "STATUS_CODE_ERROR", "upstream_connect"),
        ("provider/openai/full;status=529;retry_after=9", "STATUS_CODE_ERROR", "server_error"),
        ("provider/openai/good", "STATUS_CODE_OK", ""),
    ]


def test_who_does_not_answer_in_time_is_passed_over(gateway: Gateway, provider: Upstream, lane: Lane, call: str) -> None:
    seen = lane.model("slow", "first=30").model("good", order=1).made().call(call)
    assert seen.whole
    agreed(gateway, provider, seen)
    assert tries(lane.row()) == [("slow", "timeout", None), ("good", "ok", 200)]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_clients_own_fault_does_not_fall_back(gateway: Gateway, provider: Upstream, lane: Lane, call: str, status: int) -> None:
    seen = lane.model("strict", f"status={status}").model("good", order=1).made().call(call)
    assert seen.status == status
    agreed(gateway, provider, seen)
    assert tries(lane.row()) == [("strict", "error", status)]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_when_all_fail_the_client_gets_the_last_answer(gateway: Gateway, provider: Upstream, lane: Lane, call: str, stream: bool) -> None:
    lane.model("first", "status=500;retry_after=5").model("last", "status=503;retry_after=8", order=1).made()
    seen = lane.call(call, stream=stream)
    assert (seen.status, json.loads(seen.body)["error"]["message"]) == (503, "replayed fault 503")
    agreed(gateway, provider, seen)
    row = lane.row()
    assert (row.status, row.http_status) == ("error", 503)
    assert tries(row) == [("first", "error", 500), ("last", "error", 503)]


def test_max_attempts_ends_it(gateway: Gateway, provider: Upstream, lane: Lane, call: str) -> None:
    lane.model("first", "status=500").model("second", "status=502", order=1).model("good", order=2).made(max_attempts=2)
    seen = lane.call(call)
    assert seen.status == 502
    agreed(gateway, provider, seen)
    assert tries(lane.row()) == [("first", "error", 500), ("second", "error", 502)]


def test_nothing_is_tried_again_once_the_client_has_a_piece(gateway: Gateway, provider: Upstream, lane: Lane, call: str) -> None:
    seen = lane.model("torn", "drop=2;delay=0.05").model("good", order=1).made().call(call, stream=True)
    assert (seen.status, seen.whole) == (200, False)
    agreed(gateway, provider, seen)
    assert tries(lane.row()) == [("torn", "provider_gone", 200)]


def test_traffic_is_split_by_weight(gateway: Gateway, provider: Upstream, lane: Lane, call: str) -> None:
    lane.model("most", weight=0.7).model("some", weight=0.3).model("none", weight=0.0).model("never", order=1).made()
    seen = lane.calls(f"{call}-{no}" for no in range(400))
    agreed(gateway, provider, *seen)
    split = Counter(attempt.model for row in lane.rows() for attempt in row.attempts)
    assert split.keys() == {"most", "some"}
    assert split.total() == 400
    assert abs(split["most"] - 280) < 46, "five standard deviations of a binomial: once in two million runs"


# ---------------------------------------------------------------- the same again


@pytest.fixture
def flaky(provider: Upstream, request: pytest.FixtureRequest) -> Iterator[Flaky]:
    fails, retry_after = request.param
    with Flaky(provider, fails=fails, retry_after=retry_after) as running:
        REFUSERS.append(running)
        yield running


@pytest.mark.parametrize("flaky", [(1, "0")], indirect=True, ids=["429 once"])
def test_what_time_cures_is_tried_again(gateway: Gateway, provider: Upstream, flaky: Flaky, lane: Lane, call: str) -> None:
    seen = lane.model("only", base=flaky.base).made().call(call)
    assert (seen.status, seen.whole) == (200, True)
    agreed(gateway, provider, seen)
    assert tries(lane.row()) == [("only", "error", 429), ("only", "ok", 200)]


@pytest.mark.parametrize("flaky", [(2, None)], indirect=True, ids=["dropped twice"])
def test_a_connection_that_was_dropped_before_the_answer_is_made_again(
    gateway: Gateway, provider: Upstream, flaky: Flaky, lane: Lane, call: str
) -> None:
    seen = lane.model("only", base=flaky.base).made().call(call)
    assert seen.whole
    agreed(gateway, provider, seen)
    assert tries(lane.row()) == [("only", "provider_gone", None)] * 2 + [("only", "ok", 200)]


@pytest.mark.parametrize("flaky", [(1, "2")], indirect=True, ids=["two seconds"])
def test_who_leaves_during_the_pause_is_not_waited_for(gateway: Gateway, provider: Upstream, flaky: Flaky, lane: Lane, call: str) -> None:
    seen = lane.model("only", base=flaky.base).made().call(call, leave_after=0)
    assert seen.status is None
    agreed(gateway, provider, seen)
    row = lane.row()
    assert (row.status, row.http_status, tries(row)) == ("client_gone", 499, [("only", "error", 429)])
    assert len(flaky.served()) == 1


# ---------------------------------------------------------------- who rests


def test_a_model_that_fails_rests_for_all_workers_and_over_a_kill(alone: Upstream, tmp_path: Path, call: str) -> None:
    calls = 16  # two workers that told each other nothing, or forgot, would have asked the failing model most of these times
    with Gateway(tmp_path / "data", workers=2) as gateway:
        lane = Lane(gateway, call, alone.base).model("down", "status=401").model("good", order=1).made()
        for no in range(calls):
            assert lane.call(f"{call}-{no}").whole
            if no == calls // 2:
                gateway.kill()
                gateway.start()
        until(lambda: len(gateway.calls()) == calls, 10, "all calls in the ledger")
        tried = Counter(tuple(name for name, *_ in tries(row)) for row in gateway.calls())
    assert tried.keys() == {("down", "good"), ("good",)}
    assert tried["down", "good"] < calls / 2, "five calls go to it before it rests, and a probe now and then"


# ---------------------------------------------------------------- killed


def test_a_call_killed_in_its_second_attempt_has_both(alone: Upstream, tmp_path: Path, call: str) -> None:
    with Gateway(tmp_path / "data") as gateway:
        lane = Lane(gateway, call, alone.base).model("full", "status=429;retry_after=9").model("slow", "first=60", order=1).made()

        async def killed() -> Seen:
            async with Client(gateway.url, ADMIN_KEY) as client:
                waiting = asyncio.create_task(client.call(lane.name, call))
                await asyncio.to_thread(until, lambda: len(alone.served()) == 2, 10, "the second attempt at the provider")
                await asyncio.to_thread(gateway.kill)
                return await waiting

        seen = asyncio.run(killed())
        gateway.start()
        check(gateway, alone, [seen], killed=True)
        row = lane.row()
        assert (row.status, tries(row)) == ("unknown", [("full", "error", 429), ("slow", "unknown", None)])
