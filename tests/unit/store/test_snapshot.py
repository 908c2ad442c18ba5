import sqlalchemy as sa
from tests.unit.store.given import KEYRING, T0, house

from spangate.envelope import Pepper
from spangate.exchange import Alias, EndpointSettings, ProxyRules, SealedKey, SealedRoute, SealedTarget, Snapshot
from spangate.store import aliases, endpoints, keys, models, schema, secrets, settings
from spangate.store.endpoints import FALLBACK, EndpointModel, Fallback
from spangate.store.engine import Database, version
from spangate.store.snapshot import snapshot

RULES = ProxyRules(methods=("GET",), paths=("/files/*",))
KEY = SealedKey(key_id="k-1", digest=b"d", name="admin")


def test_a_snapshot_is_all_that_workers_need(database: Database) -> None:
    with database.write() as connection:
        home = house(connection)
        secrets.update(connection, KEYRING, home.secret.secret_id, auth_config={"api_base": "https://api.example/v1"}, now=T0)
        demo = models.create(connection, name="demo", secret_id=None, provider="simulated", model_name="parrot", now=T0)
        endpoints.update(
            connection,
            home.endpoint.endpoint_id,
            models=[
                EndpointModel(model_definition_id=home.model.model_definition_id, weight=0.7),
                EndpointModel(model_definition_id=demo.model_definition_id, linkage_type=FALLBACK, fallback_order=3),
            ],
            fallback=Fallback(max_attempts=2),
            now=T0,
        )
        untracked = house(connection, "quiet", usage_tracking=False)
        settings.update(connection, "quiet", {"idle_timeout": 5.0, "proxy": RULES}, now=T0)
        aliases.put(connection, "gpt-*", endpoint="quiet", now=T0)
        number = version(connection)
    with database.read() as connection:
        sealed = {
            row.secret_id: bytes(row.sealed) for row in connection.execute(sa.select(schema.secrets.c.secret_id, schema.secrets.c.sealed))
        }
        taken = snapshot(connection, [KEY], now=T0 + 9)
    assert taken == Snapshot(
        version=number,
        published_at=T0 + 9,
        keys=(KEY,),
        aliases=(Alias(pattern="gpt-*", endpoint="quiet"),),
        routes=(
            SealedRoute(
                endpoint_id=home.endpoint.endpoint_id,
                name="chat",
                max_attempts=2,
                experiment_id="1",
                created_at=T0,
                targets=(
                    SealedTarget(
                        model_definition_id=home.model.model_definition_id,
                        provider="openai",
                        model="gpt-4o-mini",
                        weight=0.7,
                        secret_id=home.secret.secret_id,
                        sealed=sealed[home.secret.secret_id],
                        auth_config={"api_base": "https://api.example/v1"},
                    ),
                    SealedTarget(
                        model_definition_id=demo.model_definition_id, provider="simulated", model="parrot", weight=1.0, fallback_order=3
                    ),
                ),
            ),
            SealedRoute(
                endpoint_id=untracked.endpoint.endpoint_id,
                name="quiet",
                experiment_id=None,
                created_at=T0,
                settings=EndpointSettings(idle_timeout=5.0, proxy=RULES),
                targets=(
                    SealedTarget(
                        model_definition_id=untracked.model.model_definition_id,
                        provider="openai",
                        model="gpt-4o-mini",
                        secret_id=untracked.secret.secret_id,
                        sealed=sealed[untracked.secret.secret_id],
                    ),
                ),
            ),
        ),
    )


def test_tracking_that_was_turned_off_keeps_its_experiment_to_itself(database: Database) -> None:
    with database.write() as connection:
        endpoint = house(connection).endpoint
        endpoints.update(connection, endpoint.endpoint_id, usage_tracking=False, now=T0)
        assert endpoints.get(connection, endpoint.endpoint_id).experiment_id == "1"
        assert [route.experiment_id for route in snapshot(connection, []).routes] == [None]


def test_the_databases_keys_come_after_those_that_are_fixed(database: Database) -> None:
    with database.write() as connection:
        made = [keys.create(connection, Pepper(bytes(32)), name=name, now=T0)[0].key_id for name in ("a", "b", "c")]
        keys.revoke(connection, made[1], now=T0)
        taken = snapshot(connection, [KEY], pepper="f")
    assert [key.key_id for key in taken.keys] == ["k-1", *sorted([made[0], made[2]])]
    assert taken.pepper == "f"


def test_an_empty_database_has_a_snapshot(database: Database) -> None:
    with database.read() as connection:
        assert snapshot(connection, [], now=T0) == Snapshot(version=1, published_at=T0)
