import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from tests.unit.store.books import KEPT, books, disagreements
from tests.unit.store.given import T0, attempt, entry, exchange, seeds
from tests.unit.store.mix import LOOK, SPREAD, Mix, PriceList

from spangate.exchange import ProcessPosition, Settled
from spangate.store import accounts, repricing, restating, schema
from spangate.store.accounts import CostOf, Row
from spangate.store.engine import Database
from spangate.store.faults import Unavailable
from spangate.store.repricing import Arrears, Report, reprice
from spangate.store.restating import Tried
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage

OLD, NEW, NEWEST = PriceList(150_000, ["large", "small"]), PriceList(70_000, ["small", "unheard-of"]), PriceList(9, ["large"])
DECEMBER = 1_701_388_800_000


def everything(database: Database, cost_of: CostOf, *, dry_run: bool = False, limit: int = 7) -> list[Report]:
    """In many small requests."""
    reports: list[Report] = []
    while not reports or reports[-1].cursor is not None:
        cursor = reports[-1].cursor if reports else None
        reports.append(reprice(database, cost_of, since_ms=T0, until_ms=T0 + SPREAD, dry_run=dry_run, cursor=cursor, limit=limit))
    return reports


def costs(database: Database) -> dict[tuple[str, int], tuple[int, str | None, int | None]]:
    query = sa.select(schema.attempts, schema.calls.c.received_ns).join(schema.calls, schema.calls.c.call_id == schema.attempts.c.call_id)
    with database.read() as connection:
        return {(row.call_id, row.attempt_no): (row.received_ns, row.price_id, row.cost_pico) for row in connection.execute(query)}


def expected(database: Database, cost_of: CostOf) -> dict[tuple[str, int], tuple[int, str | None, int | None]]:
    found: dict[tuple[str, int], Any] = {}
    with database.read() as connection:
        for call, tried in restating.seen(connection, connection.execute(sa.select(schema.calls.c.call_id)).scalars().all()):
            for row in tried:
                cost = cost_of(accounts.billed(call, row)) if accounts.has_tokens(row) else None
                found[call["call_id"], row["attempt_no"]] = (
                    (call["received_ns"], None, None) if cost is None else (call["received_ns"], cost.price_id, cost.total)
                )
    return found


def check(database: Database) -> None:
    with database.read() as connection:
        assert disagreements(connection) == []


@seeds(6)
def test_the_books_agree_whatever_happens(database: Database, seed: int) -> None:
    Mix(seed).drain(LedgerSink(database, entry, cost_of=OLD))
    check(database)
    assert costs(database) == expected(database, OLD)

    before = costs(database)
    told = everything(database, NEW, dry_run=True)
    assert costs(database) == before
    done = everything(database, NEW)
    assert told == done
    check(database)
    assert costs(database) == expected(database, NEW)
    assert {(report.calls, report.changed_calls, report.changes) for report in everything(database, NEW, limit=1_000)} == {
        (sum(report.calls for report in done), 0, ())
    }

    with database.write() as connection:
        connection.execute(schema.closed_months.insert().values(month="2023-11", closed_at=0, document="{}"))
    done = everything(database, NEWEST)
    assert {report.closed for report in done} == {("2023-11",)}
    check(database)
    closed, opened = expected(database, NEW), expected(database, NEWEST)
    assert costs(database) == {
        key: (closed if received < DECEMBER * 1_000_000 else opened)[key] for key, (received, _, _) in costs(database).items()
    }


def test_a_mix_holds_everything_that_it_is_to_be_tested_with(database: Database) -> None:
    mix = Mix(0, calls=150)
    assert {len(one.attempts) for one in mix.calls} == {0, 1, 2, 3}
    mix.drain(LedgerSink(database, entry, cost_of=OLD))
    with database.read() as connection:
        totals = books(connection)["calls"]
        assert min(totals.unpriced, totals.estimated, totals.pico) > 0
        columns = schema.usage_rollups.c
        assert connection.execute(sa.select(sa.func.sum(columns.unknown_attempts))).scalar_one() > 0
        journals = schema.journals.c
        assert connection.execute(sa.select(sa.func.sum(journals.duplicates))).scalar_one() > 0
        for table in (schema.journal_gaps, schema.responses):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() > 0
        assert {"unknown", "refused", "ok", "error"} <= set(connection.execute(sa.select(schema.calls.c.status)).scalars())


