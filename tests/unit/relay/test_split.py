"""The split of traffic that was asked for is the split that is made: through the whole relay, with dice that fall the same each time."""

import random
from collections import Counter

import msgspec
import pytest

from spangate.exchange import Route, Target
from spangate.relay.health import FAILURES
from spangate.relay.route import Routes
from spangate.wire.problems import UpstreamProblem

from .fakes import JSON, TARGET, FakeIncoming, World
from .spoken import PLAIN

ASK = b'{"model": "chat", "messages": []}'
CALLS = 10_000
# Chi-square that chance exceeds once in a thousand times, by degrees of freedom.
BOUND = {1: 10.83, 2: 13.82, 3: 16.27}


def target(name: str, weight: float = 1.0, order: int | None = None) -> Target:
    return msgspec.structs.replace(
        TARGET, model_definition_id=name, model=name, formats={"openai.chat": f"https://{name}/v1"}, weight=weight, fallback_order=order
    )


def world(seed: int, *targets: Target) -> World:
    it = World()
    it.relay._roll = random.Random(seed).random  # pyright: ignore[reportPrivateUsage]
    it.routes = Routes({"chat": Route(endpoint_id="e-1", name="chat", targets=targets)})
    it.transport.answer = lambda: FakeIncoming(200, JSON, [PLAIN], [])
    return it


async def asked(it: World, calls: int = CALLS) -> Counter[str]:
    """How often each was asked."""
    before = len(it.transport.sent)
    for _ in range(calls):
        it.journal.settled.clear()
        await it.call(ASK)
    return Counter(sent.url.split("/")[2] for sent in it.transport.sent[before:])


def chi_square(found: Counter[str], shares: dict[str, float]) -> float:
    total = sum(found.values())
    return sum((found[name] - total * share) ** 2 / (total * share) for name, share in shares.items())


@pytest.mark.parametrize(
    "weights", [{"a": 0.8, "b": 0.2}, {"a": 1.0, "b": 1.0}, {"a": 99.0, "b": 1.0}, {"a": 5.0, "b": 3.0, "c": 1.0, "d": 1.0}], ids=str
)
async def test_ten_thousand_calls_fall_as_the_weights_say(weights: dict[str, float]) -> None:
    found = await asked(world(1, *(target(name, weight) for name, weight in weights.items())))
    total = sum(weights.values())
    assert found.total() == CALLS
    assert chi_square(found, {name: weight / total for name, weight in weights.items()}) < BOUND[len(weights) - 1]


async def test_a_split_that_is_not_the_one_asked_for_would_be_seen() -> None:
    found = await asked(world(1, target("a", 0.82), target("b", 0.18)))
    assert chi_square(found, {"a": 0.8, "b": 0.2}) > BOUND[1]


async def test_while_one_rests_the_others_share_by_their_own_weights() -> None:
    it = world(1, target("a", 2.0), target("b", 3.0), target("c", 1.0))
    for _ in range(FAILURES):
        it.health.failed(target("a"))
    it.relay._clock = lambda: it.clock.now  # pyright: ignore[reportPrivateUsage]  the cool-down does not pass
    found = await asked(it)
    assert found["a"] == 0
    assert chi_square(found, {"b": 0.75, "c": 0.25}) < BOUND[1]


async def test_fallbacks_are_asked_in_their_order_and_only_when_those_before_failed() -> None:
    it = world(1, target("f2", order=2), target("a"), target("f1", order=1))
    down = {"a": 3, "f1": 2}

    def answer() -> FakeIncoming | Exception:
        name = it.transport.sent[-1].url.split("/")[2]
        if down.get(name):
            down[name] -= 1
            return UpstreamProblem(502, "upstream_dns", "No such name.")
        return FakeIncoming(200, JSON, [PLAIN], [])

    it.transport.answer = answer
    await asked(it, 4)
    assert [sent.url.split("/")[2] for sent in it.transport.sent] == ["a", "f1", "f2"] * 2 + ["a", "f1"] + ["a"]
