import pytest
from tests.unit.store.given import T0, House, call_id, house

from spangate.exchange import Retention, trace_id
from spangate.store import endpoints, retention, settings
from spangate.store.engine import Database
from spangate.store.faults import Invalid
from spangate.store.retention import DAY, Kind, Periods, first_key


@pytest.fixture
def there(database: Database) -> House:
    with database.write() as connection:
        return house(connection)


def change(database: Database, **days: int | None) -> Retention:
    with database.write() as connection:
        return retention.update(connection, days)


def own(database: Database, name: str = "chat", **days: int | None) -> None:
    with database.write() as connection:
        settings.update(connection, name, {"retention": Retention(**days) if days else None}, now=T0)


def periods(database: Database) -> Periods:
    with database.read() as connection:
        return retention.periods(connection)


def test_everything_is_kept_for_good_until_somebody_says_otherwise(database: Database, there: House) -> None:
    assert periods(database) == Periods(Retention(), {})
    assert [periods(database).distinct(kind) for kind in Kind] == [[], [], []]


def test_a_change_leaves_what_it_does_not_name(database: Database) -> None:
    assert change(database, content_days=7, trace_days=30) == Retention(content_days=7, trace_days=30)
    assert change(database, ledger_days=400, content_days=8) == Retention(content_days=8, trace_days=30, ledger_days=400)
    assert change(database, ledger_days=None) == Retention(content_days=8, trace_days=30)
    assert periods(database).server == Retention(content_days=8, trace_days=30)


def test_an_endpoints_period_wins_and_the_servers_fills_up(database: Database, there: House) -> None:
    change(database, content_days=7, trace_days=30, ledger_days=400)
    own(database, content_days=1)
    held = periods(database)
    endpoint_id = there.endpoint.endpoint_id
    assert held.own == {endpoint_id: Retention(content_days=1, trace_days=30, ledger_days=400)}
    assert [held.days(Kind.content, which) for which in (endpoint_id, "e-gone", None)] == [1, 7, 7]
    assert (held.distinct(Kind.content), held.distinct(Kind.trace)) == ([1, 7], [30])
    own(database)
    assert periods(database).own == {}


def test_what_is_said_of_an_endpoint_that_is_gone_is_gone(database: Database, there: House) -> None:
    own(database, content_days=1)
    with database.write() as connection:
        endpoints.delete(connection, there.endpoint.endpoint_id)
    assert periods(database).own == {}


@pytest.mark.parametrize(
    ("days", "word"),
    [
        ({"content_days": 0}, "content_days 0"),
        ({"ledger_days": -3}, "ledger_days -3"),
        ({"content_days": 36_501}, "at most 36500"),
        ({"trace_days": 30}, "content_days is for good and trace_days 30 days"),
        ({"content_days": 31, "trace_days": 30}, "content_days is for 31 days"),
        ({"content_days": 7, "ledger_days": 400}, "trace_days is for good and ledger_days 400 days"),
        ({"content_days": 7, "trace_days": 401, "ledger_days": 400}, "trace_days is for 401 days"),
    ],
)
def test_nothing_outlives_what_it_belongs_to(database: Database, there: House, days: dict[str, int], word: str) -> None:
    with pytest.raises(Invalid, match=word):
        change(database, **days)
    with pytest.raises(Invalid, match=f"{word}.*for endpoint 'chat'|for endpoint 'chat'.*{word}"):
        own(database, **days)
    assert periods(database) == Periods(Retention(), {})


def test_an_endpoint_is_held_against_the_server_whoever_moves(database: Database, there: House) -> None:
    change(database, content_days=7, trace_days=30)
    with pytest.raises(Invalid, match="for endpoint 'chat': content_days is for 31 days and trace_days 30"):
        own(database, content_days=31)
    own(database, content_days=20)
    with pytest.raises(Invalid, match="for endpoint 'chat': content_days is for 20 days and trace_days 10"):
        change(database, trace_days=10)
    assert periods(database).server == Retention(content_days=7, trace_days=30)


def test_a_key_stands_between_what_was_before_a_moment_and_what_was_not() -> None:
    ms = 0x018900000000
    for kind, key in ((Kind.ledger, call_id(0)), (Kind.trace, trace_id(call_id(0))), (Kind.content, trace_id(call_id(0)))):
        assert first_key(kind, ms) < key < first_key(kind, ms + 1)
    assert first_key(Kind.ledger, -DAY) == first_key(Kind.ledger, 0)


def test_one_sweeper_at_a_time(database: Database) -> None:
    def ask(holder: str, now: int) -> bool:
        with database.write() as connection:
            return retention.lease(connection, holder, now=now, until=now + 60)

    assert [ask("a", 0), ask("b", 10), ask("a", 50), ask("b", 110)] == [True, False, True, False]
    assert [ask("b", 111), ask("a", 120)] == [True, False]
