import itertools
from random import Random

import msgspec
import pytest

from spangate.exchange import Content, Exchange, Status
from spangate.record.spans import trace_row
from spangate.seed.history import DAY, history
from spangate.seed.house import MODELS, PLANS, Endpoint, House, Key, Target
from spangate.wire.usage import Provenance

START = 1_790_000_000_000
CALLS = 12_000


def house() -> House:
    targets = {name: Target(model=model, model_definition_id=f"d-{name}", secret_id=f"s-{name}") for name, model in MODELS.items()}
    keys = tuple(Key(key_id=f"k-{n}", name=f"key-{n}", owner=f"o-{n % 5}", team=f"t-{n % 3}", agent="tests") for n in range(9))
    return House(
        endpoints=tuple(
            Endpoint(
                plan=plan,
                endpoint_id=f"e-{plan.name}",
                experiment_id=str(number) if plan.tracked else None,
                targets=tuple(targets[name] for name in plan.models),
                weights=tuple(plan.models.values()),
                fallback=targets.get(plan.fallback or ""),
                keys=keys,
            )
            for number, plan in enumerate(PLANS, 1)
        )
    )


def told(seed: int, calls: int = CALLS) -> list[tuple[Exchange, Content | None]]:
    return list(history(house(), calls=calls, start=START, end=START + 30 * DAY, rng=Random(seed)))


@pytest.fixture(scope="module")
def calls() -> list[tuple[Exchange, Content | None]]:
    return told(1)


def test_the_same_seed_gives_the_same_history() -> None:
    assert told(7, 300) == told(7, 300)
    assert told(7, 300) != told(8, 300)


def test_as_many_calls_as_asked_for_come_in_the_order_of_time(calls: list[tuple[Exchange, Content | None]]) -> None:
    times = [exchange.received_at // 1_000_000 for exchange, _ in calls]
    assert len(calls) == CALLS
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] < START + 30 * DAY
    assert len({exchange.call_id for exchange, _ in calls}) == CALLS


def test_there_is_something_of_everything(calls: list[tuple[Exchange, Content | None]]) -> None:
    exchanges = [exchange for exchange, _ in calls]
    attempts = list(itertools.chain.from_iterable(exchange.attempts for exchange in exchanges))
    assert {exchange.status for exchange in exchanges} == set(Status)
    assert {attempt.provenance for attempt in attempts} == set(Provenance)
    assert {attempt.model for attempt in attempts} == set(MODELS)
    assert {len(exchange.attempts) for exchange in exchanges} == {0, 1, 2}
    assert {exchange.stream for exchange in exchanges} == {True, False}
    for count in ("cache_read", "cache_write_5m", "cache_write_1h", "reasoning"):
        assert any(getattr(attempt.usage, count) for attempt in attempts), count


def test_what_is_a_part_is_never_more_than_the_whole(calls: list[tuple[Exchange, Content | None]]) -> None:
    for exchange, _ in calls:
        for attempt in exchange.attempts:
            usage = attempt.usage
            assert (usage.input or 0) >= (usage.cache_read or 0) + (usage.cache_write or 0)
            assert (usage.cache_write or 0) == (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
            assert (usage.output or 0) >= (usage.reasoning or 0)
            if attempt.ended is not None:
                assert attempt.started <= (attempt.headed or attempt.started) <= attempt.ended <= (exchange.duration or 0)


def test_what_was_said_is_kept_of_tracked_calls_alone_and_can_be_read(calls: list[tuple[Exchange, Content | None]]) -> None:
    formats: set[str] = set()
    for exchange, content in calls:
        if exchange.experiment_id is None:
            assert content is None
        elif exchange.status is Status.ok:
            assert content is not None
            assert content.request is not None
            assert content.response is not None
            entry = trace_row(exchange, content)
            assert entry.request_preview
            assert not entry.request_preview.startswith("{")
            if not exchange.format.endswith("embeddings"):
                assert entry.response_preview
                assert not entry.response_preview.startswith("{")
            assert isinstance(msgspec.json.decode(content.response), dict)
            formats.add(exchange.format)
    assert formats == {"openai.chat", "mlflow.chat", "anthropic.messages", "gemini.generate", "openai.embeddings"}


def test_nights_and_sundays_are_quiet(calls: list[tuple[Exchange, Content | None]]) -> None:
    hours = [exchange.received_at // 3_600_000_000_000 % 24 for exchange, _ in calls]
    days = [(exchange.received_at // 86_400_000_000_000 + 3) % 7 for exchange, _ in calls]
    assert hours.count(10) > 5 * hours.count(3)
    assert days.count(1) > 2 * days.count(6)
