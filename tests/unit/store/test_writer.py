import threading
from collections.abc import Callable

import msgspec
import pytest
import sqlalchemy as sa
from tests.unit.store.given import T0, attempt, begun, call_id, entry, exchange, house, trace_id

from spangate.exchange import Begun, Content, Exchange, Fault, JournalRecord, ProcessPosition, Resumed, Settled, Status, TraceEntry
from spangate.prices.cost import Billed, Cost
from spangate.store import endpoints, experiments, ledger, schema, traces
from spangate.store.engine import Database
from spangate.store.faults import StoreFault
from spangate.store.ledger import AttemptRow, CallRow
from spangate.store.rows import DIED
from spangate.store.traces import TraceRow
from spangate.store.writer import LedgerSink
from spangate.wire.usage import Provenance, Usage

CONTENT = Content(request=b'{"model":"chat"}', response=b'{"id":"' + b"x" * 2_000 + b'"}', response_truncated=True)


@pytest.fixture
def sink(database: Database) -> LedgerSink:
    return LedgerSink(database, entry, clock=lambda: (T0 + 1_000) * 1_000_000)


def at(last_seq: int, *, process: str = "p-1", segment: int = 1) -> ProcessPosition:
    return ProcessPosition(process, segment, last_seq * 100, last_seq)


