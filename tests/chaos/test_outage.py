"""The database is locked, stopped, or silent while calls go on: each is answered, and none is missing afterwards."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.e2e.databases import database
from tests.e2e.gateway import Gateway
from tests.e2e.invariant import check
from tests.e2e.rest import RestError
from tests.upstream.process import Upstream

from .proxy import Proxy
from .size import LOAD, OUTAGE, dice
from .storm import Storm, endpoints

pytestmark = pytest.mark.timeout(120 + 4 * int(OUTAGE))


def test_sqlite_locked(own: Callable[..., Gateway], upstream: Upstream) -> None:
    gateway = own().start()
    endpoints(gateway, upstream)
    with Storm(gateway, dice("locked"), at_once=LOAD, faults=False) as storm:
        time.sleep(0.5)
        with closing(sqlite3.connect(gateway.data_dir / "spangate.db", timeout=30, isolation_level=None)) as lock:
            lock.execute("BEGIN EXCLUSIVE")
            before = storm.answered
            time.sleep(OUTAGE)
            assert storm.answered > before, "no call was answered while the database was locked"
            lock.execute("ROLLBACK")
        time.sleep(0.5)
        seen = storm.stop()
    check(gateway, upstream, seen, seconds=60)
    assert gateway.stop() == 0


@pytest.fixture
def proxied() -> Iterator[tuple[Proxy, str]]:
    """A PostgreSQL database that is reached through a proxy only."""
    with database("postgresql") as url:
        assert url is not None
        parts = urlsplit(url)
        assert parts.hostname is not None
        proxy = Proxy(parts.port or 5432)
        yield proxy, parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}").geturl()
        proxy.close()


@pytest.mark.parametrize("mode", ["shut", "silent"])
def test_postgresql_gone(own: Callable[..., Gateway], upstream: Upstream, proxied: tuple[Proxy, str], mode: str) -> None:
    proxy, db = proxied
    gateway = own(db=db).start()
    endpoints(gateway, upstream)
    with Storm(gateway, dice(f"gone-{mode}"), at_once=LOAD, faults=False) as storm:
        time.sleep(0.5)
        proxy.set(mode)  # type: ignore[arg-type]
        before = storm.answered
        time.sleep(OUTAGE)
        assert storm.answered > before, "no call was answered while the database was away"
        proxy.set("open")
        time.sleep(0.5)
        seen = storm.stop()
    check(gateway, upstream, seen, seconds=90)
    assert gateway.stop() == 0


def test_restart_while_postgresql_is_away(own: Callable[..., Gateway], upstream: Upstream, proxied: tuple[Proxy, str]) -> None:
    """The snapshot file is enough to serve."""
    proxy, db = proxied
    gateway = own(db=db).start()
    endpoints(gateway, upstream)
    proxy.set("shut")
    gateway.kill()
    gateway.start(ready=False)
    end = time.monotonic() + 30
    while True:
        try:
            assert "chat" in gateway.models()
            break
        except (OSError, RestError):
            assert time.monotonic() < end, gateway.log_text()[-3000:]
            time.sleep(0.1)
    with Storm(gateway, dice("restart"), at_once=LOAD, faults=False) as storm:
        time.sleep(OUTAGE)
        assert storm.answered > 0
        seen = storm.stop()
    proxy.set("open")
    gateway.wait_ready()
    check(gateway, upstream, seen, seconds=60)
    assert gateway.stop() == 0


def test_first_start_while_postgresql_is_away(own: Callable[..., Gateway], upstream: Upstream, proxied: tuple[Proxy, str]) -> None:
    """Without a snapshot nobody can be served yet: callers are told so instead of hanging, and it goes on by itself."""
    proxy, db = proxied
    proxy.set("shut")
    gateway = own(db=db).start(ready=False)
    end = time.monotonic() + 40
    while True:
        try:
            gateway.rest.post("/v1/messages", model="claude", messages=[])
        except RestError as error:
            said = error
            break
        except OSError:
            assert time.monotonic() < end, gateway.log_text()[-3000:]
            time.sleep(0.1)
    assert (said.status, said.body["error"]["code"]) == (503, "not_ready")
    proxy.set("open")
    gateway.wait_ready()
    endpoints(gateway, upstream)
    with Storm(gateway, dice("first"), at_once=LOAD, faults=False) as storm:
        time.sleep(0.5)
        seen = storm.stop()
    check(gateway, upstream, seen, seconds=60)
    assert gateway.stop() == 0
