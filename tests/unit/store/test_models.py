import pytest
from tests.unit.store.given import KEYRING, T0, house

from spangate.store import endpoints, limits, models, secrets
from spangate.store.endpoints import FALLBACK, EndpointModel
from spangate.store.engine import Database, version
from spangate.store.faults import AlreadyExists, InUse, Invalid, NotFound
from spangate.store.models import ModelDefinition, User


def test_a_definition_names_its_secret(database: Database) -> None:
    with database.write() as connection:
        secret = secrets.create(connection, KEYRING, name="key", values={"api_key": "sk"}, now=T0)
        made = models.create(
            connection, name="gpt", secret_id=secret.secret_id, provider="openai", model_name="gpt-4o-mini", by="ann", now=T0
        )
    assert made == ModelDefinition(
        model_definition_id=made.model_definition_id,
        name="gpt",
        secret_id=secret.secret_id,
        secret_name="key",
        provider="openai",
        model_name="gpt-4o-mini",
        created_at=T0,
        updated_at=T0,
        created_by="ann",
        updated_by="ann",
    )
    with database.read() as connection:
        assert models.get(connection, made.model_definition_id) == made
        assert models.get(connection, name="gpt") == made


def test_a_definition_may_need_no_secret(database: Database) -> None:
    with database.write() as connection:
        made = models.create(connection, name="demo", secret_id=None, provider="simulated", model_name="parrot", now=T0)
    assert (made.secret_id, made.secret_name) == (None, None)


def test_update_changes_what_is_given(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
        other = secrets.create(connection, KEYRING, name="other", values={"api_key": "sk"}, now=T0)
    model_id = home.model.model_definition_id
    with database.write() as connection:
        renamed = models.update(connection, model_id, name="gpt2", by="bob", now=T0 + 1)
        same = models.update(connection, model_id, name="gpt2", now=T0 + 2)
        moved = models.update(connection, model_id, secret_id=other.secret_id, model_name="gpt-5", provider="azure", now=T0 + 3)
    assert (renamed.name, renamed.model_name, renamed.updated_by, renamed.updated_at) == ("gpt2", "gpt-4o-mini", "bob", T0 + 1)
    assert same.name == "gpt2"
    assert (moved.secret_name, moved.model_name, moved.provider, moved.created_by, moved.updated_by) == (
        "other",
        "gpt-5",
        "azure",
        "ann",
        "bob",
    )


def test_a_taken_name_is_refused_in_words(database: Database) -> None:
    with database.write() as connection:
        house(connection, "one")
        two = house(connection, "two").model.model_definition_id
    said = "Model definition with name 'one-model' already exists"
    with pytest.raises(AlreadyExists) as fault, database.write() as connection:
        models.create(connection, name="one-model", secret_id=None, provider="openai", model_name="x", now=T0)
    assert fault.value.message == said
    with pytest.raises(AlreadyExists) as fault, database.write() as connection:
        models.update(connection, two, name="one-model", now=T0)
    assert fault.value.message == said


def test_a_secret_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound) as fault, database.write() as connection:
        models.create(connection, name="gpt", secret_id="s-nope", provider="openai", model_name="x", now=T0)
    assert fault.value.message == "GatewaySecret not found (secret_id='s-nope')"
    with database.write() as connection:
        home = house(connection)
    with pytest.raises(NotFound), database.write() as connection:
        models.update(connection, home.model.model_definition_id, secret_id="s-nope", now=T0)


def test_a_credential_goes_to_its_own_provider_only(database: Database) -> None:
    with database.write() as connection:
        secret = secrets.create(connection, KEYRING, name="key", values={"api_key": "sk"}, provider="openai", now=T0)
        made = models.create(connection, name="gpt", secret_id=secret.secret_id, provider="openai", model_name="gpt-4o-mini", now=T0)
        free = models.create(connection, name="demo", secret_id=None, provider="simulated", model_name="parrot", now=T0)
    told = "Secret 'key' is a credential of provider 'openai', and is not sent to "
    with pytest.raises(Invalid, match=told + "'anthropic'"), database.write() as connection:
        models.create(connection, name="claude", secret_id=secret.secret_id, provider="anthropic", model_name="claude", now=T0)
    with pytest.raises(Invalid, match=told + "'anthropic'"), database.write() as connection:
        models.update(connection, made.model_definition_id, provider="anthropic", now=T0)
    with pytest.raises(Invalid, match=told + "'simulated'"), database.write() as connection:
        models.update(connection, free.model_definition_id, secret_id=secret.secret_id, now=T0)
    with database.write() as connection:
        moved = models.update(connection, free.model_definition_id, secret_id=secret.secret_id, provider="openai", now=T0)
    assert (moved.secret_id, moved.provider) == (secret.secret_id, "openai")


