import threading
from collections.abc import Callable

import pytest
from tests.unit.store.given import T0, attempt, call_id, entry, exchange, trace_id

from spangate.exchange import Exchange, Fault, JournalRecord, ProcessPosition, Settled, Status
from spangate.store import deletion, ledger, responses, traces
from spangate.store.engine import Database
from spangate.store.ledger import AttemptRow
from spangate.store.packing import unpacked_exchange
from spangate.store.responses import Made, maker
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage

TOKENS = Usage(input=11, output=7, cache_read=4)
NONE = (None, None, None, "unknown")
REPORTED = (11, 7, 4, "reported")


@pytest.fixture
def sink(database: Database) -> LedgerSink:
    return LedgerSink(database, entry)


def made(n: int, response_id: str | None = "resp_1", usage: Usage = TOKENS, **changes: object) -> Exchange:
    """Call number n, which made a response; without usage, in the background."""
    facts: dict[str, object] = {
        "format": "openai.responses",
        "model_definition_id": f"d-{n}",
        "response_id": response_id,
        "usage": usage,
        "provenance": Provenance.reported if usage.known else Provenance.unknown,
    }
    return exchange(n, request_type="passthrough/model/openai-responses", attempts=(attempt(**(facts | changes)),))


def looked_up(n: int, response_id: str = "resp_1", usage: Usage = TOKENS, what: str = "get", **changes: object) -> Exchange:
    done = made(n, response_id, usage, **changes)
    return exchange(n, request_type=f"passthrough/model/openai-responses-{what}", attempts=done.attempts)


def keep(sink: LedgerSink, *exchanges: Exchange, process: str = "p-1", after: int = 0) -> int:
    """One batch; returns the number of its last record."""
    records: list[JournalRecord] = [Settled(seq=after + no, exchange=one) for no, one in enumerate(exchanges, 1)]
    before = ProcessPosition(process, 1, after, after) if after else None
    last = after + len(records)
    assert sink.keep(before, ProcessPosition(process, 1, last, last), records, gaps=[])
    return last


def row(database: Database, n: int) -> AttemptRow:
    with database.read() as connection:
        (last,) = ledger.call(connection, call_id(n)).attempts
    return last


def tokens(database: Database, n: int) -> tuple[int | None, int | None, int | None, str]:
    found = row(database, n)
    return found.input_tokens, found.output_tokens, found.cache_read_tokens, found.provenance


def of_trace(database: Database, n: int) -> tuple[Usage, Provenance]:
    with database.read() as connection:
        (last,) = traces.get(connection, trace_id(n)).exchange.attempts
    return last.usage, last.provenance


def who_made(database: Database, response_id: str = "resp_1") -> Made | None:
    with database.read() as connection:
        return maker(connection, response_id)


# ---------------------------------------------------------------- who made it


def test_a_response_is_found_with_the_target_that_made_it(database: Database, sink: LedgerSink) -> None:
    keep(sink, made(1), made(2, "resp_2", Usage()))
    assert who_made(database) == Made(
        response_id="resp_1",
        endpoint_id="e-1",
        model_definition_id="d-1",
        call_id=call_id(1),
        attempt_no=1,
        made_at=T0 + 1,
        counted_by=call_id(1),
    )
    assert who_made(database, "resp_2") == Made(
        response_id="resp_2", endpoint_id="e-1", model_definition_id="d-2", call_id=call_id(2), attempt_no=1, made_at=T0 + 2
    )


@pytest.mark.parametrize("response_id", ["resp_none", "RESP_1", "", "resp_1\x00", "\ud800", "r" * 300])
def test_a_response_that_nobody_made_here_has_no_maker(database: Database, sink: LedgerSink, response_id: str) -> None:
    keep(sink, made(1))
    assert who_made(database, response_id) is None


@pytest.mark.parametrize(
    "other",
    [
        looked_up(1),
        exchange(1, attempts=(attempt(response_id="resp_1", model_definition_id="d-1"),)),
        made(1, None),
        made(1, model_definition_id=None),
    ],
    ids=["a look-up", "another format", "an answer without an id", "no model definition"],
)
def test_what_makes_no_response_is_no_maker(database: Database, sink: LedgerSink, other: Exchange) -> None:
    keep(sink, other)
    assert who_made(database) is None


def test_of_two_with_one_id_the_first_is_the_maker_and_both_keep_their_tokens(database: Database, sink: LedgerSink) -> None:
    keep(sink, made(2), made(3), after=keep(sink, made(1)))
    found = who_made(database)
    assert found is not None
    assert found.call_id == call_id(1)
    assert [tokens(database, n) for n in (1, 2, 3)] == [REPORTED] * 3


def test_the_attempt_that_made_it_is_named(database: Database, sink: LedgerSink) -> None:
    failed, answered = attempt(1, format="openai.responses", status=Status.error, usage=Usage()), made(1, no=2).attempts[0]
    keep(sink, exchange(1, request_type="passthrough/model/openai-responses", attempts=(failed, answered)))
    found = who_made(database)
    assert found is not None
    assert (found.attempt_no, found.model_definition_id) == (2, "d-1")


