import threading

import pytest

from spangate.control.chores import Chore
from spangate.store.faults import Unavailable


def test_does_it_again_at_once_while_there_is_more() -> None:
    left = [3]
    done = threading.Event()

    def work() -> bool:
        left[0] -= 1
        if left[0] == 0:
            done.set()
        return left[0] > 0

    chore = Chore("count", work, pause=1000)
    chore.start()
    assert done.wait(10)
    chore.stop(10)
    assert left == [0]


@pytest.mark.parametrize(
    ("error", "words"),
    [(Unavailable("The database is away."), "The database is away."), (ValueError("SELECT secret"), "ValueError: see the log")],
)
def test_a_fault_is_told_and_forgotten_when_it_has_passed(error: Exception, words: str) -> None:
    faults: list[Exception] = [error]

    def work() -> bool:
        if faults:
            raise faults[0]
        return False

    chore = Chore("try", work, pause=1)
    assert chore.once() is False
    assert chore.health.fault == words
    since = chore.health.failing_since
    chore.once()
    assert chore.health.failing_since == since
    faults.clear()
    chore.once()
    assert (chore.health.fault, chore.health.failing_since) == (None, None)
    assert chore.health.last_done is not None


def test_a_stop_before_the_start_is_no_fault() -> None:
    Chore("never", lambda: False, pause=1).stop(1)
