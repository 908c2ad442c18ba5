import resource

import pytest

from spangate.descriptors import SPARE, connections, take

INFINITE = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Soft and hard, as the process has them."""
    held = [256, 1024]
    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(held))
    monkeypatch.setattr(resource, "setrlimit", lambda which, to: held.__setitem__(slice(None), to))
    return held


@pytest.mark.parametrize(
    ("hard", "wanted", "served", "soft"),
    [
        (1024, 50, 50, 256),
        (1024, 100, 100, 2 * 100 + SPARE),
        (1024, 10_000, (1024 - SPARE) // 2, 1024),
        (INFINITE, 10_000, 10_000, 2 * 10_000 + SPARE),
        (256, 10_000, (256 - SPARE) // 2, 256),
    ],
)
def test_takes_what_it_needs_and_says_what_fits(limits: list[int], hard: int, wanted: int, served: int, soft: int) -> None:
    limits[1] = hard
    assert (connections(wanted), limits) == (served, [256, hard]), "who only asks takes nothing"
    assert (take(wanted), limits) == (served, [soft, hard])


def test_serves_somebody_however_few_there_are(limits: list[int]) -> None:
    limits[:] = [10, 10]
    assert (connections(100), take(100)) == (1, 1)


def test_fits_the_soft_limit_where_it_may_not_be_raised(limits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(which: int, to: tuple[int, int]) -> None:
        raise OSError

    monkeypatch.setattr(resource, "setrlimit", refused)
    assert take(10_000) == (256 - SPARE) // 2
