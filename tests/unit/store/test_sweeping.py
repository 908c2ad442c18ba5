"""The sweeper of control, on each database: what is left is what a list of calls and a few comparisons say is left."""

import random
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection
from tests.unit.store.given import attempt, exchange, house

from spangate.control.retention import LEASE, ROUND, Sweeper
from spangate.exchange import Begun, Content, Exchange, Fault, ProcessPosition, Retention, Settled, Status, TraceEntry, trace_id
from spangate.store import deletion, retention, schema, settings
from spangate.store.deletion import GONE
from spangate.store.engine import Database
from spangate.store.faults import Unavailable
from spangate.store.ledger import completeness
from spangate.store.retention import DAY, Kind
from spangate.store.writer import LedgerSink

NOW = 1_790_000_000_000
QUOTE = "Invalid prompt: 'my secret plan'"


class Made(Struct, frozen=True):
    """A call, and what the model of the sweep needs to know of it."""

    exchange: Exchange
    content: Content | None
    age: int  # ms

    @property
    def call_id(self) -> str:
        return self.exchange.call_id

    @property
    def trace_id(self) -> str:
        return trace_id(self.call_id)


def made(n: int, age: int, endpoint_id: str | None, *, tracked: bool = True, said: bool = True, failed: bool = False) -> Made:
    ms = f"{NOW - age:012x}"
    one = attempt(response_id=f"resp-{n}", format="openai.responses", model_definition_id="m-1")
    if failed:
        one = attempt(status=Status.error, fault=Fault("invalid_request", QUOTE))
    whole = exchange(
        n,
        experiment_id="0" if tracked else None,
        received_at=(NOW - age) * 1_000_000,
        endpoint_id=endpoint_id,
        attempts=(one,),
        status=Status.error if failed else Status.ok,
        fault=one.fault,
    )
    whole = msgspec.structs.replace(whole, call_id=f"{ms[:8]}-{ms[8:]}-7000-8000-{n:012x}")
    content = Content(request=b'{"q":1}', response=b'{"a":1}') if tracked and said else None
    return Made(whole, content, age)


def entry(exchange: Exchange, content: Content | None) -> TraceEntry:
    return TraceEntry(
        name="gateway/chat",
        state="OK",
        request_preview=None if content is None else "asked",
        tags={"team": "search"},
        metadata={"mlflow.sourceRun": "r-1"},
        user_id="ann" if exchange.endpoint_id else "bob",
        session_id=f"s-{int(exchange.call_id[-2:], 16) % 3}",
    )


def keep(database: Database, mades: Sequence[Made], process: str = "p") -> None:
    records = [Settled(seq=seq, exchange=one.exchange, content=one.content) for seq, one in enumerate(mades, 1)]
    assert LedgerSink(database, entry).keep(None, ProcessPosition(process, 1, 1, len(records)), records, gaps=[])


def column(database: Database, column: sa.Column[Any], *conditions: sa.ColumnElement[bool]) -> set[Any]:
    with database.read() as connection:
        return set(connection.execute(sa.select(column).where(*conditions)).scalars())


def left(database: Database) -> dict[str, set[str]]:
    """What is there, table by table."""
    tables = schema.contents, schema.traces, schema.trace_tags, schema.trace_metadata
    found = {table.name: column(database, table.c.trace_id) for table in tables}
    return found | {table.name: column(database, table.c.call_id) for table in (schema.calls, schema.attempts, schema.responses)}


def expected(mades: Sequence[Made], days: Callable[[Kind, str | None], int | None]) -> dict[str, set[str]]:
    def stays(kind: Kind, one: Made) -> bool:
        period = days(kind, one.exchange.endpoint_id)
        return period is None or one.age <= period * DAY

    traced = [one for one in mades if one.exchange.experiment_id is not None]
    traces = {one.trace_id for one in traced if stays(Kind.trace, one)}
    calls = {one.call_id for one in mades if stays(Kind.ledger, one)}
    responding = {one.call_id for one in mades if one.exchange.attempts[0].response_id and one.exchange.endpoint_id}
    return {
        "contents": {one.trace_id for one in traced if one.content is not None and stays(Kind.content, one)},
        "traces": traces,
        "trace_tags": traces,
        "trace_metadata": traces,
        "calls": calls,
        "attempts": calls,
        "responses": calls & responding,
    }


