from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from tests.unit.store.given import T0, attempt, exchange, house

from spangate.exchange import Content, Exchange, ProcessPosition, Settled, Status, TraceEntry
from spangate.store import experiments, finding, occurrences, paging, schema, traces
from spangate.store.engine import Database
from spangate.store.faults import Invalid
from spangate.store.finding import Question
from spangate.store.periods import DAY, HOUR
from spangate.store.writer import LedgerSink

SAID: Mapping[int, tuple[str | None, str | None]] = {
    1: ("How do I get a refund?", "Within three weeks."),
    2: ("REFUND please", None),
    3: ("100% sure?", "Yes, in three short weeks."),
}
WHOSE: Mapping[int, tuple[str | None, str | None]] = {1: ("s-1", "ann"), 2: ("s-2", "ann"), 4: ("s-1", "bob")}
TAGS: Mapping[int, dict[str, str]] = {1: {"reviewed": "yes"}, 4: {"reviewed": "no", "a:b": "c"}}


def number(exchange: Exchange) -> int:
    return int(exchange.call_id[-12:], 16)


def entry(exchange: Exchange, content: Content | None) -> TraceEntry:
    session, user = WHOSE.get(number(exchange), (None, None))
    asked, answered = SAID.get(number(exchange), (None, None))
    return TraceEntry(
        name=f"gateway/{exchange.endpoint}",
        state="OK" if exchange.status is Status.ok else "ERROR",
        request_preview=asked,
        response_preview=answered,
        session_id=session,
        user_id=user,
        tags=TAGS.get(number(exchange), {}),
    )


