from collections.abc import Sequence

import pytest

from spangate.exchange import Route, Target
from spangate.relay.attempts import Attempt, Budget, Cure, Outcome, attempts, callable_targets, cure, line, patience, pause, pick
from spangate.relay.cooling import Cooling
from spangate.wire.problems import Interrupted, Problem, Refusal, UpstreamProblem

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
BUSY = UpstreamProblem(503, "overloaded", "Busy.")
NO_KEY = UpstreamProblem(401, "invalid_api_key", "No.")
WRONG = UpstreamProblem(400, "invalid_request_error", "Wrong.")
TIMEOUT = UpstreamProblem(504, "upstream_first_byte_timeout", "Silence.")


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


def route(*targets: Target, max_attempts: int | None = None) -> Route:
    return Route(endpoint_id="e", name="chat", targets=targets, max_attempts=max_attempts)


def limited(later: str) -> UpstreamProblem:
    return UpstreamProblem(429, "rate_limit_exceeded", "Slow down.", retry_after=later)


def tried(asked: Route, *problems: Problem, roll: float = 0.0, budget: Budget | None = None) -> list[tuple[str, float]]:
    """The conversation: whom it tries, after which wait, if the attempts end so one after the other; the last problem again and again."""
    schedule = attempts(asked, "openai.chat", roll, budget or Budget(), Cooling())
    attempt, said = next(schedule), [*problems]
    made = [attempt]
    while True:
        try:
            made.append(schedule.send(Outcome(said.pop(0) if len(said) > 1 else said[0], NOW, roll)))
        except StopIteration:
            return [(attempt.target.model, attempt.wait) for attempt in made]


A, B, F1, F2 = target("a"), target("b"), target("f1", order=1), target("f2", order=2)


# ---------------------------------------------------------------- who next


def test_the_first_attempt_is_made_at_once() -> None:
    assert next(attempts(route(A), "openai.chat", 0.5, Budget(), Cooling())) == Attempt(A, 0.0)


@pytest.mark.parametrize(
    ("asked", "problems", "made"),
    [
        (route(A), [BUSY], [("a", 0), ("a", 0.25), ("a", 0.5)]),
        (route(A), [NO_KEY], [("a", 0)]),
        (route(A), [TIMEOUT], [("a", 0)]),
        (route(A, F1), [WRONG], [("a", 0)]),
        (route(A, F1), [BUSY, WRONG], [("a", 0), ("a", 0.25)]),
        (route(F2, A, F1), [NO_KEY], [("a", 0), ("f1", 0), ("f2", 0)]),
        (route(A, F1, F2), [TIMEOUT, BUSY, NO_KEY, BUSY], [("a", 0), ("f1", 0), ("f1", 0.25), ("f2", 0), ("f2", 0.25), ("f2", 0.5)]),
        (route(A, B), [NO_KEY], [("a", 0)]),
        (route(A, B, target("b", order=1)), [NO_KEY], [("a", 0), ("b", 0)]),
        (route(A, B, target("a", order=1)), [NO_KEY], [("a", 0)]),
        (route(F2, F1), [NO_KEY], [("f1", 0), ("f2", 0)]),
        (route(target("a", problem="No key."), B, F1), [NO_KEY], [("b", 0), ("f1", 0)]),
    ],
    ids=[
        "time cures: the same again, each pause twice the one before",
        "nobody else to ask",
        "patience was spent",
        "the request's own fault is so everywhere",
        "the request's own fault ends it at any time",
        "fallbacks in their order",
        "each target has retries of its own",
        "another primary is no fallback",
        "unless it is one too",
        "nobody is asked twice",
        "fallbacks alone",
        "passes over who cannot be called",
    ],
)
def test_whom_it_tries(asked: Route, problems: Sequence[Problem], made: list[tuple[str, float]]) -> None:
    assert tried(asked, *problems) == made


