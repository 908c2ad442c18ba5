import pytest

from spangate.exchange import Route, Target
from spangate.relay.attempts import attempts, callable_targets, pick
from spangate.wire.problems import Refusal, UpstreamProblem


def target(name: str, *, weight: float = 1.0, order: int | None = None, formats: str = "openai.chat", problem: str | None = None) -> Target:
    return Target(
        model_definition_id=name,
        provider="p-" + name,
        model=name,
        formats={format: "https://x" for format in formats.split() if format},
        headers={},
        weight=weight,
        fallback_order=order,
        problem=problem,
    )


def route(*targets: Target) -> Route:
    return Route(endpoint_id="e", name="chat", targets=targets)


def test_gives_one_target_and_then_nobody() -> None:
    schedule = attempts(route(target("a")), "openai.chat", 0.5)
    assert next(schedule) == target("a")
    with pytest.raises(StopIteration):
        schedule.send(UpstreamProblem(502, "upstream_connect", "no"))


@pytest.mark.parametrize(
    ("roll", "chosen"), [(0.0, "a"), (0.249, "a"), (0.25, "b"), (0.999999, "b")], ids=["first", "end of a", "start of b", "last"]
)
def test_picks_by_weight(roll: float, chosen: str) -> None:
    assert pick([target("a", weight=1), target("b", weight=3)], roll).model == chosen


@pytest.mark.parametrize(("roll", "chosen"), [(0.0, "a"), (0.49, "a"), (0.5, "b"), (0.99, "b")])
def test_without_any_weight_all_are_equal(roll: float, chosen: str) -> None:
    assert pick([target("a", weight=0), target("b", weight=0)], roll).model == chosen


def test_never_picks_a_weight_of_zero_beside_others() -> None:
    targets = [target("a", weight=0), target("b", weight=0.1), target("c", weight=0.2), target("d", weight=-1)]
    assert {pick(targets, roll / 1000).model for roll in range(1000)} == {"b", "c"}


def test_rounding_at_the_end_falls_on_the_last_that_has_weight() -> None:
    targets = [target(str(no), weight=0.1) for no in range(10)] + [target("zero", weight=0)]
    assert pick(targets, 1.0).model == "9"


def test_fallbacks_wait_while_there_are_primaries() -> None:
    assert [t.model for t in callable_targets(route(target("f", order=0), target("a"), target("b")), "openai.chat")] == ["a", "b"]


def test_without_primaries_the_first_fallback_is_called() -> None:
    assert [t.model for t in callable_targets(route(target("f", order=2), target("g", order=1)), "openai.chat")] == ["g"]


def test_passes_over_those_that_cannot_be_called() -> None:
    assert [t.model for t in callable_targets(route(target("a", problem="No key."), target("b")), "openai.chat")] == ["b"]


@pytest.mark.parametrize(
    ("targets", "status", "kind", "message"),
    [
        ((), 503, "no_target", "Endpoint 'chat' has no model to call."),
        (
            (target("a", problem="No key."),),
            503,
            "uncallable_target",
            "Endpoint 'chat' cannot be called. No key.",
        ),
        (
            (target("a", formats="", problem="Unknown provider."),),
            503,
            "uncallable_target",
            "Endpoint 'chat' cannot be called. Unknown provider.",
        ),
        (
            (target("a", formats="anthropic.messages"),),
            400,
            "unsupported_format",
            "Endpoint 'chat' does not speak openai.chat: its provider p-a speaks anthropic.messages. Call it in that format.",
        ),
        (
            (target("a", formats="anthropic.messages"), target("b", formats="gemini.generate")),
            400,
            "unsupported_format",
            "Endpoint 'chat' does not speak openai.chat: its providers p-a, p-b speak anthropic.messages and gemini.generate. "
            "Call it in one of those.",
        ),
    ],
    ids=["no target", "no credential", "unknown provider", "other format", "other formats"],
)
def test_says_what_stands_in_the_way(targets: tuple[Target, ...], status: int, kind: str, message: str) -> None:
    with pytest.raises(Refusal) as refused:
        next(attempts(route(*targets), "openai.chat", 0.0))
    assert (refused.value.status, refused.value.kind, refused.value.message) == (status, kind, message)
