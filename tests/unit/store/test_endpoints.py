import pytest
import sqlalchemy as sa
from msgspec import structs
from tests.unit.store.given import T0, house

from spangate.store import aliases, endpoints, experiments, models, schema, secrets, settings
from spangate.store.endpoints import FALLBACK, PRIMARY, Binding, Endpoint, EndpointModel, Fallback, Mapping
from spangate.store.engine import Database, version
from spangate.store.faults import AlreadyExists, Invalid, NotFound, StoreFault
from spangate.store.models import ModelDefinition


def names(database: Database) -> list[tuple[str, str]]:
    """All experiments with their stage."""
    columns = schema.experiments.c
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(sa.select(columns.name, columns.lifecycle_stage).order_by(columns.experiment_id))]


def model(connection: sa.Connection, name: str) -> ModelDefinition:
    return models.create(connection, name=name, secret_id=None, provider="simulated", model_name=name, now=T0)


# ---------------------------------------------------------------- the table "Endpoints and tracing" of the specification


def test_absent_usage_tracking_is_true(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
    assert home.endpoint == Endpoint(
        endpoint_id=home.endpoint.endpoint_id,
        name="chat",
        mappings=(
            Mapping(
                mapping_id=home.endpoint.mappings[0].mapping_id,
                endpoint_id=home.endpoint.endpoint_id,
                model_definition_id=home.model.model_definition_id,
                model_definition=home.model,
                linkage_type=PRIMARY,
                weight=1.0,
                fallback_order=None,
                created_at=T0,
                created_by="ann",
            ),
        ),
        tags={},
        routing_strategy=None,
        fallback=None,
        usage_tracking=True,
        experiment_id="1",
        created_at=T0,
        updated_at=T0,
        created_by="ann",
        updated_by="ann",
    )


def test_a_tracked_endpoint_gets_an_experiment_with_its_tags(database: Database) -> None:
    with database.write() as connection:
        endpoint = house(connection).endpoint
        made = experiments.get_by_name(connection, "gateway/chat")
    assert endpoint.experiment_id == made.experiment_id
    assert made.tags == {
        "mlflow.experiment.sourceType": "GATEWAY",
        "mlflow.experiment.sourceId": endpoint.endpoint_id,
        "mlflow.experiment.isGateway": "true",
    }


def test_an_active_experiment_of_the_name_is_reused(database: Database) -> None:
    with database.write() as connection:
        ours = experiments.create(connection, name="gateway/chat", tags={"owner": "ann"}, now=T0)
        endpoint = house(connection).endpoint
        tags = experiments.get(connection, ours).tags
    assert endpoint.experiment_id == ours
    assert tags == {
        "owner": "ann",
        "mlflow.experiment.sourceType": "GATEWAY",
        "mlflow.experiment.sourceId": endpoint.endpoint_id,
        "mlflow.experiment.isGateway": "true",
    }
    assert names(database) == [("Default", "active"), ("gateway/chat", "active")]


def test_another_endpoints_experiment_of_the_name_keeps_its_tags(database: Database) -> None:
    with database.write() as connection:
        first = house(connection).endpoint
        endpoints.update(connection, first.endpoint_id, name="talk", now=T0)
        second = house(connection, "other", usage_tracking=False).endpoint
        second = endpoints.update(connection, second.endpoint_id, name="chat", usage_tracking=True, now=T0)
        tags = experiments.get(connection, "1").tags
    assert second.experiment_id == first.experiment_id
    assert tags["mlflow.experiment.sourceId"] == first.endpoint_id


def test_a_failed_create_leaves_no_orphan(database: Database) -> None:
    with database.write() as connection:
        house(connection)
    wanted = [EndpointModel(model_definition_id="d-missing")]
    with pytest.raises(NotFound, match="d-missing"), database.write() as connection:
        endpoints.create(connection, name="broken", models=wanted, now=T0)

    def fail() -> None:
        with database.write() as connection:
            house(connection, "late")
            raise StoreFault("the request failed after the endpoint was made")

    with pytest.raises(StoreFault):
        fail()
    assert names(database) == [("Default", "active"), ("gateway/chat", "active")]
    with database.read() as connection:
        assert [endpoint.name for endpoint in endpoints.list_(connection)] == ["chat"]


def test_a_deleted_namesake_is_left_alone(database: Database) -> None:
    with database.write() as connection:
        for name in ("gateway/chat", "gateway/chat-2"):
            experiments.delete(connection, experiments.create(connection, name=name, now=T0), now=T0)
        endpoint = house(connection).endpoint
    assert endpoint.experiment_id == "3"
    assert names(database)[1:] == [("gateway/chat", "deleted"), ("gateway/chat-2", "deleted"), ("gateway/chat-3", "active")]


def test_a_numbered_experiment_of_another_endpoint_is_not_shared(database: Database) -> None:
    with database.write() as connection:
        neighbour = house(connection, "chat-2").endpoint  # its experiment is gateway/chat-2
        experiments.delete(connection, experiments.create(connection, name="gateway/chat", now=T0), now=T0)
        endpoint = house(connection).endpoint
        assert experiments.get(connection, str(endpoint.experiment_id)).name == "gateway/chat-3"
    assert endpoint.experiment_id != neighbour.experiment_id


def test_a_given_experiment_is_used(database: Database) -> None:
    with database.write() as connection:
        ours = experiments.create(connection, name="ours", now=T0)
        assert house(connection, experiment_id=ours).endpoint.experiment_id == ours
        other = house(connection, "other", experiment_id="0").endpoint
        assert other.experiment_id == "0"
        assert endpoints.update(connection, other.endpoint_id, experiment_id=ours, now=T0).experiment_id == ours
    assert names(database) == [("Default", "active"), ("ours", "active")]


@pytest.mark.parametrize("given", ["99", "deleted", "", "abc", "-1", "9" * 30])
def test_a_given_experiment_must_be_there_and_active(database: Database, given: str) -> None:
    with database.write() as connection:
        gone = experiments.create(connection, name="gone", now=T0)
        experiments.delete(connection, gone, now=T0)
        home = house(connection, "there")
    wanted = gone if given == "deleted" else given
    with pytest.raises(Invalid), database.write() as connection:
        house(connection, experiment_id=wanted)
    with pytest.raises(Invalid), database.write() as connection:
        endpoints.update(connection, home.endpoint.endpoint_id, experiment_id=wanted, now=T0)
    with database.read() as connection:
        assert endpoints.list_(connection) == [home.endpoint]


@pytest.mark.parametrize("tracked", [True, False])
def test_an_update_without_the_field_changes_nothing(database: Database, tracked: bool) -> None:
    with database.write() as connection:
        before = house(connection, usage_tracking=tracked, experiment_id="0").endpoint
        after = endpoints.update(connection, before.endpoint_id, by="bob", now=T0 + 1)
    assert after == structs.replace(before, updated_at=T0 + 1, updated_by="bob")
    assert (after.usage_tracking, after.experiment_id) == (tracked, "0")


def test_turned_off_it_keeps_its_experiment(database: Database) -> None:
    with database.write() as connection:
        before = house(connection).endpoint
        off = endpoints.update(connection, before.endpoint_id, usage_tracking=False, now=T0 + 1)
        on = endpoints.update(connection, before.endpoint_id, usage_tracking=True, now=T0 + 2)
    assert (off.usage_tracking, off.experiment_id) == (False, before.experiment_id)
    assert (on.usage_tracking, on.experiment_id) == (True, before.experiment_id)
    assert names(database) == [("Default", "active"), ("gateway/chat", "active")]


def test_turned_on_it_gets_an_experiment_of_its_new_name(database: Database) -> None:
    with database.write() as connection:
        before = house(connection, usage_tracking=False).endpoint
        assert (before.usage_tracking, before.experiment_id) == (False, None)
        after = endpoints.update(connection, before.endpoint_id, name="talk", usage_tracking=True, now=T0)
        assert experiments.get(connection, str(after.experiment_id)).name == "gateway/talk"
    assert names(database) == [("Default", "active"), ("gateway/talk", "active")]


def test_turned_on_after_its_experiment_was_deleted_it_gets_a_fresh_one(database: Database) -> None:
    with database.write() as connection:
        before = house(connection).endpoint
        endpoints.update(connection, before.endpoint_id, usage_tracking=False, now=T0)
        experiments.delete(connection, str(before.experiment_id), now=T0)
        assert endpoints.get(connection, before.endpoint_id).experiment_id == before.experiment_id  # off: nothing to move
        after = endpoints.update(connection, before.endpoint_id, usage_tracking=True, now=T0)
        assert experiments.get(connection, str(after.experiment_id)).name == "gateway/chat-2"


def test_a_renamed_endpoint_keeps_its_experiment(database: Database) -> None:
    with database.write() as connection:
        before = house(connection).endpoint
        after = endpoints.update(connection, before.endpoint_id, name="talk", now=T0 + 1)
    assert after == structs.replace(before, name="talk", updated_at=T0 + 1)
    assert names(database) == [("Default", "active"), ("gateway/chat", "active")]


def test_an_endpoint_outlives_its_experiment_and_says_so(database: Database) -> None:
    with database.write() as connection:
        before = house(connection).endpoint
        other = house(connection, "other").endpoint
    with database.write() as connection:
        experiments.delete(connection, str(before.experiment_id), now=T0 + 1_000)
        after = endpoints.get(connection, before.endpoint_id)
        assert endpoints.get(connection, other.endpoint_id) == other
    assert after == structs.replace(
        before, experiment_id="3", updated_at=T0 + 1_000, tags={"spangate.experiment.replaced": "1 deleted at 2023-11-14T22:13:21+00:00"}
    )
    assert names(database) == [
        ("Default", "active"),
        ("gateway/chat", "deleted"),
        ("gateway/other", "active"),
        ("gateway/chat-2", "active"),
    ]
    with database.write() as connection:
        experiments.delete(connection, "3", now=T0 + 2_000)
        again = endpoints.get(connection, before.endpoint_id)
    assert (again.experiment_id, again.tags) == ("4", {"spangate.experiment.replaced": "3 deleted at 2023-11-14T22:13:22+00:00"})


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["chat", "a.b-c_D9", "x" * 255])
def test_a_plain_name_is_taken(database: Database, name: str) -> None:
    with database.write() as connection:
        wanted = [EndpointModel(model_definition_id=model(connection, "m").model_definition_id)]
        assert endpoints.create(connection, name=name, models=wanted, now=T0).name == name


