"""Conversations: traces that their clients said belong together. Found by their newest trace, the one that was spoken in last first.

There is no row for a conversation: the traces are gone through from the newest on, and each that has a later one in its conversation
is passed over. So a page costs the traces since its last conversation was spoken in, however many there are.
"""

from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from . import filters, limits, paging, traces
from .faults import Invalid, NotFound
from .filters import Comparison
from .finding import NEWEST_FIRST, Scope, experiments_between, visible
from .schema import calls
from .schema import traces as table

PAGE = 50
PAGE_LIMIT = 200
TURNS = 20  # of one answer, each with two bodies of up to a megabyte
TURNS_LIMIT = 25
COUNTED = 500  # traces of one conversation that its figures are of
FEW = 40_000  # traces with a conversation that are taken at once: 0.1 s
FEW_NAMES = 500  # conversations that are looked at one by one


class Question(Scope, frozen=True, kw_only=True):
    session_id: str | None = None
    user: str | None = None
    text: str = ""  # a part of the id, as it is written
    since_ms: int | None = None  # in this range it was spoken in
    until_ms: int | None = None


class Session(Struct, frozen=True, kw_only=True):
    """What may be seen of a conversation. Counts and sums are of its newest `COUNTED` traces; `more`: there are others."""

    session_id: str
    last: traces.TraceRow  # of those that the question is about
    first_ms: int
    last_ms: int
    traces: int
    more: bool
    errors: int
    users: tuple[str, ...]
    endpoints: tuple[str, ...]  # by the names of then
    experiment_ids: tuple[str, ...]
    input_tokens: int | None
    output_tokens: int | None
    cost_pico: int | None
    unpriced: int  # attempts
    estimated: int


def find(
    connection: Connection, question: Question, *, max_results: int = PAGE, page_token: str | None = None
) -> tuple[list[Session], str | None]:
    if not 1 <= max_results <= PAGE_LIMIT:
        raise Invalid(f"Invalid value for max_results: {max_results}. It must be at least 1 and at most {PAGE_LIMIT}.")
    for value in (*question.experiment_ids, question.session_id or "", question.user or "", question.text):
        limits.given(value, "filter", limits.EXPERIMENT_NAME, empty=True)
    page = paging.Page(NEWEST_FIRST, ("sessions", msgspec.structs.replace(question, among=None, endpoint_ids=None)))
    queries = _searches(connection, question)
    found = page.first(connection, queries, max_results + 1, page_token) if queries else ()
    rows, token = page.cut(found, max_results)
    newest = traces.batch(connection, [row.trace_id for row in rows])
    return [_session(connection, question, row) for row in newest if row.session_id is not None], token


def turns(
    connection: Connection, question: Question, session_id: str, *, max_results: int = TURNS, page_token: str | None = None
) -> tuple[list[traces.TraceRow], str | None]:
    """The traces of a conversation, the oldest first. Of the question, only what may be seen is heeded."""
    if not 1 <= max_results <= TURNS_LIMIT:
        raise Invalid(f"Invalid value for max_results: {max_results}. It must be at least 1 and at most {TURNS_LIMIT}.")
    orders = [paging.Order(order.expression, order.name, descending=False) for order in NEWEST_FIRST]
    query = sa.select(table.c.trace_id).where(table.c.session_id == session_id, *visible(table, question))
    rows, token = paging.Page(orders, ("turns", session_id)).rows(connection, query, max_results, page_token)
    if not rows:
        raise NotFound(f"There is no conversation '{session_id[:200]}'.")
    return traces.batch(connection, [row.trace_id for row in rows]), token


# ---------------------------------------------------------------- inside