def sums(database: Database) -> list[Any]:
    with database.read() as connection:
        return connection.execute(sa.select(schema.usage_rollups).order_by(*schema.usage_rollups.primary_key)).all()


def sweeper(database: Database, now: Callable[[], int] = lambda: NOW, **options: Any) -> Sweeper:
    return Sweeper(
        database, version=lambda: version(database), busy=lambda: False, idle=lambda: None, now=now, sleep=lambda seconds: None, **options
    )


def version(database: Database) -> int:
    from spangate.store.engine import version

    with database.read() as connection:
        return version(connection)


def swept(sweeper: Sweeper) -> Sweeper:
    while sweeper.sweep():
        pass
    return sweeper


def periods(database: Database, own: dict[str, Retention] | None = None, **days: int) -> Callable[[Kind, str | None], int | None]:
    """Sets them, and says which is in force, by rule and not by the code under test."""
    with database.write() as connection:
        retention.update(connection, days)
        for name, held in (own or {}).items():
            settings.update(connection, name, {"retention": held}, now=NOW)
        ids = {row.name: row.endpoint_id for row in connection.execute(sa.select(schema.endpoints))}

    def in_force(kind: Kind, endpoint_id: str | None) -> int | None:
        for name, held in (own or {}).items():
            if ids[name] == endpoint_id and getattr(held, f"{kind}_days") is not None:
                return getattr(held, f"{kind}_days")
        return days.get(f"{kind}_days")

    return in_force


def several(database: Database, seed: int, count: int = 120) -> list[Made]:
    """Calls of three endpoints, of one that is gone, and of none; of all ages, some to the millisecond on a border."""
    dice = random.Random(seed)
    with database.write() as connection:
        ids = [house(connection, name).endpoint.endpoint_id for name in ("brief", "long", "plain")]
    mades = [
        made(
            n,
            dice.choice([dice.randrange(120 * DAY), dice.choice([5, 10, 20, 40, 60, 90]) * DAY + dice.choice([-1, 0, 1])]),
            dice.choice([*ids, "e-gone", None]),
            tracked=dice.random() < 0.8,
            said=dice.random() < 0.8,
            failed=dice.random() < 0.2,
        )
        for n in range(count)
    ]
    keep(database, mades)
    return mades


RULES: list[tuple[dict[str, Retention], dict[str, int]]] = [
    ({}, {"content_days": 10, "trace_days": 40, "ledger_days": 90}),
    ({}, {"content_days": 20}),
    ({"brief": Retention(content_days=5, trace_days=10, ledger_days=20)}, {}),
    (
        {"brief": Retention(content_days=5, trace_days=5), "long": Retention(content_days=60, trace_days=90, ledger_days=100)},
        {"content_days": 10, "trace_days": 10, "ledger_days": 40},
    ),
]


@pytest.mark.parametrize("rules", RULES)
def test_what_is_left_is_what_has_not_outlived_its_period(database: Database, rules: tuple[dict[str, Retention], dict[str, int]]) -> None:
    mades = several(database, seed=len(rules[1]))
    before = sums(database)
    in_force = periods(database, rules[0], **rules[1])
    done = swept(sweeper(database)).swept()
    assert left(database) == expected(mades, in_force) != expected(mades, lambda kind, endpoint_id: None)
    assert sums(database) == before  # the sums outlive the rows
    assert (done.at, done.under_way) == (NOW, False)
    with database.read() as connection:
        assert [process.complete for process in completeness(connection)] == [True]
    # What content took along: previews, and what providers said of it.
    hushed = {one.trace_id for one in mades if one.trace_id not in left(database)["contents"] and one.content is not None}
    with_words = column(database, schema.traces.c.trace_id, schema.traces.c.request_preview.is_not(None))
    assert not hushed & with_words
    quoting = column(database, schema.attempts.c.call_id, schema.attempts.c.fault_message == QUOTE)
    assert not {trace_id(call_id) for call_id in quoting} & hushed
    assert column(database, schema.calls.c.call_id, schema.calls.c.fault_message == QUOTE) == quoting


