"""Who to try, and who next: a conversation. Each outcome that is sent in brings out the next target, until there is none.

    schedule = attempts(route, "openai.chat", roll)
    target = next(schedule)
    target = schedule.send(problem)     # StopIteration: nobody is left to try

It knows no clock, no wire and no dice; `roll` is a number in [0, 1).
"""

from collections.abc import Generator, Sequence

from spangate.exchange import Route, Target
from spangate.wire.problems import Problem, Refusal


def attempts(route: Route, format: str, roll: float) -> Generator[Target, Problem, None]:
    """For now one try. Raises Refusal if there is nobody who could be called at all."""
    yield pick(callable_targets(route, format), roll)


def callable_targets(route: Route, format: str) -> Sequence[Target]:
    """The primaries that speak the format and can be called; where there are none, the fallbacks, the first alone.

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
    primaries = [target for target in ready if target.fallback_order is None]
    return primaries or [min(ready, key=lambda target: target.fallback_order or 0)]


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
    return f"{who} {' and '.join(formats) or 'nothing'}. Call it in {'that format' if len(formats) == 1 else 'one of those'}."
