"""An exchange, read as a trace in MLflow's and OpenTelemetry's words: the same exchange and content give the same spans, ids included.

Spans are not stored: they are made here whenever somebody reads the trace. Keys under `mlflow.` and without a dot are MLflow's,
`gen_ai.` OpenTelemetry's, `spangate.` ours. Values are JSON values; whoever sends them decides how they are encoded.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from spangate.exchange import LEFT_OUT, AttemptRecord, Content, Exchange, Fault, Status, TraceEntry, trace_id
from spangate.prices.cost import PICO, Cost
from spangate.providers import catalog
from spangate.record import origin, previews
from spangate.wire import lenient
from spangate.wire.usage import Provenance

UNIFIED = "unified/"

# MLflow's SpanLogLevel
_DEBUG, _INFO, _ERROR = 10, 20, 40
# Where MLflow sets mlflow.message.format; it has none for OpenAI's.
_MESSAGE_FORMATS = {"anthropic.messages": "anthropic", "gemini.generate": "gemini"}
# gen_ai.operation.name, where it is not chat: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
_OPERATIONS = {
    "openai.completions": "text_completion",
    "openai.embeddings": "embeddings",
    "gemini.generate": "generate_content",
    "gemini.embeddings": "embeddings",
    "gemini.count_tokens": "count_tokens",  # a word of ours: OpenTelemetry has none
    "anthropic.count_tokens": "count_tokens",
    # No model is asked, or nobody knows: no operation is said.
    "openai.responses.stored": None,
    "raw": None,
}
_WORDS = {
    Status.error: "The provider answered with an error.",
    Status.client_gone: "The client left before its answer had ended.",
    Status.provider_gone: "The provider could not be reached, or broke off.",
    Status.timeout: "The provider took too long.",
    Status.refused: "The gateway refused the request.",
    Status.unknown: "How it went on is not known.",
}


def operation(format: str) -> str | None:
    """What a format asks of a model (gen_ai.operation.name); None: nothing, or nobody knows what."""
    return _OPERATIONS.get(format, "chat")


Costs = Mapping[int, Cost]  # by the number of the attempt


class Event(msgspec.Struct, frozen=True):
    name: str
    time: int  # wall clock, ns
    attributes: Mapping[str, object]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits
    parent_id: str | None = None
    name: str
    start: int  # wall clock, ns
    end: int
    attributes: Mapping[str, object]
    status: str  # OK | ERROR
    description: str = ""
    events: tuple[Event, ...] = ()


class TraceInfo(msgspec.Struct, frozen=True, kw_only=True):
    trace_id: str  # tr- and 32 hex digits
    experiment_id: str
    request_time: int  # wall clock, ns
    duration: int  # ns
    state: str  # OK | ERROR
    request_preview: str | None
    response_preview: str | None
    metadata: Mapping[str, str]
    tags: Mapping[str, str]


# ---------------------------------------------------------------- the trace


def trace_row(exchange: Exchange, content: Content | None) -> TraceEntry:
    """What the store keeps of a trace apart from the exchange, so that lists need not read what was said."""
    request = None if content is None else content.request
    asked = None if request is None else previews.document(request)
    said = origin.of_body(lenient.mapping(asked) or {})
    return TraceEntry(
        name=_name(exchange),
        state=_state(exchange.status),
        session_id=exchange.session_id or said.session_id,
        user_id=exchange.user_id or said.user_id,
        request_preview=None if request is None else previews.of_request(request, asked),
        response_preview=None if content is None or content.response is None else previews.of_response(content.response),
    )


def trace_info(
    exchange: Exchange,
    *,
    request_preview: str | None,
    response_preview: str | None,
    experiment_id: str | None = None,
    session_id: str | None = None,
    user_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, str] | None = None,
    spans: Sequence[Span] = (),
    costs: Costs | None = None,
) -> TraceInfo:
    """`experiment_id`: where the trace is now, if not where it was written for. `session_id`, `user_id`: as its row has them. `tags`,
    `metadata`: what was set since, which wins.

    Sizes are said when the trace's `spans` are given. `costs`: of the attempts that have a price.
    """
    costs = costs or {}
    facts = [attempt.no for attempt in exchange.attempts if attempt.provenance is not Provenance.estimated]
    unpriced = sum(attempt.usage.known and attempt.no not in costs for attempt in exchange.attempts)
    derived = {
        "mlflow.gateway.endpointId": exchange.endpoint_id,
        "mlflow.gateway.requestType": exchange.request_type,
        "mlflow.gateway.caller": exchange.agent,
        "mlflow.auth.username": exchange.caller,
        "mlflow.auth.userId": exchange.caller_id,
        "mlflow.trace.session": session_id,
        "mlflow.trace.user": user_id,
        "mlflow.trace.tokenUsage": _json(_token_usage(exchange.attempts)),
        "mlflow.trace.cost": _json(_cost([cost for no, cost in costs.items() if no in facts])),
        "mlflow.traceInputs": request_preview,
        "mlflow.traceOutputs": response_preview,
        "mlflow.trace_schema.version": "3",
        "mlflow.trace.infoFinalized": "true",
        "spangate.call_id": exchange.call_id,
        "spangate.status": exchange.status.value,
        "spangate.http_status": None if exchange.http_status is None else str(exchange.http_status),
        "spangate.cost.estimated": _json(_cost([cost for no, cost in costs.items() if no not in facts])),
        "spangate.cost.unpriced": str(unpriced) if unpriced else None,
    }
    if spans:
        sizes = sorted(len(lenient.render(span, msgspec.to_builtins)) for span in spans)
        derived["mlflow.trace.sizeBytes"] = str(sum(sizes))
        derived["mlflow.trace.sizeStats"] = _json(
            {
                "total_size_bytes": sum(sizes),
                "num_spans": len(sizes),
                "max": sizes[-1],
                "p25": _quantile(sizes, 0.25),
                "p50": _quantile(sizes, 0.5),
                "p75": _quantile(sizes, 0.75),
            }
        )
    # SpansLocation: without this tag MLflow's client looks for the spans among the artifacts.
    fixed = {"mlflow.traceName": _name(exchange), "mlflow.trace.spansLocation": "TRACKING_STORE"}
    return TraceInfo(
        trace_id=trace_id(exchange.call_id),
        experiment_id=experiment_id or exchange.experiment_id or "",
        request_time=exchange.received_at,
        duration=_length(exchange),
        state=_state(exchange.status),
        request_preview=request_preview,
        response_preview=response_preview,
        metadata={key: value for key, value in derived.items() if value is not None} | dict(metadata or {}),
        tags=fixed | dict(tags or {}),
    )


def spans(exchange: Exchange, content: Content | None, *, experiment_id: str | None = None, costs: Costs | None = None) -> tuple[Span, ...]:
    """The root, then a child for each attempt. `costs`: of the attempts that have a price."""
    outputs = None if content is None or content.response is None else previews.document(content.response)
    return (
        _root(exchange, content, outputs, experiment_id or exchange.experiment_id or ""),
        *(_child(exchange, attempt, outputs, (costs or {}).get(attempt.no)) for attempt in exchange.attempts),
    )


def _root(exchange: Exchange, content: Content | None, outputs: object, experiment_id: str) -> Span:
    ok = exchange.status is Status.ok
    inputs = None if content is None or content.request is None else previews.document(content.request)
    asked = lenient.mapping(inputs)
    if asked is not None:  # as in MLflow: the endpoint's name is not the model's business
        inputs = {key: value for key, value in asked.items() if key != "model"}
    last = exchange.attempts[-1] if exchange.attempts else None
    unified = exchange.request_type.startswith(UNIFIED)
    end = exchange.received_at + _length(exchange)
    faults = _faults(exchange.status, exchange.fault, end)
    return Span(
        trace_id=_hex(exchange),
        span_id=_span_id(exchange, 0),
        name=_name(exchange),
        start=exchange.received_at,
        end=end,
        attributes=_said(
            {
                "mlflow.experimentId": experiment_id,
                "mlflow.traceRequestId": trace_id(exchange.call_id),
                "mlflow.spanType": "UNKNOWN",  # sic: MLflow gives its root no type
                "mlflow.spanLogLevel": _DEBUG if ok else _ERROR,
                "mlflow.spanInputs": inputs,
                "mlflow.spanOutputs": outputs,
                "mlflow.message.format": None if unified else _MESSAGE_FORMATS.get(exchange.format),
                "mlflow.llm.model": last.response_model if last is not None and ok else None,
                "endpoint_id": exchange.endpoint_id,
                "endpoint_name": exchange.endpoint,
                "server_url": exchange.server,
                "spangate.call_id": exchange.call_id,
                "spangate.status": exchange.status.value,
                "spangate.http_status": exchange.http_status,
                "spangate.format": exchange.format,
                "spangate.path": exchange.path,
                "spangate.requested_model": exchange.model,
                "spangate.streaming": exchange.stream,
                "spangate.request_bytes": exchange.request_bytes,
                "spangate.caller": exchange.caller,
                "spangate.time_to_first_token_ms": _ms(exchange.first_token),
                "spangate.content": "not kept: disk" if content == LEFT_OUT else "not kept: endpoint" if exchange.content else None,
                "spangate.request_truncated": (content is not None and content.request_truncated) or None,
                "spangate.response_truncated": (content is not None and content.response_truncated) or None,
            }
        ),
        status=_state(exchange.status),
        description=_description(faults),
        events=faults,
    )


def _child(exchange: Exchange, attempt: AttemptRecord, outputs: object, cost: Cost | None) -> Span:
    usage = attempt.usage
    counted = attempt.provenance is not Provenance.estimated  # what we guessed has names of its own: nobody takes it for a count
    ok = attempt.status is Status.ok
    end = exchange.received_at + (attempt.ended if attempt.ended is not None else max(_length(exchange), _latest(attempt)))
    faults = _faults(attempt.status, attempt.fault, end)
    provider = catalog().get(attempt.provider)
    return Span(
        trace_id=_hex(exchange),
        span_id=_span_id(exchange, attempt.no),
        parent_id=_span_id(exchange, 0),
        name=f"provider/{attempt.provider}/{attempt.model}",
        start=exchange.received_at + attempt.started,
        end=end,
        attributes=_said(
            {
                "mlflow.traceRequestId": trace_id(exchange.call_id),
                "mlflow.spanType": "LLM",
                "mlflow.spanLogLevel": _INFO if ok else _ERROR,
                "mlflow.llm.provider": attempt.provider,
                "mlflow.llm.model": attempt.model,
                **_operation(exchange),
                "streaming": exchange.stream or None,
                # As in MLflow: the unified route's answer is another one than the provider's, which is not kept.
                "mlflow.spanOutputs": outputs
                if attempt is exchange.attempts[-1] and not exchange.request_type.startswith(UNIFIED)
                else None,
                "mlflow.chat.tokenUsage": _token_usage([attempt]),
                "mlflow.llm.cost": _cost([cost]) if counted and cost is not None else None,
                "gen_ai.operation.name": operation(attempt.format),
                "gen_ai.provider.name": attempt.provider if provider is None else provider.names.otel,
                "gen_ai.request.model": attempt.model,
                "gen_ai.response.model": attempt.response_model,
                "gen_ai.response.id": attempt.response_id,
                "gen_ai.response.finish_reasons": None if attempt.stop_reason is None else [attempt.stop_reason],
                "gen_ai.usage.input_tokens": usage.input if counted else None,
                "gen_ai.usage.output_tokens": usage.output if counted else None,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
                "error.type": None if attempt.fault is None else attempt.fault.kind,
                "spangate.call_id": exchange.call_id,
                "spangate.attempt": attempt.no,
                "spangate.status": attempt.status.value,
                "spangate.format": attempt.format,
                "spangate.model_definition_id": attempt.model_definition_id,
                "spangate.upstream.http_status": attempt.http_status,
                "spangate.upstream.request_id": attempt.upstream_request_id,
                "spangate.time_to_head_ms": _between(attempt.started, attempt.headed),
                "spangate.time_to_first_token_ms": _between(attempt.started, attempt.first_token),
                "spangate.usage.provenance": attempt.provenance.value,
                "spangate.usage.estimated_input": None if counted else usage.input,
                "spangate.usage.estimated_output": None if counted else usage.output,
                "spangate.usage.cache_write_5m": usage.cache_write_5m,
                "spangate.usage.cache_write_1h": usage.cache_write_1h,
                "spangate.usage.reasoning": usage.reasoning,
                "spangate.usage.audio_input": usage.audio_input,
                "spangate.usage.audio_output": usage.audio_output,
                "spangate.usage.image_input": usage.image_input,
                "spangate.usage.image_output": usage.image_output,
                "spangate.service_tier": attempt.service_tier,
                "spangate.usage.invalid": list(usage.invalid) or None,
                "spangate.price_id": None if cost is None else cost.price_id,
                "spangate.cost.estimated": None if counted or cost is None else _cost([cost]),
                "spangate.cost.unpriced": (usage.known and cost is None) or None,
            }
        ),
        status=_state(attempt.status),
        description=_description(faults),
        events=faults,
    )


def _faults(status: Status, fault: Fault | None, at: int) -> tuple[Event, ...]:
    """The one event of a span that did not end well."""
    if status is Status.ok:
        return ()
    kind, message = (fault.kind, fault.message) if fault is not None else (status.value, _WORDS[status])
    return (Event("exception", at, {"exception.type": kind, "exception.message": message}),)


def _description(faults: Sequence[Event]) -> str:
    return "; ".join(f"{fault.attributes['exception.type']}: {fault.attributes['exception.message']}" for fault in faults)


_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _operation(exchange: Exchange) -> dict[str, object]:
    """MLflow says `method` on its unified routes and `action` where it passes through."""
    operation = _HUMP.sub("_", exchange.request_type.rpartition("/")[2]).replace("-", "_").lower()
    # MLflow has an action for each of these, and no request type.
    if exchange.path.endswith("/responses/compact"):
        operation += "_compact"
    elif operation == "gemini_generate_content" and exchange.stream:
        operation = "gemini_stream_generate_content"
    if exchange.request_type.startswith(UNIFIED):
        return {"method": f"{operation}_stream" if exchange.stream else operation}
    return {"action": operation}


def _token_usage(attempts: Sequence[AttemptRecord]) -> dict[str, int] | None:
    """MLflow's keys; what nobody said has no key, nor has a guess of ours. `input_tokens` includes the cached ones, here as there."""
    sums: dict[str, int] = {}
    for usage in (attempt.usage for attempt in attempts if attempt.provenance is not Provenance.estimated):
        for key, tokens in (
            ("input_tokens", usage.input),
            ("output_tokens", usage.output),
            ("total_tokens", usage.total),
            ("cache_read_input_tokens", usage.cache_read),
            ("cache_creation_input_tokens", usage.cache_write),
            ("cache_creation_input_tokens_above_1hr", usage.cache_write_1h),
        ):
            # MLflow leaves cache classes out where they are zero.
            if tokens is not None and (tokens or not key.startswith("cache")):
                sums[key] = sums.get(key, 0) + tokens
    return sums or None


