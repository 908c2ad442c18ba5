from typing import Any

import pytest
from tests.unit.store.given import T0, attempt, exchange

from spangate.exchange import Content, Exchange, ProcessPosition, Settled, Status, TraceEntry
from spangate.prices.cost import Billed, Cost
from spangate.store import experiments, sessions
from spangate.store.engine import Database
from spangate.store.faults import Invalid, NotFound
from spangate.store.sessions import Question
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Usage


def entry(exchange: Exchange, content: Content | None) -> TraceEntry:
    state = "OK" if exchange.status is Status.ok else "ERROR"
    return TraceEntry(name="gateway/chat", state=state, session_id=exchange.session_id, user_id=exchange.user_id)


def price(billed: Billed) -> Cost | None:
    return None if billed.model == "free" else Cost(price_id="p-1", input=1, output=2)


def keep(database: Database, *exchanges: Exchange) -> None:
    records = [Settled(seq=seq, exchange=exchange) for seq, exchange in enumerate(exchanges, 1)]
    process = f"p-{exchanges[0].call_id}"
    assert LedgerSink(database, entry, cost_of=price).keep(None, ProcessPosition(process, 1, 1, len(records)), records, gaps=[])


@pytest.fixture
def kept(database: Database) -> Database:
    """Traces 1 to 8, a ms apart: `a` goes over two experiments, `b` has two users, one has no conversation, one's experiment is gone."""
    with database.write() as connection:
        assert [experiments.create(connection, name=name, now=T0) for name in ("other", "gone")] == ["1", "2"]
        experiments.delete(connection, "2", now=T0)
    unpriced = attempt(model="free", usage=Usage(input=1, output=1))
    keep(
        database,
        exchange(1, session_id="a", user_id="ann"),
        exchange(2, session_id="b", user_id="bob", endpoint_id="e-2", endpoint="support"),
        exchange(3),
        exchange(4, session_id="b", user_id="ann", status=Status.error, attempts=(unpriced,)),
        exchange(5, session_id="c/ä", attempts=()),
        exchange(6, session_id="a", user_id="ann", experiment_id="1", endpoint_id="e-2", endpoint="support"),
        exchange(7, session_id="A"),
        exchange(8, session_id="d", experiment_id="2"),
    )
    return database


def found(database: Database, **asked: Any) -> list[tuple[str, int]]:
    """The conversations, each with the number of its last trace."""
    with database.read() as connection:
        rows, token = sessions.find(connection, Question(**asked))
    assert token is None
    return [(row.session_id, int(row.last.call_id[-12:], 16)) for row in rows]


CASES: list[tuple[dict[str, Any], list[tuple[str, int]]]] = [
    ({}, [("A", 7), ("a", 6), ("c/ä", 5), ("b", 4)]),
    ({"experiment_ids": ("0",)}, [("A", 7), ("c/ä", 5), ("b", 4), ("a", 1)]),
    ({"experiment_ids": ("2",)}, [("d", 8)]),
    ({"among": frozenset({"1"})}, [("a", 6)]),
    ({"among": frozenset()}, []),
    ({"endpoint_ids": frozenset({"e-2"})}, [("a", 6), ("b", 2)]),
    ({"endpoint_ids": frozenset({"e-1"})}, [("A", 7), ("c/ä", 5), ("b", 4), ("a", 1)]),
    ({"user": "ann"}, [("a", 6), ("b", 4)]),
    ({"user": "bob"}, [("b", 2)]),
    ({"text": "a"}, [("a", 6)]),
    ({"text": "/"}, [("c/ä", 5)]),
    ({"text": "x"}, []),
    ({"session_id": "a"}, [("a", 6)]),
    ({"session_id": "c"}, []),
    ({"session_id": "d"}, []),
    ({"session_id": "b", "user": "bob"}, [("b", 2)]),
    ({"session_id": "b", "text": "a"}, []),
    ({"since_ms": T0 + 5}, [("A", 7), ("a", 6), ("c/ä", 5)]),
    ({"until_ms": T0 + 4}, [("b", 2), ("a", 1)]),
    ({"since_ms": T0 + 2, "until_ms": T0 + 6, "user": "ann"}, [("b", 4)]),
]


