"""The bill, read: calls with their attempts, what they add up to, and whether anything is missing."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from . import paging
from .faults import Invalid, NotFound
from .schema import attempts, journal_gaps, journals, open_calls
from .schema import calls as table

PAGE = 100
PAGE_LIMIT = 1_000


class Process(Struct, frozen=True, kw_only=True):
    """How far one worker's journal is in the database."""

    process_id: str
    state: str  # open | closed
    segment: int
    offset: int
    last_seq: int
    records: int
    duplicates: int
    gaps: tuple[tuple[int, int], ...]  # sequence numbers that were lost: first and last
    open_calls: int
    created_at: int
    updated_at: int

    @property
    def missing(self) -> int:
        return sum(last - first + 1 for first, last in self.gaps)

    @property
    def complete(self) -> bool:
        """Each record that the process wrote so far is here, once."""
        return not self.gaps and self.duplicates == 0 and self.records == self.last_seq


class AttemptRow(Struct, frozen=True, kw_only=True):
    attempt_no: int
    provider: str
    model: str
    format: str
    model_definition_id: str | None
    secret_id: str | None
    started_ns: int
    headed_ns: int | None
    first_token_ns: int | None
    ended_ns: int | None
    status: str
    http_status: int | None
    upstream_request_id: str | None
    response_id: str | None
    response_model: str | None
    service_tier: str | None
    stop_reason: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_5m_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    audio_input_tokens: int | None
    audio_output_tokens: int | None
    image_input_tokens: int | None
    image_output_tokens: int | None
    usage_invalid: str | None
    provenance: str
    fault_kind: str | None
    fault_message: str | None
    price_id: str | None
    input_cost_pico: int | None
    output_cost_pico: int | None
    cost_pico: int | None


class CallRow(Struct, frozen=True, kw_only=True):
    call_id: str
    process_id: str
    received_ns: int
    duration_ns: int | None
    first_token_ns: int | None
    format: str
    request_type: str
    endpoint_id: str | None
    endpoint: str | None
    experiment_id: str | None
    model: str | None
    stream: bool
    caller_id: str | None
    caller: str | None
    agent: str | None
    request_bytes: int
    status: str
    http_status: int | None
    fault_kind: str | None
    fault_message: str | None
    owner: str | None
    team: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost_pico: int | None
    unpriced: int | None
    estimated: int | None
    attempts: tuple[AttemptRow, ...]


def completeness(connection: Connection) -> list[Process]:
    """Each process that ever wrote, oldest first."""
    gaps: dict[str, list[tuple[int, int]]] = {}
    for row in connection.execute(sa.select(journal_gaps).order_by(journal_gaps.c.process_id, journal_gaps.c.first_seq)):
        gaps.setdefault(row.process_id, []).append((row.first_seq, row.last_seq))
    counting = sa.select(open_calls.c.process_id, sa.func.count()).group_by(open_calls.c.process_id)
    waiting: dict[str, int] = {row[0]: row[1] for row in connection.execute(counting)}
    return [
        Process(
            process_id=row.process_id,
            state=row.state,
            segment=row.segment,
            offset=row.byte_offset,
            last_seq=row.last_seq,
            records=row.records,
            duplicates=row.duplicates,
            gaps=tuple(gaps.get(row.process_id, ())),
            open_calls=waiting.get(row.process_id, 0),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for row in connection.execute(sa.select(journals).order_by(journals.c.created_at, journals.c.process_id))
    ]


def open_(connection: Connection) -> int:
    """How many calls have begun and are not settled, as far as was drained."""
    return connection.execute(sa.select(sa.func.count()).select_from(open_calls)).scalar_one()


def calls(
    connection: Connection,
    *,
    endpoint: str | None = None,
    endpoint_ids: Collection[str] | None = None,
    status: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    max_results: int | None = None,
    page_token: str | None = None,
) -> tuple[list[CallRow], str | None]:
    """Newest first. `endpoint_ids`: of those alone."""
    size = PAGE if max_results is None else max_results
    if not 1 <= size <= PAGE_LIMIT:
        raise Invalid(f"Invalid value for max_results: {size}. It must be at least 1 and at most {PAGE_LIMIT}.")
    query = sa.select(table)
    if endpoint_ids is not None:
        query = query.where(table.c.endpoint_id.in_(sorted(endpoint_ids)))
    if endpoint is not None:
        query = query.where(table.c.endpoint == endpoint)
    if status is not None:
        query = query.where(table.c.status == status)
    if since_ms is not None:
        query = query.where(table.c.received_ns >= since_ms * 1_000_000)
    if until_ms is not None:
        query = query.where(table.c.received_ns < until_ms * 1_000_000)
    orders = [
        paging.Order(table.c.received_ns, "received", descending=True),
        paging.Order(table.c.call_id, "call_id", descending=True),
    ]
    rows, token = paging.Page(orders, ("calls", endpoint, status, since_ms, until_ms)).rows(connection, query, size, page_token)
    return _with_attempts(connection, rows), token


def call(connection: Connection, call_id: str) -> CallRow:
    found = _with_attempts(connection, connection.execute(sa.select(table).where(table.c.call_id == call_id)).all())
    if not found:
        raise NotFound(f"Call '{call_id}' not found")
    return found[0]


_ATTEMPT = AttemptRow.__struct_fields__
_CALL = [field for field in CallRow.__struct_fields__ if field not in ("attempts", "experiment_id", "stream")]


def _with_attempts(connection: Connection, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[CallRow]:
    tried: dict[str, list[AttemptRow]] = {}
    for some in paging.chunks([row.call_id for row in rows]):
        query = sa.select(attempts).where(attempts.c.call_id.in_(some)).order_by(attempts.c.call_id, attempts.c.attempt_no)
        for row in connection.execute(query):
            tried.setdefault(row.call_id, []).append(AttemptRow(**{field: getattr(row, field) for field in _ATTEMPT}))
    return [
        CallRow(
            **{field: getattr(row, field) for field in _CALL},
            experiment_id=None if row.experiment_id is None else str(row.experiment_id),
            stream=bool(row.stream),
            attempts=tuple(tried.get(row.call_id, ())),
        )
        for row in rows
    ]
