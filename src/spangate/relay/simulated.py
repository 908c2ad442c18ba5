"""A provider with no model behind it, in this process: what it says is labelled as simulated wherever it can be read.

Shapes and order of events are the real providers'. The same request gives the same answer; a word counts as a token.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from spangate.wire.problems import Interrupted

from .upstream import Incoming, Outgoing

ECHO = 160  # characters of the question that the answer repeats
Json = dict[str, Any]


class SimulatedTransport:
    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now

    async def send(self, outgoing: Outgoing) -> Incoming:
        await asyncio.sleep(0)  # a real provider is never that quick: let others run, and cancellations arrive
        answer = _Answer(outgoing.body, int(self._now()))
        if answer.problem is not None:
            return SimulatedIncoming(400, "application/json", answer.request_id, [_dump(_problem(outgoing.url, answer.problem))])
        if outgoing.url.endswith("/messages"):
            return answer.incoming(_message(answer), _message_events(answer))
        return answer.incoming(_completion(answer), _completion_events(answer))

    async def close(self) -> None:
        pass


class SimulatedIncoming:
    def __init__(self, status: int, kind: str, request_id: str, pieces: Sequence[bytes] | Iterator[bytes]) -> None:
        self.status = status
        self.headers: Sequence[tuple[bytes, bytes]] = [(b"content-type", kind.encode()), (b"x-request-id", request_id.encode())]
        self._pieces = iter(pieces)
        self._closed = False

    async def piece(self, patience: float | None = None) -> bytes:
        await asyncio.sleep(0)
        if self._closed:
            raise Interrupted(502, "upstream_dropped", "The simulated answer was closed.")
        return next(self._pieces, b"")

    def close(self) -> None:
        self._closed = True


class _Answer:
    """What will be said to a request, whatever the format."""

    def __init__(self, body: bytes, created: int) -> None:
        self.created = created
        self.id = hashlib.sha256(body).hexdigest()[:24]
        self.request_id = f"req_simulated_{self.id[:12]}"
        self.problem: str | None = None
        self.stream = False
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            self.problem = "The body must be a JSON object."
            return
        wanted = cast("Json", request)
        messages = wanted.get("messages")
        if not isinstance(messages, list) or not messages:
            self.problem = "messages: at least one message is required."
            return
        name = str(wanted.get("model") or "simulated")
        self.model = name if name.startswith("simulated") else f"simulated/{name}"
        self.stream = wanted.get("stream") is True
        options = wanted.get("stream_options")
        self.include_usage = isinstance(options, dict) and cast("Json", options).get("include_usage") is True
        asked = [_text(message) for message in cast("list[object]", messages)]
        system = _text({"content": wanted.get("system")}) if wanted.get("system") else ""
        self.input = sum(len(text.split()) for text in (*asked, system)) or 1
        words = f"This is a simulated answer: no model was called. You said: {asked[-1][:ECHO]}".split()
        limit = next((wanted[key] for key in ("max_completion_tokens", "max_tokens") if isinstance(wanted.get(key), int)), None)
        self.cut = limit is not None and 0 < limit < len(words)
        self.words = [word if place == 0 else " " + word for place, word in enumerate(words[:limit] if self.cut else words)]
        self.text = "".join(self.words)
        self.output = len(self.words)

    def incoming(self, plain: Json, events: Iterator[bytes]) -> Incoming:
        if self.stream:
            return SimulatedIncoming(200, "text/event-stream; charset=utf-8", self.request_id, events)
        return SimulatedIncoming(200, "application/json", self.request_id, [_dump(plain)])


def _text(message: object) -> str:
    """The words of a message in either format: a string, or a list of parts with `text`."""
    content = cast("Json", message).get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = cast("list[object]", content)
        return " ".join(str(cast("Json", part).get("text", "")) for part in parts if isinstance(part, dict))
    return ""


# ---------------------------------------------------------------- openai.chat


def _openai_usage(answer: _Answer) -> Json:
    return {
        "prompt_tokens": answer.input,
        "completion_tokens": answer.output,
        "total_tokens": answer.input + answer.output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _completion(answer: _Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-simulated-{answer.id}",
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _openai_reason(answer)}],
        "usage": _openai_usage(answer),
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def _completion_events(answer: _Answer) -> Iterator[bytes]:
    def chunk(choices: list[Json], usage: Json | None = None) -> bytes:
        value: Json = {
            "id": f"chatcmpl-simulated-{answer.id}",
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": answer.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
            "choices": choices,
        }
        if answer.include_usage:
            value["usage"] = usage
        return b"data: " + _dump(value) + b"\n\n"

    def choice(delta: Json, reason: str | None = None) -> list[Json]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    yield chunk(choice({"role": "assistant", "content": "", "refusal": None}))
    for word in answer.words:
        yield chunk(choice({"content": word}))
    yield chunk(choice({}, _openai_reason(answer)))
    if answer.include_usage:
        yield chunk([], _openai_usage(answer))
    yield b"data: [DONE]\n\n"


def _openai_reason(answer: _Answer) -> str:
    return "length" if answer.cut else "stop"


# ---------------------------------------------------------------- anthropic.messages


def _anthropic_usage(answer: _Answer, output: int) -> Json:
    return {
        "input_tokens": answer.input,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _message(answer: _Answer) -> Json:
    return {
        "id": f"msg_simulated_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": _anthropic_reason(answer),
        "stop_sequence": None,
        "usage": _anthropic_usage(answer, answer.output),
    }


def _message_events(answer: _Answer) -> Iterator[bytes]:
    def event(value: Json) -> bytes:
        return b"event: " + str(value["type"]).encode() + b"\ndata: " + _dump(value) + b"\n\n"

    start: Json = {**_message(answer), "content": [], "stop_reason": None, "usage": _anthropic_usage(answer, 1)}
    yield event({"type": "message_start", "message": start})
    yield event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    yield event({"type": "ping"})
    for word in answer.words:
        yield event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}})
    yield event({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": _anthropic_reason(answer), "stop_sequence": None}
    yield event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer.output}})
    yield event({"type": "message_stop"})


def _anthropic_reason(answer: _Answer) -> str:
    return "max_tokens" if answer.cut else "end_turn"


def _problem(url: str, message: str) -> Mapping[str, Any]:
    if url.endswith("/messages"):
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