@pytest.mark.parametrize("name", ["", "bad name", "a/b", "é", "chat\n", "x" * 256, "a\x00"])
def test_a_name_that_is_no_path_segment_is_refused(database: Database, name: str) -> None:
    with database.write() as connection:
        home = house(connection)
    wanted = [EndpointModel(model_definition_id=home.model.model_definition_id)]
    with pytest.raises(Invalid), database.write() as connection:
        endpoints.create(connection, name=name, models=wanted, now=T0)
    with pytest.raises(Invalid), database.write() as connection:
        endpoints.update(connection, home.endpoint.endpoint_id, name=name, now=T0)


def test_a_taken_name_is_refused_in_words(database: Database) -> None:
    with database.write() as connection:
        one, two = house(connection, "one"), house(connection, "two")
    wanted = [EndpointModel(model_definition_id=one.model.model_definition_id)]
    with pytest.raises(AlreadyExists) as fault, database.write() as connection:
        endpoints.create(connection, name="one", models=wanted, now=T0)
    assert fault.value.message == "Endpoint with name 'one' already exists"
    with pytest.raises(AlreadyExists) as fault, database.write() as connection:
        endpoints.update(connection, two.endpoint.endpoint_id, name="one", now=T0)
    assert fault.value.message == "Endpoint with name 'one' already exists"


