"""Each case has its own upstream, database and gateway: what one breaks, no other sees."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.databases import database
from tests.e2e.gateway import Gateway
from tests.upstream.process import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Iterator[str | None]:
    with database(request.param) as url:
        yield url


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def make(**settings: object) -> Gateway:
        made.append(Gateway(tmp_path / "data", **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for running in made:
        if running.process is not None and running.process.poll() is None:
            running.kill()