def calls(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return {row.call_id: row.status for row in ledger.calls(connection)[0]}


def counts(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (schema.calls, schema.attempts, schema.traces, schema.contents, schema.open_calls)
        }


def test_a_tracked_call_becomes_its_rows(database: Database) -> None:
    asked: list[Billed] = []

    def cost_of(billed: Billed) -> Cost:
        asked.append(billed)
        return Cost(price_id="p-1", input=1_100, output=1_250)

    sink = LedgerSink(database, entry, cost_of=cost_of, clock=lambda: (T0 + 1_000) * 1_000_000)
    done = exchange(
        1,
        owner="ann",
        team="web",
        stream=True,
        first_token=3_000_000,
        caller_id="k-1",
        caller="admin",
        request_bytes=16,
        attempts=(
            attempt(
                1,
                status=Status.error,
                http_status=429,
                usage=Usage(),
                provenance=Provenance.unknown,
                fault=Fault("rate_limited", "slow down", 429),
            ),
            attempt(
                2,
                headed=2_000_000,
                first_token=3_000_000,
                model_definition_id="d-1",
                secret_id="s-1",
                upstream_request_id="req_1",
                response_id="chatcmpl-1",
                response_model="gpt-4o-mini-2024-07-18",
                stop_reason="stop",
                service_tier="priority",
                usage=Usage(
                    input=11,
                    output=7,
                    cache_read=4,
                    cache_write=3,
                    cache_write_5m=2,
                    cache_write_1h=1,
                    reasoning=5,
                    audio_input=0,
                    audio_output=6,
                    image_input=8,
                    image_output=9,
                    invalid=("total",),
                ),
            ),
        ),
    )
    assert sink.keep(None, at(2), [Begun(seq=1, exchange=begun(1)), Settled(seq=2, exchange=done, content=CONTENT)], gaps=[])
    with database.read() as connection:
        assert ledger.call(connection, call_id(1)) == CallRow(
            call_id=call_id(1),
            process_id="p-1",
            received_ns=(T0 + 1) * 1_000_000,
            duration_ns=10_000_000,
            first_token_ns=3_000_000,
            format="openai.chat",
            request_type="passthrough/model/openai-chat",
            endpoint_id="e-1",
            endpoint="chat",
            experiment_id="0",
            model="chat",
            stream=True,
            caller_id="k-1",
            caller="admin",
            agent="OpenAI",
            request_bytes=16,
            status="ok",
            http_status=200,
            fault_kind=None,
            fault_message=None,
            owner="ann",
            team="web",
            input_tokens=11,
            output_tokens=7,
            cost_pico=2_350,
            unpriced=0,
            estimated=0,
            attempts=(
                AttemptRow(
                    attempt_no=1,
                    provider="openai",
                    model="gpt-4o-mini",
                    format="openai.chat",
                    model_definition_id=None,
                    secret_id=None,
                    started_ns=1_000_000,
                    headed_ns=None,
                    first_token_ns=None,
                    ended_ns=9_000_000,
                    status="error",
                    http_status=429,
                    upstream_request_id=None,
                    response_id=None,
                    response_model=None,
                    service_tier=None,
                    stop_reason=None,
                    input_tokens=None,
                    output_tokens=None,
                    cache_read_tokens=None,
                    cache_write_tokens=None,
                    cache_write_5m_tokens=None,
                    cache_write_1h_tokens=None,
                    reasoning_tokens=None,
                    audio_input_tokens=None,
                    audio_output_tokens=None,
                    image_input_tokens=None,
                    image_output_tokens=None,
                    usage_invalid=None,
                    provenance="unknown",
                    fault_kind="rate_limited",
                    fault_message="slow down",
                    price_id=None,
                    input_cost_pico=None,
                    output_cost_pico=None,
                    cost_pico=None,
                ),
                AttemptRow(
                    attempt_no=2,
                    provider="openai",
                    model="gpt-4o-mini",
                    format="openai.chat",
                    model_definition_id="d-1",
                    secret_id="s-1",
                    started_ns=1_000_000,
                    headed_ns=2_000_000,
                    first_token_ns=3_000_000,
                    ended_ns=9_000_000,
                    status="ok",
                    http_status=200,
                    upstream_request_id="req_1",
                    response_id="chatcmpl-1",
                    response_model="gpt-4o-mini-2024-07-18",
                    service_tier="priority",
                    stop_reason="stop",
                    input_tokens=11,
                    output_tokens=7,
                    cache_read_tokens=4,
                    cache_write_tokens=3,
                    cache_write_5m_tokens=2,
                    cache_write_1h_tokens=1,
                    reasoning_tokens=5,
                    audio_input_tokens=0,
                    audio_output_tokens=6,
                    image_input_tokens=8,
                    image_output_tokens=9,
                    usage_invalid="total",
                    provenance="reported",
                    fault_kind=None,
                    fault_message=None,
                    price_id="p-1",
                    input_cost_pico=1_100,
                    output_cost_pico=1_250,
                    cost_pico=2_350,
                ),
            ),
        )
        assert traces.get(connection, trace_id(1)) == TraceRow(
            trace_id=trace_id(1),
            experiment_id="0",
            call_id=call_id(1),
            name="gateway/chat",
            state="OK",
            request_time_ms=T0 + 1,
            duration_ms=10,
            request_preview='{"model":"chat"}',
            response_preview=str(CONTENT.response, "utf-8")[:1_000],
            endpoint_id="e-1",
            request_type="passthrough/model/openai-chat",
            caller="OpenAI",
            session_id=None,
            user_id=None,
            exchange=done,
            tags={},
            metadata={},
            costs={2: Cost(price_id="p-1", input=1_100, output=1_250)},
        )
        assert traces.content(connection, [trace_id(1), trace_id(2)]) == {trace_id(1): CONTENT}
        stored = connection.execute(sa.select(schema.contents.c.response)).scalar_one()
        assert len(stored) < 200  # compressed
    assert counts(database) == {"calls": 1, "attempts": 2, "traces": 1, "contents": 1, "open_calls": 0}
    assert asked == [
        Billed(
            at=T0 + 1,
            provider="openai",
            model="gpt-4o-mini",
            response_model="gpt-4o-mini-2024-07-18",
            service_tier="priority",
            endpoint_id="e-1",
            secret_id="s-1",
            usage=msgspec.structs.replace(done.attempts[1].usage, invalid=()),
        )
    ]


def test_an_untracked_call_is_on_the_bill_only(database: Database, sink: LedgerSink) -> None:
    assert sink.keep(None, at(1), [Settled(seq=1, exchange=exchange(1, experiment_id=None))], gaps=[])
    assert counts(database) == {"calls": 1, "attempts": 1, "traces": 0, "contents": 0, "open_calls": 0}


def test_a_refusal_is_on_the_bill(database: Database, sink: LedgerSink) -> None:
    refused = exchange(
        1,
        experiment_id=None,
        status=Status.refused,
        http_status=401,
        endpoint_id=None,
        endpoint=None,
        model=None,
        agent=None,
        attempts=(),
        fault=Fault("no_key", "No key was shown."),
    )
    assert sink.keep(None, at(1), [Settled(seq=1, exchange=refused)], gaps=[])
    with database.read() as connection:
        row = ledger.call(connection, call_id(1))
    assert (row.status, row.http_status, row.fault_kind, row.fault_message, row.endpoint, row.attempts) == (
        "refused",
        401,
        "no_key",
        "No key was shown.",
        None,
        (),
    )


def test_a_call_may_begin_in_one_batch_and_settle_in_another(database: Database, sink: LedgerSink) -> None:
    assert sink.keep(None, at(2), [Begun(seq=1, exchange=begun(1)), Begun(seq=2, exchange=begun(2))], gaps=[])
    assert counts(database) == {"calls": 0, "attempts": 0, "traces": 0, "contents": 0, "open_calls": 2}
    assert sink.keep(at(2), at(3), [Settled(seq=3, exchange=exchange(1), content=CONTENT)], gaps=[])
    assert counts(database) == {"calls": 1, "attempts": 1, "traces": 1, "contents": 1, "open_calls": 1}
    with database.read() as connection:
        assert [process.open_calls for process in ledger.completeness(connection)] == [1]
        assert ledger.open_(connection) == 1


LIMITED = Fault("rate_limited", "slow down", 429)


def resumed(n: int, **changes: object) -> Exchange:
    """The call again, its first attempt over and its second open."""
    first = attempt(1, status=Status.error, http_status=429, usage=Usage(), provenance=Provenance.unknown, fault=LIMITED)
    (opened,) = begun(n).attempts
    return begun(n, **({"attempts": (first, msgspec.structs.replace(opened, no=2, started=9_500_000))} | changes))


BATCHES: dict[str, list[list[JournalRecord]]] = {
    "one": [[Begun(seq=1, exchange=begun(1)), Resumed(seq=2, exchange=resumed(1))]],
    "two": [[Begun(seq=1, exchange=begun(1))], [Resumed(seq=2, exchange=resumed(1))]],
    "the beginning is lost": [[Resumed(seq=2, exchange=resumed(1))]],
    "tried twice more": [
        [Begun(seq=1, exchange=begun(1))],
        [Resumed(seq=2, exchange=begun(1, attempts=())), Resumed(seq=3, exchange=resumed(1))],
    ],
}


@pytest.mark.parametrize("name", BATCHES)
def test_a_call_killed_in_its_second_attempt_has_two_and_the_first_as_it_ended(database: Database, sink: LedgerSink, name: str) -> None:
    before = None
    for batch in BATCHES[name]:
        after = at(batch[-1].seq)
        assert sink.keep(before, after, batch, gaps=[])
        before = after
    assert counts(database) == {"calls": 0, "attempts": 0, "traces": 0, "contents": 0, "open_calls": 1}
    assert sink.close("p-1") == 1
    with database.read() as connection:
        call = ledger.call(connection, call_id(1))
        trace = traces.get(connection, trace_id(1))
    assert (call.status, call.fault_kind) == ("unknown", DIED.kind)
    assert [(row.attempt_no, row.status, row.http_status, row.fault_kind, row.ended_ns) for row in call.attempts] == [
        (1, "error", 429, "rate_limited", 9_000_000),
        (2, "unknown", None, None, None),
    ]
    assert trace.exchange == msgspec.structs.replace(resumed(1), fault=DIED)


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("apart", [False, True], ids=["with the settlement", "settled later"])
def test_a_call_that_was_tried_again_settles_once(database: Database, sink: LedgerSink, name: str, apart: bool) -> None:
    batches = [[*batch] for batch in BATCHES[name]]
    last = Settled(seq=9, exchange=exchange(1, attempts=(*resumed(1).attempts[:1], attempt(2))), content=CONTENT)
    if apart:
        batches.append([last])
    else:
        batches[-1].append(last)
    before = None
    for batch in batches:
        after = at(batch[-1].seq)
        assert sink.keep(before, after, batch, gaps=[])
        before = after
    assert counts(database) == {"calls": 1, "attempts": 2, "traces": 1, "contents": 1, "open_calls": 0}
    assert sink.close("p-1") == 0


# ---------------------------------------------------------------- exactly once


def test_a_resumption_of_a_call_that_is_there_already_is_counted_not_opened(database: Database, sink: LedgerSink) -> None:
    assert sink.keep(None, at(1), [Settled(seq=1, exchange=exchange(1))], gaps=[])
    batch: list[JournalRecord] = [Resumed(seq=1, exchange=resumed(1)), Settled(seq=2, exchange=exchange(1))]
    assert sink.keep(None, at(2, process="p-2"), [*batch, Resumed(seq=3, exchange=resumed(2))], gaps=[])
    assert counts(database) == {"calls": 1, "attempts": 1, "traces": 1, "contents": 0, "open_calls": 1}


def test_a_batch_is_kept_once(database: Database, sink: LedgerSink) -> None:
    batch: list[JournalRecord] = [Settled(seq=1, exchange=exchange(1))]
    assert sink.keep(None, at(1), batch, gaps=[])
    assert not sink.keep(None, at(1), batch, gaps=[])
    assert sink.keep(at(1), at(2), [Settled(seq=2, exchange=exchange(2))], gaps=[])
    assert not sink.keep(at(1), at(2), [Settled(seq=2, exchange=exchange(2))], gaps=[])
    assert calls(database) == {call_id(1): "ok", call_id(2): "ok"}
    assert sink.positions() == {"p-1": at(2)}


@pytest.mark.parametrize(
    "other",
    [
        ProcessPosition("p-1", 2, 100, 1),
        ProcessPosition("p-1", 1, 101, 1),
        ProcessPosition("p-1", 1, 100, 0),
        ProcessPosition("p-2", 1, 100, 1),
    ],
)
def test_another_position_writes_nothing(database: Database, sink: LedgerSink, other: ProcessPosition) -> None:
    assert sink.keep(None, at(1), [Settled(seq=1, exchange=exchange(1))], gaps=[])
    after = ProcessPosition(other.process_id, 3, 500, 3)
    assert not sink.keep(other, after, [Settled(seq=3, exchange=exchange(3))], gaps=[(2, 2)])
    assert calls(database) == {call_id(1): "ok"}
    assert sink.positions() == {"p-1": at(1)}


def test_records_before_the_position_are_passed_over(database: Database, sink: LedgerSink) -> None:
    assert sink.keep(None, at(2), [Begun(seq=1, exchange=begun(1)), Settled(seq=2, exchange=exchange(1))], gaps=[])
    again: list[JournalRecord] = [Settled(seq=2, exchange=exchange(1)), Settled(seq=3, exchange=exchange(2))]
    assert sink.keep(at(2), at(3), again, gaps=[])
    assert calls(database) == {call_id(1): "ok", call_id(2): "ok"}
    with database.read() as connection:
        (process,) = ledger.completeness(connection)
    assert (process.records, process.last_seq, process.duplicates, process.complete) == (3, 3, 0, True)


def test_of_two_drains_one_keeps_a_batch(database: Database, sink: LedgerSink) -> None:
    won: list[tuple[int, bool]] = []
    ready = threading.Barrier(4)

    def drain() -> None:
        before: ProcessPosition | None = None
        for seq in range(1, 11):
            ready.wait()
            after = at(seq)
            won.append((seq, sink.keep(before, after, [Settled(seq=seq, exchange=exchange(seq))], gaps=[])))
            before = after

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seq for seq, kept in won if kept) == list(range(1, 11))
    assert len(won) == 40
    assert calls(database) == {call_id(seq): "ok" for seq in range(1, 11)}