# ---------------------------------------------------------------- models, strategies


def test_an_update_with_models_replaces_them_and_keeps_the_strategies(database: Database) -> None:
    with database.write() as connection:
        a, b, c = (model(connection, name) for name in "abc")
        before = endpoints.create(
            connection,
            name="chat",
            models=[
                EndpointModel(model_definition_id=a.model_definition_id, weight=0.7),
                EndpointModel(model_definition_id=b.model_definition_id, weight=0.3),
            ],
            routing_strategy="REQUEST_BASED_TRAFFIC_SPLIT",
            fallback=Fallback(max_attempts=2),
            now=T0,
        )
        assert [(mapping.model_definition.name, mapping.weight) for mapping in before.mappings] == [("a", 0.7), ("b", 0.3)]
        wanted = [
            EndpointModel(model_definition_id=c.model_definition_id),
            EndpointModel(model_definition_id=a.model_definition_id, linkage_type=FALLBACK, fallback_order=1),
        ]
        after = endpoints.update(connection, before.endpoint_id, models=wanted, now=T0 + 1)
        assert endpoints.update(connection, before.endpoint_id, models=[], now=T0 + 2) == structs.replace(after, updated_at=T0 + 2)
    assert [(mapping.model_definition.name, mapping.linkage_type, mapping.fallback_order) for mapping in after.mappings] == [
        ("c", PRIMARY, None),
        ("a", FALLBACK, 1),
    ]
    assert (after.routing_strategy, after.fallback) == ("REQUEST_BASED_TRAFFIC_SPLIT", Fallback(max_attempts=2))


