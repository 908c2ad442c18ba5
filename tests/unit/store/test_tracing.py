import pytest
from tests.unit.store.given import T0, exchange, house
from tests.unit.store.test_traces import keep

from spangate.store import endpoints, experiments, tracing
from spangate.store.engine import Database
from spangate.store.tracing import Tracing


def test_what_goes_into_an_experiment_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "COUNTED", 2)
    with database.write() as connection:
        quiet = experiments.create(connection, name="quiet", now=T0)
        shared = experiments.create(connection, name="shared", now=T0)
        one, two = (house(connection, name, experiment_id=shared).endpoint for name in ("one", "two"))
        endpoints.update(connection, house(connection, "off", experiment_id=shared).endpoint.endpoint_id, usage_tracking=False, now=T0)
    calls = [exchange(n, experiment_id=shared, endpoint_id=(one if n else two).endpoint_id) for n in range(4)]
    keep(database, *calls)
    into_one = (one.endpoint_id, "one")
    into_two = (two.endpoint_id, "two")
    with database.read() as connection:
        assert tracing.tracing(connection, [quiet, shared]) == {
            quiet: Tracing(endpoints=(), traces=0, last_ms=None),
            shared: Tracing(endpoints=(into_one, into_two), traces=2, last_ms=T0 + 3),
        }
        of_two = tracing.tracing(connection, [shared], {two.endpoint_id})
        assert of_two == {shared: Tracing(endpoints=(into_two,), traces=1, last_ms=T0)}
        assert tracing.tracing(connection, []) == {}
