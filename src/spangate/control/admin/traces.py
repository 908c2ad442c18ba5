"""Traces over HTTP, as a person looks through them: a list with what each call came to, newest first, and all of one."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from ...exchange import LEFT_OUT, METADATA, AttemptRecord, Content, Exchange, Status
from ...exchange import Fault as Recorded
from ...prices.cost import Cost, usd
from ...record import spans as derived
from ...store import arrivals, finding
from ...store import traces as store
from ...store.faults import Invalid, NotFound
from ...store.finding import Question
from ...store.traces import TraceRow as Stored
from ...wire import lenient
from ...wire.usage import Provenance
from ..desk import Desk
from ..policy import Policy, allows, caller_of
from .conversation import Conversation, read
from .ledger import FUTURE

LONGEST = 10**12  # ms


class TraceFault(BaseModel):
    kind: str = Field(description="A word that a program can go by: `rate_limited`, `upstream_timeout`.")
    message: str
    http_status: int | None = Field(description="That came with it.")


class TraceTokens(BaseModel):
    """Over all attempts. A count that is null was not said, which is not zero."""

    input: int | None = Field(description="All of them: cached and newly cached ones included.")
    output: int | None = Field(description="All of them: reasoning included.")
    total: int | None = Field(description="Input and output together; null while either is unknown.")
    cache_read: int | None
    cache_write: int | None
    reasoning: int | None
    provenance: Provenance = Field(description="Who counted them; of several attempts with tokens the least certain.")


class TraceRow(BaseModel):
    """One call as it was kept, without what was said."""

    trace_id: str
    call_id: str
    experiment_id: str
    experiment: str | None = Field(description="Its name.")
    endpoint_id: str | None
    endpoint: str | None = Field(description="Its name when it was called.")
    requested_model: str | None = Field(description="The name that the client sent: of the endpoint, or an alias.")
    provider: str | None = Field(description="Of the last attempt, which answered if any did. null: none was made.")
    model: str | None = Field(description="The provider's name of it.")
    format: str = Field(description="What the client speaks: `openai.chat`, `anthropic.messages`, …")
    request_type: str
    status: Status = Field(description="How the call ended.")
    http_status: int | None = Field(description="What the client got.")
    fault: TraceFault | None
    streamed: bool
    attempts: int
    fell_back: bool = Field(description="The last attempt went elsewhere than the first one.")
    received_at: datetime.datetime
    duration_ms: float | None
    first_token_ms: float | None = Field(description="From receipt to the first token of the answer.")
    tokens: TraceTokens
    cost: str | None = Field(description="US dollars, exactly, over the attempts that have a price; null: none has, which is not zero.")
    cost_estimated: bool = Field(description="Tokens of it were counted by us, as no provider did.")
    unpriced_attempts: int = Field(description="With tokens, and no price: their cost is unknown, and not in `cost`.")
    request_preview: str | None = Field(description="The user's last words, up to 1000 characters. null: not kept.")
    response_preview: str | None
    metadata_only: bool = Field(description="Its endpoint was set to keep metadata alone: what was said was never written down.")
    user: str | None = Field(description="Whom the client called for, if it said.")
    session: str | None = Field(description="The conversation that it is a part of, if the client said.")
    key_id: str | None
    key: str | None = Field(description="The name of the key when it was shown.")
    agent: str | None = Field(description="The client's own name: the product of its User-Agent.")
    tags: dict[str, str]


class Traces(BaseModel):
    traces: list[TraceRow]
    next_page_token: str | None = Field(
        description="null: this is the last page. What is rare is searched a fifth of a second at a time: a page may be short, or empty, "
        "and yet have another one after it."
    )
    head: str = Field(
        description="What has been seen with this answer, for `newer_than`. It is made before the list is read: what comes between the "
        "two is told twice, and has the same trace_id."
    )
    more_newer: bool = Field(description="With newer_than: there may be more at once. Ask again with this head.")


class AttemptTokens(BaseModel):
    """A count that is null was not said, which is not zero."""

    input: int | None = Field(description="All of them: cached and newly cached ones included.")
    output: int | None = Field(description="All of them: reasoning included.")
    cache_read: int | None
    cache_write: int | None
    cache_write_5m: int | None
    cache_write_1h: int | None
    reasoning: int | None
    audio_input: int | None
    audio_output: int | None
    image_input: int | None
    image_output: int | None
    invalid: list[str] = Field(description="Counts that the provider sent and that cannot be right; they are null here.")
    provenance: Provenance = Field(description="Who counted them.")


class TraceAttempt(BaseModel):
    """One try at one target. Times are ms after the call was received."""

    no: int
    provider: str
    model: str = Field(description="That was asked for, by the provider's name of it.")
    response_model: str | None = Field(description="That the provider says it used.")
    model_definition_id: str | None
    format: str
    status: Status
    http_status: int | None
    fault: TraceFault | None = Field(description="What went wrong, which is why the next attempt was made if there is one.")
    upstream_request_id: str | None = Field(description="The provider's own id of the request.")
    response_id: str | None
    service_tier: str | None
    stop_reason: str | None
    wait_ms: float | None = Field(description="From the end of the attempt before; null: it is the first.")
    started_ms: float
    headed_ms: float | None = Field(description="When the provider's status and headers were here.")
    first_token_ms: float | None
    ended_ms: float | None = Field(description="null: nobody saw its end.")
    tokens: AttemptTokens
    price_id: str | None = Field(description="What it was priced by; null: no price is known.")
    input_cost: str | None = Field(description="US dollars, exactly. Fees for a request are a part of it.")
    output_cost: str | None
    cost: str | None = Field(description="The two together. null: not known, which is not zero.")


class SpanEvent(BaseModel):
    name: str
    at_ns: int
    attributes: dict[str, str]


class TraceSpan(BaseModel):
    """As MLflow and OpenTelemetry have it. Times are ns after the call was received."""

    span_id: str
    parent_id: str | None = Field(description="null: the root.")
    name: str
    kind: Literal["call", "attempt"]
    start_ns: int
    end_ns: int
    status: Literal["OK", "ERROR"]
    description: str = Field(description="What went wrong.")
    attributes: dict[str, str] = Field(description="JSON of each. What was said is not among them: it is in `request` and `response`.")
    events: list[SpanEvent]


class TraceMark(BaseModel):
    """A moment of the call, to be drawn on one line."""

    kind: Literal["received", "attempt", "headers", "first_token", "attempt_ended", "finished"]
    at_ms: float
    attempt: int | None = Field(description="Whose it is; null: the call's.")


class TraceBody(BaseModel):
    text: str = Field(description="As it went over the wire, keys masked; of a stream, the plain answer that it comes to.")
    bytes: int = Field(description="That are kept.")
    truncated: bool = Field(description="The end is not here.")
    content_type: Literal["application/json", "text/plain"] = Field(description="What it looks like: a truncated one is no JSON any more.")


ContentState = Literal["kept", "truncated", "no_room", "not_kept"]


class Trace(TraceRow):
    """All that is known of one call."""

    path: str
    spans: list[TraceSpan] = Field(description="The root first, then an attempt each.")
    tried: list[TraceAttempt] = Field(description="In the order in which they were made.")
    marks: list[TraceMark] = Field(description="In the order of time.")
    metadata: dict[str, str] = Field(description="That was sent with the trace beyond what the gateway knows.")
    content: ContentState = Field(
        description="Of what was said. no_room: the disk of the journals was full. not_kept: deleted since, its endpoint keeps none, or "
        "its process died with it."
    )
    request: TraceBody | None
    response: TraceBody | None
    conversation: Conversation | None
    conversation_missing: str | None = Field(description="Why there is no conversation, for a person.")


def mount(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/v1/traces", tags=["traces"], response_model=Traces)
    @allows(Policy.viewer)
    def list_traces(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        experiment_id: Annotated[list[str] | None, Query(description="Of any of these. Default: all experiments that are active.")] = None,
        endpoint: Annotated[list[str] | None, Query(description="Name or id; any of these.")] = None,
        provider: Annotated[list[str] | None, Query(description="To which the last attempt went; any of these.")] = None,
        model: Annotated[list[str] | None, Query(description="The provider's name of it; as with provider.")] = None,
        key: Annotated[list[str] | None, Query(description="Name or id; any of these.")] = None,
        owner: Annotated[list[str] | None, Query(description="Of the key, as it was when it called; any of these.")] = None,
        team: Annotated[list[str] | None, Query(description="As with owner.")] = None,
        user: Annotated[list[str] | None, Query(description="Any of these.")] = None,
        session: Annotated[list[str] | None, Query(description="Any of these.")] = None,
        status: Annotated[list[Status] | None, Query(description="Any of these.")] = None,
        q: Annotated[
            str,
            Query(
                description='Words, each of which is in one of the previews, in any case. Words in quotes are one: `refund "three weeks"`.'
            ),
        ] = "",
        min_ms: Annotated[int | None, Query(ge=0, le=LONGEST, description="Took as long at least.")] = None,
        max_ms: Annotated[int | None, Query(ge=0, le=LONGEST, description="Took as long at most.")] = None,
        since_ms: Annotated[int | None, Query(ge=0, le=FUTURE, description="Received at or after this Unix time.")] = None,
        until_ms: Annotated[int | None, Query(ge=0, le=FUTURE, description="Received before this Unix time.")] = None,
        tag: Annotated[list[str] | None, Query(description="`key:value`, all of them. The key ends at the first colon.")] = None,
        max_results: Annotated[int, Query(ge=1, le=finding.PAGE_LIMIT)] = finding.PAGE,
        page_token: str | None = None,
        newer_than: Annotated[
            str | None,
            Query(
                description="The head of an answer of the last 50 minutes. Instead of a page: what came into the database since, in the "
                "order in which it came. So none is missed, also one that settles after others that were received later."
            ),
        ] = None,
    ) -> Traces:
        """Traces, newest first. What is said more than once is any of it; different filters all hold."""
        caller = caller_of(request)
        question = Question(
            experiment_ids=tuple(experiment_id or ()),
            among=caller.experiments,
            endpoint_ids=caller.endpoints,
            endpoints=tuple(endpoint or ()),
            providers=tuple(provider or ()),
            models=tuple(model or ()),
            keys=tuple(key or ()),
            owners=tuple(owner or ()),
            teams=tuple(team or ()),
            users=tuple(user or ()),
            sessions=tuple(session or ()),
            statuses=tuple(status or ()),
            text=q,
            min_ms=min_ms,
            max_ms=max_ms,
            since_ms=since_ms,
            until_ms=until_ms,
            tags=tuple(map(_tag, tag or ())),
        )
        if newer_than and page_token:
            raise Invalid("Say either `newer_than` or `page_token`.")
        with desk.read() as connection:
            if newer_than:
                seen = arrivals.parse(newer_than)
                found, head, more = finding.newer(connection, question, seen, now=desk.now(), max_results=max_results)
                return Traces(traces=rows(connection, found), next_page_token=None, head=head.token(), more_newer=more)
            head = arrivals.head(connection, desk.now())
            found, token = finding.find(connection, question, max_results=max_results, page_token=page_token or None)
            return Traces(traces=rows(connection, found), next_page_token=token, head=head.token(), more_newer=False)

    @app.get("/api/v1/traces/{trace_id}", tags=["traces"], response_model=Trace)
    @allows(Policy.viewer)
    def get_trace(trace_id: str, request: Request) -> Trace:  # pyright: ignore[reportUnusedFunction]
        """One call with its spans, attempts and what was said, read as a conversation."""
        caller = caller_of(request)
        with desk.read() as connection:
            found = store.get(connection, trace_id)
            if not (caller.may_see(found.experiment_id) and caller.may_read(found.endpoint_id)):
                raise NotFound(f"Trace with ID '{trace_id}' not found.")
            content = store.content(connection, [trace_id]).get(trace_id)
            (row,) = rows(connection, [found])
        return _whole(found, row, content)


def _tag(said: str) -> tuple[str, str]:
    key, colon, value = said.partition(":")
    if not colon:
        raise Invalid(f"Invalid tag '{said[:200]}'. It is a key, a colon and a value: reviewed:yes.")
    return key, value


# ---------------------------------------------------------------- rows


def rows(connection: Connection, found: Iterable[Stored]) -> list[TraceRow]:
    found = list(found)
    names = finding.experiment_names(connection, {row.experiment_id for row in found})
    return [_row(row, names) for row in found]


def _row(row: Stored, experiments: Mapping[str, str]) -> TraceRow:
    exchange = row.exchange
    tried = exchange.attempts
    first, last = (tried[0], tried[-1]) if tried else (None, None)
    known = [attempt for attempt in tried if attempt.usage.known]
    return TraceRow(
        trace_id=row.trace_id,
        call_id=row.call_id,
        experiment_id=row.experiment_id,
        experiment=experiments.get(row.experiment_id),
        endpoint_id=exchange.endpoint_id,
        endpoint=exchange.endpoint,
        requested_model=exchange.model,
        provider=None if last is None else last.provider,
        model=None if last is None else last.model,
        format=exchange.format,
        request_type=exchange.request_type,
        status=exchange.status,
        http_status=exchange.http_status,
        fault=fault(exchange.fault),
        streamed=exchange.stream,
        attempts=len(tried),
        fell_back=first is not None and last is not None and _target(first) != _target(last),
        received_at=datetime.datetime.fromtimestamp(exchange.received_at / 1e9, datetime.UTC),
        duration_ms=ms(exchange.duration),
        first_token_ms=ms(exchange.first_token),
        tokens=tokens(tried),
        cost=usd(sum(cost.total for cost in row.costs.values())) if row.costs else None,
        cost_estimated=any(attempt.provenance is Provenance.estimated for attempt in known),
        unpriced_attempts=sum(attempt.no not in row.costs for attempt in known),
        request_preview=row.request_preview,
        response_preview=row.response_preview,
        metadata_only=exchange.content == METADATA,
        user=row.user_id,
        session=row.session_id,
        key_id=exchange.caller_id,
        key=exchange.caller,
        agent=exchange.agent,
        tags=row.tags,
    )


def _target(attempt: AttemptRecord) -> tuple[str | None, str, str]:
    return attempt.model_definition_id, attempt.provider, attempt.model


_CERTAINTY = (Provenance.reported, Provenance.drained, Provenance.estimated, Provenance.unknown)


def tokens(tried: Iterable[AttemptRecord]) -> TraceTokens:
    known = [attempt for attempt in tried if attempt.usage.known]
    given, made = _sum(attempt.usage.input for attempt in known), _sum(attempt.usage.output for attempt in known)
    return TraceTokens(
        input=given,
        output=made,
        total=None if given is None or made is None else given + made,
        cache_read=_sum(attempt.usage.cache_read for attempt in known),
        cache_write=_sum(attempt.usage.cache_write for attempt in known),
        reasoning=_sum(attempt.usage.reasoning for attempt in known),
        provenance=max((attempt.provenance for attempt in known), key=_CERTAINTY.index, default=Provenance.unknown),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    said = [count for count in counts if count is not None]
    return sum(said) if said else None


def fault(recorded: Recorded | None) -> TraceFault | None:
    return None if recorded is None else TraceFault(kind=recorded.kind, message=recorded.message, http_status=recorded.http_status)


def ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


# ---------------------------------------------------------------- one


def _whole(found: Stored, row: TraceRow, content: Content | None) -> Trace:
    exchange = found.exchange
    said = content or Content()
    conversation = read(exchange.format, said.request, said.response)
    return Trace(
        **dict(row),
        path=exchange.path,
        spans=_spans(found),
        tried=[_attempt(exchange, no, found.costs) for no in range(len(exchange.attempts))],
        marks=_marks(exchange),
        metadata=found.metadata,
        content=content_state(content),
        request=_body(said.request, said.request_truncated),
        response=_body(said.response, said.response_truncated),
        conversation=None if isinstance(conversation, str) else conversation,
        conversation_missing=conversation if isinstance(conversation, str) else None,
    )


def content_state(content: Content | None) -> ContentState:
    if content == LEFT_OUT:
        return "no_room"
    if content is None or (content.request is None and content.response is None):
        return "not_kept"
    return "truncated" if content.request_truncated or content.response_truncated else "kept"


def _body(said: bytes | None, truncated: bool) -> TraceBody | None:
    if said is None:
        return None
    document = said.lstrip()[:1] in (b"{", b"[") and not truncated
    return TraceBody(
        text=said.decode("utf-8", "replace"),
        bytes=len(said),
        truncated=truncated,
        content_type="application/json" if document else "text/plain",
    )


def _attempt(exchange: Exchange, index: int, costs: Mapping[int, Cost]) -> TraceAttempt:
    attempt = exchange.attempts[index]
    before = exchange.attempts[index - 1].ended if index else None
    cost = costs.get(attempt.no)
    usage = msgspec.structs.asdict(attempt.usage)
    return TraceAttempt(
        no=attempt.no,
        provider=attempt.provider,
        model=attempt.model,
        response_model=attempt.response_model,
        model_definition_id=attempt.model_definition_id,
        format=attempt.format,
        status=attempt.status,
        http_status=attempt.http_status,
        fault=fault(attempt.fault),
        upstream_request_id=attempt.upstream_request_id,
        response_id=attempt.response_id,
        service_tier=attempt.service_tier,
        stop_reason=attempt.stop_reason,
        wait_ms=None if before is None else ms(max(0, attempt.started - before)),
        started_ms=round(attempt.started / 1e6, 3),
        headed_ms=ms(attempt.headed),
        first_token_ms=ms(attempt.first_token),
        ended_ms=ms(attempt.ended),
        tokens=AttemptTokens(**usage, provenance=attempt.provenance),
        price_id=None if cost is None else cost.price_id,
        input_cost=None if cost is None else usd(cost.input),
        output_cost=None if cost is None else usd(cost.output),
        cost=None if cost is None else usd(cost.total),
    )


def _spans(found: Stored) -> list[TraceSpan]:
    exchange = found.exchange
    return [
        TraceSpan(
            span_id=span.span_id,
            parent_id=span.parent_id,
            name=span.name,
            kind="call" if span.parent_id is None else "attempt",
            start_ns=span.start - exchange.received_at,
            end_ns=span.end - exchange.received_at,
            status="OK" if span.status == "OK" else "ERROR",
            description=span.description,
            attributes=_json(span.attributes),
            events=[
                SpanEvent(name=event.name, at_ns=event.time - exchange.received_at, attributes=_json(event.attributes))
                for event in span.events
            ],
        )
        for span in derived.spans(exchange, None, experiment_id=found.experiment_id, costs=found.costs)
    ]


def _json(attributes: Mapping[str, object]) -> dict[str, str]:
    return {key: lenient.render(value).decode() for key, value in attributes.items()}


def _marks(exchange: Exchange) -> list[TraceMark]:
    moments: list[tuple[int, TraceMark]] = []

    def mark(kind: Any, at: int | None, attempt: int | None = None) -> None:
        if at is not None:
            moments.append((at, TraceMark(kind=kind, at_ms=round(at / 1e6, 3), attempt=attempt)))

    mark("received", 0)
    for attempt in exchange.attempts:
        mark("attempt", attempt.started, attempt.no)
        mark("headers", attempt.headed, attempt.no)
        mark("first_token", attempt.first_token, attempt.no)
        mark("attempt_ended", attempt.ended, attempt.no)
    mark("finished", exchange.duration)
    return [found for _, found in sorted(moments, key=lambda moment: moment[0])]
