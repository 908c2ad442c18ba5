"""Journal records into rows: each batch whole, with the position that it ends at, in one transaction. That is what "exactly once" rests on.

The position row is taken by comparing and setting it. Who finds another position there writes nothing.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..exchange import Begun, Content, Exchange, JournalRecord, ProcessPosition, Resumed, Settled, Status, TraceEntry
from ..prices.cost import Billed, Cost
from . import accounts, arrivals, experiments, keys, limits, paging, responses, restating, rows, schema
from .accounts import Contributions, CostOf, unpriced
from .bulk import Rows
from .engine import Database
from .faults import AlreadyExists
from .packing import packed, packed_exchange, unpacked_exchange

_Homes = dict[tuple[str | None, str | None], int]  # (experiment, endpoint) of a call -> where its trace goes


class _Prepared(Struct, frozen=True, gc=False):
    """Of a call with a trace, what needs no database."""

    exchange: Exchange  # as it was then
    entry: TraceEntry
    request: bytes | None = None
    response: bytes | None = None


OPEN, CLOSED = "open", "closed"

_log = logging.getLogger(__name__)

_calls = Rows(schema.calls)
_attempts = Rows(schema.attempts)
_traces = Rows(schema.traces, indexed=True)
_trace_tags = Rows(schema.trace_tags)
_trace_metadata = Rows(schema.trace_metadata)
_contents = Rows(schema.contents)
_open_calls = Rows(schema.open_calls)
_gaps = Rows(schema.journal_gaps)


class LedgerSink:
    """`exchange.Sink` over a database."""

    def __init__(
        self,
        database: Database,
        trace_row: Callable[[Exchange, Content | None], TraceEntry],
        *,
        cost_of: CostOf = unpriced,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._database = database
        self._trace_row = trace_row
        self._price = cost_of
        self._clock = clock
        self._known = accounts.Known()

    def positions(self) -> dict[str, ProcessPosition]:
        """Of each process that was ever drained; a closed one too, so that nobody begins it anew."""
        columns = schema.journals.c
        query = sa.select(columns.process_id, columns.segment, columns.byte_offset, columns.last_seq)
        with self._database.read() as connection:
            return {row.process_id: ProcessPosition(*row) for row in connection.execute(query)}

    def prepare(self, records: Sequence[JournalRecord]) -> Mapping[str, _Prepared]:
        """By call."""
        settled = (record for record in records if isinstance(record, Settled) and record.exchange.trace_id is not None)
        return {record.exchange.call_id: self._prepared(record.exchange, record.content) for record in settled}

    def keep(
        self,
        before: ProcessPosition | None,
        after: ProcessPosition,
        records: Sequence[JournalRecord],
        *,
        gaps: Sequence[tuple[int, int]],
        prepared: object = None,
    ) -> bool:
        done = 0 if before is None else before.last_seq
        made = cast(Mapping[str, _Prepared], prepared or {})
        batch = _Batch(after.process_id, [record for record in records if record.seq > done], made)
        now = self._clock() // 1_000_000
        try:
            return self._keep(before, after, batch, gaps, now)
        except AlreadyExists:
            # Some call is there already. The position makes that impossible; but if we are wrong, a batch that can never
            # be written would stop the ledger for good. So it is written without them, and they are counted.
            return self._keep(before, after, batch, gaps, now, check=True)

    def _keep(
        self,
        before: ProcessPosition | None,
        after: ProcessPosition,
        batch: "_Batch",
        gaps: Sequence[tuple[int, int]],
        now: int,
        *,
        check: bool = False,
    ) -> bool:
        with self._database.write() as connection:
            if not _move(connection, before, after, now):
                return False
            twice = len(batch.twice)
            begun, resumed, settled = batch.begun, batch.resumed, batch.settled
            if check:
                there = _there(connection, schema.calls, [*begun, *resumed, *settled])
                settled = {call_id: entry for call_id, entry in settled.items() if call_id not in there}
                waiting = _there(connection, schema.open_calls, list(begun))
                begun = {call_id: entry for call_id, entry in begun.items() if call_id not in there | waiting}
                resumed = {call_id: entry for call_id, entry in resumed.items() if call_id not in there}
                twice += len(batch.settled) - len(settled) + len(batch.begun) - len(begun) + len(batch.resumed) - len(resumed)
                gaps = [gap for gap in gaps if not _gap_known(connection, after.process_id, gap)]
            for some in paging.chunks([*batch.closed, *resumed]):
                connection.execute(schema.open_calls.delete().where(schema.open_calls.c.call_id.in_(some)))
            opened = begun | resumed
            _open_calls.insert(
                connection, [(call_id, after.process_id, seq, packed_exchange(exchange)) for call_id, (seq, exchange) in opened.items()]
            )
            came = self._write(connection, after.process_id, list(settled.values()), batch.prepared)
            arrivals.note(connection, after.process_id, after.last_seq, came, now)
            _gaps.insert(connection, [(after.process_id, first, last, now) for first, last in gaps])
            counts = schema.journals.c
            connection.execute(
                schema.journals.update()
                .where(counts.process_id == after.process_id)
                .values(records=counts.records + batch.size, duplicates=counts.duplicates + twice)
            )
            return True

    def close(self, process_id: str) -> int:
        columns = schema.open_calls.c
        journals = schema.journals
        now = self._clock() // 1_000_000
        with self._database.write() as connection:
            # Takes the row first: whoever else closes or drains this process waits, and then finds it closed.
            connection.execute(journals.update().where(journals.c.process_id == process_id).values(state=CLOSED, updated_at=now))
            found = connection.execute(sa.select(columns.exchange).where(columns.process_id == process_id).order_by(columns.seq))
            lost = [rows.lost(unpacked_exchange(row.exchange)) for row in found]
            connection.execute(schema.open_calls.delete().where(columns.process_id == process_id))
            # What providers said of attempts that failed before is content too, and goes with it.
            came = self._write(connection, process_id, [(exchange, Content()) for exchange in lost], {})
            seq = connection.execute(sa.select(journals.c.last_seq).where(journals.c.process_id == process_id)).scalar()
            arrivals.note(connection, process_id, (seq or 0) + 1, came, now)
        return len(lost)

    def _write(
        self,
        connection: Connection,
        process_id: str,
        settled: Sequence[tuple[Exchange, Content | None]],
        prepared: Mapping[str, _Prepared],
    ) -> list[str]:
        """The ids of the traces that came of it."""
        settled, taken_back = responses.counted_once(connection, settled)
        made = _Made(prepared)
        # Traces first: to index what is said in them is most of a database's work, and the rest is made while PostgreSQL is at it.
        _traces.insert(connection, self._make(process_id, settled, _homes(connection, settled), made))
        _calls.insert(connection, made.calls)
        _attempts.insert(connection, made.attempts)
        _trace_tags.insert(connection, made.tags)
        _trace_metadata.insert(connection, made.metadata)
        _contents.insert(connection, made.contents)
        restating.without_tokens(connection, taken_back, self._cost_of, made.contributions)
        accounts.apply(connection, made.contributions, self._known)
        keys.used(connection, _uses(exchange for exchange, _ in settled))
        return made.trace_ids

    def _make(
        self, process_id: str, settled: Sequence[tuple[Exchange, Content | None]], homes: _Homes, made: "_Made"
    ) -> Iterator[tuple[Any, ...]]:
        """Yields the rows of traces, and adds to `made` what else comes of each call."""
        for exchange, content in settled:
            trace_id = exchange.trace_id
            experiment = homes.get((exchange.experiment_id, exchange.endpoint_id))
            call = rows.call(process_id, exchange, experiment)
            tried = accounts.priced(call, [rows.attempt(exchange.call_id, attempt) for attempt in exchange.attempts], self._cost_of)
            made.calls.append(_calls.of({**call, **accounts.sums(tried)}))
            made.attempts += map(_attempts.of, tried)
            accounts.count(made.contributions, call, tried)
            if trace_id is None or experiment is None:
                continue
            made.trace_ids.append(trace_id)
            ready = made.prepared.get(exchange.call_id)
            if ready is None or ready.exchange is not exchange:
                ready = self._prepared(exchange, content)
            entry = ready.entry
            made.tags += _said(trace_id, entry.tags)
            made.metadata += _said(trace_id, entry.metadata)
            if content is not None:
                made.contents.append((trace_id, ready.request, ready.response, content.request_truncated, content.response_truncated))
            yield _traces.of(rows.trace(trace_id, experiment, exchange, entry))

    def _prepared(self, exchange: Exchange, content: Content | None) -> _Prepared:
        entry = self._entry(exchange, content)
        if content is None:
            return _Prepared(exchange, entry)
        request, response = (None if body is None else packed(body) for body in (content.request, content.response))
        return _Prepared(exchange, entry, request, response)

    def _cost_of(self, billed: Billed) -> Cost | None:
        try:
            return self._price(billed)
        except Exception:
            # Nor must it wait for a price: the attempt is counted among those without one, and can be priced anew.
            _log.exception("no price of a call to %s at %s", billed.model, billed.provider)
            return None

    def _entry(self, exchange: Exchange, content: Content | None) -> TraceEntry:
        try:
            return self._trace_row(exchange, content)
        except Exception:
            # The bill must not wait for a preview that cannot be made.
            _log.exception("no preview of call %s", exchange.call_id)
            return TraceEntry(
                name=f"gateway/{exchange.endpoint}",
                state="OK" if exchange.status is Status.ok else "ERROR",
                session_id=exchange.session_id,
                user_id=exchange.user_id,
            )


class _Batch:
    """Records of one process, sorted by what they do: a call that begins and settles in one batch was never open."""

    def __init__(self, process_id: str, records: Sequence[JournalRecord], prepared: Mapping[str, _Prepared]) -> None:
        self.process_id = process_id
        self.prepared = prepared
        self.size = len(records)
        self.begun: dict[str, tuple[int, Exchange]] = {}
        self.resumed: dict[str, tuple[int, Exchange]] = {}  # begun in an earlier batch, or never
        self.settled: dict[str, tuple[Exchange, Content | None]] = {}
        self.closed: list[str] = []  # settled here, begun in an earlier batch, or never
        self.twice: list[str] = []
        for record in records:
            call_id = record.exchange.call_id
            if call_id in self.settled:
                self.twice.append(call_id)
            elif isinstance(record, Begun):
                self.begun[call_id] = (record.seq, record.exchange)
            elif isinstance(record, Resumed):
                known = self.begun if call_id in self.begun else self.resumed
                known[call_id] = (record.seq, record.exchange)
            else:
                self.settled[call_id] = (record.exchange, record.content)
                self.resumed.pop(call_id, None)
                if self.begun.pop(call_id, None) is None:
                    self.closed.append(call_id)


class _Made:
    """What comes of calls besides their traces: rows, each in the order of its table's columns, and what they add up to."""

    def __init__(self, prepared: Mapping[str, _Prepared]) -> None:
        self.prepared = prepared
        self.calls: list[tuple[Any, ...]] = []
        self.attempts: list[tuple[Any, ...]] = []
        self.trace_ids: list[str] = []
        self.tags: list[tuple[Any, ...]] = []
        self.metadata: list[tuple[Any, ...]] = []
        self.contents: list[tuple[Any, ...]] = []
        self.contributions: Contributions = {}