def test_a_definition_in_use_stays(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
    with pytest.raises(InUse, match="chat"), database.write() as connection:
        models.delete(connection, home.model.model_definition_id)
    with database.write() as connection:
        spare = models.create(connection, name="spare", secret_id=None, provider="openai", model_name="x", now=T0)
        models.delete(connection, spare.model_definition_id)
        with pytest.raises(NotFound):
            models.get(connection, spare.model_definition_id)
        with pytest.raises(NotFound):
            models.delete(connection, spare.model_definition_id)


def test_list_may_ask_for_a_provider_and_a_secret(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
        demo = models.create(connection, name="demo", secret_id=None, provider="simulated", model_name="parrot", now=T0 + 1)
    with database.read() as connection:
        assert models.list_(connection) == [home.model, demo]
        assert models.list_(connection, provider="simulated") == [demo]
        assert models.list_(connection, secret_id=home.secret.secret_id) == [home.model]
        assert models.list_(connection, provider="simulated", secret_id=home.secret.secret_id) == []


@pytest.mark.parametrize("wrong", [{"name": ""}, {"provider": ""}, {"model_name": ""}, {"model_name": "x" * 257}, {"name": "a\x00"}])
def test_what_cannot_be_kept_is_refused(database: Database, wrong: dict[str, str]) -> None:
    given: dict[str, str] = {"name": "gpt", "provider": "openai", "model_name": "x"} | wrong
    with pytest.raises(Invalid), database.write() as connection:
        models.create(connection, secret_id=None, **given, now=T0)


def test_each_write_is_a_change(database: Database) -> None:
    with database.write() as connection:
        before = version(connection)
        made = models.create(connection, name="gpt", secret_id=None, provider="openai", model_name="x", now=T0)
        models.update(connection, made.model_definition_id, model_name="y", now=T0)
        models.delete(connection, made.model_definition_id)
        assert version(connection) == before + 3


def test_a_definition_of_the_same_model_and_secret_is_used_again(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
        asked = {"provider": "openai", "model_name": "gpt-4o-mini"}
        assert models.of(connection, **asked, secret_id=home.secret.secret_id, now=T0 + 1) == home.model
        bare = models.of(connection, **asked, secret_id=None, by="bob", now=T0 + 1)
        assert (bare.name, bare.secret_id, bare.created_by) == ("gpt-4o-mini", None, "bob")
        assert models.of(connection, **asked, secret_id=None, now=T0 + 2) == bare
        other = house(connection, "other").secret.secret_id
        models.update(connection, models.list_(connection, secret_id=other)[0].model_definition_id, model_name="x", now=T0)
        assert models.of(connection, **asked, secret_id=other, now=T0 + 3).name == "gpt-4o-mini-2"  # the name is taken
        long = models.of(connection, provider="openai", model_name="m" * limits.MODEL, secret_id=None, now=T0)
        assert (len(long.name), len(long.model_name)) == (limits.NAME - 10, limits.MODEL)
        with pytest.raises(Invalid, match="model_name"):
            models.of(connection, provider="openai", model_name="m" * (limits.MODEL + 1), secret_id=None, now=T0)


def test_who_uses_a_definition_is_told_by_endpoint(database: Database) -> None:
    with database.write() as connection:
        home, other = house(connection), house(connection, "other")
        shared = home.model.model_definition_id
        endpoints.attach(connection, other.endpoint.endpoint_id, EndpointModel(model_definition_id=shared, linkage_type=FALLBACK), now=T0)
        endpoints.attach(connection, home.endpoint.endpoint_id, EndpointModel(model_definition_id=shared, linkage_type=FALLBACK), now=T0)
        assert models.users(connection) == {
            shared: [User(home.endpoint.endpoint_id, "chat"), User(other.endpoint.endpoint_id, "other")],
            other.model.model_definition_id: [User(other.endpoint.endpoint_id, "other")],
        }
        assert models.behind(connection, [home.endpoint.endpoint_id]) == {shared}
        assert models.behind(connection, [other.endpoint.endpoint_id, "e-none"]) == {shared, other.model.model_definition_id}
        assert models.behind(connection, []) == set()
