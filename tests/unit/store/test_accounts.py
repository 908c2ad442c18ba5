from typing import Any

import pytest
import sqlalchemy as sa
from tests.unit.store.books import KEPT
from tests.unit.store.given import T0, attempt, call_id, exchange

from spangate.exchange import AttemptRecord, Fault, Status
from spangate.store import accounts, rows, schema
from spangate.store.accounts import Contributions, Dimension, Measures
from spangate.store.bulk import Rows
from spangate.store.engine import Database
from spangate.wire.usage import Provenance, Usage

NOBODY = {"usage": Usage(), "provenance": Provenance.unknown}


def contributions(*tried: AttemptRecord, **changes: object) -> Contributions:
    call = rows.call("p-1", exchange(1, attempts=tried, **changes), None)
    found: Contributions = {}
    accounts.count(found, call, accounts.priced(call, [rows.attempt(call_id(1), one) for one in tried], accounts.unpriced))
    return found


def counts(*tried: AttemptRecord, **changes: object) -> dict[str, int]:
    whole = Measures()
    for measures in contributions(*tried, **changes).values():
        whole.merge(measures)
    return whole.counts


def test_a_call_counts_where_its_last_attempt_went_and_an_attempt_where_it_went_itself() -> None:
    failed = attempt(1, provider="first", model="a", status=Status.timeout)
    found = contributions(failed, attempt(2, provider="second", model="b"), caller_id="k-1", caller="ann's", owner="ann", team="web")
    begins = T0 - T0 % 900_000
    who: dict[str, str] = {"key_id": "k-1", "key_name": "ann's", "owner": "ann", "team": "web"}
    here: dict[str, str] = {"endpoint_id": "e-1", "endpoint": "chat", "price_id": ""}
    first = Dimension(provider="first", model="a", status="timeout", **who, **here)
    second = Dimension(provider="second", model="b", status="ok", **who, **here)
    tokens = {"input_tokens": 11, "output_tokens": 7, "cache_read_tokens": 4}
    told = {"attempts": 1, **tokens, "unpriced_attempts": 1, "unpriced_input_tokens": 11, "unpriced_output_tokens": 7}
    assert {key: measures.counts for key, measures in found.items()} == {
        (begins, first): told,
        (begins, second): {"calls": 1, "duration_ms": 10} | told,
    }


def test_a_call_that_was_refused_counts_without_a_model() -> None:
    ((key, measures),) = contributions(status=Status.refused, endpoint_id=None, endpoint=None).items()
    assert (key[1].provider, key[1].model, key[1].status, measures.counts) == ("", "", "refused", {"calls": 1, "duration_ms": 10})


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        ({"status": Status.ok}, True),  # it answered, and nobody says what that cost
        ({"status": Status.unknown}, True),
        ({"status": Status.timeout, "fault": Fault("upstream_first_byte_timeout", "")}, True),  # it may be at work yet
        ({"status": Status.client_gone}, True),
        ({"status": Status.provider_gone, "fault": Fault("upstream_dropped", "")}, True),
        ({"status": Status.provider_gone, "fault": Fault("upstream_connect", "")}, False),  # it never heard of it
        ({"status": Status.timeout, "fault": Fault("upstream_connect_timeout", "")}, False),
        ({"status": Status.error}, False),  # it said no
        ({"status": Status.refused}, False),  # we said no
        ({"status": Status.ok, "format": "anthropic.count_tokens"}, False),  # asks no model
        ({"status": Status.ok, "format": "openai.responses.stored"}, False),  # who made it has its tokens
        ({"status": Status.ok, "format": "raw"}, True),
        ({"status": Status.ok, "usage": Usage(input=0), "provenance": Provenance.reported}, False),  # a zero is known
    ],
)
def test_attempts_of_which_nobody_knows_the_tokens_are_counted(changes: dict[str, Any], unknown: bool) -> None:
    assert counts(attempt(**{**NOBODY, **changes})).get("unknown_attempts", 0) == unknown


def test_estimates_are_counted_beside_the_sum_that_they_are_in() -> None:
    told = counts(attempt(provenance=Provenance.estimated), attempt(2))
    assert (told["input_tokens"], told["estimated_attempts"]) == (22, 1)
    assert (told["estimated_input_tokens"], told["estimated_output_tokens"]) == (11, 7)


def test_nothing_is_applied_without_a_write(database: Database) -> None:
    with database.read() as connection:  # which could not write
        accounts.apply(connection, {})
        found = contributions(attempt())
        (key,) = found
        found[key] = Measures()
        accounts.apply(connection, found)


def test_a_row_that_is_deleted_between_our_look_and_our_taking_it_is_made_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as connection:
        accounts.apply(connection, contributions(attempt()))
    inserting = Rows.insert_absent

    def late(self: Rows, connection: sa.Connection, given: list[tuple[object, ...]]) -> None:
        inserting(self, connection, given)
        if self.table is schema.usage_rollups and not given:  # all were there
            connection.execute(schema.usage_rollups.delete().where(schema.usage_rollups.c.width == 3_600))

    monkeypatch.setattr(Rows, "insert_absent", late)
    with database.write() as connection:
        accounts.apply(connection, contributions(attempt()))
        kept = connection.execute(sa.select(schema.usage_rollups.c.width, schema.usage_rollups.c.calls)).all()
    assert {row.width: row.calls for row in kept} == {900: 2, 3_600: 1, 86_400: 2, -3_600: 2, -86_400: 2}


def test_what_is_thought_to_be_there_and_is_not_is_made_again(database: Database) -> None:
    known = accounts.Known()
    with database.write() as connection:
        accounts.apply(connection, contributions(attempt()), known)
        connection.rollback()
    for _ in range(2):
        with database.write() as connection:
            accounts.apply(connection, contributions(attempt()), known)
    rollups, dimensions = schema.usage_rollups, schema.usage_dimensions
    joined = rollups.join(dimensions, dimensions.c.dimension_id == rollups.c.dimension_id)
    with database.read() as connection:
        kept = connection.execute(sa.select(rollups.c.width, rollups.c.calls).select_from(joined)).all()
    assert {row.width: row.calls for row in kept} == dict.fromkeys(KEPT, 2)


@pytest.mark.parametrize("wide", ["a", "é", "💶" * 60])
def test_dimensions_that_differ_anywhere_are_kept_apart(database: Database, wide: str) -> None:
    def one(**changes: object) -> Contributions:
        return contributions(attempt(), **changes)

    with database.write() as connection:
        for changes in ({"owner": wide, "team": ""}, {"owner": "", "team": wide}, {"owner": wide + ":", "team": None}, {"caller": wide}):
            for _ in range(2):
                accounts.apply(connection, one(**changes))
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.usage_dimensions)).scalar_one() == 5
        calls = connection.execute(sa.select(schema.usage_rollups.c.calls)).scalars().all()
    # Of all keys together they are one.
    assert sorted(calls) == [2] * 4 * len(accounts.WIDTHS) + [8] * len(accounts.JOINED)
