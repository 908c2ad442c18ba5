"""Traces over MLflow's REST: rows of the store, made readable by `record.spans`, made JSON by `messages`."""

from collections.abc import Sequence

from ...exchange import Content
from ...record import spans as derived
from ...store import traces as store
from ...store.deletion import Criteria
from ...store.faults import NotFound
from .. import retention
from ..desk import Desk
from ..policy import Policy
from .messages import (
    BatchGetTraces,
    DeleteTraces,
    DeleteTraceTag,
    ExperimentLocation,
    GetTrace,
    GetTraceInfo,
    LocationType,
    Nothing,
    SearchTraces,
    SetTraceTag,
    SpanEvent,
    SpanInfo,
    SpanStatus,
    Trace,
    TraceInfo,
    TraceInfosReply,
    TraceLocation,
    TraceReply,
    TracesDeleted,
    TraceSearchReply,
    TracesReply,
)
from .notation import Malformed, attributes, base64_of, duration, instant
from .operations import Operation

PATIENCE = 60.0  # s that one request deletes; mlflow's client waits for 120
LATEST = 9_000_000_000_000  # ms; whatever is later is all


def search(desk: Desk, ask: SearchTraces) -> TraceSearchReply:
    with desk.read() as connection:
        rows, token = store.search(
            connection,
            experiment_ids=[named for named in _experiments(ask.locations) if desk.caller.may_see(named)],
            endpoint_ids=desk.caller.endpoints,
            filter=ask.filter or None,
            order_by=list(ask.order_by or ()),
            max_results=ask.max_results,
            page_token=ask.page_token or None,
        )
    return TraceSearchReply(traces=[_info(row) for row in rows], next_page_token=token)


def get_info(desk: Desk, ask: GetTraceInfo) -> TraceReply:
    with desk.read() as connection:
        return TraceReply(trace=Trace(trace_info=_info(_seen(desk, store.get(connection, ask.trace_id)))))


def get(desk: Desk, ask: GetTrace) -> TraceReply:
    """`allow_partial` makes no difference: a trace is here when it is whole."""
    with desk.read() as connection:
        row = _seen(desk, store.get(connection, ask.trace_id))
        content = store.content(connection, [ask.trace_id]).get(ask.trace_id)
    return TraceReply(trace=_trace(row, content))


def batch(desk: Desk, ask: BatchGetTraces) -> TracesReply:
    with desk.read() as connection:
        rows = [row for row in store.batch(connection, ask.trace_ids or ()) if _sees(desk, row)]
        contents = store.content(connection, [row.trace_id for row in rows])
    return TracesReply(traces=[_trace(row, contents.get(row.trace_id)) for row in rows])


def batch_infos(desk: Desk, ask: BatchGetTraces) -> TraceInfosReply:
    with desk.read() as connection:
        return TraceInfosReply(trace_infos=[_info(row) for row in store.batch(connection, ask.trace_ids or ()) if _sees(desk, row)])


def set_tag(desk: Desk, ask: SetTraceTag) -> Nothing:
    with desk.write_quietly() as connection:
        _seen(desk, store.get(connection, ask.trace_id))
        store.set_tag(connection, ask.trace_id, ask.key, ask.value or "")
    return Nothing()


def delete_tag(desk: Desk, ask: DeleteTraceTag) -> Nothing:
    with desk.write_quietly() as connection:
        _seen(desk, store.get(connection, ask.trace_id))
        store.delete_tag(connection, ask.trace_id, ask.key)
    return Nothing()


def _sees(desk: Desk, row: store.TraceRow) -> bool:
    return desk.caller.may_see(row.experiment_id) and desk.caller.may_read(row.endpoint_id)


def _seen(desk: Desk, row: store.TraceRow) -> store.TraceRow:
    if not _sees(desk, row):
        raise NotFound(f"Trace with ID '{row.trace_id}' not found.")
    return row


