import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from tests.unit.store.given import KEYRING, T0, house

from spangate.envelope import Keyring
from spangate.store import engine, models, schema, secrets
from spangate.store.engine import Database
from spangate.store.faults import AlreadyExists, InUse, Invalid, NotFound
from spangate.store.secrets import Secret

VALUES = {"api_key": "sk-0123456789abcdef", "org": "org-1"}


def opened(database: Database, secret_id: str) -> dict[str, str]:
    with database.read() as connection:
        sealed = connection.execute(sa.select(schema.secrets.c.sealed).where(schema.secrets.c.secret_id == secret_id)).scalar_one()
    return json.loads(KEYRING.open(bytes(sealed), row=secret_id, field="values"))


def test_a_secret_is_sealed_and_only_its_mask_is_read(database: Database) -> None:
    with database.write() as connection:
        made = secrets.create(
            connection,
            KEYRING,
            name="prod",
            values=VALUES,
            provider="openai",
            auth_config={"api_base": "https://api.example/v1"},
            by="ann",
            now=T0,
        )
    assert made == Secret(
        secret_id=made.secret_id,
        name="prod",
        masked_values={"api_key": "sk-...cdef", "org": "***"},
        provider="openai",
        auth_config={"api_base": "https://api.example/v1"},
        created_at=T0,
        updated_at=T0,
        created_by="ann",
        updated_by="ann",
    )
    assert made.secret_id.startswith("s-")
    assert len(made.secret_id) == 34
    assert opened(database, made.secret_id) == VALUES
    with database.read() as connection:
        assert secrets.get(connection, secret_id=made.secret_id) == made
        assert secrets.get(connection, name="prod") == made
        for row in connection.execute(sa.select(schema.secrets)):
            assert b"0123456789" not in repr(tuple(row)).encode()


def test_values_hold_any_text(database: Database) -> None:
    values = {"json": '{"k": "v"}', "empty": "", "lines": "a\nb", "odd": "\x00é🙂" * 10}
    with database.write() as connection:
        made = secrets.create(connection, KEYRING, name="odd", values=values, now=T0)
    assert opened(database, made.secret_id) == values
    assert made.masked_values["odd"] == "\x00é🙂...🙂\x00é🙂"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("", "***"), ("sk-1", "***"), ("0123456789a", "***"), ("0123456789ab", "012...89ab"), ("sk-fake-openai-1234567890", "sk-...7890")],
)
def test_a_mask_never_shows_most_of_a_value(value: str, shown: str) -> None:
    assert secrets.masked(value) == shown


def test_a_taken_name_is_refused_in_words(database: Database) -> None:
    with database.write() as connection:
        secrets.create(connection, KEYRING, name="prod", values=VALUES, now=T0)
    with pytest.raises(AlreadyExists) as fault, database.write() as connection:
        secrets.create(connection, KEYRING, name="prod", values=VALUES, now=T0)
    assert fault.value.message == "Secret with name 'prod' already exists"


def test_update_changes_what_is_given(database: Database) -> None:
    with database.write() as connection:
        before = secrets.create(
            connection, KEYRING, name="prod", values=VALUES, provider="openai", auth_config={"auth_mode": "api_key"}, by="ann", now=T0
        )
    with database.write() as connection:
        rotated = secrets.update(connection, KEYRING, before.secret_id, values={"api_key": "sk-fake-openai-9999999"}, by="bob", now=T0 + 5)
    assert rotated == Secret(
        secret_id=before.secret_id,
        name="prod",
        masked_values={"api_key": "sk-...9999"},
        provider="openai",
        auth_config={"auth_mode": "api_key"},
        created_at=T0,
        updated_at=T0 + 5,
        created_by="ann",
        updated_by="bob",
    )
    assert opened(database, before.secret_id) == {"api_key": "sk-fake-openai-9999999"}
    with database.write() as connection:
        moved = secrets.update(connection, KEYRING, before.secret_id, auth_config={}, now=T0 + 6)
    assert (moved.auth_config, moved.masked_values, moved.updated_by) == ({}, {"api_key": "sk-...9999"}, "bob")
    assert opened(database, before.secret_id) == {"api_key": "sk-fake-openai-9999999"}


