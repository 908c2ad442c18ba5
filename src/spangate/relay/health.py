"""When a target rests, and when it is tried again: numbers in, the next state out. It knows no clock and no file.

A target that failed FAILURES times in a row cools down: 5 s, then twice as long each time, 60 s at most, or as long as the provider
itself says. When that time is over one call is let through as a probe: its success makes the target well, its failure cools it again.
"""

import msgspec

FAILURES = 5  # in a row, and by the target's own fault; fewer happen to everybody
FIRST = 5.0  # s
LONGEST = 60.0  # s; also of what a provider asks for: longer than that nobody's word is taken without a look
PROBE = 30.0  # s that a probe is waited for; its worker may have died, so that another one is let through after them


class State(msgspec.Struct, frozen=True):
    """How a target fares. Times are those of one clock that all workers of a host share."""

    failures: int = 0  # in a row
    cooled: int = 0  # cool-downs in a row
    until: float = 0.0  # the end of the cool-down; 0: it does not cool
    probed: float = 0.0  # when its probe was let through; 0: it was not


WELL = State()


def rests(state: State, now: float) -> bool:
    """Whether calls pass it over: it cools, or its probe is under way."""
    if not state.until or state.until - now > LONGEST:  # the latter was written before the host, and its clock, started anew
        return False
    return now < state.until or (state.until <= state.probed and now - state.probed < PROBE)


def tried(state: State, now: float) -> State:
    """A call goes to it. If its cool-down is over, that call is the probe."""
    if not state.until or rests(state, now):
        return state
    return State(state.failures, state.cooled, state.until, now)


def released(state: State) -> State:
    """Its probe told nothing: the client left before the answer, or the call could not be recorded."""
    return State(state.failures, state.cooled, state.until) if state.probed else state


def failed(state: State, now: float, asked: float = 0.0) -> State:
    """`asked`: the seconds that the provider asks for, 0 if it says nothing."""
    if state.until and now < state.until <= now + LONGEST:
        return state  # calls that were under way as it began to cool tell nothing new
    failures = min(state.failures + 1, FAILURES)
    if failures < FAILURES:
        return State(failures, state.cooled)
    cooled = min(state.cooled + 1, 16)
    return State(failures, cooled, now + min(LONGEST, asked or FIRST * 2 ** (cooled - 1)))


def began(state: State) -> State:
    """It began to answer: calls go to it again, but one more failure, such as an answer that breaks off, cools it longer."""
    return State(FAILURES - 1, state.cooled) if state.cooled else state
