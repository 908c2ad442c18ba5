import pytest

from spangate.relay.health import FAILURES, LONGEST, PROBE, WELL, State, began, failed, rests, tried

NOW = 1000.0


def after(times: int, state: State = WELL, now: float = NOW) -> State:
    for _ in range(times):
        state = failed(state, now)
    return state


COOLING = after(FAILURES)


def test_it_cools_after_that_many_failures_in_a_row_and_not_before() -> None:
    assert after(FAILURES - 1) == State(failures=FAILURES - 1)
    assert not rests(after(FAILURES - 1), NOW)
    assert State(failures=FAILURES, cooled=1, until=NOW + 5) == COOLING
    assert (rests(COOLING, NOW), rests(COOLING, NOW + 4.9), rests(COOLING, NOW + 5)) == (True, True, False)


def test_each_cool_down_is_twice_as_long_up_to_the_longest() -> None:
    state, now, lengths = COOLING, NOW, [5.0]
    for _ in range(6):
        now = state.until
        state = failed(tried(state, now), now)
        lengths.append(state.until - now)
    assert lengths == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0]


@pytest.mark.parametrize(("asked", "length"), [(0.0, 5.0), (1.5, 1.5), (30.0, 30.0), (3600.0, LONGEST)])
def test_it_cools_as_long_as_the_provider_asks(asked: float, length: float) -> None:
    assert failed(after(FAILURES - 1), NOW, asked) == State(failures=FAILURES, cooled=1, until=NOW + length)


def test_a_single_refusal_does_not_cool_it_whatever_it_asks() -> None:
    assert failed(WELL, NOW, 30.0) == State(failures=1)


def test_calls_that_were_under_way_as_it_began_to_cool_change_nothing() -> None:
    assert after(50, COOLING, NOW + 1) == COOLING


def test_one_call_is_let_through_when_the_time_is_over() -> None:
    assert tried(COOLING, NOW + 1) == COOLING  # tried while it rests, as nobody else was left: that is no probe
    probed = tried(COOLING, NOW + 5)
    assert probed == State(failures=FAILURES, cooled=1, until=NOW + 5, probed=NOW + 5)
    assert (rests(probed, NOW + 5), rests(probed, NOW + 5 + PROBE - 0.1)) == (True, True)
    assert tried(probed, NOW + 6) == probed


def test_another_probe_is_let_through_when_the_one_before_never_came_back() -> None:
    probed = tried(COOLING, NOW + 5)
    assert not rests(probed, NOW + 5 + PROBE)
    assert tried(probed, NOW + 40) == State(failures=FAILURES, cooled=1, until=NOW + 5, probed=NOW + 40)


def test_a_probe_that_fails_cools_it_longer() -> None:
    assert failed(tried(COOLING, NOW + 5), NOW + 6) == State(failures=FAILURES, cooled=2, until=NOW + 16)


def test_one_that_begins_to_answer_is_asked_again_and_cools_longer_if_it_breaks_off() -> None:
    begun = began(tried(COOLING, NOW + 5))
    assert begun == State(failures=FAILURES - 1, cooled=1)
    assert not rests(begun, NOW + 6)
    assert failed(begun, NOW + 6) == State(failures=FAILURES, cooled=2, until=NOW + 16)


def test_one_that_was_well_is_not_made_worse_by_beginning_to_answer() -> None:
    assert began(WELL) is WELL
    assert began(State(failures=2)) == State(failures=2)


def test_times_of_a_clock_that_started_anew_since_mean_nothing() -> None:
    assert not rests(COOLING, NOW - 10 * LONGEST)
    assert failed(COOLING, 3.0) == State(failures=FAILURES, cooled=2, until=13.0)