@pytest.mark.parametrize("key", ["base_url", "Base_URL", "model_list", "fallbacks", "custom_llm_provider"])
def test_another_word_for_the_destination_is_refused(database: Database, key: str) -> None:
    with pytest.raises(Invalid, match=key), database.write() as connection:
        secrets.create(connection, KEYRING, name="prod", values=VALUES, auth_config={key: "https://evil.example"}, now=T0)
    with pytest.raises(Invalid, match=key), database.write() as connection:
        secrets.create(connection, KEYRING, name="prod", values={key: "https://evil.example"}, now=T0)


def test_the_destination_is_no_secret(database: Database) -> None:
    with pytest.raises(Invalid, match="api_base"), database.write() as connection:
        secrets.create(connection, KEYRING, name="prod", values={"api_base": "https://evil.example"}, now=T0)


@pytest.mark.parametrize("name", ["", "x" * 256, "a\x00b", "\ud800"])
def test_a_name_that_cannot_be_kept_is_refused(database: Database, name: str) -> None:
    with pytest.raises(Invalid), database.write() as connection:
        secrets.create(connection, KEYRING, name=name, values=VALUES, now=T0)


def test_what_is_not_there_is_not_found(database: Database) -> None:
    tries: list[Callable[[sa.Connection], object]] = [
        lambda connection: secrets.get(connection, secret_id="s-missing"),
        lambda connection: secrets.update(connection, KEYRING, "s-missing", values=VALUES, now=T0),
        lambda connection: secrets.delete(connection, "s-missing"),
    ]
    for attempt in tries:
        with pytest.raises(NotFound) as fault, database.write() as connection:
            attempt(connection)
        assert fault.value.message == "GatewaySecret not found (secret_id='s-missing')"
    with pytest.raises(NotFound, match="secret_name='nope'"), database.read() as connection:
        secrets.get(connection, name="nope")
    for both in ({}, {"secret_id": "a", "name": "b"}):
        with pytest.raises(Invalid), database.read() as connection:
            secrets.get(connection, **both)


def test_list_may_ask_for_a_provider(database: Database) -> None:
    with database.write() as connection:
        first = secrets.create(connection, KEYRING, name="b", values=VALUES, provider="openai", now=T0)
        second = secrets.create(connection, KEYRING, name="a", values=VALUES, provider="anthropic", now=T0 + 1)
    with database.read() as connection:
        assert secrets.list_(connection) == [first, second]
        assert secrets.list_(connection, provider="anthropic") == [second]
        assert secrets.list_(connection, provider="none") == []


def test_a_secret_in_use_stays(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
    with pytest.raises(InUse, match="chat-model"), database.write() as connection:
        secrets.delete(connection, home.secret.secret_id)
    with database.write() as connection:
        spare = secrets.create(connection, KEYRING, name="spare", values=VALUES, now=T0)
        secrets.delete(connection, spare.secret_id)
    with database.read() as connection:
        assert [secret.name for secret in secrets.list_(connection)] == ["chat-key"]
        assert [model.secret_name for model in models.list_(connection)] == ["chat-key"]


def test_each_write_is_a_change(database: Database) -> None:
    with database.write() as connection:
        before = engine.version(connection)
        made = secrets.create(connection, KEYRING, name="prod", values=VALUES, now=T0)
        secrets.update(connection, KEYRING, made.secret_id, values=VALUES, now=T0)
        secrets.delete(connection, made.secret_id)
        assert engine.version(connection) == before + 3


def test_another_key_is_refused(database: Database) -> None:
    with database.write() as connection:
        secrets.bind(connection, KEYRING)
    with database.write() as connection:
        secrets.bind(connection, KEYRING)
    with pytest.raises(Invalid, match="another key-encryption key"), database.write() as connection:
        secrets.bind(connection, Keyring(bytes(32)))