def _searches(connection: Connection, question: Question) -> list[sa.Select[Any]]:
    later = table.alias("later")
    newest = (
        sa.select(later.c.trace_id)
        .where(later.c.session_id == table.c.session_id, *visible(later, question), *_asked(later, question))
        .order_by(later.c.request_time_ms.desc(), later.c.trace_id.desc())
        .limit(1)
    )
    query = sa.select(table.c.trace_id).where(*_asked(table, question), table.c.trace_id == newest.scalar_subquery())
    if question.text:
        part = Comparison("attribute", "q", "LIKE", f"%{question.text.replace('%', '_')}%")
        named = filters.text(connection.dialect.name, table.c.session_id, part)
        ids = connection.execute(sa.select(table.c.session_id).where(named).distinct().limit(FEW_NAMES + 1)).scalars().all()
        if len(ids) <= FEW_NAMES:
            return [query.where(table.c.session_id.in_(ids), *visible(table, question))]
        query = query.where(named)
    in_any_order = query.where(*visible(table, question))
    if question.session_id is not None:
        return [in_any_order]
    query = query.where(table.c.session_id.is_not(None))
    some = sa.select(table.c.trace_id).where(table.c.session_id.is_not(None)).limit(FEW + 1).subquery()
    if connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() <= FEW:
        return [in_any_order.where(table.c.trace_id.in_(sa.select(some.c.trace_id)))]
    if question.endpoint_ids is not None:
        query = query.where(table.c.endpoint_id.in_(sorted(question.endpoint_ids)))
    spans = experiments_between(connection, question.experiment_ids, question.among, question.since_ms, question.until_ms)
    apart = [span.experiment_id for span in spans]
    if len(apart) > traces.APART:
        return [query.where(table.c.experiment_id.in_(apart))]
    return [query.where(table.c.experiment_id == experiment_id) for experiment_id in apart]


def _asked(rows: sa.FromClause, question: Question) -> list[sa.ColumnElement[bool]]:
    asked: list[sa.ColumnElement[bool]] = []
    if question.session_id is not None:
        asked.append(rows.c.session_id == question.session_id)
    if question.user is not None:
        asked.append(rows.c.user_id == question.user)
    if question.since_ms is not None:
        asked.append(rows.c.request_time_ms >= question.since_ms)
    if question.until_ms is not None:
        asked.append(rows.c.request_time_ms < question.until_ms)
    return asked


def _session(connection: Connection, question: Question, last: traces.TraceRow) -> Session:
    assert last.session_id is not None
    when = table.c.request_time_ms
    own = (table.c.session_id == last.session_id, *visible(table, question))
    query = (
        sa.select(when, table.c.user_id, table.c.experiment_id, *_OF_CALL)
        .select_from(table.outerjoin(calls, calls.c.call_id == table.c.call_id))
        .where(*own)
        .order_by(when.desc(), table.c.trace_id.desc())
    )
    rows = connection.execute(query.limit(COUNTED + 1)).all()
    more, rows = len(rows) > COUNTED, rows[:COUNTED]
    first = connection.execute(sa.select(when).where(*own).order_by(when).limit(1)).scalar_one() if more else rows[-1].request_time_ms

    def added(name: str) -> int | None:
        said = [count for row in rows if (count := getattr(row, name)) is not None]
        return sum(said) if said else None

    def told(name: str) -> tuple[str, ...]:
        """The latest first."""
        return tuple(dict.fromkeys(str(value) for row in rows if (value := getattr(row, name)) is not None))

    return Session(
        session_id=last.session_id,
        last=last,
        first_ms=first,
        last_ms=rows[0].request_time_ms,
        traces=len(rows),
        more=more,
        errors=sum(row.state != "OK" for row in rows),
        users=told("user_id"),
        endpoints=told("endpoint"),
        experiment_ids=told("experiment_id"),
        input_tokens=added("input_tokens"),
        output_tokens=added("output_tokens"),
        cost_pico=added("cost_pico"),
        unpriced=added("unpriced") or 0,
        estimated=added("estimated") or 0,
    )


# Without the call, whose period may be shorter, only its tokens and its cost are not known.
_OF_CALL = (
    table.c.state,
    calls.c.endpoint,
    calls.c.input_tokens,
    calls.c.output_tokens,
    calls.c.cost_pico,
    calls.c.unpriced,
    calls.c.estimated,
)