@pytest.mark.parametrize(
    ("most", "made"),
    [
        (1, ["a"]),
        (2, ["a", "f1"]),
        (3, ["a", "f1", "f2"]),
        (4, ["a", "a", "f1", "f2"]),
        (5, ["a", "a", "a", "f1", "f2"]),
        (6, ["a", "a", "a", "f1", "f1", "f2"]),
        (1000, ["a", "a", "a", "f1", "f1", "f1", "f2", "f2", "f2"]),
        (None, ["a", "a", "a", "f1", "f1", "f1", "f2", "f2", "f2"]),
    ],
)
def test_max_attempts_counts_all_and_retries_take_nobodys_place(most: int | None, made: list[str]) -> None:
    assert [who for who, _ in tried(route(A, F1, F2, max_attempts=most), BUSY)] == made


# ---------------------------------------------------------------- what could help


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        *((UpstreamProblem(status, "upstream_error", "no"), Cure.time) for status in (408, 429, 500, 502, 503, 504, 529)),
        *((UpstreamProblem(status, "upstream_error", "no"), Cure.elsewhere) for status in (401, 402, 403, 404, 501, 505, 599)),
        *((UpstreamProblem(status, "upstream_error", "no"), Cure.nothing) for status in (400, 405, 409, 413, 415, 422, 451)),
        (UpstreamProblem(502, "upstream_connect", "no"), Cure.time),
        (UpstreamProblem(502, "upstream_empty", "no"), Cure.time),
        (Interrupted(502, "upstream_dropped", "no"), Cure.time),
        (UpstreamProblem(502, "upstream_dns", "no"), Cure.elsewhere),
        (UpstreamProblem(502, "upstream_tls", "no"), Cure.elsewhere),
        (UpstreamProblem(504, "upstream_connect_timeout", "no"), Cure.elsewhere),
        (UpstreamProblem(504, "upstream_first_byte_timeout", "no"), Cure.elsewhere),
        (Interrupted(504, "upstream_idle_timeout", "no"), Cure.elsewhere),
        (Interrupted(504, "upstream_total_timeout", "no"), Cure.nothing),
        (Refusal(502, "upstream_private_address", "no"), Cure.elsewhere),
        (UpstreamProblem(502, "upstream_redirect", "no"), Cure.elsewhere),
        (UpstreamProblem(502, "malformed_answer", "no"), Cure.elsewhere),
        (UpstreamProblem(429, "insufficient_quota", "no"), Cure.elsewhere),
    ],
    ids=lambda value: f"{value.status} {value.kind}" if isinstance(value, Problem) else value.value,
)
def test_what_could_help(problem: Problem, remedy: Cure) -> None:
    assert cure(problem) is remedy


@pytest.mark.parametrize(
    ("later", "made"),
    [
        ("1", [("a", 0), ("a", 1.25), ("a", 1.5), ("f1", 0)]),
        ("2", [("a", 0), ("a", 2.25), ("a", 2.5), ("f1", 0)]),
        ("2.1", [("a", 0), ("f1", 0)]),
        ("Tue, 14 Nov 2023 22:13:21 GMT", [("a", 0), ("a", 1.25), ("a", 1.5), ("f1", 0)]),
        ("Tue, 14 Nov 2023 22:13:23 GMT", [("a", 0), ("f1", 0)]),
        ("soon", [("a", 0), ("a", 0.25), ("a", 0.5), ("f1", 0)]),
    ],
)
def test_waits_as_long_as_it_is_asked_to_or_asks_somebody_else(later: str, made: list[tuple[str, float]]) -> None:
    assert tried(route(A, F1, max_attempts=4), limited(later)) == made


def test_who_asks_for_a_long_pause_is_left_alone_and_the_client_hears_of_it() -> None:
    assert tried(route(A), limited("7")) == [("a", 0)]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, 0),
        ("0", 0),
        ("3", 3),
        ("1.5", 1.5),
        ("-3", 0),
        ("nan", 0),
        ("", 0),
        ("x", 0),
        ("inf", float("inf")),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0),
        ("Tue, 99 Nov 2023 22:12:20 GMT", 0),
    ],
)
def test_reads_retry_after(said: str | None, seconds: float) -> None:
    assert patience(said, NOW) == seconds


