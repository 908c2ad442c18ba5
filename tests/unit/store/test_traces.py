import itertools
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from tests.unit.store.given import T0, exchange, trace_id

from spangate.exchange import Content, Exchange, ProcessPosition, Settled, Status, TraceEntry
from spangate.store import experiments, schema, traces
from spangate.store.engine import Database
from spangate.store.faults import Invalid, NotFound
from spangate.store.writer import LedgerSink

TAGS: Mapping[int, dict[str, str]] = {1: {"team": "search"}, 2: {"team": "Ads", "a.b": "x"}, 3: {"empty": ""}}
METADATA: Mapping[int, dict[str, str]] = {1: {"eval": "a-1"}, 2: {"eval": "a-2", "mlflow.sourceRun": "r-1"}}
SESSIONS: Mapping[int, tuple[str | None, str | None]] = {1: ("s-1", "ann"), 2: ("s-2", None), 4: ("s-1", "bob")}  # with users


def keep(database: Database, *exchanges: Exchange, start: int = 0) -> None:
    """Each as a trace named after its endpoint, with the tags and metadata of its number."""

    def entry(exchange: Exchange, content: Content | None) -> TraceEntry:
        number = int(exchange.call_id[-12:], 16)
        return TraceEntry(
            name=f"gateway/{exchange.endpoint}",
            state="OK" if exchange.status is Status.ok else "ERROR",
            request_preview=f"question {number}",
            response_preview=None if exchange.status is not Status.ok else "100% [sure] ok?",
            tags=TAGS.get(number, {}),
            metadata=METADATA.get(number, {}),
            session_id=SESSIONS.get(number, (None, None))[0],
            user_id=SESSIONS.get(number, (None, None))[1],
        )

    process = f"p-{start}-{exchanges[0].call_id}"
    records = [Settled(seq=seq, exchange=exchange) for seq, exchange in enumerate(exchanges, 1)]
    assert LedgerSink(database, entry).keep(None, ProcessPosition(process, 1, 1, len(records)), records, gaps=[])


@pytest.fixture
def kept(database: Database) -> Database:
    """Five traces in experiment 0, received 1 to 5 ms after T0, and one in experiment 1."""
    with database.write() as connection:
        experiments.create(connection, name="other", now=T0)
    keep(
        database,
        exchange(1, endpoint="chat", duration=30_000_000),
        exchange(
            2,
            endpoint="Chat",
            duration=10_000_000,
            status=Status.error,
            request_type="unified/chat",
            agent="codex",
            caller="ann",
            caller_id="k-1",
        ),
        exchange(3, endpoint="é🙂", duration=None, status=Status.unknown, endpoint_id="e-2"),
        exchange(4, endpoint="a_b%c", duration=20_000_000),
        exchange(5, endpoint="chat", duration=20_000_000),
        exchange(6, experiment_id="1"),
    )
    return database


def found(database: Database, filter: str | None = None, order_by: list[str] | None = None, ids: tuple[str, ...] = ("0",)) -> list[int]:
    with database.read() as connection:
        rows, token = traces.search(connection, experiment_ids=ids, filter=filter, order_by=order_by or [])
    assert token is None
    return [int(row.call_id[-12:], 16) for row in rows]


