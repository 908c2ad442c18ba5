import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway

from .seeded import copied
from .size import CALLS, DAYS


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway over a full database of its own, made today: questions are about the last days."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    data_dir: Path = tmp_path_factory.mktemp("scale") / "data"
    with copied(request.param, CALLS, DAYS, data_dir, until=today) as db, Gateway(data_dir, db=db, log_level="warning") as gateway:
        yield gateway
