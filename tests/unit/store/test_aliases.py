import pytest
from tests.unit.store.given import KEYRING, T0, house

from spangate.exchange import Alias as SnapshotAlias
from spangate.store import aliases, endpoints, models, secrets
from spangate.store.aliases import Alias
from spangate.store.endpoints import EndpointModel
from spangate.store.engine import Database, version
from spangate.store.faults import AlreadyExists, Invalid, NotFound
from spangate.store.snapshot import snapshot


def test_an_alias_means_an_endpoint_and_can_be_made_to_mean_another(database: Database) -> None:
    with database.write() as connection:
        chat, talk = house(connection).endpoint, house(connection, "talk").endpoint
        before = version(connection)
        made = aliases.put(connection, "claude-*", endpoint="chat", by="ann", now=T0)
        moved = aliases.put(connection, "claude-*", endpoint="talk", by="bob", now=T0 + 5)
        assert version(connection) == before + 2
        assert aliases.list_(connection) == [moved]
    assert made == Alias(
        pattern="claude-*",
        endpoint_id=chat.endpoint_id,
        endpoint="chat",
        created_at=T0,
        updated_at=T0,
        created_by="ann",
        updated_by="ann",
    )
    assert moved == Alias(
        pattern="claude-*",
        endpoint_id=talk.endpoint_id,
        endpoint="talk",
        created_at=T0,
        updated_at=T0 + 5,
        created_by="ann",
        updated_by="bob",
    )


def test_aliases_are_listed_by_code_point_and_by_endpoint(database: Database) -> None:
    with database.write() as connection:
        house(connection)
        house(connection, "talk")
        for pattern, endpoint in (("b", "chat"), ("é", "talk"), ("B", "chat"), ("*", "talk"), ("a/b", "chat")):
            aliases.put(connection, pattern, endpoint=endpoint, now=T0)
        assert [alias.pattern for alias in aliases.list_(connection)] == ["*", "B", "a/b", "b", "é"]
        assert [alias.pattern for alias in aliases.list_(connection, endpoint="talk")] == ["*", "é"]
        assert aliases.list_(connection, endpoint="none") == []
        assert snapshot(connection, []).aliases == tuple(
            SnapshotAlias(pattern=pattern, endpoint=endpoint)
            for pattern, endpoint in (("*", "talk"), ("B", "chat"), ("a/b", "chat"), ("b", "chat"), ("é", "talk"))
        )


def test_a_deleted_endpoint_takes_its_aliases_along_and_a_renamed_one_keeps_them(database: Database) -> None:
    with database.write() as connection:
        endpoint = house(connection).endpoint
        house(connection, "talk")
        aliases.put(connection, "gpt-*", endpoint="chat", now=T0)
        aliases.put(connection, "claude-*", endpoint="talk", now=T0)
        endpoints.update(connection, endpoint.endpoint_id, name="renamed", now=T0)
        assert [(alias.pattern, alias.endpoint) for alias in aliases.list_(connection)] == [("claude-*", "talk"), ("gpt-*", "renamed")]
        endpoints.delete(connection, endpoint.endpoint_id)
        assert [alias.pattern for alias in aliases.list_(connection)] == ["claude-*"]


def test_a_deleted_alias_is_gone(database: Database) -> None:
    with database.write() as connection:
        house(connection)
        aliases.put(connection, "gpt-*", endpoint="chat", now=T0)
        before = version(connection)
        aliases.delete(connection, "gpt-*", now=T0)
        assert (aliases.list_(connection), version(connection)) == ([], before + 1)
        with pytest.raises(NotFound, match=r"gpt-\*"):
            aliases.delete(connection, "gpt-*", now=T0)


def test_no_endpoint_and_alias_have_one_name(database: Database) -> None:
    with database.write() as connection:
        chat = house(connection).endpoint
        aliases.put(connection, "gpt-5", endpoint="chat", now=T0)
        aliases.put(connection, "Chat", endpoint="chat", now=T0)
        aliases.put(connection, "*", endpoint="chat", now=T0)  # it matches every name and is none
        model = chat.mappings[0].model_definition_id
        for conflict in (
            lambda: aliases.put(connection, "chat", endpoint="chat", now=T0),
            lambda: endpoints.create(connection, name="gpt-5", models=[EndpointModel(model_definition_id=model)], now=T0),
            lambda: endpoints.update(connection, chat.endpoint_id, name="gpt-5", now=T0),
        ):
            with pytest.raises(AlreadyExists):
                conflict()
        assert endpoints.create(connection, name="gpt-6", models=[EndpointModel(model_definition_id=model)], now=T0).name == "gpt-6"


@pytest.mark.parametrize("pattern", ["*", "gpt-5", "openai/gpt-5", "claude-sonnet-*", "*-mini", "a*b*c", "模型", "m" * 256, "with space"])
def test_a_name_that_clients_may_send_is_taken(database: Database, pattern: str) -> None:
    with database.write() as connection:
        house(connection)
        assert aliases.put(connection, pattern, endpoint="chat", now=T0).pattern == pattern


@pytest.mark.parametrize("pattern", ["", " ", "gpt-5 ", "\tgpt", "a\nb", "a\x00b", "a\x7fb", "a\x85b", "\ud800", "m" * 257])
def test_a_name_that_none_can_send_is_refused(database: Database, pattern: str) -> None:
    with database.write() as connection:
        house(connection)
        with pytest.raises(Invalid, match="pattern"):
            aliases.put(connection, pattern, endpoint="chat", now=T0)


def test_an_alias_of_nothing_is_refused(database: Database) -> None:
    with database.write() as connection:
        secret = secrets.create(connection, KEYRING, name="s", values={}, now=T0)
        models.create(connection, name="m", secret_id=secret.secret_id, provider="openai", model_name="m", now=T0)
        with pytest.raises(NotFound, match="name='m'"):
            aliases.put(connection, "gpt-*", endpoint="m", now=T0)