@pytest.mark.parametrize(
    ("filter", "numbers"),
    [
        (None, [5, 4, 3, 2, 1]),
        ("", [5, 4, 3, 2, 1]),
        ("status = 'OK'", [5, 4, 1]),
        ("attributes.status != 'OK'", [3, 2]),
        ("status IN ('ERROR', 'IN_PROGRESS')", [3, 2]),
        ("status NOT IN ('ERROR')", [5, 4, 1]),
        (f"request_id = '{trace_id(4)}'", [4]),
        (f"trace_id IN ('{trace_id(4)}', '{trace_id(1)}', 'tr-none')", [4, 1]),
        ("name = 'gateway/chat'", [5, 1]),
        ("name LIKE 'gateway/c%'", [5, 1]),
        ("name LIKE '%/_hat'", [5, 2, 1]),
        ("name ILIKE 'GATEWAY/CH%'", [5, 2, 1]),
        ("name ILIKE '%É%'", [3]),
        ("name LIKE '%É%'", []),
        ("name LIKE '%é🙂'", [3]),
        ("name RLIKE '/[cC]hat$'", [5, 2, 1]),
        ("name RLIKE '^chat'", []),
        ("tags.`mlflow.traceName` = 'gateway/Chat'", [2]),
        ("text LIKE '%question 4%'", [4]),
        ("text LIKE '%100% [sure] ok?'", [5, 4, 1]),
        ("text LIKE '%[abs]ure%'", []),
        ("text LIKE '%*%'", []),
        ("text ILIKE 'QUESTION _'", [5, 4, 3, 2, 1]),
        (f"timestamp_ms > {T0 + 3}", [5, 4]),
        (f"timestamp >= {T0 + 3} AND attributes.timestamp_ms < {T0 + 5}", [4, 3]),
        (f"timestamp = {T0 + 2}", [2]),
        ("execution_time_ms = 20", [5, 4]),
        ("execution_time <= 10", [2]),
        ("execution_time != 20", [2, 1]),
        (f"end_time_ms > {T0 + 24}", [5, 1]),
        ("tags.team = 'search'", [1]),
        ("tags.team != 'search'", [2]),
        ("tag.team ILIKE 'A%'", [2]),
        ("tags.team IS NULL", [5, 4, 3]),
        ("tags.team IS NOT NULL AND tags.`a.b` = 'x'", [2]),
        ("tags.empty = ''", [3]),
        ("tags.TEAM = 'search'", []),
        ("metadata.eval = 'a-1'", [1]),
        ("metadata.eval RLIKE 'a-[12]'", [2, 1]),
        ("request_metadata.eval IS NULL", [5, 4, 3]),
        ("metadata.`mlflow.trace.session` = 's-1'", [4, 1]),
        ("metadata.mlflow.trace.session RLIKE 's-[12]'", [4, 2, 1]),
        ("request_metadata.`mlflow.trace.session` IS NULL", [5, 3]),
        ("metadata.`mlflow.trace.session` = 's-1' AND metadata.`mlflow.trace.user` = 'bob'", [4]),
        ("metadata.`mlflow.trace.user` IN ('ann', 'eve')", [1]),
        ("run_id = 'r-1'", [2]),
        ("metadata.`mlflow.gateway.endpointId` = 'e-2'", [3]),
        ("metadata.`mlflow.gateway.requestType` LIKE 'unified/%'", [2]),
        ("metadata.`mlflow.gateway.caller` = 'codex'", [2]),
        ("metadata.`mlflow.gateway.caller` IS NULL", []),
        ("metadata.`mlflow.auth.username` = 'ann' AND metadata.`mlflow.auth.userId` LIKE 'k-%'", [2]),
        ("metadata.`mlflow.auth.username` IS NULL", [5, 4, 3, 1]),
        ("metadata.`spangate.status` IN ('unknown', 'error')", [3, 2]),
        ("metadata.`spangate.http_status` = '200'", [5, 4, 3, 2, 1]),
        ("metadata.`mlflow.trace_schema.version` = '3' AND tags.`mlflow.trace.spansLocation` != 'TRACKING_STORE'", []),
        ("tags.`mlflow.trace.spansLocation` ILIKE 'tracking%' AND metadata.`mlflow.trace.infoFinalized` IS NOT NULL", [5, 4, 3, 2, 1]),
        ("status = 'OK' AND name = 'gateway/chat' AND tags.team = 'search'", [1]),
        ("name = 'x'' OR ''1''=''1'", []),
    ],
)
def test_a_filter_finds(kept: Database, filter: str | None, numbers: list[int]) -> None:
    assert found(kept, filter) == numbers


def test_ilike_knows_more_letters_than_ascii(database: Database) -> None:
    keep(database, exchange(1, endpoint="ÉCOLE"))
    if database.dialect == "postgresql":
        with database.read() as connection:
            if connection.exec_driver_sql("SELECT lower('É')").scalar() != "é":
                pytest.skip("this PostgreSQL was set up in the C locale, which knows ASCII only")
    assert found(database, "name ILIKE '%école'") == [1]
    assert found(database, "name ILIKE '%École'") == [1]
    assert found(database, "name LIKE '%école'") == []


def test_only_the_experiments_asked_for_are_searched(kept: Database) -> None:
    assert found(kept, ids=("1",)) == [6]
    assert found(kept, ids=("0", "1", "0")) == [6, 5, 4, 3, 2, 1]
    assert found(kept, ids=()) == []
    assert found(kept, ids=("7", "abc", "", "9" * 30)) == []