def test_strategies_change_when_given(database: Database) -> None:
    with database.write() as connection:
        endpoint_id = house(connection).endpoint.endpoint_id
        after = endpoints.update(
            connection, endpoint_id, routing_strategy="REQUEST_BASED_TRAFFIC_SPLIT", fallback=Fallback(max_attempts=3), now=T0
        )
        assert (after.routing_strategy, after.fallback) == ("REQUEST_BASED_TRAFFIC_SPLIT", Fallback(strategy="SEQUENTIAL", max_attempts=3))
        cleared = endpoints.update(connection, endpoint_id, routing_strategy=None, fallback=None, now=T0)
        assert (cleared.routing_strategy, cleared.fallback) == (None, None)


def test_a_fallback_model_brings_the_fallback_strategy(database: Database) -> None:
    with database.write() as connection:
        a, b = model(connection, "a").model_definition_id, model(connection, "b").model_definition_id
        primary, spare = EndpointModel(model_definition_id=a), EndpointModel(model_definition_id=b, linkage_type=FALLBACK)
        assert endpoints.create(connection, name="both", models=[primary, spare], now=T0).fallback == Fallback()
        plain = endpoints.create(connection, name="plain", models=[primary], now=T0)
        assert plain.fallback is None
        assert endpoints.attach(connection, plain.endpoint_id, spare, now=T0).fallback_order == 1
        assert endpoints.get(connection, plain.endpoint_id).fallback == Fallback()


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": []},
        {"models": [EndpointModel(model_definition_id="A", linkage_type="SIDEWAYS")]},
        {"models": [EndpointModel(model_definition_id="A", weight=-0.5)]},
        {"models": [EndpointModel(model_definition_id="A", weight=float("nan"))]},
        {"models": [EndpointModel(model_definition_id="A"), EndpointModel(model_definition_id="A")]},
        {"models": [EndpointModel(model_definition_id="A", linkage_type=FALLBACK)]},
        {"routing_strategy": "DARTS"},
        {"fallback": Fallback(strategy="RANDOM")},
        {"fallback": Fallback(max_attempts=0)},
    ],
)
def test_a_wrong_endpoint_is_refused(database: Database, wrong: dict[str, object]) -> None:
    with database.write() as connection:
        home = house(connection)
    with pytest.raises(Invalid), database.write() as connection:
        endpoints.create(
            connection,
            **({"name": "new", "models": [EndpointModel(model_definition_id=home.model.model_definition_id)], "now": T0} | wrong),  # type: ignore[arg-type]
        )
    assert names(database) == [("Default", "active"), ("gateway/chat", "active")]


def test_attach_and_detach(database: Database) -> None:
    with database.write() as connection:
        endpoint = house(connection).endpoint
        spare = model(connection, "spare").model_definition_id
        wanted = EndpointModel(model_definition_id=spare, linkage_type=FALLBACK, fallback_order=2)
        mapping = endpoints.attach(connection, endpoint.endpoint_id, wanted, by="bob", now=T0 + 1)
        assert endpoints.get(connection, endpoint.endpoint_id).mappings == (*endpoint.mappings, mapping)
    assert (mapping.linkage_type, mapping.fallback_order, mapping.created_by, mapping.model_definition.name) == (
        FALLBACK,
        2,
        "bob",
        "spare",
    )
    with pytest.raises(AlreadyExists) as fault, database.write() as connection:
        endpoints.attach(connection, endpoint.endpoint_id, wanted, now=T0)
    assert fault.value.message == f"Model definition '{spare}' is already attached to endpoint '{endpoint.endpoint_id}'"
    with pytest.raises(NotFound, match="d-nope"), database.write() as connection:
        endpoints.attach(connection, endpoint.endpoint_id, EndpointModel(model_definition_id="d-nope"), now=T0)
    with database.write() as connection:
        endpoints.detach(connection, endpoint.endpoint_id, spare, now=T0 + 2)
        assert endpoints.get(connection, endpoint.endpoint_id).mappings == endpoint.mappings
    with pytest.raises(NotFound) as missing, database.write() as connection:
        endpoints.detach(connection, endpoint.endpoint_id, spare, now=T0)
    assert missing.value.message == f"Model definition '{spare}' is not attached to endpoint '{endpoint.endpoint_id}'"


