"""Who to try, and who next: a conversation. Each outcome that is sent in brings out the next attempt, until nobody could do better.

    schedule = attempts(route, "openai.chat", roll, budget, health)
    attempt = next(schedule)
    attempt = schedule.send(Outcome(problem, now, roll))     # StopIteration: the client gets this problem

One primary is drawn by weight, then come the fallbacks in their order; another primary is tried only if it is a fallback too. That is
MLflow's meaning, and a traffic split stays the split that was asked for when one side of it fails. Only a target that rests, as it failed
time and again (`health.py`), is passed over while there is another one: the draw is then among the other primaries.

It knows no clock, no wire and no dice; `roll` is a number in [0, 1). Whoever drives it stops once the client has seen a byte.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Protocol

import msgspec

from spangate.exchange import Route, Target
from spangate.wire.problems import Problem, Refusal

RETRIES = 2  # of one target; as many as the SDKs make of a call, and they make theirs on top
PAUSE = 0.5  # s before the first retry, doubled for each further one; the SDKs' first too
PATIENCE = 2.0  # s of Retry-After that we wait for a client; beyond it another target is quicker, and SDKs wait by themselves


class Attempt(msgspec.Struct, frozen=True):
    target: Target
    wait: float = 0.0  # s before it is sent


class Outcome(msgspec.Struct, frozen=True):
    """An attempt that brought no answer."""

    problem: Problem
    now: float  # wall clock, s: a Retry-After may be a date
    roll: float


class Health(Protocol):
    """How targets fared of late, in any worker."""

    def rests(self, target: Target) -> bool:
        """Whether calls pass it over now."""
        ...

    def tried(self, target: Target) -> bool:
        """A call goes to it now. True: that call is the probe of a target that rested, and other calls wait for what comes of it."""
        ...

    def released(self, target: Target) -> None:
        """The probe brought no word of the target: the next call may be one."""
        ...

    def failed(self, target: Target, asked: float = 0.0) -> None:
        """By its own fault. `asked`: the seconds that it says to stay away."""
        ...

    def began(self, target: Target) -> None:
        """It began to answer."""
        ...

    def well(self, target: Target) -> None:
        """It answered to the end, or said that the request is the client's fault."""
        ...


class Cure(Enum):
    """What could help after a problem. Whatever time cures, another target does too."""

    time = "time"
    elsewhere = "elsewhere"
    nothing = "nothing"


# Kinds before statuses: they know more.
_KINDS: Mapping[str, Cure] = {
    "upstream_connect": Cure.time,
    "upstream_dropped": Cure.time,
    "upstream_empty": Cure.time,
    "upstream_token_refused": Cure.time,  # it was dropped, and the next attempt fetches another
    "upstream_dns": Cure.elsewhere,
    "upstream_tls": Cure.elsewhere,
    # Patience was spent on this one already.
    "upstream_connect_timeout": Cure.elsewhere,
    "upstream_first_byte_timeout": Cure.elsewhere,
    "upstream_idle_timeout": Cure.elsewhere,
    "upstream_total_timeout": Cure.nothing,  # an answer that takes this long takes as long elsewhere
    # What it is set up to be or to say.
    "upstream_credential": Cure.elsewhere,
    "upstream_insecure": Cure.elsewhere,
    "upstream_private_address": Cure.elsewhere,
    "upstream_url": Cure.elsewhere,
    "upstream_redirect": Cure.elsewhere,
    "upstream_malformed": Cure.elsewhere,
    "malformed_answer": Cure.elsewhere,
    "insufficient_quota": Cure.elsewhere,  # OpenAI's 429 for an account without money: no pause mends it
}
_STATUSES: Mapping[int, Cure] = {
    # The target's own credential, account or model.
    401: Cure.elsewhere,
    402: Cure.elsewhere,
    403: Cure.elsewhere,
    404: Cure.elsewhere,
    408: Cure.time,
    429: Cure.time,
    500: Cure.time,
    502: Cure.time,
    503: Cure.time,
    504: Cure.time,
    529: Cure.time,  # Anthropic's overloaded_error
}


class Budget:
    """How many retries of a same target a worker may make, so that they never double the load of a provider in distress.

    Each call earns a fifth of a retry, and no more than MOST are saved up. Fallbacks cost nothing: they go to somebody else.
    """

    SHARE = 5  # calls a retry
    MOST = 10  # retries; what a worker with little to do may make at once

    def __init__(self) -> None:
        self._saved = self.MOST * self.SHARE

    def earn(self) -> None:
        self._saved = min(self._saved + 1, self.MOST * self.SHARE)

    def spend(self) -> bool:
        """Whether there was one to spend."""
        if self._saved < self.SHARE:
            return False
        self._saved -= self.SHARE
        return True


# Where the client says by itself what it looks for, not finding it is no fault of the target.
_SOUGHT = frozenset({"raw", "openai.responses.stored"})


