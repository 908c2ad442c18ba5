"""A provider with no model behind it, in this process: what it says is labelled as simulated wherever it can be read.

Shapes and order of events are the real providers'. The same request gives the same answer; a word counts as a token.
"""

import asyncio
import base64
import hashlib
import json
import math
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

from spangate.wire.problems import Interrupted

from .upstream import Incoming, Outgoing

ECHO = 160  # characters of the question that the answer repeats
Json = dict[str, Any]
_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens", "maxOutputTokens")
_TYPES = {"messages": list, "contents": list, "requests": list, "content": dict}  # of what is asked; else it is a text or a list
_GEMINI_STREAM = ":streamGenerateContent"
KEEPS_NOTHING = "There is nothing here: the simulated provider keeps nothing of what it said."


class SimulatedTransport:
    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now

    async def send(self, outgoing: Outgoing) -> Incoming:
        await asyncio.sleep(0)  # a real provider is never that quick: let others run, and cancellations arrive
        path, _, query = outgoing.url.partition("?")
        end = next((end for end in _SAID_IN if path.endswith(end)), None)
        if end is None or outgoing.method != "POST":
            return SimulatedIncoming(404, "application/json", "req_simulated", [_dump(_problem(path, KEEPS_NOTHING))])
        answer = _Answer(outgoing.body, int(self._now()), _SAID_IN[end], _of_path(path))
        if answer.problem is not None:
            return SimulatedIncoming(400, "application/json", answer.request_id, [_dump(_problem(path, answer.problem))])
        plain, events = _ANSWERS[end]
        if events is None or not (answer.stream or end == _GEMINI_STREAM):
            return SimulatedIncoming(200, "application/json", answer.request_id, [_dump(plain(answer))])
        pieces = events(answer)
        if end == _GEMINI_STREAM and query != "alt=sse":
            return SimulatedIncoming(200, "application/json; charset=UTF-8", answer.request_id, _as_array(pieces))
        return SimulatedIncoming(200, "text/event-stream; charset=utf-8", answer.request_id, pieces)

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

    def __init__(self, body: bytes, created: int, said_in: str, model: str | None) -> None:
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
        if said_in == "contents" and isinstance(wanted.get("generateContentRequest"), dict):
            wanted = cast("Json", wanted["generateContentRequest"])
        said = wanted.get(said_in)
        if not said or not isinstance(said, _TYPES.get(said_in, (list, str))):
            self.problem = "messages: at least one message is required." if said_in == "messages" else f"{said_in}: it is required."
            return
        name = model or str(wanted.get("model") or "simulated")
        self.model = name if name.startswith("simulated") else f"simulated/{name}"
        self.stream = wanted.get("stream") is True
        options = wanted.get("stream_options")
        self.include_usage = isinstance(options, dict) and cast("Json", options).get("include_usage") is True
        self.asked = [_text(one) for one in (cast("list[object]", said if isinstance(said, list) else [said]))]
        asked = self.asked
        rules = [_text(wanted.get(key)) for key in ("system", "instructions", "systemInstruction")]
        self.input = sum(len(text.split()) for text in (*asked, *rules)) or 1
        words = f"This is a simulated answer: no model was called. You said: {asked[-1][:ECHO]}".split()
        options = wanted.get("generationConfig")
        limits = {**wanted, **(cast("Json", options) if isinstance(options, dict) else {})}
        limit = next((limits[key] for key in _LIMITS if isinstance(limits.get(key), int)), None)
        self.cut = limit is not None and 0 < limit < len(words)
        self.words = [word if place == 0 else " " + word for place, word in enumerate(words[:limit] if self.cut else words)]
        self.text = "".join(self.words)
        self.output = len(self.words)
        wide = wanted.get("dimensions") or wanted.get("outputDimensionality")
        self.dimensions = wide if isinstance(wide, int) and 0 < wide <= 4096 else 8
        self.base64 = wanted.get("encoding_format") == "base64"


