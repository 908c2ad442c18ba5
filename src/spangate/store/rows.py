"""An exchange as rows of the ledger and of the list of traces, by the names of their columns. Prices come later: see accounts.py."""

from typing import Any

import msgspec

from ..exchange import AttemptRecord, Exchange, Fault, Status, TraceEntry
from . import limits
from .packing import packed_exchange

DIED = Fault("process_died", "The gateway's process ended while this call was open; how it went on is not known.")


def call(process_id: str, exchange: Exchange, experiment: int | None) -> dict[str, Any]:
    fault = exchange.fault
    return {
        "call_id": exchange.call_id,
        "process_id": process_id,
        "received_ns": exchange.received_at,
        "duration_ns": exchange.duration,
        "first_token_ns": exchange.first_token,
        "format": limits.kept(exchange.format, 64) or "",
        "request_type": limits.kept(exchange.request_type, 64) or "",
        "endpoint_id": limits.kept(exchange.endpoint_id, 64),
        "endpoint": limits.kept(exchange.endpoint, limits.NAME),
        "experiment_id": experiment,
        "model": limits.kept(exchange.model, limits.MODEL),
        "stream": exchange.stream,
        "caller_id": limits.kept(exchange.caller_id, 64),
        "caller": limits.kept(exchange.caller, limits.NAME),
        "agent": limits.kept(exchange.agent, limits.NAME),
        "request_bytes": exchange.request_bytes,
        "status": exchange.status.value,
        "http_status": exchange.http_status,
        "fault_kind": None if fault is None else limits.kept(fault.kind, 64),
        "fault_message": None if fault is None else limits.kept(fault.message, 1_000),
        "attempts": len(exchange.attempts),
        "owner": limits.kept(exchange.owner, limits.NAME),
        "team": limits.kept(exchange.team, limits.NAME),
    }


def attempt(call_id: str, attempt: AttemptRecord) -> dict[str, Any]:
    usage, fault = attempt.usage, attempt.fault
    return {
        "call_id": call_id,
        "attempt_no": attempt.no,
        "provider": limits.kept(attempt.provider, 64) or "",
        "model": limits.kept(attempt.model, limits.MODEL) or "",
        "format": limits.kept(attempt.format, 64) or "",
        "model_definition_id": limits.kept(attempt.model_definition_id, 64),
        "secret_id": limits.kept(attempt.secret_id, 64),
        "started_ns": attempt.started,
        "headed_ns": attempt.headed,
        "first_token_ns": attempt.first_token,
        "ended_ns": attempt.ended,
        "status": attempt.status.value,
        "http_status": attempt.http_status,
        "upstream_request_id": limits.kept(attempt.upstream_request_id, 255),
        "response_id": limits.kept(attempt.response_id, 255),
        "response_model": limits.kept(attempt.response_model, limits.MODEL),
        "stop_reason": limits.kept(attempt.stop_reason, 255),
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_5m_tokens": usage.cache_write_5m,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "reasoning_tokens": usage.reasoning,
        "audio_input_tokens": usage.audio_input,
        "audio_output_tokens": usage.audio_output,
        "usage_invalid": limits.kept(",".join(usage.invalid), 255) if usage.invalid else None,
        "provenance": attempt.provenance.value,
        "fault_kind": None if fault is None else limits.kept(fault.kind, 64),
        "fault_message": None if fault is None else limits.kept(fault.message, 1_000),
        "image_input_tokens": usage.image_input,
        "image_output_tokens": usage.image_output,
        "service_tier": limits.kept(attempt.service_tier, 255),
    }


def trace(trace_id: str, experiment: int, exchange: Exchange, entry: TraceEntry) -> dict[str, Any]:
    return {
        "trace_id": trace_id,
        "experiment_id": experiment,
        "call_id": exchange.call_id,
        "name": limits.kept(entry.name, limits.NAME) or "",
        "state": "ERROR" if exchange.status is Status.unknown else entry.state,
        "request_time_ms": exchange.received_at // 1_000_000,
        "duration_ms": None if exchange.duration is None else exchange.duration // 1_000_000,
        "request_preview": limits.kept(entry.request_preview, limits.PREVIEW),
        "response_preview": limits.kept(entry.response_preview, limits.PREVIEW),
        "endpoint_id": limits.kept(exchange.endpoint_id, 64),
        "request_type": limits.kept(exchange.request_type, 64),
        "caller": limits.kept(exchange.agent, limits.NAME),
        "exchange": packed_exchange(exchange),
        "session_id": limits.kept(entry.session_id, limits.NAME),
        "user_id": limits.kept(entry.user_id, limits.NAME),
        "username": limits.kept(exchange.caller, limits.NAME),
    }


def lost(exchange: Exchange) -> Exchange:
    """What is known of a call whose process died: that it began, and how those of its attempts ended that did."""
    attempts = tuple(
        attempt if attempt.ended is not None else msgspec.structs.replace(attempt, status=Status.unknown) for attempt in exchange.attempts
    )
    return msgspec.structs.replace(exchange, status=Status.unknown, fault=exchange.fault or DIED, attempts=attempts)