def _cost(costs: Sequence[Cost]) -> dict[str, float] | None:
    """MLflow's keys, in dollars."""
    if not costs:
        return None
    paid, made = sum(cost.input for cost in costs), sum(cost.output for cost in costs)
    return {"input_cost": paid / PICO, "output_cost": made / PICO, "total_cost": (paid + made) / PICO}


# ---------------------------------------------------------------- small parts


def _name(exchange: Exchange) -> str:
    return f"gateway/{exchange.endpoint or ''}"


def _state(status: Status) -> str:
    return "OK" if status is Status.ok else "ERROR"


def _hex(exchange: Exchange) -> str:
    return exchange.call_id.replace("-", "")


def _span_id(exchange: Exchange, no: int) -> str:
    """The root is number 0, attempts count from 1."""
    return hashlib.blake2b(uuid.UUID(exchange.call_id).bytes + no.to_bytes(4, "big"), digest_size=8).hexdigest()


def _length(exchange: Exchange) -> int:
    """ns; of a call whose end nobody saw, up to the last thing that is known of it."""
    return exchange.duration if exchange.duration is not None else max((_latest(attempt) for attempt in exchange.attempts), default=0)


def _latest(attempt: AttemptRecord) -> int:
    return max(attempt.started, attempt.headed or 0, attempt.first_token or 0, attempt.ended or 0)


def _ms(ns: int | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


def _between(start: int, end: int | None) -> float | None:
    return None if end is None else _ms(end - start)


def _said(attributes: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in attributes.items() if value is not None}


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _quantile(sizes: Sequence[int], part: float) -> int:
    """Of sorted sizes, interpolated as MLflow does."""
    at = (len(sizes) - 1) * part
    low = int(at)
    high = min(low + 1, len(sizes) - 1)
    return int(sizes[low] + (sizes[high] - sizes[low]) * (at - low))