# ---------------------------------------------------------------- the rest


def test_list_may_ask_for_a_provider_and_a_secret(database: Database) -> None:
    with database.write() as connection:
        one = house(connection, "one")
        wanted = [EndpointModel(model_definition_id=model(connection, "m").model_definition_id)]
        demo = endpoints.create(connection, name="demo", models=wanted, now=T0 + 1)
    with database.read() as connection:
        assert endpoints.list_(connection) == [one.endpoint, demo]
        assert endpoints.list_(connection, provider="simulated") == [demo]
        assert endpoints.list_(connection, secret_id=one.secret.secret_id) == [one.endpoint]
        assert endpoints.list_(connection, provider="simulated", secret_id=one.secret.secret_id) == []


def test_delete_takes_all_but_the_experiment(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
        endpoint_id = home.endpoint.endpoint_id
        endpoints.set_tag(connection, endpoint_id, "team", "search", now=T0)
        endpoints.create_binding(connection, endpoint_id, resource_type="scorer", resource_id="1", now=T0)
        endpoints.delete(connection, endpoint_id)
        for table in (schema.endpoints, schema.endpoint_models, schema.endpoint_tags, schema.endpoint_bindings):
            assert connection.execute(sa.select(table)).all() == []
        models.delete(connection, home.model.model_definition_id)
        secrets.delete(connection, home.secret.secret_id)
    assert names(database) == [("Default", "active"), ("gateway/chat", "active")]


def test_tags_are_set_changed_and_deleted(database: Database) -> None:
    with database.write() as connection:
        endpoint_id = house(connection).endpoint.endpoint_id
        endpoints.set_tag(connection, endpoint_id, "team", "search", now=T0)
        endpoints.set_tag(connection, endpoint_id, "Team", "", now=T0)
        endpoints.set_tag(connection, endpoint_id, "team", "é" * 5_000, now=T0)
        assert endpoints.get(connection, endpoint_id).tags == {"Team": "", "team": "é" * 5_000}
        endpoints.delete_tag(connection, endpoint_id, "team", now=T0)
        endpoints.delete_tag(connection, endpoint_id, "team", now=T0)
        assert endpoints.get(connection, endpoint_id).tags == {"Team": ""}
        for key, value in (("", "x"), ("k" * 251, "x"), ("k", "v" * 5_001), ("k", "a\x00")):
            with pytest.raises(Invalid):
                endpoints.set_tag(connection, endpoint_id, key, value, now=T0)


def test_bindings(database: Database) -> None:
    with database.write() as connection:
        endpoint_id = house(connection).endpoint.endpoint_id
        made = endpoints.create_binding(
            connection, endpoint_id, resource_type="scorer", resource_id="scorer-1", display_name="S", by="a", now=T0
        )
        other = endpoints.create_binding(connection, endpoint_id, resource_type="scorer", resource_id="scorer-2", now=T0 + 1)
    assert made == Binding(
        endpoint_id=endpoint_id,
        resource_type="scorer",
        resource_id="scorer-1",
        display_name="S",
        created_at=T0,
        updated_at=T0,
        created_by="a",
        updated_by="a",
    )
    with pytest.raises(AlreadyExists, match="scorer-1"), database.write() as connection:
        endpoints.create_binding(connection, endpoint_id, resource_type="scorer", resource_id="scorer-1", now=T0)
    with database.write() as connection:
        assert endpoints.list_bindings(connection) == [made, other]
        assert endpoints.list_bindings(connection, endpoint_id="e-none") == []
        assert endpoints.list_bindings(connection, resource_type="scorer", resource_id="scorer-2") == [other]
        endpoints.delete_binding(connection, endpoint_id, resource_type="scorer", resource_id="scorer-1")
        with pytest.raises(NotFound):
            endpoints.delete_binding(connection, endpoint_id, resource_type="scorer", resource_id="scorer-1")
        with pytest.raises(NotFound):
            endpoints.create_binding(connection, "e-none", resource_type="scorer", resource_id="x", now=T0)


def test_what_is_not_there_is_not_found(database: Database) -> None:
    said = "GatewayEndpoint not found (endpoint_id='e-none')"
    wanted = EndpointModel(model_definition_id="d")
    for attempt in (
        lambda connection: endpoints.get(connection, "e-none"),
        lambda connection: endpoints.update(connection, "e-none", name="x", now=T0),
        lambda connection: endpoints.delete(connection, "e-none"),
        lambda connection: endpoints.attach(connection, "e-none", wanted, now=T0),
        lambda connection: endpoints.detach(connection, "e-none", "d", now=T0),
        lambda connection: endpoints.set_tag(connection, "e-none", "k", "v", now=T0),
    ):
        with pytest.raises(NotFound) as fault, database.write() as connection:
            attempt(connection)
        assert fault.value.message == said
    with pytest.raises(NotFound, match="name='nope'"), database.read() as connection:
        endpoints.get(connection, name="nope")
    with pytest.raises(Invalid), database.read() as connection:
        endpoints.get(connection)


def test_each_write_is_a_change(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
        endpoint_id = home.endpoint.endpoint_id
        spare = EndpointModel(model_definition_id=model(connection, "spare").model_definition_id)
        before = version(connection)
        endpoints.update(connection, endpoint_id, name="talk", now=T0)
        endpoints.attach(connection, endpoint_id, spare, now=T0)
        endpoints.detach(connection, endpoint_id, spare.model_definition_id, now=T0)
        endpoints.set_tag(connection, endpoint_id, "k", "v", now=T0)
        endpoints.delete_tag(connection, endpoint_id, "k", now=T0)
        endpoints.create_binding(connection, endpoint_id, resource_type="scorer", resource_id="1", now=T0)
        endpoints.delete_binding(connection, endpoint_id, resource_type="scorer", resource_id="1")
        endpoints.delete(connection, endpoint_id)
        assert version(connection) == before + 8
        assert secrets.get(connection, secret_id=home.secret.secret_id) == home.secret


# ---------------------------------------------------------------- read and written as a whole


def test_one_is_found_by_its_id_else_by_its_name(database: Database) -> None:
    with database.write() as connection:
        home = house(connection).endpoint
        assert endpoints.find(connection, home.endpoint_id) == home == endpoints.find(connection, "chat")
        named_so = house(connection, home.endpoint_id).endpoint
        assert endpoints.find(connection, home.endpoint_id) == home
        assert endpoints.find(connection, named_so.endpoint_id) == named_so
        with pytest.raises(NotFound, match="name='none'"):
            endpoints.find(connection, "none")


def test_each_change_is_later_than_the_one_before_also_within_a_millisecond(database: Database) -> None:
    with database.write() as connection:
        endpoint_id = house(connection).endpoint.endpoint_id
        spare = model(connection, "spare").model_definition_id
        changes = (
            lambda: endpoints.update(connection, endpoint_id, usage_tracking=False, now=T0),
            lambda: endpoints.attach(connection, endpoint_id, EndpointModel(model_definition_id=spare), now=T0),
            lambda: endpoints.detach(connection, endpoint_id, spare, now=T0),
            lambda: endpoints.set_tag(connection, endpoint_id, "k", "v", now=T0),
            lambda: endpoints.delete_tag(connection, endpoint_id, "k", now=T0),
            lambda: settings.update(connection, "chat", {"idle_timeout": 5.0}, now=T0),
            lambda: aliases.put(connection, "gpt-*", endpoint="chat", now=T0),
            lambda: aliases.delete(connection, "gpt-*", now=T0),
        )
        for expected, change in enumerate(changes, T0 + 1):
            change()
            assert endpoints.get(connection, endpoint_id).updated_at == expected
        endpoints.set_tag(connection, endpoint_id, "k", "v", now=T0 + 1_000)
        assert endpoints.get(connection, endpoint_id).updated_at == T0 + 1_000


def test_an_alias_that_moves_changes_both_endpoints(database: Database) -> None:
    with database.write() as connection:
        first, second, third = (house(connection, name).endpoint.endpoint_id for name in ("a", "b", "c"))
        aliases.put(connection, "gpt-*", endpoint="a", now=T0)
        aliases.put(connection, "gpt-*", endpoint="b", now=T0 + 9)
        moments = [endpoints.get(connection, endpoint_id).updated_at for endpoint_id in (first, second, third)]
    assert moments == [T0 + 9, T0 + 9, T0]


def test_names_of_experiments_are_told_of_those_that_are_active(database: Database) -> None:
    with database.write() as connection:
        ours = experiments.create(connection, name="ours", now=T0)
        gone = experiments.create(connection, name="gone", now=T0)
        experiments.delete(connection, gone, now=T0)
        assert experiments.names(connection, {ours, gone, "0", "77"}) == {ours: "ours", "0": "Default"}
        assert experiments.names(connection, ()) == {}
