"""A control process in all but name: its own database, served on a TCP port, with MLflow's own client in front of it."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.rest_utils import MlflowHostCreds

from spangate.config import Settings
from spangate.control.app import Control
from spangate.control.pricing import Pricing
from spangate.store import snapshot
from spangate.store.engine import Database

KEY = "sg-test-admin-key"
BODY_LIMIT = 1 << 20


@dataclass
class Gateway:
    url: str
    control: Control
    settings: Settings
    key: str = KEY

    @property
    def versions(self) -> tuple[int | None, int]:
        """Of the snapshot file, and of the database."""
        with self.control.database.read() as connection:
            return self.control.publisher.version, snapshot.version(connection)


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "spangate.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    Pricing(database, url="", hours=0, allow_private=False, now=lambda: 0).open()  # here once, not at the start of each gateway
    database.close()
    return path


@contextmanager
def serving(upgraded: Path, folder: Path) -> Iterator[Gateway]:
    shutil.copy(upgraded, folder / "spangate.db")
    settings = Settings(data_dir=folder, admin_key=KEY, body_limit=BODY_LIMIT)  # type: ignore[arg-type]
    control = Control(settings)
    control.start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(control.app, lifespan="off", log_config=None, http="httptools"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield Gateway(f"http://127.0.0.1:{listener.getsockname()[1]}", control, settings)
        finally:
            server.should_exit = True
            thread.join(10)
            control.stop()


def asking(gateway: Gateway) -> httpx.Client:
    # verify: to load the world's certificates, which plain HTTP never looks at, takes as long as many a test.
    return httpx.Client(base_url=gateway.url, headers={"x-api-key": KEY}, trust_env=False, verify=False)


@pytest.fixture
def gateway(upgraded: Path, tmp_path: Path) -> Iterator[Gateway]:
    with serving(upgraded, tmp_path) as gateway:
        yield gateway


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with asking(gateway) as client:
        yield client


@pytest.fixture(scope="session")
def _bare(upgraded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, httpx.Client]]:
    with serving(upgraded, tmp_path_factory.mktemp("bare")) as gateway, asking(gateway) as client:
        yield gateway, client


@pytest.fixture
def bare(_bare: tuple[Gateway, httpx.Client]) -> Iterator[httpx.Client]:
    """A gateway with nothing in it, one for the whole run: for what is refused or only read. It must be as it was after each test."""
    gateway, client = _bare
    before = gateway.versions
    yield client
    assert gateway.versions == before, "this test changes something: it needs a gateway of its own"


@pytest.fixture
def store(gateway: Gateway) -> RestStore:
    """MLflow's client."""
    return RestStore(lambda: MlflowHostCreds(gateway.url, token=gateway.key))