def _sign_lost(into: Any, call: Any, tried: Any, sign: int = 1) -> None:
    _count_attempt(into, call, tried, 1)


_count_attempt, _count = accounts.count_attempt, accounts.count


def _once_too_often(into: Any, call: Any, tried: Any) -> None:
    _count(into, call, tried)
    if call["endpoint_id"] == "e-2":
        _count(into, call, tried)


@pytest.mark.parametrize(("name", "mutant"), [("count_attempt", _sign_lost), ("count", _once_too_often)])
def test_a_fault_in_the_accounts_is_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable[..., None]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(accounts, name, mutant)
        Mix(1).drain(LedgerSink(database, entry, cost_of=OLD))
        everything(database, NEW)
    with database.read() as connection:
        assert disagreements(connection)


@pytest.mark.parametrize("seed", range(2))
def test_calls_of_an_older_version_are_accounted_for_once(database: Database, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(repricing, "CHUNK", 7)
    Mix(seed).drain(LedgerSink(database, entry, cost_of=OLD))
    whole = costs(database)
    with database.write() as connection:
        right = books(connection)
        for table in (schema.usage_rollups, schema.usage_dimensions):
            connection.execute(table.delete())
        nothing = dict.fromkeys(accounts.SUMS)
        connection.execute(schema.calls.update().values(nothing))
        connection.execute(schema.attempts.update().values(dict.fromkeys(accounts.COSTS)))
    late = exchange(9_001, received_at=(T0 + SPREAD) * 1_000_000)
    assert LedgerSink(database, entry, cost_of=OLD).keep(None, ProcessPosition("p-new", 1, 1, 1), [Settled(seq=1, exchange=late)], gaps=[])
    hosts = [Arrears(database, OLD), Arrears(database, OLD)]
    while hosts[0].some() | hosts[1].some():  # both look at the same calls each time
        pass
    check(database)
    assert {key: cost for key, cost in costs(database).items() if key in whole} == whole
    with database.read() as connection:
        assert books(connection)["calls"].calls == right["calls"].calls + 1


def test_several_hosts_write_the_same_rows_at_once(database: Database) -> None:
    """Each drains a process, and one prices anew meanwhile; all of it lands in a few rows."""
    hosts, batches, size = 4, 6, 20
    faults: list[Exception] = []
    start = threading.Barrier(hosts + 1)

    def drain(host: int) -> None:
        sink = LedgerSink(database, entry, cost_of=OLD)
        start.wait()
        before: ProcessPosition | None = None
        for batch in range(batches):
            first = batch * size
            records = [
                Settled(
                    seq=first + no + 1,
                    exchange=exchange(
                        host * 1_000 + first + no,
                        received_at=(T0 + batch * 900_000) * 1_000_000,
                        endpoint_id=f"e-{(no * (host + 1)) % 5}",  # in another order on each host
                        attempts=(attempt(model=["large", "small", "unheard-of"][no % 3]),),
                    ),
                )
                for no in range(size)
            ]
            after = ProcessPosition(f"p-{host}", 1, (first + size) * 100, first + size)
            trying(lambda before=before, after=after, records=records: sink.keep(before, after, records, gaps=[]))
            before = after

    def price() -> None:
        start.wait()
        for cost_of in (NEW, OLD, NEW):
            trying(lambda cost_of=cost_of: everything(database, cost_of, limit=100))

    def trying(work: Callable[[], object]) -> None:
        for _ in range(20):
            try:
                work()
            except Unavailable as fault:
                # InnoDB locks gaps between rows too, and ends one of two who wait for each other's.
                if database.dialect != "mysql":
                    faults.append(fault)
                    return
            else:
                return
        faults.append(RuntimeError("never done"))

    threads = [threading.Thread(target=drain, args=(host,)) for host in range(hosts)] + [threading.Thread(target=price)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    check(database)
    with database.read() as connection:
        assert books(connection)["calls"].calls == hosts * batches * size
    everything(database, NEW)
    assert costs(database) == expected(database, NEW)


def test_what_another_wrote_meanwhile_is_what_is_priced_anew(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate of a response's maker gives way to what a look-up was told, after re-pricing has begun and before it has the call."""
    if database.dialect == "sqlite":
        pytest.skip("one writes at a time")
    told = {"model": "large", "response_id": "resp_1"}
    maker = attempt(format="openai.responses", model_definition_id="d-1", provenance=Provenance.estimated, **told)
    look = attempt(format="openai.responses.stored", usage=Usage(input=40, output=9), **told)
    sink = LedgerSink(database, entry, cost_of=OLD)
    made, seen = ProcessPosition("p-1", 1, 1, 1), ProcessPosition("p-1", 1, 2, 2)
    assert sink.keep(None, made, [Settled(seq=1, exchange=exchange(1, attempts=(maker,)))], gaps=[])
    late = [Settled(seq=2, exchange=exchange(2, request_type=LOOK, attempts=(look,)))]
    taken = restating.taken

    def taken_late(connection: Connection, call_ids: Collection[str]) -> Iterator[tuple[Row, Tried]]:
        monkeypatch.setattr(restating, "taken", taken)
        assert sink.keep(made, seen, late, gaps=[])
        return taken(connection, call_ids)

    monkeypatch.setattr(restating, "taken", taken_late)
    everything(database, PriceList(70_000, ["large"]))
    check(database)
    with database.read() as connection:
        totals = books(connection)["calls"]
    assert (totals.input_tokens, totals.output_tokens, totals.estimated) == (40, 9, 0)


def test_what_comes_to_nothing_leaves_no_row(database: Database) -> None:
    sink = LedgerSink(database, entry, cost_of=OLD)
    one = exchange(1, attempts=(attempt(model="large"),))
    assert sink.keep(None, ProcessPosition("p-1", 1, 1, 1), [Settled(seq=1, exchange=one)], gaps=[])
    everything(database, NEW)
    rows = sa.select(schema.usage_dimensions.c.price_id).join(
        schema.usage_rollups, schema.usage_rollups.c.dimension_id == schema.usage_dimensions.c.dimension_id
    )
    with database.read() as connection:
        assert connection.execute(rows).scalars().all() == [""] * len(KEPT)
    check(database)


def test_books_from_before_there_were_sums_of_all_keys_get_them(open_database: Callable[..., Database]) -> None:
    database = open_database()
    database.upgrade("0007")
    Mix(3).drain(LedgerSink(database, entry, cost_of=OLD))
    rollups, dimensions = schema.usage_rollups, schema.usage_dimensions
    with database.write() as connection:
        assert connection.execute(rollups.delete().where(rollups.c.width < 0)).rowcount > 0
        unused = dimensions.c.dimension_id.not_in(sa.select(rollups.c.dimension_id))
        assert connection.execute(dimensions.delete().where(unused)).rowcount > 0
    assert database.upgrade() == ["0008"]
    check(database)


def test_a_cost_that_no_row_can_hold_is_not_known(database: Database) -> None:
    dear = PriceList(2**62 // 11, ["large"])
    tried = tuple(
        msgspec.structs.replace(attempt(no, model="large"), usage=msgspec.structs.replace(attempt().usage, output=0)) for no in range(1, 5)
    )
    sink = LedgerSink(database, entry, cost_of=dear)
    assert sink.keep(
        None, ProcessPosition("p-1", 1, 1, 1), [Settled(seq=1, exchange=exchange(1, experiment_id=None, attempts=tried))], gaps=[]
    )
    check(database)
    with database.read() as connection:
        row = connection.execute(sa.select(schema.calls.c.cost_pico, schema.calls.c.unpriced)).one()
    assert tuple(row) == (2 * (2**62 // 11 * 11), 2)