def test_the_pause_is_half_of_its_step_at_least_and_never_all_of_it() -> None:
    assert [(pause(no, 0.0), pause(no, 0.5)) for no in range(3)] == [(0.25, 0.375), (0.5, 0.75), (1.0, 1.5)]


# ---------------------------------------------------------------- the budget


def test_retries_are_a_fifth_of_the_calls_once_what_was_saved_is_spent() -> None:
    budget = Budget()
    made = [len(tried(route(A), BUSY, budget=budget)) - 1 for _ in range(1000)]
    assert made[:5] == [2] * 5
    assert sum(made) == 10 + 999 // 5, "while all is saved, a call earns nothing"
    assert sum(made[500:]) == 100


def test_no_more_is_saved_than_a_worker_may_make_at_once() -> None:
    budget = Budget()
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2


def test_without_a_budget_fallbacks_are_tried_all_the_same() -> None:
    budget = Budget()
    while budget.spend():
        pass
    assert tried(route(A, F1), BUSY, budget=budget) == [("a", 0), ("f1", 0)]


# ---------------------------------------------------------------- whom at first


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


def test_fallbacks_come_after_the_primary_that_was_drawn() -> None:
    assert line([target("f", order=0), A, B], 0.5, Cooling()) == [B, target("f", order=0)]


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
        (
            (target("a", formats="anthropic.messages"), target("b", formats="gemini.generate"), target("c", formats="openai.responses")),
            400,
            "unsupported_format",
            "Endpoint 'chat' does not speak openai.chat: its providers p-a, p-b, p-c speak anthropic.messages, gemini.generate and "
            "openai.responses. Call it in one of those.",
        ),
    ],
    ids=["no target", "no credential", "unknown provider", "other format", "other formats", "many formats"],
)
def test_says_what_stands_in_the_way(targets: tuple[Target, ...], status: int, kind: str, message: str) -> None:
    with pytest.raises(Refusal) as refused:
        next(attempts(route(*targets), "openai.chat", 0.0, Budget(), Cooling()))
    assert (refused.value.status, refused.value.kind, refused.value.message) == (status, kind, message)


# ---------------------------------------------------------------- who rests


class Fared:
    """Who rests, as the test says it, and what is told."""

    def __init__(self, *resting: Target) -> None:
        self.resting = {target.model for target in resting}
        self.told: list[tuple[str, str, float]] = []
        self.probing = False

    def rests(self, target: Target) -> bool:
        return target.model in self.resting

    def tried(self, target: Target) -> bool:
        self.told.append(("tried", target.model, 0.0))
        return self.probing

    def released(self, target: Target) -> None:
        self.told.append(("released", target.model, 0.0))

    def failed(self, target: Target, asked: float = 0.0) -> None:
        self.told.append(("failed", target.model, asked))

    def began(self, target: Target) -> None:
        self.told.append(("began", target.model, 0.0))

    def well(self, target: Target) -> None:
        self.told.append(("well", target.model, 0.0))


C = target("c", weight=2.0)


@pytest.mark.parametrize(
    ("targets", "resting", "roll", "order"),
    [
        ([A], [A], 0.0, [A]),
        ([A, B], [A], 0.0, [B]),
        ([A, B, C], [A], 0.3, [B]),
        ([A, B, C], [A], 0.34, [C]),
        ([A, B], [A, B], 0.9, [B]),
        ([A, F1, F2], [A], 0.0, [F1, F2, A]),
        ([A, F1, F2], [F1], 0.0, [A, F2, F1]),
        ([A, F1, F2], [A, F1], 0.0, [F2, A, F1]),
        ([A, F1, F2], [A, F1, F2], 0.0, [A, F1, F2]),
        ([A, B, F1], [A], 0.0, [B, F1]),
        ([A, B, F1], [A, B], 0.0, [F1, A]),
        ([A, B, target("a", order=0)], [A], 0.0, [B, target("a", order=0)]),
        ([F2, F1], [F1], 0.0, [F2, F1]),
    ],
    ids=[
        "the only one is called all the same",
        "the other primary",
        "the others by their weights",
        "and not by the first one's share",
        "the usual draw when all rest",
        "the fallbacks, and then it",
        "a fallback last",
        "who does not first, the others in their order",
        "the usual order when all rest",
        "the other primary, and no third",
        "the fallback, then the primary that was drawn",
        "a primary that is a fallback too is one still",
        "fallbacks alone",
    ],
)
def test_who_rests_is_passed_over(targets: list[Target], resting: list[Target], roll: float, order: list[Target]) -> None:
    assert line(targets, roll, Fared(*resting)) == order