@pytest.mark.parametrize(("asked", "expected"), CASES)
@pytest.mark.parametrize("many", [(), ("FEW_NAMES",), ("FEW", "FEW_NAMES")], ids=["few", "many names", "many"])
def test_conversations_are_found_by(
    kept: Database, asked: dict[str, Any], expected: list[tuple[str, int]], many: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken at once where they are few, else gone through in the order of time: the same are found."""
    for limit in many:
        monkeypatch.setattr(sessions, limit, 0)
    assert found(kept, **asked) == expected


def test_a_conversation_is_told_with_what_it_came_to(kept: Database) -> None:
    with kept.read() as connection:
        told = {row.session_id: row for row in sessions.find(connection, Question())[0]}
    a, b, c = told["a"], told["b"], told["c/ä"]
    assert (a.first_ms, a.last_ms, a.traces, a.more, a.errors) == (T0 + 1, T0 + 6, 2, False, 0)
    assert (a.users, a.endpoints, a.experiment_ids) == (("ann",), ("support", "chat"), ("1", "0"))
    assert (a.input_tokens, a.output_tokens, a.cost_pico, a.unpriced, a.estimated) == (22, 14, 6, 0, 0)
    assert (b.users, b.errors, b.input_tokens, b.cost_pico, b.unpriced) == (("ann", "bob"), 1, 12, 3, 1)
    assert (c.input_tokens, c.output_tokens, c.cost_pico, c.users) == (None, None, None, ())


def test_what_is_not_to_be_seen_of_a_conversation_is_not_counted(kept: Database) -> None:
    with kept.read() as connection:
        (a,) = sessions.find(connection, Question(among=frozenset({"1"})))[0]
        (_, b) = sessions.find(connection, Question(endpoint_ids=frozenset({"e-2"})))[0]
    assert (a.traces, a.first_ms, a.experiment_ids) == (1, T0 + 6, ("1",))
    assert (b.traces, b.last_ms, b.users) == (1, T0 + 2, ("bob",))


def test_the_figures_of_a_long_conversation_are_of_its_newest_traces(kept: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "COUNTED", 1)
    with kept.read() as connection:
        (a,) = sessions.find(connection, Question(text="a"))[0]
    assert (a.traces, a.more, a.first_ms, a.last_ms, a.input_tokens) == (1, True, T0 + 1, T0 + 6, 11)


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
def test_each_is_met_once_page_by_page(kept: Database, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if many:
        monkeypatch.setattr(sessions, "FEW", 0)
    met: list[str] = []
    token = None
    while True:
        with kept.read() as connection:
            rows, token = sessions.find(connection, Question(), max_results=1, page_token=token)
        met += [row.session_id for row in rows]
        if token is None:
            break
    assert met == ["A", "a", "c/ä", "b"]


def test_the_turns_of_a_conversation_come_in_the_order_of_time(kept: Database) -> None:
    def turns(session_id: str, **asked: Any) -> list[int]:
        with kept.read() as connection:
            rows, token = sessions.turns(connection, Question(**asked), session_id)
        assert token is None
        return [int(row.call_id[-12:], 16) for row in rows]

    assert turns("a") == [1, 6]
    assert turns("a", among=frozenset({"1"})) == [6]
    assert turns("b", endpoint_ids=frozenset({"e-1"})) == [4]
    for nobody in ({"session_id": "d"}, {"session_id": "x"}, {"session_id": "c/ä", "endpoint_ids": frozenset({"e-2"})}):
        with pytest.raises(NotFound):
            turns(**nobody)  # type: ignore[arg-type]
    with kept.read() as connection:
        first, token = sessions.turns(connection, Question(), "b", max_results=1)
        last, end = sessions.turns(connection, Question(), "b", max_results=1, page_token=token)
    assert [int(row.call_id[-12:], 16) for row in (*first, *last)] == [2, 4]
    assert end is None


def test_what_cannot_be_asked_is_refused(kept: Database) -> None:
    with kept.read() as connection:
        for ask in (
            lambda: sessions.find(connection, Question(), max_results=201),
            lambda: sessions.find(connection, Question(user="\x00")),
            lambda: sessions.find(connection, Question(text="x" * 501)),
            lambda: sessions.find(connection, Question(session_id="\x00")),
            lambda: sessions.turns(connection, Question(), "a", max_results=0),
        ):
            with pytest.raises(Invalid):
                ask()