def _said(trace_id: str, words: Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
    """Rows of tags or of metadata."""
    for key, value in words.items():
        yield trace_id, limits.kept(key, limits.TAG_KEY), limits.kept(value, limits.TRACE_TAG)


def _uses(exchanges: Iterable[Exchange]) -> dict[str, int]:
    """When each key last made a call, in ms."""
    uses: dict[str, int] = {}
    for exchange in exchanges:
        if exchange.caller_id is not None:
            uses[exchange.caller_id] = max(uses.get(exchange.caller_id, 0), exchange.received_at // 1_000_000)
    return uses


# ---------------------------------------------------------------- positions and experiments


def _move(connection: Connection, before: ProcessPosition | None, after: ProcessPosition, now: int) -> bool:
    """Takes the position row and moves it, if it is still where the batch was read from."""
    journals = schema.journals
    if before is None:
        known = sa.select(journals.c.process_id).where(journals.c.process_id == after.process_id)
        if connection.execute(known).first() is not None:
            return False
        values = {"segment": after.segment, "byte_offset": after.offset, "last_seq": after.last_seq, "created_at": now, "updated_at": now}
        row = journals.insert().values(process_id=after.process_id, records=0, duplicates=0, state=OPEN, **values)
        connection.execute(row)  # if another drain is inserting it too, this waits for its commit and fails: see `keep`
        return True
    same = sa.and_(
        journals.c.process_id == before.process_id,
        journals.c.segment == before.segment,
        journals.c.byte_offset == before.offset,
        journals.c.last_seq == before.last_seq,
        journals.c.state == OPEN,
    )
    moved = journals.update().where(same).values(segment=after.segment, byte_offset=after.offset, last_seq=after.last_seq, updated_at=now)
    return connection.execute(moved).rowcount == 1


def _there(connection: Connection, table: sa.Table, call_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in paging.chunks(call_ids):
        found |= set(connection.execute(sa.select(table.c.call_id).where(table.c.call_id.in_(some))).scalars())
    return found


def _gap_known(connection: Connection, process_id: str, gap: tuple[int, int]) -> bool:
    gaps = schema.journal_gaps.c
    query = sa.select(gaps.first_seq).where(gaps.process_id == process_id, gaps.first_seq == gap[0])
    return connection.execute(query).first() is not None


def _homes(connection: Connection, settled: Sequence[tuple[Exchange, Content | None]]) -> _Homes:
    """Where the traces of the calls go.

    That is the experiment in force when the call was made. If it was deleted since, the endpoint's own of now; if there
    is none (the endpoint is gone too, or not tracked any more) the deleted one, where the trace is found if it is restored.
    """
    wanted = {(exchange.experiment_id, exchange.endpoint_id) for exchange, _ in settled if exchange.experiment_id}
    homes: _Homes = {}
    awake: dict[str, int | None] = {}
    for experiment_id, endpoint_id in wanted:
        if not experiment_id or not (experiment_id.isascii() and experiment_id.isdigit()):
            continue
        if experiment_id not in awake:
            awake[experiment_id] = experiments.active(connection, experiment_id)
        home = awake[experiment_id]
        if home is None:
            home = connection.execute(
                sa.select(schema.endpoints.c.experiment_id).where(
                    schema.endpoints.c.endpoint_id == endpoint_id, schema.endpoints.c.usage_tracking == sa.true()
                )
            ).scalar()
        homes[experiment_id, endpoint_id] = int(experiment_id) if home is None else home
    return homes
