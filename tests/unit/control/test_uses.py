import shutil
from pathlib import Path

import pytest

from spangate.control.uses import Uses
from spangate.envelope import Pepper
from spangate.store import keys
from spangate.store.engine import Database
from spangate.store.faults import Unavailable


@pytest.fixture
def database(upgraded: Path, tmp_path: Path):
    shutil.copy(upgraded, tmp_path / "spangate.db")
    database = Database(f"sqlite:///{tmp_path / 'spangate.db'}")
    yield database
    database.close()


def made(database: Database, name: str) -> str:
    with database.write() as connection:
        return keys.create(connection, Pepper(bytes(32)), name=name, now=1)[0].key_id


def last(database: Database, key_id: str) -> int | None:
    with database.read() as connection:
        return keys.get(connection, key_id).last_used_at


def test_the_newest_use_of_each_key_is_kept_when_it_is_time(database: Database) -> None:
    one, other = made(database, "uses-one"), made(database, "uses-other")
    uses = Uses(database)
    for key_id, at in ((one, 5), (one, 9), (other, 7), (one, 8), ("admin", 9)):
        uses.note(key_id, at)
    assert last(database, one) is None
    uses.keep()
    assert (last(database, one), last(database, other)) == (9, 7)


def test_what_cannot_be_kept_is_kept_later_and_no_older_than_it_is(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = made(database, "uses-third"), made(database, "uses-fourth")
    uses = Uses(database)
    uses.note(one, 5)
    uses.note(other, 5)

    def away(connection: object, noted: dict[str, int]) -> None:
        uses.note(one, 9)  # meanwhile
        raise Unavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(keys, "used", away)
        with pytest.raises(Unavailable):
            uses.keep()
    uses.keep()
    assert (last(database, one), last(database, other)) == (9, 5)
