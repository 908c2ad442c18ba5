"""Traces as they were kept: found by MLflow's filters, paged by keyset. Lists never read what was said; `content` does."""

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..exchange import Content, Exchange
from ..prices.cost import Cost
from . import filters, fulltext, limits, paging
from .experiments import put
from .faults import Invalid, NotFound
from .packing import unpacked, unpacked_exchange
from .schema import attempts, calls, contents, trace_metadata, trace_tags
from .schema import traces as table

PAGE = 100
PAGE_LIMIT = 500  # MLflow's
# Traces that are taken one by one rather than gone through in the order of time: 0.1 s from a warm cache. Those that an index of texts
# gives lie in the order of time too, so there may be more of them.
FEW, FEW_TEXTS = 4_000, 40_000
# Traces whose previews are read at once where no index helps, 0.1 s from a cold disk; a page goes on to the next ones for PATIENCE seconds.
STRETCH, PATIENCE = 5_000, 0.2
APART = 150  # experiments that are searched one by one


def _of_call(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """What the ledger says of the trace's call."""
    return sa.select(column).where(calls.c.call_id == table.c.call_id).scalar_subquery()


# Metadata and tags that `record.spans` derives, and where they come from: no row is kept of these.
_METADATA: dict[str, sa.ColumnElement[Any]] = {
    "mlflow.gateway.endpointId": table.c.endpoint_id,
    "mlflow.gateway.requestType": table.c.request_type,
    "mlflow.gateway.caller": table.c.caller,
    "mlflow.auth.username": table.c.username,
    "mlflow.auth.userId": _of_call(calls.c.caller_id),
    "mlflow.trace.session": table.c.session_id,
    "mlflow.trace.user": table.c.user_id,
    "mlflow.traceInputs": table.c.request_preview,
    "mlflow.traceOutputs": table.c.response_preview,
    "mlflow.trace_schema.version": sa.literal("3"),
    "mlflow.trace.infoFinalized": sa.literal("true"),
    "spangate.call_id": table.c.call_id,
    "spangate.status": _of_call(calls.c.status),
    "spangate.http_status": _of_call(sa.cast(calls.c.http_status, sa.String(16))),
}
_TAGS: dict[str, sa.ColumnElement[Any]] = {
    "mlflow.traceName": table.c.name,
    "mlflow.trace.spansLocation": sa.literal("TRACKING_STORE"),
}
_PAIRS = {"tag": (_TAGS, trace_tags), "metadata": (_METADATA, trace_metadata)}
# What is compared with previews, which have an index over their parts.
_PREVIEWS = {("attribute", "text"), ("metadata", "mlflow.traceInputs"), ("metadata", "mlflow.traceOutputs")}
# The time itself, and what has an index in its order where it is one value.
_TIME = {("attribute", "timestamp"), ("attribute", "timestamp_ms")}
_INDEXED = {
    *_TIME,
    *(("attribute", key) for key in ("status", "state", "name")),
    *(
        ("metadata", f"mlflow.{key}")
        for key in ("gateway.endpointId", "gateway.requestType", "auth.username", "trace.session", "trace.user")
    ),
}
# Attributes that MLflow keeps as metadata or tags of its own.
_ELSEWHERE = {"run_id": ("metadata", "mlflow.sourceRun"), "prompt": ("tag", "mlflow.linkedPrompts")}

_TEXTS: dict[str, sa.ColumnElement[str]] = {
    "request_id": table.c.trace_id,
    "trace_id": table.c.trace_id,
    "status": table.c.state,
    "state": table.c.state,
    "name": table.c.name,
}
_PLAIN: dict[str, sa.ColumnElement[int]] = {
    "timestamp": table.c.request_time_ms,
    "execution_time": table.c.duration_ms + 0,  # no index is used for it here: how few it leaves is found out before
    "end_time": table.c.request_time_ms + table.c.duration_ms,
}
_DURATION = ("execution_time", "execution_time_ms")
_NUMBERS = _PLAIN | {f"{key}_ms": column for key, column in _PLAIN.items()}


class TraceRow(Struct, frozen=True, kw_only=True):
    """A trace as the store has it. `tags` and `metadata` are those that cannot be derived from `exchange`."""

    trace_id: str
    experiment_id: str
    call_id: str
    name: str
    state: str
    request_time_ms: int
    duration_ms: int | None
    request_preview: str | None
    response_preview: str | None
    endpoint_id: str | None
    request_type: str | None
    caller: str | None
    session_id: str | None
    user_id: str | None
    exchange: Exchange
    tags: dict[str, str]
    metadata: dict[str, str]
    costs: dict[int, Cost] = {}  # of its attempts, by their numbers, as the ledger has them now


def search(
    connection: Connection,
    *,
    experiment_ids: Sequence[str],
    endpoint_ids: Collection[str] | None = None,
    filter: str | None = None,
    order_by: Sequence[str] = (),
    max_results: int | None = None,
    page_token: str | None = None,
) -> tuple[list[TraceRow], str | None]:
    """Newest first, if not asked otherwise. Without experiments there is nothing to find. `endpoint_ids`: only what was called there."""
    size = PAGE if max_results is None else max_results
    if not 1 <= size <= PAGE_LIMIT:
        raise Invalid(f"Invalid value for max_results: {size}. It must be at least 1 and at most {PAGE_LIMIT}.")
    numbers = sorted({int(text) for text in experiment_ids if text.isascii() and text.isdigit() and len(text) <= 18})
    comparisons = filters.parse(filter or "")
    orders: list[paging.Order] = []
    for clause in order_by:
        orders += _orders(clause)
    orders.append(paging.Order(table.c.request_time_ms, "timestamp_ms", descending=True))
    orders.append(paging.Order(table.c.trace_id, "request_id", descending=True))
    page = paging.Page(orders, ("traces", numbers, filter))
    conditions = [] if endpoint_ids is None else [table.c.endpoint_id.in_(sorted(endpoint_ids))]
    queries, few = searches(connection, numbers, comparisons, conditions)
    if few or page.by != "timestamp_ms" or not any(_is_of_previews(_placed(comparison)) for comparison in comparisons):
        found, token = page.merged(connection, queries, size, page_token)
    else:
        found, token = _walked(connection, page, queries, ways(connection, numbers, comparisons), size, page_token)
    return batch(connection, [row.trace_id for row in found]), token


def _walked(
    connection: Connection,
    page: paging.Page,
    queries: Sequence[sa.Select[str]],
    ways: Sequence[sa.Select[str]],
    size: int,
    token: str | None,
) -> tuple[Sequence[sa.Row[Any]], str | None]:
    """A page of what no index finds: previews are read, stretch by stretch, until it is full or has taken its time.

    So it may be short, or empty, and yet have a token: the next page goes on where this one ended.
    """
    began = time.monotonic()
    found: list[sa.Row[Any]] = []
    while True:
        end = page.stretch(connection, ways, STRETCH, token)
        found += page.first(connection, queries, size + 1 - len(found), token, end)
        if end is None or len(found) > size:
            return page.cut(found, size)
        token = end
        if time.monotonic() - began >= PATIENCE:
            return found, token


def ways(connection: Connection, experiment_ids: Sequence[int], comparisons: Sequence[filters.Comparison]) -> list[sa.Select[str]]:
    """All traces that a search goes through, in each experiment, or in all of them: what an index alone leaves."""
    placed = (_placed(comparison) for comparison in comparisons)
    narrow = [
        _condition(connection.dialect.name, comparison)
        for comparison in placed
        if (comparison.entity, comparison.key) in (_INDEXED if comparison.op == "=" else _TIME)
    ]
    query = sa.select(table.c.trace_id).where(*narrow)
    if 0 < len(experiment_ids) <= APART:
        return [query.where(table.c.experiment_id == experiment_id) for experiment_id in experiment_ids]
    return [query.where(table.c.experiment_id.in_(experiment_ids))]


def searches(
    connection: Connection,
    experiment_ids: Sequence[int],
    comparisons: Sequence[filters.Comparison],
    conditions: Iterable[sa.ColumnElement[bool]] = (),
) -> tuple[list[sa.Select[str]], bool]:
    """Ids of traces over the experiments, put so that every database goes through few rows for one page of the newest.

    Where a comparison alone leaves few traces, they are taken and looked at: then True. Else all are gone through in the order of an
    index, which may be a long way, but not for one page: matches are near.
    """
    comparisons = [_placed(comparison) for comparison in comparisons]
    held = (_condition(connection.dialect.name, comparison) for comparison in comparisons)
    query = sa.select(table.c.trace_id).where(*held, *conditions)
    # Plus zero: the indexes that begin with the experiment are not to be used.
    in_any_order = query.where((table.c.experiment_id + 0).in_(experiment_ids))
    for comparison in comparisons:
        if _is_of_previews(comparison) and fulltext.is_rare(connection, _condition(connection.dialect.name, comparison), FEW_TEXTS):
            return [in_any_order], True
        some = _matching(connection, comparison)
        few = None if some is None else _if_few(connection, some, FEW_TEXTS if _is_of_previews(comparison) else FEW)
        if few is not None:
            return [in_any_order.where(table.c.trace_id.in_(few))], True
    if 0 < len(experiment_ids) <= APART:
        return [query.where(_within(connection, experiment_id, comparisons)) for experiment_id in experiment_ids], False
    return [query.where(table.c.experiment_id.in_(experiment_ids))], False


def conditions(connection: Connection, comparisons: Sequence[filters.Comparison]) -> list[sa.ColumnElement[bool]]:
    """The comparisons, each as what holds for a trace."""
    return [_condition(connection.dialect.name, _placed(comparison)) for comparison in comparisons]


def get(connection: Connection, trace_id: str) -> TraceRow:
    found = batch(connection, [trace_id])
    if not found:
        raise NotFound(f"Trace with ID '{trace_id}' not found.")
    return found[0]


def batch(connection: Connection, ids: Iterable[str]) -> list[TraceRow]:
    """Those of `ids` that there are, in the order asked for."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, TraceRow] = {}
    for some in paging.chunks(wanted):
        rows = connection.execute(sa.select(table).where(table.c.trace_id.in_(some))).all()
        found |= {row.trace_id: row for row in _traces(connection, rows)}
    return [found[trace_id] for trace_id in wanted if trace_id in found]


def content(connection: Connection, ids: Iterable[str]) -> dict[str, Content]:
    """What was said, by trace id, where it was kept."""
    found: dict[str, Content] = {}
    for some in paging.chunks(list(dict.fromkeys(ids))):
        for row in connection.execute(sa.select(contents).where(contents.c.trace_id.in_(some))):
            found[row.trace_id] = Content(
                request=None if row.request is None else unpacked(row.request),
                response=None if row.response is None else unpacked(row.response),
                request_truncated=bool(row.request_truncated),
                response_truncated=bool(row.response_truncated),
            )
    return found


def set_tag(connection: Connection, trace_id: str, key: str, value: str) -> None:
    """A person's own tag. What the gateway wrote itself cannot be changed this way."""
    _taggable(connection, trace_id, key)
    limits.given(value, "value", limits.TRACE_TAG, empty=True)
    put(connection, trace_tags, {"trace_id": trace_id, "key": key}, value)


def delete_tag(connection: Connection, trace_id: str, key: str) -> None:
    _taggable(connection, trace_id, key)
    condition = (trace_tags.c.trace_id == trace_id) & (trace_tags.c.key == key)
    if connection.execute(trace_tags.delete().where(condition)).rowcount == 0:
        raise NotFound(f"No tag with name: {key} in trace with ID {trace_id}")


# ---------------------------------------------------------------- inside


def _taggable(connection: Connection, trace_id: str, key: str) -> None:
    limits.given(key, "key", limits.TAG_KEY)
    if key in _TAGS:
        raise Invalid(f"The tag '{key}' was written by the gateway and cannot be changed")
    # Takes the row: two who set the same tag follow one another.
    if connection.execute(table.update().where(table.c.trace_id == trace_id).values(name=table.c.name)).rowcount == 0:
        raise NotFound(f"Trace with ID '{trace_id}' not found.")


def _within(connection: Connection, experiment_id: int, comparisons: Sequence[filters.Comparison]) -> sa.ColumnElement[bool]:
    """What narrows a search down to one experiment, and to what is slow there if that is asked for and little."""
    here = table.c.experiment_id == experiment_id
    for comparison in comparisons:
        if comparison.entity == "attribute" and comparison.key in _DURATION and comparison.op in (">", ">=", "=", "<=", "<"):
            few = _if_few(connection, sa.select(table.c.trace_id).where(here, filters.number(table.c.duration_ms, comparison)), FEW)
            if few is not None:
                return table.c.trace_id.in_(few)
    return here


def _if_few(connection: Connection, ids: sa.Select[str], most: int) -> sa.Select[str] | None:
    """The same ids if there are so many at most. The limit stays in it: a planner that does not know how few they are then does."""
    some = ids.limit(most + 1).subquery()
    few = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() <= most
    return sa.select(some.c.trace_id) if few else None


def _matching(connection: Connection, comparison: filters.Comparison) -> sa.Select[str] | None:
    """Ids of all traces that a comparison may hold for, in whichever experiment; None: no index says so."""
    entity, key = comparison.entity, comparison.key
    if _is_of_previews(comparison):
        return fulltext.candidates(connection, comparison)
    if entity not in _PAIRS or key in _PAIRS[entity][0] or comparison.op in ("IS NULL", "!=", "NOT IN"):
        return None
    rows = _PAIRS[entity][1]
    return filters.owners(connection.dialect.name, rows, rows.c.trace_id, comparison)


def _is_of_previews(comparison: filters.Comparison) -> bool:
    return (comparison.entity, comparison.key) in _PREVIEWS


def _placed(comparison: filters.Comparison) -> filters.Comparison:
    """As a comparison with what MLflow keeps it as."""
    entity, key = comparison.entity, comparison.key
    if entity == "attribute":
        entity, key = _ELSEWHERE.get(key, (entity, key))
    return filters.Comparison(entity, key, comparison.op, comparison.value)


def _condition(dialect: str, comparison: filters.Comparison) -> sa.ColumnElement[bool]:
    entity, key = comparison.entity, comparison.key
    match entity:
        case "attribute":
            if key in _NUMBERS:
                return filters.number(_NUMBERS[key], comparison)
            if key in _TEXTS:
                # Most traces are well: SQLite is not to go by that if there is anything else to go by.
                well = dialect == "sqlite" and comparison.op == "=" and comparison.value == "OK"
                return filters.text(dialect, _TEXTS[key].concat("") if well else _TEXTS[key], comparison)
            if key == "text":
                return sa.or_(
                    *(filters.text(dialect, column, comparison) for column in (table.c.request_preview, table.c.response_preview))
                )
            known = ", ".join(sorted({*_NUMBERS, *_TEXTS, *_ELSEWHERE, "text"}))
            raise Invalid(f"Invalid attribute key '{key}' specified. Valid keys are {known}.")
        case "tag" | "metadata":
            columns, rows = _PAIRS[entity]
            if key in columns:
                return filters.text(dialect, columns[key], comparison)
            return filters.tagged(dialect, rows, rows.c.trace_id == table.c.trace_id, comparison)
        case _:
            raise Invalid(f"Filters on {entity} are not available here. Use attributes, tags or metadata.")


def _orders(clause: str) -> list[paging.Order]:
    entity, key, descending = filters.parse_order(clause)
    if entity == "attribute" and key in _ELSEWHERE:
        entity, key = _ELSEWHERE[key]
    if entity == "attribute" and key == "experiment_id":
        return [paging.Order(table.c.experiment_id, "experiment_id", descending=descending)]
    if entity == "attribute" and (key in _NUMBERS or key in _TEXTS):
        name = {"trace_id": "request_id", "state": "status"}.get(key, f"{key}_ms" if key in _PLAIN else key)
        if key in _TEXTS or name == "timestamp_ms":
            return [paging.Order((_TEXTS | _NUMBERS)[key], name, descending=descending)]
        return _last_if_null(_NUMBERS[key], 0, name, descending)
    if entity in ("tag", "metadata"):
        columns, rows = _PAIRS[entity]
        value: sa.ColumnElement[Any] = (
            columns[key]
            if key in columns
            else sa.select(rows.c.value).where(rows.c.trace_id == table.c.trace_id, rows.c.key == key).scalar_subquery()
        )
        return _last_if_null(value, "", f"{entity}.{key}", descending)
    raise Invalid(f"Invalid order_by clause '{clause}'. Traces are ordered by attributes, tags and metadata.")


def _last_if_null(value: sa.ColumnElement[Any], neutral: object, name: str, descending: bool) -> list[paging.Order]:
    """What has no value comes last, whatever the direction and the database."""
    return [
        paging.Order(sa.case((value.is_(None), 1), else_=0), f"{name} is null", descending=False),
        paging.Order(sa.func.coalesce(value, neutral), name, descending=descending),
    ]


def _traces(connection: Connection, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[TraceRow]:
    ids = [row.trace_id for row in rows]
    tags = _pairs(connection, trace_tags, ids)
    metadata = _pairs(connection, trace_metadata, ids)
    costs = _costs(connection, [row.call_id for row in rows])
    return [
        TraceRow(
            trace_id=row.trace_id,
            experiment_id=str(row.experiment_id),
            call_id=row.call_id,
            name=row.name,
            state=row.state,
            request_time_ms=row.request_time_ms,
            duration_ms=row.duration_ms,
            request_preview=row.request_preview,
            response_preview=row.response_preview,
            endpoint_id=row.endpoint_id,
            request_type=row.request_type,
            caller=row.caller,
            session_id=row.session_id,
            user_id=row.user_id,
            exchange=unpacked_exchange(row.exchange),
            tags=tags.get(row.trace_id, {}),
            metadata=metadata.get(row.trace_id, {}),
            costs=costs.get(row.call_id, {}),
        )
        for row in rows
    ]


def _costs(connection: Connection, call_ids: Sequence[str]) -> dict[str, dict[int, Cost]]:
    found: dict[str, dict[int, Cost]] = {}
    columns = attempts.c
    query = sa.select(columns.call_id, columns.attempt_no, columns.price_id, columns.input_cost_pico, columns.output_cost_pico)
    for some in paging.chunks(call_ids):
        for row in connection.execute(query.where(columns.call_id.in_(some), columns.price_id.is_not(None))):
            cost = Cost(price_id=row.price_id, input=row.input_cost_pico, output=row.output_cost_pico)
            found.setdefault(row.call_id, {})[row.attempt_no] = cost
    return found


def _pairs(connection: Connection, pairs: sa.Table, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for some in paging.chunks(ids):
        for row in connection.execute(sa.select(pairs).where(pairs.c.trace_id.in_(some)).order_by(pairs.c.key)):
            found.setdefault(row.trace_id, {})[row.key] = row.value
    return found