ORDERS = [
    ([], [5, 4, 3, 2, 1]),
    (["timestamp_ms ASC"], [1, 2, 3, 4, 5]),
    (["attributes.timestamp"], [1, 2, 3, 4, 5]),
    (["execution_time_ms"], [2, 5, 4, 1, 3]),
    (["execution_time DESC"], [1, 5, 4, 2, 3]),
    (["execution_time DESC", "timestamp ASC"], [1, 4, 5, 2, 3]),
    (["status", "request_id ASC"], [2, 3, 1, 4, 5]),
    (["request_id"], [1, 2, 3, 4, 5]),
    (["end_time_ms DESC"], [1, 5, 4, 2, 3]),
    (["metadata.eval DESC"], [2, 1, 5, 4, 3]),
    (["metadata.`mlflow.trace.user` DESC"], [4, 1, 5, 3, 2]),
    (["tags.`a.b`"], [2, 5, 4, 3, 1]),
    (["run_id", "execution_time"], [2, 5, 4, 1, 3]),
    (["metadata.`mlflow.gateway.endpointId` DESC", "timestamp"], [3, 1, 2, 4, 5]),
    (["timestamp DESC", "timestamp ASC"], [5, 4, 3, 2, 1]),
    (["metadata.`mlflow.auth.username`", "tags.`mlflow.trace.spansLocation` DESC"], [2, 5, 4, 3, 1]),
]


@pytest.mark.parametrize(("order_by", "numbers"), ORDERS)
def test_pages_of_any_size_follow_the_order(kept: Database, order_by: list[str], numbers: list[int]) -> None:
    for size in (1, 2, 3, 5, 500):
        got: list[int] = []
        token = None
        with kept.read() as connection:
            for turn in itertools.count():
                rows, token = traces.search(connection, experiment_ids=["0"], order_by=order_by, max_results=size, page_token=token)
                got += [int(row.call_id[-12:], 16) for row in rows]
                assert turn < 6
                if token is None:
                    break
        assert got == numbers, size


def test_pages_are_stable_while_traces_come_in(kept: Database) -> None:
    got: list[int] = []
    token = None
    for late in itertools.count(10):
        with kept.read() as connection:
            rows, token = traces.search(connection, experiment_ids=["0"], max_results=2, page_token=token)
        got += [int(row.call_id[-12:], 16) for row in rows]
        if token is None:
            break
        keep(kept, exchange(late), start=late)  # newer than all on the pages to come
    assert got == [5, 4, 3, 2, 1]


def test_traces_of_one_moment_are_each_seen_once(database: Database) -> None:
    keep(database, *(exchange(n, received_at=T0 * 1_000_000) for n in range(1, 8)))
    got: list[str] = []
    token = None
    with database.read() as connection:
        while True:
            rows, token = traces.search(connection, experiment_ids=["0"], max_results=2, page_token=token)
            got += [row.trace_id for row in rows]
            if token is None:
                break
    assert got == [trace_id(n) for n in range(7, 0, -1)]


def test_a_token_is_good_for_its_own_search_only(kept: Database) -> None:
    with kept.read() as connection:
        _, token = traces.search(connection, experiment_ids=["0"], max_results=2)
        assert token is not None
        for other in ({"filter": "status = 'OK'"}, {"order_by": ["timestamp ASC"]}, {"experiment_ids": ["0", "1"]}):
            asked: dict[str, object] = {"experiment_ids": ["0"], "page_token": token} | other
            with pytest.raises(Invalid, match="another search"):
                traces.search(connection, **asked)  # type: ignore[arg-type]
        for broken in ("x", token[:-2], token + "AAAA", "é", "eyJvZmZzZXQiOiAxfQ=="):
            with pytest.raises(Invalid, match="Invalid page token"):
                traces.search(connection, experiment_ids=["0"], page_token=broken)


@pytest.mark.parametrize(
    "asked",
    [
        {"max_results": 501},
        {"max_results": 0},
        {"filter": "colour = 'red'"},
        {"filter": "span.name = 'x'"},
        {"filter": "feedback.x = 'y'"},
        {"filter": "timestamp_ms = 'now'"},
        {"filter": "tags.x > 'a'"},
        {"filter": "name RLIKE '('"},
        {"order_by": ["colour"]},
        {"order_by": ["span.name"]},
        {"order_by": ["text"]},
    ],
)
def test_a_wrong_search_is_refused(database: Database, asked: dict[str, object]) -> None:
    with pytest.raises(Invalid), database.read() as connection:
        traces.search(connection, experiment_ids=["0"], **asked)  # type: ignore[arg-type]


def test_lists_never_read_what_was_said(kept: Database) -> None:
    seen: list[str] = []
    with kept.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *given: seen.append(given[2]))
        traces.search(connection, experiment_ids=["0"], filter="status = 'OK'")
    assert seen
    assert not any("contents" in statement for statement in seen)