def keep(database: Database, *exchanges: Exchange) -> None:
    records = [Settled(seq=seq, exchange=exchange) for seq, exchange in enumerate(exchanges, 1)]
    process = f"p-{exchanges[0].call_id}"
    assert LedgerSink(database, entry).keep(None, ProcessPosition(process, 1, 1, len(records)), records, gaps=[])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, no page is short."""
    monkeypatch.setattr(traces, "PATIENCE", 3_600)


@pytest.fixture
def kept(database: Database) -> Database:
    """Four traces in experiment 0, received 1 to 4 ms after T0; one a day later in experiment 1; one in a deleted experiment."""
    with database.write() as connection:
        assert [experiments.create(connection, name=name, now=T0) for name in ("other", "gone")] == ["1", "2"]
        experiments.delete(connection, "2", now=T0)
    anthropic = attempt(2, provider="anthropic", model="claude-haiku-4-5")
    keep(
        database,
        exchange(1, caller="ann", caller_id="k-1", owner="eve", team="search", duration=30_000_000),
        exchange(2, attempts=(attempt(status=Status.error), anthropic), caller="old name", caller_id="k-2", duration=20_000_000),
        exchange(3, status=Status.error, endpoint="support", endpoint_id="e-2", caller="ann", caller_id="k-2", owner="eve", team="mail"),
        exchange(4, status=Status.client_gone, attempts=(), duration=None),
        exchange(5, experiment_id="1", received_at=(T0 + DAY) * 1_000_000, caller="ann", caller_id="k-1", team="search"),
        exchange(6, experiment_id="2", received_at=(T0 + 2 * DAY) * 1_000_000),
    )
    return database


def found(database: Database, **asked: Any) -> list[int]:
    with database.read() as connection:
        rows, token = finding.find(connection, Question(**asked))
    assert token is None
    return [number(row.exchange) for row in rows]


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"experiment_ids": ("1",)}, [5]),
        ({"experiment_ids": ("2", "1", "x", "99")}, [6, 5]),
        ({"among": frozenset({"1"})}, [5]),
        ({"among": frozenset({"1"}), "experiment_ids": ("0", "1")}, [5]),
        ({"among": frozenset()}, []),
        ({"endpoint_ids": frozenset({"e-2"})}, [3]),
        ({"endpoint_ids": frozenset()}, []),
        ({"endpoints": ("support",)}, [3]),
        ({"endpoints": ("e-1", "support")}, [5, 4, 3, 2, 1]),
        ({"endpoints": ("nothing",)}, []),
        ({"providers": ("openai",)}, [5, 3, 1]),
        ({"providers": ("anthropic",)}, [2]),
        ({"providers": ("anthropic", "openai"), "models": ("claude-haiku-4-5",)}, [2]),
        ({"models": ("gpt-4o-mini",), "since_ms": T0 + 2, "until_ms": T0 + DAY}, [3]),
        ({"models": ("none",)}, []),
        ({"keys": ("ann",)}, [5, 3, 2, 1]),  # no key is called so today; k-1 and k-2 were
        ({"keys": ("k-2",)}, [3, 2]),
        ({"keys": ("nobody",)}, []),
        ({"teams": ("search",)}, [5, 1]),
        ({"teams": ("search", "mail")}, [5, 3, 1]),
        ({"teams": ("search",), "owners": ("eve",)}, [1]),
        ({"owners": ("eve",)}, [3, 1]),
        ({"owners": ("nobody",)}, []),
        ({"teams": ("search",), "statuses": (Status.error,)}, []),
        ({"teams": ("mail",), "text": "sure", "providers": ("openai",)}, [3]),
        ({"users": ("ann",)}, [2, 1]),
        ({"users": ("ann", "bob")}, [4, 2, 1]),
        ({"sessions": ("s-1",)}, [4, 1]),
        ({"sessions": ("s-1",), "users": ("bob",)}, [4]),
        ({"statuses": (Status.ok,)}, [5, 2, 1]),
        ({"statuses": (Status.client_gone,)}, [4]),
        ({"statuses": (Status.client_gone, Status.ok)}, [5, 4, 2, 1]),
        ({"statuses": (Status.timeout,)}, []),
        ({"statuses": (Status.error,), "providers": ("openai",), "endpoints": ("e-2",), "keys": ("k-2",)}, [3]),
        ({"statuses": (Status.ok,), "providers": ("anthropic",)}, [2]),
        ({"text": "refund"}, [2, 1]),
        ({"text": "weeks REFUND"}, [1]),
        ({"text": '"three weeks"'}, [1]),
        ({"text": "three weeks"}, [3, 1]),
        ({"text": "100%"}, [3]),
        ({"text": "refund", "statuses": (Status.ok,), "providers": ("anthropic",)}, [2]),
        ({"text": "xyzzy"}, []),
        ({"min_ms": 20}, [2, 1]),
        ({"min_ms": 20, "max_ms": 20}, [2]),
        ({"max_ms": 10}, [5, 3]),
        ({"since_ms": T0 + 2}, [5, 4, 3, 2]),
        ({"since_ms": T0 + 2, "until_ms": T0 + 4}, [3, 2]),
        ({"tags": (("reviewed", "yes"),)}, [1]),
        ({"tags": (("reviewed", "no"), ("a:b", "c"))}, [4]),
        ({"tags": (("reviewed", "no"), ("a:b", "d"))}, []),
    ],
)
def test_traces_are_found_by(kept: Database, asked: dict[str, Any], numbers: list[int]) -> None:
    assert found(kept, **asked) == numbers


def test_keys_and_endpoints_go_by_the_name_of_today(database: Database) -> None:
    with database.write() as connection:
        endpoint = house(connection, name="chat").endpoint
        row = {column.name: "" for column in schema.api_keys.columns if not column.nullable and column.type.python_type is str}
        times = {"created_at": T0, "updated_at": T0}
        connection.execute(schema.api_keys.insert().values(**row | {"key_id": "k-1", "name": "new name"}, **times))
    keep(
        database,
        exchange(1, endpoint="old", endpoint_id=endpoint.endpoint_id, caller="old name", caller_id="k-1"),
        exchange(2, endpoint="chat", endpoint_id="e-gone", caller="new name", caller_id="k-gone"),
    )
    assert found(database, keys=("old name",)) == found(database, endpoints=("old",)) == []
    assert found(database, keys=("new name",)) == found(database, endpoints=("chat",)) == [2, 1]
    assert found(database, keys=("k-1",)) == found(database, endpoints=(endpoint.endpoint_id,)) == [1]


@pytest.mark.parametrize("asked", [{}, {"providers": ("openai",)}, {"text": "same"}, {"endpoints": ("e-1", "e-2")}])
def test_pages_lead_to_the_end(database: Database, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several experiments, days and hours; some of one moment; each once."""
    met = pages(database, asked, monkeypatch)
    assert [len(page) for page in met] == [2, 2, 2, 2, 2, 1]


@pytest.mark.parametrize("asked", [{"providers": ("openai",)}, {"text": "same"}, {"text": "same", "models": ("gpt-4o-mini",)}])
def test_pages_that_have_taken_their_time_are_short_and_lead_to_the_end(
    database: Database, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "PATIENCE", -1)
    monkeypatch.setattr(traces, "STRETCH", 4)
    monkeypatch.setattr(traces, "FEW_TEXTS", 0)
    met = pages(database, asked, monkeypatch)
    assert min(map(len, met)) < 2