# ---------------------------------------------------------------- its tokens, once


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "in batches of their own"])
def test_the_first_look_up_that_is_told_the_tokens_counts_them(database: Database, sink: LedgerSink, apart: bool) -> None:
    calls = [made(1, usage=Usage()), looked_up(2, usage=Usage()), looked_up(3), looked_up(4), looked_up(5, what="cancel")]
    last = 0
    for batch in [[one] for one in calls] if apart else [calls]:
        last = keep(sink, *batch, after=last)
    assert [tokens(database, n) for n in range(1, 6)] == [NONE, NONE, REPORTED, NONE, NONE]
    assert [of_trace(database, n) for n in (3, 4)] == [(TOKENS, Provenance.reported), (Usage(), Provenance.unknown)]
    found = who_made(database)
    assert found is not None
    assert (found.call_id, found.counted_by) == (call_id(1), call_id(3))


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "in batches of their own"])
def test_tokens_that_the_maker_was_told_are_its_own(database: Database, sink: LedgerSink, apart: bool) -> None:
    if apart:
        keep(sink, looked_up(2), after=keep(sink, made(1)))
    else:
        keep(sink, looked_up(2), made(1))  # a stream is read again before it has ended
    assert [tokens(database, n) for n in (1, 2)] == [REPORTED, NONE]


def test_a_look_up_of_a_response_that_is_not_known_here_counts_nothing(database: Database, sink: LedgerSink) -> None:
    keep(sink, looked_up(1))
    assert tokens(database, 1) == NONE
    assert (row(database, 1).status, row(database, 1).response_id) == ("ok", "resp_1")


@pytest.mark.parametrize("apart", [False, True], ids=["in one batch", "in batches of their own"])
def test_an_estimate_gives_way_to_what_the_provider_says_later(database: Database, sink: LedgerSink, apart: bool) -> None:
    left = made(1, usage=Usage(input=9, output=2), provenance=Provenance.estimated, status=Status.client_gone)
    if apart:
        keep(sink, looked_up(2), after=keep(sink, left))
    else:
        keep(sink, left, looked_up(2))
    assert [tokens(database, n) for n in (1, 2)] == [NONE, REPORTED]
    assert [of_trace(database, n) for n in (1, 2)] == [(Usage(), Provenance.unknown), (TOKENS, Provenance.reported)]
    assert row(database, 1).status == "client_gone"


def test_an_estimate_of_a_look_up_is_not_booked(database: Database, sink: LedgerSink) -> None:
    guessed = looked_up(2, usage=Usage(input=9, output=2), provenance=Provenance.estimated)
    keep(sink, made(1, usage=Usage()), guessed, looked_up(3))
    assert [tokens(database, n) for n in (1, 2, 3)] == [NONE, NONE, REPORTED]


def test_of_hosts_that_drain_at_once_one_counts(database: Database, sink: LedgerSink, open_database: Callable[..., Database]) -> None:
    keep(sink, *(made(n, f"resp_{n}", Usage()) for n in range(1, 9)))
    hosts = 4
    ready = threading.Barrier(hosts)
    faults: list[BaseException] = []

    def drain(host: int) -> None:
        own = LedgerSink(open_database(database.url.render_as_string(hide_password=False)), entry)
        numbers = list(range(1, 9))
        if host % 2:
            numbers.reverse()
        ready.wait()
        try:
            keep(own, *(looked_up(100 * host + n, f"resp_{n}") for n in numbers), process=f"host-{host}")
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=drain, args=(host,)) for host in range(1, hosts + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    for n in range(1, 9):
        assert sorted(tokens(database, 100 * host + n)[3] for host in range(1, hosts + 1)) == ["reported", *["unknown"] * 3]


def test_hosts_that_write_down_one_id_at_once_lose_no_call(
    database: Database, sink: LedgerSink, open_database: Callable[..., Database]
) -> None:
    hosts = 4
    ready = threading.Barrier(hosts)
    faults: list[BaseException] = []

    def drain(host: int) -> None:
        own = LedgerSink(open_database(database.url.render_as_string(hide_password=False)), entry)
        ready.wait()
        try:
            keep(own, *(made(100 * host + n, f"resp_{n}") for n in range(1, 9)), process=f"host-{host}")
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=drain, args=(host,)) for host in range(1, hosts + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {tokens(database, 100 * host + n) for host in range(1, hosts + 1) for n in range(1, 9)} == {REPORTED}
    with database.read() as connection:
        assert [process.duplicates for process in ledger.completeness(connection)] == [0] * hosts


def test_words_that_are_deleted_meanwhile_do_not_come_back(database: Database, sink: LedgerSink, monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate gives way while somebody deletes the content of its call: both write the trace's copy of the call."""
    if database.dialect == "sqlite":
        pytest.skip("one writes at a time")
    failed = attempt(status=Status.error, usage=Usage(), provenance=Provenance.unknown, fault=Fault("bad_request", "Not 'my secret'!", 400))
    guessed = attempt(
        2, format="openai.responses", model_definition_id="d-1", response_id="resp_1", usage=TOKENS, provenance=Provenance.estimated
    )
    keep(sink, exchange(1, request_type="passthrough/model/openai-responses", attempts=(failed, guessed)))

    def delete() -> None:
        with database.write() as connection:
            deletion.content(connection, [trace_id(1)])

    deleting = threading.Thread(target=delete)

    def read_late(packed: bytes) -> Exchange:
        read = unpacked_exchange(packed)
        deleting.start()
        deleting.join(0.5)  # it is done by now, unless it has to wait for us
        return read

    with monkeypatch.context() as patch:
        patch.setattr(responses, "unpacked_exchange", read_late)
        keep(sink, looked_up(2), after=1)
    deleting.join()
    with database.read() as connection:
        (stored,) = traces.batch(connection, [trace_id(1)])
    first, second = stored.exchange.attempts
    assert first.fault is not None
    assert (first.fault.message, second.usage) == (deletion.GONE, Usage())