def test_what_goes_with_its_call_is_counted_and_gone_through_once(database: Database) -> None:
    mades = [made(n, 20 * DAY, None, tracked=n % 2 == 0, said=n % 3 == 0) for n in range(12)]
    keep(database, mades)
    periods(database, content_days=10, trace_days=10, ledger_days=10)
    at_work = sweeper(database)
    assert at_work.sweep()
    assert not any(left(database).values())
    done = at_work.swept()
    assert (done.content, done.trace, done.ledger) == (2, 6, 12)


@pytest.mark.parametrize(
    ("idle", "busy", "rest"),
    [(2.0, False, 1), (1.0, False, 1), (0.5, False, 3), (0.0, False, 15), (None, False, 4), (2.0, True, 15)],
)
@pytest.mark.parametrize("tick", [0.01, 0.1])  # s that a chunk takes
def test_it_takes_half_of_what_is_idle(database: Database, idle: float | None, busy: bool, rest: float, tick: float) -> None:
    keep(database, [made(1, 20 * DAY, None)])
    periods(database, content_days=10)
    ticks, rests = iter(range(100)), list[float]()
    at_work = Sweeper(
        database,
        version=lambda: 1,
        busy=lambda: busy,
        idle=lambda: idle,
        now=lambda: NOW,
        sleep=rests.append,
        clock=lambda: next(ticks) * tick,
    )
    swept(at_work)
    assert left(database)["contents"] == set()
    assert rests == pytest.approx([rest * tick] * len(rests))
    assert rests


class Dying(Database):
    """Dies in each of its transactions in turn, after the work and before the commit."""

    survives = 0

    @contextmanager
    def write(self) -> Generator[Connection]:
        with super().write() as connection:
            yield connection
            self.survives -= 1
            if self.survives < 0:
                raise Unavailable("kill -9")


def test_a_sweep_that_is_cut_off_anywhere_is_taken_up_by_the_next_one(database: Database) -> None:
    mades = several(database, seed=7)
    in_force = periods(database, {}, content_days=10, trace_days=40, ledger_days=90)
    dying = Dying(database.url.render_as_string(hide_password=False))
    deaths = 0
    while left(database) != expected(mades, in_force):
        dying.survives = 2  # the lease and one chunk; the second chunk is lost
        at_work = Sweeper(dying, version=lambda: 1, busy=lambda: False, idle=lambda: None, now=lambda: NOW, sleep=_no_sleep)
        at_work._pace.rows = 20
        try:
            swept(at_work)
        except Unavailable:
            deaths += 1
        there = left(database)
        assert there["contents"] <= there["traces"] <= {trace_id(call_id) for call_id in there["calls"]}
        assert there["attempts"] == there["calls"]
        with database.write() as connection:  # the lease of the dead one lapses
            connection.execute(schema.server_state.update().where(schema.server_state.c.name == retention.LEASE).values(number=0))
    dying.close()
    assert deaths > 3


def _no_sleep(seconds: float) -> None: ...