def attempts(route: Route, format: str, roll: float, budget: Budget, health: Health) -> Generator[Attempt, Outcome, None]:
    """Raises Refusal if there is nobody who could be called at all.

    `max_attempts` counts every attempt; a retry never takes the place of a target that was not tried yet.
    """
    room = route.max_attempts or math.inf
    waiting = list(line(callable_targets(route, format), roll, health))
    resting = [target for target in waiting if health.rests(target)] if len(waiting) > 1 else []
    budget.earn()
    while waiting and room >= 1:
        target = waiting.pop(0)
        if waiting and target not in resting and health.rests(target):
            resting.append(target)  # only since the call began: somebody else is trying it
            waiting.append(target)
            continue
        probing = health.tried(target)
        wait, retries = 0.0, 0
        while True:
            try:
                outcome = yield Attempt(target, wait)
            except GeneratorExit:
                if probing:  # if there was an answer, it has told of itself by now
                    health.released(target)
                raise
            probing = False
            room -= 1
            remedy = cure(outcome.problem)
            said = patience(outcome.problem.retry_after, outcome.now)
            if remedy is Cure.nothing or (outcome.problem.status == 404 and format in _SOUGHT):
                health.well(target)
            else:
                health.failed(target, said)
            if remedy is Cure.nothing:
                return
            spare = room > len(waiting)
            if remedy is not Cure.time or said > PATIENCE or retries == RETRIES or not spare or not budget.spend():
                break
            wait = said + pause(retries, outcome.roll)
            retries += 1


def at_fault(problem: Problem) -> bool:
    """Whether a problem tells something of the target: another one could do better."""
    return cure(problem) is not Cure.nothing


def cure(problem: Problem) -> Cure:
    known = _KINDS.get(problem.kind) or _STATUSES.get(problem.status)
    if known is not None:
        return Cure.elsewhere if known is Cure.time and not problem.again else known
    # What else a server says of itself; all other words are about the request, which is the same wherever it goes.
    return Cure.elsewhere if problem.status >= 500 else Cure.nothing


def patience(retry_after: str | None, now: float) -> float:
    """The seconds that the provider asks for: a number or a date. 0 if it asks for none, or for none that makes sense."""
    if retry_after is None:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            date = parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return 0.0
        # A date in "-0000" has no zone; HTTP's are all UTC.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return max(0.0, seconds) if not math.isnan(seconds) else 0.0


def pause(retries: int, roll: float) -> float:
    """Between half of the step and all of it, so that those who failed together do not come back together."""
    return PAUSE * 2**retries * (1 + roll) / 2


def callable_targets(route: Route, format: str) -> Sequence[Target]:
    """Those that speak the format and can be called, at least one.

    A refusal says the first thing that stands in the way, so that whoever reads it can mend it.
    """
    if not route.targets:
        raise Refusal(503, "no_target", f"Endpoint '{route.name}' has no model to call.")
    speaking = [target for target in route.targets if format in target.formats]
    if not speaking:
        broken = next((target.problem for target in route.targets if target.problem and not target.formats), None)
        if broken is not None:
            raise Refusal(503, "uncallable_target", f"Endpoint '{route.name}' cannot be called. {broken}")
        raise Refusal(400, "unsupported_format", f"Endpoint '{route.name}' does not speak {format}: {_spoken(route)}")
    ready = [target for target in speaking if target.problem is None]
    if not ready:
        raise Refusal(503, "uncallable_target", f"Endpoint '{route.name}' cannot be called. {speaking[0].problem}")
    return ready


def line(targets: Sequence[Target], roll: float, health: Health) -> Sequence[Target]:
    """In the order in which they are tried, each model definition once: the primary that was drawn, if there is one, then the fallbacks.

    Those that rest come last, in the same order among themselves, and are not drawn while another primary could be.
    """
    primaries = [target for target in targets if target.fallback_order is None]
    if len(primaries) > 1:
        primaries = [target for target in primaries if not health.rests(target)] or primaries
    drawn = [pick(primaries, roll)] if primaries else []
    if all(target.fallback_order is None for target in targets):
        return drawn
    fallbacks = sorted((target for target in targets if target.fallback_order is not None), key=lambda target: target.fallback_order or 0)
    usual = drawn + [target for target in fallbacks if not drawn or target.model_definition_id != drawn[0].model_definition_id]
    return sorted(usual, key=health.rests)  # stable: False before True


def pick(targets: Sequence[Target], roll: float) -> Target:
    """The target on which the roll falls, each having its weight's share of [0, 1). Without any weight all are equal."""
    if len(targets) == 1:
        return targets[0]
    weights = [max(0.0, target.weight) for target in targets]
    total = sum(weights)
    if total <= 0:
        return targets[int(roll * len(targets))]
    mark = roll * total
    for target, weight in zip(targets, weights, strict=True):
        mark -= weight
        if mark < 0:
            return target
    return next(target for target, weight in zip(reversed(targets), reversed(weights), strict=True) if weight > 0)


def _spoken(route: Route) -> str:
    providers = sorted({target.provider for target in route.targets})
    formats = sorted({format for target in route.targets for format in target.formats})
    one = len(providers) == 1
    who = f"its provider {providers[0]} speaks" if one else f"its providers {', '.join(providers)} speak"
    spoken = " and ".join(filter(None, (", ".join(formats[:-1]), *formats[-1:])))
    return f"{who} {spoken or 'nothing'}. Call it in {'that format' if len(formats) == 1 else 'one of those'}."