def test_a_batch_that_fails_leaves_nothing(database: Database, sink: LedgerSink, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = ("_open_calls", "_calls", "_attempts", "_traces", "_contents", "_gaps")
    steps = (*(f"writer.{table}" for table in tables), "accounts._dimensions", "accounts._rollups")
    batch: list[JournalRecord] = [Settled(seq=1, exchange=exchange(1), content=CONTENT), Begun(seq=2, exchange=begun(2))]
    for step in steps:
        with monkeypatch.context() as patch:

            class Broken:
                of = staticmethod(tuple)

                def insert(self, *_: object) -> None:
                    raise OSError("the disk went away")

                insert_absent = insert

            patch.setattr(f"spangate.store.{step}", Broken())
            with pytest.raises(OSError, match="disk"):
                sink.keep(None, at(3), batch, gaps=[(3, 3)])
        assert counts(database) == {"calls": 0, "attempts": 0, "traces": 0, "contents": 0, "open_calls": 0}
        assert sink.positions() == {}
    assert sink.keep(None, at(3), batch, gaps=[(3, 3)])
    assert counts(database) == {"calls": 1, "attempts": 1, "traces": 1, "contents": 1, "open_calls": 1}


def test_a_call_that_is_there_already_is_counted_not_doubled(database: Database, sink: LedgerSink) -> None:
    assert sink.keep(None, at(1), [Settled(seq=1, exchange=exchange(1), content=CONTENT)], gaps=[])
    other = at(4, process="p-2")
    batch: list[JournalRecord] = [
        Settled(seq=1, exchange=exchange(1), content=CONTENT),
        Settled(seq=2, exchange=exchange(2), content=CONTENT),
        Settled(seq=3, exchange=exchange(2), content=CONTENT),
    ]
    assert sink.keep(None, other, batch, gaps=[(4, 4)])
    assert counts(database) == {"calls": 2, "attempts": 2, "traces": 2, "contents": 2, "open_calls": 0}
    with database.read() as connection:
        process = next(process for process in ledger.completeness(connection) if process.process_id == "p-2")
    assert (process.records, process.duplicates, process.gaps, process.complete) == (3, 2, ((4, 4),), False)


# ---------------------------------------------------------------- gaps, deaths


def test_a_gap_is_written_down(database: Database, sink: LedgerSink) -> None:
    batch: list[JournalRecord] = [Settled(seq=1, exchange=exchange(1)), Settled(seq=5, exchange=exchange(2))]
    assert sink.keep(None, at(6), batch, gaps=[(2, 4), (6, 6)])
    with database.read() as connection:
        (process,) = ledger.completeness(connection)
    assert (process.gaps, process.missing, process.complete) == (((2, 4), (6, 6)), 4, False)
    assert process.records + process.missing == process.last_seq


def test_the_open_calls_of_a_dead_process_are_settled_as_unknown(database: Database, sink: LedgerSink) -> None:
    batch: list[JournalRecord] = [
        Begun(seq=1, exchange=begun(1)),
        Begun(seq=2, exchange=begun(2, experiment_id=None)),
        Begun(seq=3, exchange=begun(3)),
        Settled(seq=4, exchange=exchange(3)),
    ]
    assert sink.keep(None, at(4), batch, gaps=[])
    assert sink.keep(None, at(1, process="p-2"), [Begun(seq=1, exchange=begun(9))], gaps=[])
    assert sink.close("p-1") == 2
    assert calls(database) == {call_id(1): "unknown", call_id(2): "unknown", call_id(3): "ok"}
    with database.read() as connection:
        lost = ledger.call(connection, call_id(1))
        assert (lost.fault_kind, lost.http_status, lost.duration_ns, len(lost.attempts)) == (DIED.kind, None, None, 1)
        assert (lost.attempts[0].status, lost.attempts[0].provenance, lost.attempts[0].input_tokens) == ("unknown", "unknown", None)
        trace = traces.get(connection, trace_id(1))
        assert (trace.state, trace.duration_ms) == ("ERROR", None)
        assert trace.exchange == msgspec.structs.replace(begun(1), fault=DIED)
        states = {process.process_id: (process.state, process.open_calls) for process in ledger.completeness(connection)}
    assert states == {"p-1": ("closed", 0), "p-2": ("open", 1)}
    assert counts(database) == {"calls": 3, "attempts": 3, "traces": 2, "contents": 1, "open_calls": 1}


def test_a_dead_process_is_closed_once(database: Database, sink: LedgerSink) -> None:
    assert sink.keep(None, at(1), [Begun(seq=1, exchange=begun(1))], gaps=[])
    closed: list[int] = []
    ready = threading.Barrier(3)

    def close() -> None:
        ready.wait()
        closed.append(sink.close("p-1"))

    threads = [threading.Thread(target=close) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(closed) == [0, 0, 1]
    assert calls(database) == {call_id(1): "unknown"}
    assert not sink.keep(at(1), at(2), [Settled(seq=2, exchange=exchange(1))], gaps=[])  # it is dead: nothing more comes
    assert calls(database) == {call_id(1): "unknown"}


def test_a_process_that_wrote_nothing_can_be_closed(sink: LedgerSink) -> None:
    assert sink.close("p-none") == 0


# ---------------------------------------------------------------- where traces go


def where(database: Database, n: int) -> tuple[str, str | None]:
    with database.read() as connection:
        return traces.get(connection, trace_id(n)).experiment_id, ledger.call(connection, call_id(n)).experiment_id


def test_a_trace_of_a_deleted_experiment_goes_to_the_endpoints_own(database: Database, sink: LedgerSink) -> None:
    with database.write() as connection:
        endpoint = house(connection).endpoint
        experiments.delete(connection, "1", now=T0)
        assert endpoints.get(connection, endpoint.endpoint_id).experiment_id == "2"
    late = exchange(1, experiment_id="1", endpoint_id=endpoint.endpoint_id)
    assert sink.keep(
        None, at(2), [Settled(seq=1, exchange=late), Begun(seq=2, exchange=begun(2, endpoint_id=endpoint.endpoint_id))], gaps=[]
    )
    assert where(database, 1) == ("2", "2")


@pytest.mark.parametrize("how", ["endpoint deleted", "tracking off"])
def test_a_trace_without_another_home_stays_where_it_was_made(database: Database, sink: LedgerSink, how: str) -> None:
    with database.write() as connection:
        endpoint = house(connection).endpoint
        if how == "endpoint deleted":
            endpoints.delete(connection, endpoint.endpoint_id)
        else:
            endpoints.update(connection, endpoint.endpoint_id, usage_tracking=False, now=T0)
        experiments.delete(connection, "1", now=T0)
    late = exchange(1, experiment_id="1", endpoint_id=endpoint.endpoint_id)
    assert sink.keep(None, at(1), [Settled(seq=1, exchange=late)], gaps=[])
    assert where(database, 1) == ("1", "1")


def test_a_renamed_or_moved_endpoint_does_not_move_old_traces(database: Database, sink: LedgerSink) -> None:
    with database.write() as connection:
        endpoint = house(connection).endpoint
        endpoints.update(connection, endpoint.endpoint_id, experiment_id="0", now=T0)
    assert sink.keep(None, at(1), [Settled(seq=1, exchange=exchange(1, experiment_id="1", endpoint_id=endpoint.endpoint_id))], gaps=[])
    assert where(database, 1) == ("1", "1")


# ---------------------------------------------------------------- what cannot be kept as it is


def test_text_that_does_not_fit_is_cut_and_kept(database: Database, sink: LedgerSink) -> None:
    wild = exchange(
        1,
        model="m" * 5_000,
        agent="a\x00b\x00" + "é🙂" * 500,
        fault=Fault("k" * 500, "\x00" * 5_000),
        attempts=(attempt(response_id="\x00" * 500, stop_reason="s" * 5_000, fault=Fault("x", "🙂" * 2_000)),),
    )
    assert sink.keep(None, at(1), [Settled(seq=1, exchange=wild, content=Content(request=b"\x00\xff" * 300))], gaps=[])
    with database.read() as connection:
        row = ledger.call(connection, call_id(1))
        assert traces.get(connection, trace_id(1)).exchange == wild
        assert traces.content(connection, [trace_id(1)]) == {trace_id(1): Content(request=b"\x00\xff" * 300)}
    assert row.model == "m" * 256
    assert row.agent == ("a\ufffdb\ufffd" + "é🙂" * 500)[:255]
    assert (row.fault_kind, row.fault_message) == ("k" * 64, "\ufffd" * 1_000)
    assert (row.attempts[0].response_id, row.attempts[0].fault_message) == ("\ufffd" * 255, "🙂" * 1_000)


def test_tags_and_metadata_of_the_entry_are_kept(database: Database) -> None:
    def tagged(exchange: Exchange, content: Content | None) -> TraceEntry:
        return TraceEntry(name="n", state="OK", tags={"team": "search"}, metadata={"mlflow.trace.session": "s-1"})

    assert LedgerSink(database, tagged).keep(None, at(1), [Settled(seq=1, exchange=exchange(1))], gaps=[])
    with database.read() as connection:
        row = traces.get(connection, trace_id(1))
    assert (row.tags, row.metadata) == ({"team": "search"}, {"mlflow.trace.session": "s-1"})


def test_the_bill_does_not_wait_for_a_price(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Billed) -> Cost:
        raise RecursionError

    assert LedgerSink(database, entry, cost_of=broken).keep(None, at(1), [Settled(seq=1, exchange=exchange(1))], gaps=[])
    with database.read() as connection:
        call = ledger.call(connection, call_id(1))
    assert (call.input_tokens, call.cost_pico, call.unpriced) == (11, None, 1)
    assert "no price of a call to gpt-4o-mini at openai" in caplog.text


def test_the_bill_does_not_wait_for_a_preview(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    def broken(exchange: Exchange, content: Content | None) -> TraceEntry:
        raise RecursionError("deep JSON")

    assert LedgerSink(database, broken).keep(None, at(1), [Settled(seq=1, exchange=exchange(1), content=CONTENT)], gaps=[])
    with database.read() as connection:
        assert traces.get(connection, trace_id(1)).name == "gateway/chat"
    assert call_id(1) in caplog.text


def test_a_lost_database_is_a_fault_not_a_loss(open_database: Callable[..., Database]) -> None:
    sink = LedgerSink(open_database(), entry)  # never upgraded: as good as gone
    with pytest.raises(StoreFault):
        sink.keep(None, at(1), [Settled(seq=1, exchange=exchange(1))], gaps=[])
    with pytest.raises(StoreFault):
        sink.positions()


def test_more_calls_than_one_statement_may_name(database: Database, sink: LedgerSink) -> None:
    many = 1_200
    assert sink.keep(None, at(many), [Begun(seq=n, exchange=begun(n)) for n in range(1, many + 1)], gaps=[])
    settled: list[JournalRecord] = [Settled(seq=many + n, exchange=exchange(n)) for n in range(1, many + 1)]
    assert sink.keep(at(many), at(2 * many), settled, gaps=[])
    assert counts(database) == {"calls": many, "attempts": many, "traces": many, "contents": 0, "open_calls": 0}