def delete(desk: Desk, ask: DeleteTraces) -> TracesDeleted:
    """By ids, or all up to a time, of one experiment. What of it is too much for one request, the next one deletes."""
    if (ask.max_timestamp_millis is None) == (not ask.request_ids):
        raise Malformed("Specify either `max_timestamp_millis` or `request_ids`, and not both.")
    if ask.max_traces is not None and (ask.request_ids or ask.max_traces < 1):
        raise Malformed("`max_traces` is at least 1, and is specified with `max_timestamp_millis` alone.")
    experiment_id = ask.experiment_id
    if not (experiment_id.isascii() and experiment_id.isdigit() and len(experiment_id) <= 18 and desk.caller.may_see(experiment_id)):
        return TracesDeleted(traces_deleted=0)
    criteria = Criteria(
        experiment_ids=(int(experiment_id),),
        endpoint_ids=desk.caller.endpoints,
        trace_ids=ask.request_ids or None,
        before_ms=None if ask.max_timestamp_millis is None else min(int(ask.max_timestamp_millis), LATEST) + 1,
    )
    deleted, _ = retention.delete(desk.read, desk.write_quietly, criteria, most=ask.max_traces, seconds=PATIENCE)
    desk.database.forget()
    return TracesDeleted(traces_deleted=deleted)


def _experiments(locations: Sequence[TraceLocation]) -> list[str]:
    if any(location.mlflow_experiment is None for location in locations):
        raise Malformed("Invalid value for parameter 'locations': traces are found by MLFLOW_EXPERIMENT here, nothing else.")
    return [location.mlflow_experiment.experiment_id for location in locations if location.mlflow_experiment is not None]


def _info(row: store.TraceRow, spans: Sequence[derived.Span] = ()) -> TraceInfo:
    info = derived.trace_info(
        row.exchange,
        request_preview=row.request_preview,
        response_preview=row.response_preview,
        experiment_id=row.experiment_id,
        session_id=row.session_id,
        user_id=row.user_id,
        tags=row.tags,
        metadata=row.metadata,
        spans=spans,
        costs=row.costs,
    )
    return TraceInfo(
        trace_id=info.trace_id,
        trace_location=TraceLocation(
            type=LocationType.MLFLOW_EXPERIMENT, mlflow_experiment=ExperimentLocation(experiment_id=info.experiment_id)
        ),
        request_time=instant(info.request_time // 1_000_000),
        execution_duration=duration(info.duration // 1_000_000),
        state=info.state,
        trace_metadata=dict(info.metadata),
        tags=dict(info.tags),
        request_preview=info.request_preview,
        response_preview=info.response_preview,
    )


def _trace(row: store.TraceRow, content: Content | None) -> Trace:
    spans = derived.spans(row.exchange, content, experiment_id=row.experiment_id, costs=row.costs)
    return Trace(trace_info=_info(row, spans), spans=[_span(span) for span in spans])


def _span(span: derived.Span) -> SpanInfo:
    return SpanInfo(
        trace_id=base64_of(span.trace_id),
        span_id=base64_of(span.span_id),
        parent_span_id=None if span.parent_id is None else base64_of(span.parent_id),
        name=span.name,
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=attributes(span.attributes),
        events=[SpanEvent(time_unix_nano=event.time, name=event.name, attributes=attributes(event.attributes)) for event in span.events],
        status=SpanStatus(code=f"STATUS_CODE_{span.status}", message=span.description or None),
    )


BASE = "/3.0/mlflow/traces"
TAGS = f"{BASE}/{{trace_id}}/tags"
OLDER_TAGS = "/2.0/mlflow/traces/{trace_id}/tags"
OLDER_DELETE = "/2.0/mlflow/traces/delete-traces"
OPERATIONS = (
    Operation("POST", f"{BASE}/search", SearchTraces, search, Policy.viewer),
    Operation("POST", f"{BASE}/delete-traces", DeleteTraces, delete, Policy.admin),
    Operation("POST", OLDER_DELETE, DeleteTraces, delete, Policy.admin),  # where the client sends it
    Operation("GET", f"{BASE}/get", GetTrace, get, Policy.viewer),
    Operation("GET", f"{BASE}/batchGet", BatchGetTraces, batch, Policy.viewer),
    Operation("POST", f"{BASE}/batchGetInfos", BatchGetTraces, batch_infos, Policy.viewer),
    Operation("GET", f"{BASE}/{{trace_id}}", GetTraceInfo, get_info, Policy.viewer),  # after the words that it would take for an id
    Operation("PATCH", TAGS, SetTraceTag, set_tag, Policy.developer),
    Operation("DELETE", TAGS, DeleteTraceTag, delete_tag, Policy.developer),
    Operation("PATCH", OLDER_TAGS, SetTraceTag, set_tag, Policy.developer),  # where the client sends them
    Operation("DELETE", OLDER_TAGS, DeleteTraceTag, delete_tag, Policy.developer),
)