def test_tells_how_each_attempt_went() -> None:
    health = Fared()
    schedule = attempts(route(A, F1, F2), "openai.chat", 0.0, Budget(), health)
    next(schedule)
    for said in (limited("30"), NO_KEY):
        schedule.send(Outcome(said, NOW, 0.0))
    with pytest.raises(StopIteration):
        schedule.send(Outcome(WRONG, NOW, 0.0))
    assert health.told == [
        ("tried", "a", 0.0),
        ("failed", "a", 30.0),
        ("tried", "f1", 0.0),
        ("failed", "f1", 0.0),
        ("tried", "f2", 0.0),
        ("well", "f2", 0.0),
    ]


@pytest.mark.parametrize(("format", "told"), [("openai.chat", "failed"), ("raw", "well"), ("openai.responses.stored", "well")])
def test_what_the_client_looks_for_and_is_not_there_is_no_fault_of_the_target(format: str, told: str) -> None:
    health = Fared()
    schedule = attempts(route(target("a", formats=format)), format, 0.0, Budget(), health)
    next(schedule)
    with pytest.raises(StopIteration):
        schedule.send(Outcome(UpstreamProblem(404, "not_found", "No."), NOW, 0.0))
    assert [what for what, *_ in health.told] == ["tried", told]


def test_one_that_came_to_rest_since_is_put_off_while_there_is_another() -> None:
    health = Fared()
    schedule = attempts(route(A, F1, F2), "openai.chat", 0.0, Budget(), health)
    assert next(schedule).target is A
    health.resting.add("f1")
    assert [schedule.send(Outcome(NO_KEY, NOW, 0.0)).target for _ in range(2)] == [F2, F1]


def test_a_provider_that_says_not_to_ask_again_is_not_asked_again() -> None:
    final = UpstreamProblem(503, "overloaded", "Busy.")
    final.again = False
    assert tried(route(A, F1), final) == [("a", 0), ("f1", 0)]
    assert cure(final) is Cure.elsewhere
    wrong = UpstreamProblem(400, "invalid_request_error", "Wrong.")
    wrong.again = False
    assert cure(wrong) is Cure.nothing


def test_a_probe_without_an_outcome_is_given_back() -> None:
    fared = Fared()
    fared.probing = True
    schedule = attempts(route(A, F1), "openai.chat", 0.0, Budget(), fared)
    next(schedule)
    schedule.close()
    assert fared.told == [("tried", "a", 0.0), ("released", "a", 0.0)]


def test_a_probe_that_failed_is_not_given_back_again() -> None:
    fared = Fared()
    fared.probing = True
    schedule = attempts(route(A), "openai.chat", 0.0, Budget(), fared)
    next(schedule)
    schedule.send(Outcome(UpstreamProblem(502, "upstream_connect", "no"), 0.0, 0.0))  # the same target again, after a pause
    schedule.close()
    assert fared.told == [("tried", "a", 0.0), ("failed", "a", 0.0)]


def test_who_is_no_probe_gives_nothing_back() -> None:
    fared = Fared()
    schedule = attempts(route(A), "openai.chat", 0.0, Budget(), fared)
    next(schedule)
    schedule.close()
    assert fared.told == [("tried", "a", 0.0)]
