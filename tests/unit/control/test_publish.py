import errno
import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest

from spangate.control.publish import Publisher
from spangate.envelope import Keyring, Pepper
from spangate.exchange import SealedKey, SealedRoute, Snapshot
from spangate.record.journal import Disk
from spangate.store import endpoints, keys, models, secrets
from spangate.store.engine import Database

KEYRING = Keyring(bytes(32))
PEPPER = Pepper(bytes(32))
KEYS = (SealedKey(key_id="admin", digest=PEPPER.digest(b"sg-test"), name="admin"),)


@pytest.fixture
def database(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.upgrade()
    yield database
    database.close()


def add_endpoint(database: Database, name: str) -> str:
    with database.write() as c:
        secret = secrets.create(
            c, KEYRING, name=f"s-{name}", values={"api_key": "sk-hidden-0123456789"}, provider="openai", auth_config={}, by=None, now=1
        )
        model = models.create(c, name=f"m-{name}", secret_id=secret.secret_id, provider="openai", model_name="gpt", by=None, now=1)
        attached = endpoints.EndpointModel(model_definition_id=model.model_definition_id, linkage_type="PRIMARY", weight=1.0)
        return endpoints.create(c, name=name, models=[attached], usage_tracking=True, experiment_id=None, by=None, now=1).endpoint_id


def read(path: Path) -> Snapshot:
    return msgspec.msgpack.decode(path.read_bytes(), type=Snapshot)


def names(path: Path) -> list[str]:
    return [route.name for route in read(path).routes]


def test_writes_the_routes_and_keys_for_the_owner_only(database: Database, tmp_path: Path) -> None:
    endpoint_id = add_endpoint(database, "chat")
    path = tmp_path / "data" / "snapshot.msgpack"
    publisher = Publisher(database, path, KEYS)
    assert publisher.version is None
    assert publisher.publish()
    written = read(path)
    route = written.routes[0]
    assert (route.endpoint_id, route.name, type(route)) == (endpoint_id, "chat", SealedRoute)
    assert written.keys == KEYS
    assert written.version == publisher.version
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["snapshot.msgpack"]
    assert b"sk-hidden" not in path.read_bytes()


def test_a_revoked_key_has_no_force_here_even_if_the_file_cannot_be_written(database: Database, tmp_path: Path) -> None:
    class Full(Disk):
        def write(self, fd, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with database.write() as connection:
        made, shown = keys.create(connection, PEPPER, name="bot", now=1)
    digest = PEPPER.digest(shown.encode())
    publisher = Publisher(database, tmp_path / "snapshot.msgpack", KEYS)
    assert list(publisher.keys) == [KEYS[0].digest], "before the database was asked: those that are fixed"
    publisher.publish()
    assert [key.name for key in (publisher.keys[KEYS[0].digest], publisher.keys[digest])] == ["admin", "bot"]
    publisher._disk = Full()
    with database.write() as connection:
        keys.revoke(connection, made.key_id, now=2)
    with pytest.raises(OSError, match="space"):
        publisher.publish()
    assert list(publisher.keys) == [KEYS[0].digest]


def test_writes_only_when_the_database_has_moved_on(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.msgpack"
    publisher = Publisher(database, path, KEYS)
    assert [publisher.publish(), publisher.publish()] == [True, False]
    inode = path.stat().st_ino
    assert path.stat().st_ino == inode
    add_endpoint(database, "chat")
    assert [publisher.publish(), publisher.publish()] == [True, False]
    assert names(path) == ["chat"]


def test_writes_again_what_was_removed(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.msgpack"
    publisher = Publisher(database, path, KEYS)
    publisher.publish()
    path.unlink()
    assert publisher.publish()
    assert path.exists()


def test_writes_again_what_was_damaged_or_overwritten(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.msgpack"
    publisher = Publisher(database, path, KEYS)
    publisher.publish()
    path.write_bytes(path.read_bytes()[:9])
    assert [publisher.publish(), publisher.publish()] == [True, False]
    assert read(path).keys == KEYS
    Publisher(database, path, ()).publish()  # of another control
    assert [publisher.publish(), publisher.publish()] == [True, False]
    assert read(path).keys == KEYS


def test_writes_at_its_start_even_at_the_same_version_as_the_keys_may_be_others(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.msgpack"
    Publisher(database, path, KEYS).publish()
    assert Publisher(database, path, ()).publish()
    assert read(path).keys == ()


@pytest.mark.parametrize("kind", ["write", "sync", "rename"])
def test_leaves_the_old_file_whole_when_a_step_fails_and_tries_again(database: Database, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "data" / "snapshot.msgpack"
    failing = False

    class Failing(Disk):
        def _step(self, now: str) -> None:
            if failing and now == kind:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def write(self, fd, data):
            self._step("write")
            return super().write(fd, data[:7])  # never all at once

        def sync(self, fd):
            self._step("sync")
            super().sync(fd)

        def rename(self, old, new):
            self._step("rename")
            super().rename(old, new)

    publisher = Publisher(database, path, KEYS, disk=Failing())
    publisher.publish()
    before = path.read_bytes()
    add_endpoint(database, "chat")
    failing = True
    with pytest.raises(OSError, match="space"):
        publisher.publish()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["snapshot.msgpack"]
    failing = False
    assert publisher.publish()
    assert names(path) == ["chat"]


def test_never_goes_back_when_many_publish_at_once(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "snapshot.msgpack"
    publisher = Publisher(database, path, KEYS)
    seen: list[int] = []

    def write(no: int) -> None:
        add_endpoint(database, f"e{no}")
        publisher.publish()
        version = read(path).version
        assert f"e{no}" in names(path)
        seen.append(version)

    threads = [threading.Thread(target=write, args=(no,)) for no in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(path) == [f"e{no}" for no in range(8)]
    assert len(seen) == 8
