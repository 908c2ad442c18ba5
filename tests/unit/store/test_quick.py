"""What people look at goes through few rows, whatever the size: along an index, without what was said, without counting."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from tests.unit.store.given import attempt, exchange, trace_id
from tests.unit.store.test_traces import keep

from spangate.store import experiments, ledger, traces
from spangate.store.engine import Database

Notes = Callable[[], AbstractContextManager[list[str]]]


@pytest.fixture
def statements(database: Database) -> Notes:
    """Notes all that is sent to the database within a block."""

    @contextmanager
    def noted() -> Iterator[list[str]]:
        sent: list[str] = []

        def note(_: object, __: object, statement: str, *___: object) -> None:
            sent.append(statement)

        sa.event.listen(database._reader, "before_cursor_execute", note)
        yield sent
        sa.event.remove(database._reader, "before_cursor_execute", note)

    return noted


def many(database: Database, count: int) -> None:
    with database.write() as connection:
        experiments.create(connection, name="other", now=1)
    keep(database, *(exchange(number, experiment_id=str(number % 2)) for number in range(1, count + 1)))


@pytest.mark.parametrize("filter", [None, "status = 'OK'", "tags.team = 'search'", "execution_time > 5"])
def test_a_page_costs_as_many_statements_as_a_row(database: Database, statements: Notes, filter: str | None) -> None:
    many(database, 40)
    cost: dict[int, int] = {}
    for size in (1, 20):
        with statements() as sent, database.read() as connection:
            traces.search(connection, experiment_ids=["0", "1"], filter=filter, max_results=size)
        assert not [statement for statement in sent if "contents" in statement]
        assert not [statement for statement in sent if "count(" in statement.lower() and "LIMIT" not in statement.upper()]
        cost[size] = len(sent)
    assert cost[1] == cost[20]


def test_a_list_of_calls_costs_two_statements(database: Database, statements: Notes) -> None:
    many(database, 40)
    for size in (1, 30):
        with statements() as sent, database.read() as connection:
            ledger.calls(connection, max_results=size)
        assert not [statement for statement in sent if "contents" in statement or "count(" in statement.lower()]
        assert len([statement for statement in sent if statement.startswith("SELECT")]) == 2


def test_a_trace_costs_as_many_statements_with_one_attempt_as_with_three(database: Database, statements: Notes) -> None:
    keep(database, exchange(1), exchange(2, attempts=tuple(attempt(no) for no in (1, 2, 3))))
    cost: list[int] = []
    for number in (1, 2):
        with statements() as sent, database.read() as connection:
            traces.get(connection, trace_id(number))
        cost.append(len(sent))
    assert cost[0] == cost[1]


# ---------------------------------------------------------------- plans


def plan(connection: Connection, filter: str) -> str:
    """How SQLite goes about the page of one experiment that a filter gives."""
    planned: list[str] = []

    def explain(cursor: Connection, _: object, statement: str, parameters: object, *__: object) -> None:
        if "_key0" in statement:
            rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()  # type: ignore[arg-type]
            planned.extend(str(row[3]) for row in rows)

    sa.event.listen(connection, "before_cursor_execute", explain)
    traces.search(connection, experiment_ids=["0"], filter=filter)
    sa.event.remove(connection, "before_cursor_execute", explain)
    return "; ".join(planned)


@pytest.mark.parametrize(
    ("filter", "index"),
    [
        ("", "experiment_id_request_time_ms_trace_id (experiment_id=?)"),
        ("status = 'ERROR'", "experiment_id_state_request_time_ms (experiment_id=? AND state=?)"),
        ("name = 'gateway/chat'", "experiment_id_name_request_time_ms (experiment_id=? AND name=?)"),
        ("metadata.`mlflow.gateway.endpointId` = 'e-1'", "experiment_id_endpoint_id_request_time_ms (experiment_id=? AND endpoint_id=?)"),
        ("metadata.`mlflow.gateway.requestType` = 'x'", "experiment_id_request_type_request_time_ms (experiment_id=? AND request_type=?)"),
        ("metadata.`mlflow.auth.username` = 'ann'", "experiment_id_username_request_time_ms (experiment_id=? AND username=?)"),
        ("metadata.`mlflow.trace.user` = 'u'", "experiment_id_user_id_request_time_ms (experiment_id=? AND user_id=?)"),
        ("metadata.`mlflow.trace.session` = 's'", "session_id_request_time_ms (session_id=?)"),
        ("status = 'OK'", "experiment_id_request_time_ms_trace_id (experiment_id=?)"),
        # Of several, the narrowest.
        ("status = 'OK' AND name = 'gateway/chat'", "experiment_id_name_request_time_ms (experiment_id=? AND name=?)"),
        ("status = 'ERROR' AND name = 'gateway/chat'", "experiment_id_state_request_time_ms (experiment_id=? AND state=?)"),
        ("status = 'OK' AND metadata.`mlflow.auth.username` = 'ann'", "experiment_id_username_request_time_ms"),
        ("name = 'gateway/chat' AND metadata.`mlflow.trace.user` = 'u' AND status = 'ERROR'", "experiment_id_user_id_request_time_ms"),
        (
            "status = 'ERROR' AND timestamp_ms > 5",
            "experiment_id_state_request_time_ms (experiment_id=? AND state=? AND request_time_ms>?)",
        ),
        # Few: they are taken by their ids.
        ("execution_time > 5000", "(trace_id=?)"),
        ("text LIKE '%needle%'", "(trace_id=?)"),
        ("tags.team = 'search' AND status = 'OK'", "(trace_id=?)"),
    ],
)
def test_a_page_follows_an_index(database: Database, filter: str, index: str) -> None:
    if database.dialect != "sqlite":
        pytest.skip("the plan of a table this small says nothing elsewhere")
    with database.read() as connection:
        found = plan(connection, filter)
    assert index in found
    assert "SCAN traces" not in found
    if "(trace_id=?)" not in index:
        assert "USE TEMP B-TREE FOR ORDER BY" not in found


def test_what_many_match_is_gone_through_in_the_order_of_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    if database.dialect != "sqlite":
        pytest.skip("the plan of a table this small says nothing elsewhere")
    many(database, 20)
    monkeypatch.setattr(traces, "FEW", 3)
    monkeypatch.setattr(traces, "FEW_TEXTS", 3)
    with database.read() as connection:
        for filter in ("execution_time >= 10", "text LIKE '%question%'"):
            assert "experiment_id_request_time_ms_trace_id (experiment_id=?)" in plan(connection, filter)