def _text(said: object) -> str:
    """The words of a message in any format: a string, or a list of parts with `text`; or of a text that stands alone."""
    content = said
    while isinstance(content, dict):
        inner = cast("Json", content)
        content = inner.get("parts") or inner.get("content")  # Gemini's batches have a content with parts
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


# ---------------------------------------------------------------- openai.completions


def _text_completion(answer: _Answer) -> Json:
    choice: Json = {"text": answer.text, "index": 0, "logprobs": None, "finish_reason": _openai_reason(answer)}
    return {**_text_head(answer), "choices": [choice], "usage": _openai_usage(answer)}


def _text_completion_events(answer: _Answer) -> Iterator[bytes]:
    def chunk(choices: list[Json], usage: Json | None = None) -> bytes:
        value: Json = {**_text_head(answer), "choices": choices}
        if answer.include_usage:
            value["usage"] = usage
        return b"data: " + _dump(value) + b"\n\n"

    def choice(text: str, reason: str | None = None) -> list[Json]:
        return [{"text": text, "index": 0, "logprobs": None, "finish_reason": reason}]

    for word in answer.words:
        yield chunk(choice(word))
    yield chunk(choice("", _openai_reason(answer)))
    if answer.include_usage:
        yield chunk([], _openai_usage(answer))
    yield b"data: [DONE]\n\n"


def _text_head(answer: _Answer) -> Json:
    return {"id": f"cmpl-simulated-{answer.id}", "object": "text_completion", "created": answer.created, "model": answer.model}


# ---------------------------------------------------------------- openai.embeddings


def _embeddings(answer: _Answer) -> Json:
    """Vectors of length one that mean nothing, the same for the same text."""
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": _vector(text, answer.dimensions, answer.base64)}
            for place, text in enumerate(answer.asked)
        ],
        "model": answer.model,
        "usage": {"prompt_tokens": answer.input, "total_tokens": answer.input},
    }


def _vector(text: str, dimensions: int, as_base64: bool) -> list[float] | str:
    raw = hashlib.shake_128(text.encode("utf-8", "replace")).digest(dimensions)
    numbers = [byte - 127.5 for byte in raw]
    length = math.hypot(*numbers)
    vector = [round(number / length, 7) for number in numbers]
    # OpenAI's SDK asks for little-endian float32 in base64 unless it is told otherwise.
    return base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if as_base64 else vector


# ---------------------------------------------------------------- openai.responses


def _response(answer: _Answer) -> Json:
    status = "incomplete" if answer.cut else "completed"
    return {
        "id": f"resp_simulated_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.cut else None,
        "instructions": None,
        "max_output_tokens": answer.output if answer.cut else None,
        "model": answer.model,
        "output": [_response_item(answer, [_response_part(answer.text)], status)],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _response_usage(answer),
        "user": None,
        "metadata": {},
    }


def _response_item(answer: _Answer, content: list[Json], status: str) -> Json:
    return {"id": f"msg_simulated_{answer.id}", "type": "message", "status": status, "role": "assistant", "content": content}


def _response_part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _response_usage(answer: _Answer) -> Json:
    return {
        "input_tokens": answer.input,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input + answer.output,
    }


def _response_events(answer: _Answer) -> Iterator[bytes]:
    whole = _response(answer)
    begun: Json = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    item = whole["output"][0]
    at: Json = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = item["content"][0]
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": _response_item(answer, [], "in_progress")},
        {"type": "response.content_part.added", **at, "part": _response_part("")},
        *({"type": "response.output_text.delta", **at, "delta": word, "logprobs": []} for word in answer.words),
        {"type": "response.output_text.done", **at, "text": answer.text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{whole['status']}", "response": whole},
    ]
    for number, event in enumerate(events):
        yield f"event: {event['type']}\ndata: ".encode() + _dump({**event, "sequence_number": number}) + b"\n\n"


def _compaction(answer: _Answer) -> Json:
    """What stands for all that was said: opaque, as only a real provider can make it and read it."""
    return {
        "id": f"resp_simulated_{answer.id}",
        "object": "response.compaction",
        "created_at": answer.created,
        "output": [{"id": f"cmp_simulated_{answer.id}", "type": "compaction", "encrypted_content": f"simulated-{answer.id}"}],
        "usage": _response_usage(answer),
    }