def test_nothing_is_looked_for_where_nothing_has_a_period(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(database, [made(1, 400 * DAY, None)])
    looked = sweeper(database)
    assert not looked.sweep()
    looked._version = lambda: looked._known
    monkeypatch.setattr(database, "read", None)  # it fails if it looks
    assert not looked.sweep()


def test_a_change_is_heeded_at_once_and_time_once_a_round(database: Database) -> None:
    mades = [made(n, n * DAY, None) for n in range(1, 5)]
    keep(database, mades)
    now = NOW
    at_work = sweeper(database, lambda: now)
    in_force = periods(database, content_days=3)
    assert left(swept_database(database, at_work)) == expected(mades, in_force)
    in_force = periods(database, content_days=2)
    assert left(swept_database(database, at_work)) == expected(mades, in_force)
    now += ROUND - 1
    assert left(swept_database(database, at_work)) == expected(mades, in_force)
    now += DAY
    older = [msgspec.structs.replace(one, age=one.age + now - NOW) for one in mades]
    assert left(swept_database(database, at_work)) == expected(older, in_force) != expected(mades, in_force)


def swept_database(database: Database, at_work: Sweeper) -> Database:
    swept(at_work)
    return database


def test_what_came_late_is_found_a_day_later(database: Database) -> None:
    now = NOW
    keep(database, [made(1, 20 * DAY, None), made(2, 11 * DAY, None)])
    periods(database, content_days=10)
    at_work = sweeper(database, lambda: now)
    swept(at_work)
    keep(database, [made(3, 15 * DAY, None)], process="late")  # below what was swept
    now += ROUND
    swept(at_work)
    assert len(left(database)["contents"]) == 1
    now += DAY
    swept(at_work)
    assert left(database)["contents"] == set()


def test_of_two_hosts_one_sweeps(database: Database) -> None:
    keep(database, [made(1, 20 * DAY, None)])
    periods(database, content_days=10)
    with database.write() as connection:
        assert retention.lease(connection, "the other", now=NOW, until=NOW + LEASE)
    now = NOW
    at_work = sweeper(database, lambda: now)
    assert not at_work.sweep()
    assert len(left(database)["contents"]) == 1
    now += LEASE + 1
    swept(at_work)
    assert left(database)["contents"] == set()


def test_a_call_that_is_in_no_sum_yet_stays(database: Database) -> None:
    one, other = made(1, 200 * DAY, None), made(2, 200 * DAY, None)
    keep(database, [one, other])
    with database.write() as connection:
        connection.execute(schema.calls.update().where(schema.calls.c.call_id == one.call_id).values(unpriced=None))
    periods(database, content_days=1, trace_days=1, ledger_days=1)
    swept(sweeper(database))
    assert left(database)["calls"] == left(database)["attempts"] == {one.call_id}


def test_a_trace_that_lost_its_content_is_read_without_it(database: Database) -> None:
    from spangate.store import traces

    one = made(1, 20 * DAY, None, failed=True)
    keep(database, [one])
    periods(database, content_days=10)
    swept(sweeper(database))
    with database.read() as connection:
        row = traces.get(connection, one.trace_id)
        assert traces.content(connection, [one.trace_id]) == {}
    assert (row.request_preview, row.tags, row.user_id) == (None, {"team": "search"}, "bob")
    assert row.exchange.fault == row.exchange.attempts[0].fault == Fault("invalid_request", GONE)


def test_our_own_words_on_a_fault_stay(database: Database) -> None:
    one = made(1, 20 * DAY, None)
    ours = Fault("timeout", "No byte within 5 s.")
    late = attempt(status=Status.timeout, fault=ours)
    whole = msgspec.structs.replace(one.exchange, status=Status.timeout, fault=ours, attempts=(late,))
    keep(database, [msgspec.structs.replace(one, exchange=whole)])
    with database.write() as connection:
        assert deletion.trace(connection, [one.trace_id]) == deletion.Gone(traces=1, contents=1)
    assert column(database, schema.calls.c.fault_message) == {ours.message} == column(database, schema.attempts.c.fault_message)


def test_what_was_said_to_a_call_that_its_process_did_not_live_to_end_goes_with_content(database: Database) -> None:
    one = made(1, 20 * DAY, None, failed=True)
    open_ = msgspec.structs.replace(
        one.exchange, status=Status.unknown, fault=None, attempts=(*one.exchange.attempts, attempt(2, ended=None))
    )
    sink = LedgerSink(database, entry)
    assert sink.keep(None, ProcessPosition("p", 1, 1, 1), [Begun(seq=1, exchange=open_)], gaps=[])
    assert sink.close("p") == 1
    periods(database, content_days=10)
    swept(sweeper(database))
    assert len(left(database)["traces"]) == 1
    assert column(database, schema.attempts.c.fault_message) == {GONE, None}