def test_a_batch_comes_in_the_order_asked_for(kept: Database) -> None:
    with kept.read() as connection:
        rows = traces.batch(connection, [trace_id(4), "tr-none", trace_id(1), trace_id(4)])
        assert [row.trace_id for row in rows] == [trace_id(4), trace_id(1)]
        assert rows[1] == traces.get(connection, trace_id(1))
        assert traces.batch(connection, []) == []
        assert traces.content(connection, []) == {}


def test_what_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound) as fault, database.read() as connection:
        traces.get(connection, "tr-none")
    assert fault.value.message == "Trace with ID 'tr-none' not found."
    with pytest.raises(NotFound), database.write() as connection:
        traces.set_tag(connection, "tr-none", "k", "v")


def test_tags_are_set_changed_and_deleted(kept: Database) -> None:
    with kept.write() as connection:
        traces.set_tag(connection, trace_id(1), "team", "ads")
        traces.set_tag(connection, trace_id(1), "new", "é")
        assert traces.get(connection, trace_id(1)).tags == {"team": "ads", "new": "é"}
        traces.delete_tag(connection, trace_id(1), "team")
        assert traces.get(connection, trace_id(1)).tags == {"new": "é"}
        with pytest.raises(NotFound):
            traces.delete_tag(connection, trace_id(1), "team")
        with pytest.raises(Invalid, match="written by the gateway"):
            traces.set_tag(connection, trace_id(1), "mlflow.traceName", "mine")
    assert found(kept, "tags.new = 'é'") == [1]


def test_the_newest_page_needs_no_sort(kept: Database) -> None:
    if kept.dialect != "sqlite":
        pytest.skip("the plan of a table this small says nothing on PostgreSQL")
    query = (
        sa.select(schema.traces.c.trace_id)
        .where(schema.traces.c.experiment_id.in_([0]))
        .order_by(schema.traces.c.request_time_ms.desc(), schema.traces.c.trace_id.desc())
        .limit(100)
    )
    with kept.read() as connection:
        text = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = " ".join(str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
    assert "ix_traces_experiment_id" in plan
    assert "TEMP B-TREE" not in plan


# ---------------------------------------------------------------- what no index finds


@pytest.mark.parametrize("order_by", [[], ["timestamp_ms ASC"], ["timestamp_ms DESC", "request_id ASC"]])
@pytest.mark.parametrize(
    "filter", ["text LIKE '%7%'", "text ILIKE '%N _3' AND name = 'gateway/chat'", "text RLIKE '[05]$'", "text LIKE '%@%'"]
)
@pytest.mark.parametrize("size", [1, 2, 50])
def test_pages_of_what_no_index_finds_are_short_and_lead_to_the_end(
    database: Database, monkeypatch: pytest.MonkeyPatch, order_by: list[str], filter: str, size: int
) -> None:
    with database.write() as connection:
        experiments.create(connection, name="other", now=T0)
    keep(database, *(exchange(number, experiment_id=str(number % 3 // 2)) for number in range(1, 31)))
    with database.read() as connection:
        asked: dict[str, Any] = {"experiment_ids": ["0", "1"], "filter": filter, "order_by": order_by}
        whole, token = traces.search(connection, **asked, max_results=500)
        assert token is None
        monkeypatch.setattr(traces, "STRETCH", 4)
        monkeypatch.setattr(traces, "PATIENCE", 0)
        met: list[str] = []
        pages = 0
        while True:
            rows, token = traces.search(connection, **asked, max_results=size, page_token=token)
            assert len(rows) <= min(size, 4)
            met += [row.trace_id for row in rows]
            pages += 1
            if token is None:
                break
    assert met == [row.trace_id for row in whole]
    assert pages >= 30 // 4 or "name" in filter


def test_a_page_goes_on_until_it_is_full_or_has_taken_its_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(database, *(exchange(number) for number in range(1, 31)))
    monkeypatch.setattr(traces, "STRETCH", 4)
    clock = itertools.count()
    monkeypatch.setattr(traces.time, "monotonic", lambda: next(clock) / 10)
    with database.read() as connection:
        rows, token = traces.search(connection, experiment_ids=["0"], filter="metadata.`mlflow.traceInputs` LIKE '%1%'")
        assert [row.request_preview for row in rows] == []  # two stretches, of 30 to 23
        assert token is not None
        monkeypatch.setattr(traces, "PATIENCE", 10)
        rows, token = traces.search(
            connection, experiment_ids=["0"], filter="metadata.`mlflow.traceInputs` LIKE '%1%'", max_results=3, page_token=token
        )
        assert [row.request_preview for row in rows] == ["question 21", "question 19", "question 18"]
        assert token is not None