# ---------------------------------------------------------------- gemini


def _of_path(path: str) -> str | None:
    """Gemini's model: of other formats the body says it."""
    _, found, name = path.rpartition("/models/")
    return unquote(name.rpartition(":")[0]) if found else None


def _gemini_usage(answer: _Answer, output: int) -> Json:
    return {
        "promptTokenCount": answer.input,
        "candidatesTokenCount": output,
        "totalTokenCount": answer.input + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input}],
    }


def _gemini_chunk(answer: _Answer, text: str, output: int, reason: str | None) -> Json:
    candidate: Json = {"content": {"parts": [{"text": text}], "role": "model"}}
    if reason is not None:
        candidate["finishReason"] = reason
    return {
        "candidates": [{**candidate, "index": 0}],
        "usageMetadata": _gemini_usage(answer, output),
        "modelVersion": answer.model,
        "responseId": f"simulated-{answer.id}",
    }


def _generated(answer: _Answer) -> Json:
    return _gemini_chunk(answer, answer.text, answer.output, _gemini_reason(answer))


def _generated_events(answer: _Answer) -> Iterator[bytes]:
    for place, word in enumerate(answer.words, 1):
        reason = _gemini_reason(answer) if place == answer.output else None
        yield b"data: " + _dump(_gemini_chunk(answer, word, place, reason)) + b"\r\n\r\n"


def _as_array(events: Iterator[bytes]) -> Iterator[bytes]:
    before = b"["
    for event in events:
        yield before + event.removeprefix(b"data: ").rstrip()
        before = b"\n,\r\n"
    yield b"\n]\n"


def _gemini_reason(answer: _Answer) -> str:
    return "MAX_TOKENS" if answer.cut else "STOP"


def _gemini_tokens(answer: _Answer) -> Json:
    return {"totalTokens": answer.input, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input}]}


def _gemini_embedding(answer: _Answer) -> Json:
    return {"embedding": _gemini_vectors(answer)[0], "usageMetadata": _gemini_embedded(answer)}


def _gemini_embeddings(answer: _Answer) -> Json:
    return {"embeddings": _gemini_vectors(answer), "usageMetadata": _gemini_embedded(answer)}


def _gemini_vectors(answer: _Answer) -> list[Json]:
    return [{"values": _vector(text, answer.dimensions, as_base64=False)} for text in answer.asked]


def _gemini_embedded(answer: _Answer) -> Json:
    return {"promptTokenCount": answer.input, "totalTokenCount": answer.input}


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


def _problem(path: str, message: str) -> Mapping[str, Any]:
    if "/messages" in path:
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    if _of_path(path) is not None:
        return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


# By the end of the path, longer ones first: where a request says what it asks, the plain answer, the streamed one.
_SAID_IN = {
    "/chat/completions": "messages",
    "/completions": "prompt",
    "/embeddings": "input",
    "/responses/compact": "input",
    "/responses": "input",
    "/messages": "messages",
    "/messages/count_tokens": "messages",
    ":generateContent": "contents",
    _GEMINI_STREAM: "contents",
    ":countTokens": "contents",
    ":embedContent": "content",
    ":batchEmbedContents": "requests",
}
_ANSWERS: Mapping[str, tuple[Callable[[_Answer], Json], Callable[[_Answer], Iterator[bytes]] | None]] = {
    "/chat/completions": (_completion, _completion_events),
    "/completions": (_text_completion, _text_completion_events),
    "/embeddings": (_embeddings, None),
    "/responses/compact": (_compaction, None),
    "/responses": (_response, _response_events),
    "/messages": (_message, _message_events),
    "/messages/count_tokens": (lambda answer: {"input_tokens": answer.input}, None),
    ":generateContent": (_generated, None),
    _GEMINI_STREAM: (_generated, _generated_events),
    ":countTokens": (_gemini_tokens, None),
    ":embedContent": (_gemini_embedding, None),
    ":batchEmbedContents": (_gemini_embeddings, None),
}