def pages(database: Database, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Of two traces each, of eleven that are found."""
    with database.write() as connection:
        ids = ["0", *(experiments.create(connection, name=name, now=T0) for name in "abc")]
    moments = [0, 0, 0, 1, HOUR, HOUR, DAY, DAY, 5 * DAY, 9 * DAY + 3 * HOUR, 9 * DAY + 3 * HOUR]
    for n in range(len(moments)):
        monkeypatch.setitem(SAID, n, ("the same", None))  # type: ignore[arg-type]
    some = [
        exchange(n, experiment_id=ids[n % 4], endpoint_id=f"e-{n % 2 + 1}", received_at=(T0 + moment) * 1_000_000)
        for n, moment in enumerate(moments)
    ]
    keep(database, *some)
    met: list[list[int]] = []
    token = None
    while not met or token is not None:
        with database.read() as connection:
            rows, token = finding.find(connection, Question(**asked), max_results=2, page_token=token)
        met.append([number(row.exchange) for row in rows])
    assert [n for page in met for n in page] == sorted(range(len(moments)), key=lambda n: (moments[n], n), reverse=True)
    return met


@pytest.mark.parametrize(
    "asked",
    [
        {"users": ("a",) * 101},
        {"users": ("a\x00",)},
        {"tags": (("", "x"),)},
        {"text": "a b c d e f g h i"},
        {"text": "\ud800"},
    ],
)
def test_what_cannot_be_asked_is_refused(database: Database, asked: dict[str, Any]) -> None:
    with database.read() as connection, pytest.raises(Invalid):
        finding.find(connection, Question(**asked))


def test_a_token_is_good_for_its_own_question_alone(kept: Database) -> None:
    with kept.read() as connection:
        _, token = finding.find(connection, Question(), max_results=1)
        with pytest.raises(Invalid, match="another search"):
            finding.find(connection, Question(users=("ann",)), page_token=token)
        with pytest.raises(Invalid, match="at most 200"):
            finding.find(connection, Question(), max_results=201)


@pytest.mark.parametrize("values", [("x", "tr-1"), (1, 1), (2**63, "tr-1"), (1.5, "tr-1")])
def test_a_made_up_token_is_refused(kept: Database, values: tuple[Any, ...]) -> None:
    question = Question()
    page = paging.Page(finding.NEWEST_FIRST, ("found", question))
    with kept.read() as connection, pytest.raises(Invalid, match="Invalid page token"):
        finding.find(connection, question, page_token=page.token_at(*values))


def test_rare_kinds_are_told_by_the_hour_and_others_by_the_day(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    day = T0 - T0 % DAY
    at = [2 * HOUR, 3 * HOUR + 5, 10 * HOUR, 8 * DAY, 30 * DAY + HOUR]
    keep(database, *(exchange(n, received_at=(day + moment) * 1_000_000) for n, moment in enumerate(at)))
    keep(database, exchange(9, received_at=(day + 9 * DAY) * 1_000_000, attempts=(attempt(provider="azure"),)))
    openai = occurrences.Kind(providers=("openai",))
    with database.read() as connection:

        def ranges(kind: occurrences.Kind, since: int, until: int) -> list[tuple[int, int]]:
            return [(begin - day, end - day) for begin, end in occurrences.ranges(connection, kind, day + since, day + until)]

        assert ranges(openai, 3 * HOUR, 30 * DAY + HOUR + 1) == [
            (30 * DAY + HOUR, 30 * DAY + HOUR + 1),
            (8 * DAY, 8 * DAY + HOUR),
            (10 * HOUR, 11 * HOUR),
            (3 * HOUR, 4 * HOUR),
        ]
        assert ranges(openai, 0, 4 * HOUR) == [(2 * HOUR, 4 * HOUR)]
        assert ranges(occurrences.Kind(providers=("none",)), 0, 31 * DAY) == []
        assert ranges(occurrences.Kind(providers=("azure",), statuses=("ok",)), 0, 31 * DAY) == [(9 * DAY, 9 * DAY + HOUR)]
        assert ranges(occurrences.Kind(providers=("azure",), statuses=("error",)), 0, 31 * DAY) == []
        monkeypatch.setattr(occurrences, "FEW", 0)
        assert ranges(openai, 0, 31 * DAY) == [(30 * DAY, 31 * DAY), (8 * DAY, 9 * DAY), (0, DAY)]


def test_experiments_have_their_names(kept: Database) -> None:
    with kept.read() as connection:
        assert finding.experiment_names(connection, {"1", "2", "77", "x"}) == {"1": "other", "2": "gone"}


def test_traces_of_many_experiments_are_found_among_those_with_the_newest(database: Database) -> None:
    """A page of two needs three experiments at most, whatever the others hold."""
    with database.write() as connection:
        ids = [experiments.create(connection, name=f"x{n}", now=T0) for n in range(12)]
    keep(database, *(exchange(n, experiment_id=ids[n]) for n in range(12)))
    statements: list[str] = []
    sa.event.listen(database._reader, "before_cursor_execute", lambda *said: statements.append(said[2]))
    with database.read() as connection:
        rows, _ = finding.find(connection, Question(), max_results=2)
    assert [number(row.exchange) for row in rows] == [11, 10]
    assert max(statement.count("UNION ALL") for statement in statements) == 2
