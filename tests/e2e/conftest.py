"""One upstream and one gateway for the whole run, and after each test the invariant over all that was ever called."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import anthropic
import openai
import pytest

from tests.upstream.process import Upstream

from .client import CALLER
from .databases import database
from .gateway import ADMIN_KEY, Gateway
from .invariant import check


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def alone() -> Iterator[Upstream]:
    """An upstream for a gateway of the test's own: the shared gateway's books must not see its calls."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="session")
def shared(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway on SQLite with two workers, so that what one worker knows and another doesn't shows up."""
    folder = tmp_path_factory.mktemp("e2e") / "data"
    with Gateway(folder, workers=2, idle_timeout=2, first_byte_timeout=3) as running:
        running.endpoint("chat", upstream.base)
        running.endpoint("claude", upstream.base, provider="anthropic", model_name="claude-replay")
        running.endpoint("gem", upstream.base.replace("/v1", "/v1beta"), provider="gemini", model_name="gem-replay")
        yield running


@pytest.fixture
def gateway(shared: Gateway, upstream: Upstream, request: pytest.FixtureRequest) -> Iterator[Gateway]:
    yield shared
    if not request.node.stash.get(FAILED, False):
        check(shared, upstream)


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Iterator[str | None]:
    with database(request.param) as url:
        yield url


@pytest.fixture
def own(tmp_path: Path, db: str | None) -> Iterator[Callable[..., Gateway]]:
    """Makes gateways of the test's own, on each database; all are ended with the test."""
    made: list[Gateway] = []

    def make(**settings: object) -> Gateway:
        made.append(Gateway(tmp_path / "data", db=db, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for running in made:
        if running.process is not None and running.process.poll() is None:
            running.kill()


@pytest.fixture
def call(request: pytest.FixtureRequest) -> str:
    """A mark that no other call has."""
    return f"{request.node.name.partition('[')[0][5:45].replace('_', '-')}-{next(NUMBERS)}"


NUMBERS = count(1)
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call" and call.excinfo is not None:
        item.stash[FAILED] = True
    return report  # type: ignore[return-value]


@pytest.fixture
def chat(gateway: Gateway, call: str) -> Iterator[openai.OpenAI]:
    headers = {CALLER: call}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30, default_headers=headers) as client:
        yield client


@pytest.fixture
def claude(gateway: Gateway, call: str) -> Iterator[anthropic.Anthropic]:
    headers = {CALLER: call}
    with anthropic.Anthropic(base_url=gateway.url, api_key=ADMIN_KEY, max_retries=0, timeout=30, default_headers=headers) as client:
        yield client
