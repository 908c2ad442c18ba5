"""What each format says, frame by frame, as its provider does. Pure: a script is made whole before the first byte goes out.

Shapes were taken from the providers' API references (OpenAI's chat completions, completions, embeddings and responses with their
streaming objects, Anthropic messages and its streaming events, Gemini's generateContent in both framings), as of November 2026.
"""

import base64
import json
import struct
from functools import lru_cache

import msgspec

from .knobs import Knobs

ID = b"@call@"  # stands for the call's id in a cached script; replaced when it is sent
TEXT = ["Every", " token", " is", " counted", " once", ",", " and", " only", " once", ". ", "Größe", " 日本", " 🙂"]
CREATED = 1_760_000_000


class Script(msgspec.Struct, frozen=True):
    """`head` and `body` of a plain answer; or the frames of a stream. `content[i]` is the index of content event i in `frames`."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    frames: tuple[bytes, ...] = ()
    content: tuple[int, ...] = ()
    error: bytes = b""  # the frame that says that it went wrong midway


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _text(knobs: Knobs) -> list[str]:
    return [TEXT[i % len(TEXT)] + "x" * knobs.size for i in range(knobs.n)]


def _odd(knobs: Knobs) -> tuple[object, object]:
    given_in, given_out = knobs.tokens
    if knobs.usage == "negative":
        return -given_in, -given_out
    if knobs.usage == "absurd":
        return 10**18, 10**18
    return given_in, given_out


@lru_cache(maxsize=4096)
def script(format: str, knobs: Knobs, model: str, stream: bool, ask_usage: bool) -> Script:
    if knobs.status != 200:
        return _refusal(format, knobs)
    match format:
        case "openai.chat":
            return _openai_stream(knobs, model, ask_usage) if stream else _openai_plain(knobs, model)
        case "openai.completions":
            return _completions_stream(knobs, model, ask_usage) if stream else _completions_plain(knobs, model)
        case "openai.embeddings":
            return _embeddings(knobs, model)
        case "openai.responses":
            return _responses_stream(knobs, model) if stream else _responses_plain(knobs, model)
        case "openai.compaction":
            return _compaction(knobs)
        case "anthropic.messages":
            return _anthropic_stream(knobs, model) if stream else _anthropic_plain(knobs, model)
        case "gemini.generate":
            return _gemini_stream(knobs, model) if stream else _gemini_plain(knobs, model)
        case "gemini.embeddings":
            return _gemini_embeddings(knobs)
        case "gemini.count_tokens":
            return Script(200, _JSON, _json({"totalTokens": knobs.tokens[0]}))
        case "anthropic.count_tokens":
            return Script(200, _JSON, _json({"input_tokens": knobs.tokens[0]}))
        case _:
            raise ValueError(format)


GOOGLE_WORDS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}
ERROR_WORDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def _refusal(format: str, knobs: Knobs) -> Script:
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    if knobs.retry_after is not None:
        headers.append((b"retry-after", knobs.retry_after.encode()))
    if format.startswith("openai."):
        headers.append((b"x-ratelimit-remaining-requests", b"0"))
        kind = {429: "tokens", 401: "invalid_request_error", 400: "invalid_request_error"}.get(knobs.status, "server_error")
        error: dict[str, object] = {
            "message": f"replayed fault {knobs.status}",
            "type": kind,
            "param": None,
            "code": "rate_limit_exceeded" if knobs.status == 429 else None,
        }
        return Script(knobs.status, tuple(headers), _json({"error": error}))
    if format.startswith("gemini."):
        word = GOOGLE_WORDS.get(knobs.status, "INTERNAL" if knobs.status == 500 else "UNAVAILABLE")
        return Script(
            knobs.status,
            tuple(headers),
            _json({"error": {"code": knobs.status, "message": f"replayed fault {knobs.status}", "status": word}}),
        )
    kind = ERROR_WORDS.get(knobs.status, "api_error")
    body = {"type": "error", "error": {"type": kind, "message": f"replayed fault {knobs.status}"}, "request_id": "req_@call@"}
    return Script(knobs.status, tuple(headers), _json(body))


# ---------------------------------------------------------------- openai.chat


def _openai_usage(knobs: Knobs) -> dict[str, object] | None:
    if knobs.usage == "null":
        return None
    given_in, given_out = _odd(knobs)
    return {
        "prompt_tokens": given_in,
        "completion_tokens": given_out,
        "total_tokens": given_in + given_out,  # type: ignore[operator]
        "prompt_tokens_details": {"cached_tokens": knobs.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": knobs.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


ARGUMENTS = ['{"ci', 'ty":"', "Bern", '"}']


def _openai_plain(knobs: Knobs, model: str) -> Script:
    message: dict[str, object] = {"role": "assistant", "content": "".join(_text(knobs)), "refusal": None, "annotations": []}
    reason = "stop"
    if knobs.tool:
        call = {"id": "call_@call@", "type": "function", "function": {"name": "weather", "arguments": "".join(ARGUMENTS)}}
        message |= {"content": None, "tool_calls": [call]}
        reason = "tool_calls"
    answer: dict[str, object] = {
        "id": "chatcmpl-@call@",
        "object": "chat.completion",
        "created": CREATED,
        "model": f"{model}-2026-01-01",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
    }
    if knobs.usage != "none":
        answer["usage"] = _openai_usage(knobs)
    answer |= {"service_tier": "default", "system_fingerprint": "fp_replay"}
    return Script(200, ((b"content-type", b"application/json"),), _json(answer))


def _openai_stream(knobs: Knobs, model: str, ask_usage: bool) -> Script:
    def chunk(delta: dict[str, object] | None, reason: str | None = None, usage: object = ...) -> bytes:
        frame: dict[str, object] = {
            "id": "chatcmpl-@call@",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": f"{model}-2026-01-01",
            "service_tier": "default",
            "system_fingerprint": "fp_replay",
            "choices": [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}],
        }
        if usage is not ...:
            frame["usage"] = usage
        elif ask_usage:
            frame["usage"] = None
        return _data(_json(frame), knobs)

    frames: list[bytes] = []
    content: list[int] = []
    reason = "stop"
    if knobs.tool:
        reason = "tool_calls"
        function: dict[str, object] = {"name": "weather", "arguments": ""}
        start = {"index": 0, "id": "call_@call@", "type": "function", "function": function}
        frames.append(chunk({"role": "assistant", "content": None, "tool_calls": [start], "refusal": None}))
        for part in ARGUMENTS:
            content.append(len(frames))
            frames.append(chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}))
    else:
        frames.append(chunk({"role": "assistant", "content": "", "refusal": None}))
        for text in _text(knobs):
            content.append(len(frames))
            frames.append(chunk({"content": text}))
    if knobs.usage == "choices":
        frames.append(chunk({}, reason, _openai_usage(knobs)))
    else:
        frames.append(chunk({}, reason))
        if ask_usage and knobs.usage != "none":
            frames.append(chunk(None, None, _openai_usage(knobs)))
    if knobs.done:
        frames.append(_data(b"[DONE]", knobs))
    fault = {"error": {"message": "replayed fault midway", "type": "server_error", "param": None, "code": None}}
    return Script(200, _STREAM, b"", tuple(frames), tuple(content), _data(_json(fault), knobs))


# ---------------------------------------------------------------- openai.completions


def _completions_head(model: str) -> dict[str, object]:
    return {"id": "cmpl-@call@", "object": "text_completion", "created": CREATED, "model": f"{model}-2026-01-01"}


def _text_choice(text: str, reason: str | None) -> dict[str, object]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}


def _completions_plain(knobs: Knobs, model: str) -> Script:
    answer = {**_completions_head(model), "choices": [_text_choice("".join(_text(knobs)), "stop")]}
    if knobs.usage != "none":
        answer["usage"] = _openai_usage(knobs)
    return Script(200, ((b"content-type", b"application/json"),), _json(answer))


def _completions_stream(knobs: Knobs, model: str, ask_usage: bool) -> Script:
    def chunk(choices: list[object], usage: object = ...) -> bytes:
        frame = {**_completions_head(model), "choices": choices}
        if usage is not ...:
            frame["usage"] = usage
        elif ask_usage:
            frame["usage"] = None
        return _data(_json(frame), knobs)

    frames = [chunk([_text_choice(text, None)]) for text in _text(knobs)]
    content = tuple(range(len(frames)))
    if knobs.usage == "choices":
        frames.append(chunk([_text_choice("", "stop")], _openai_usage(knobs)))
    else:
        frames.append(chunk([_text_choice("", "stop")]))
        if ask_usage and knobs.usage != "none":
            frames.append(chunk([], _openai_usage(knobs)))
    if knobs.done:
        frames.append(_data(b"[DONE]", knobs))
    fault = {"error": {"message": "replayed fault midway", "type": "server_error", "param": None, "code": None}}
    return Script(200, _STREAM, b"", tuple(frames), content, _data(_json(fault), knobs))


# ---------------------------------------------------------------- openai.embeddings


def _embeddings(knobs: Knobs, model: str) -> Script:
    """`n` vectors, each as wide as `size` says, or of four numbers."""
    numbers = [round((place % 17 - 8) / 16, 6) for place in range(knobs.size or 4)]
    vector = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if knobs.base64 else numbers
    answer: dict[str, object] = {
        "object": "list",
        "data": [{"object": "embedding", "index": place, "embedding": vector} for place in range(knobs.n)],
        "model": f"{model}-2026-01-01",
    }
    if knobs.usage != "none":
        given_in, _ = _odd(knobs)
        answer["usage"] = None if knobs.usage == "null" else {"prompt_tokens": given_in, "total_tokens": given_in}
    return Script(200, ((b"content-type", b"application/json"),), _json(answer))


# ---------------------------------------------------------------- openai.responses


def _responses_usage(knobs: Knobs) -> dict[str, object] | None:
    if knobs.usage == "null":
        return None
    given_in, given_out = _odd(knobs)
    return {
        "input_tokens": given_in,
        "input_tokens_details": {"cached_tokens": knobs.cached, "cache_write_tokens": knobs.written},
        "output_tokens": given_out,
        "output_tokens_details": {"reasoning_tokens": knobs.reasoning},
        "total_tokens": given_in + given_out,  # type: ignore[operator]
    }


def _response(knobs: Knobs, model: str, status: str, output: list[object]) -> dict[str, object]:
    answer: dict[str, object] = {
        "id": "resp_@call@",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": f"{model}-2026-01-01",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
    }
    if knobs.usage != "none":
        answer["usage"] = None if status == "in_progress" else _responses_usage(knobs)
    return {**answer, "user": None, "metadata": {}}


def _response_item(knobs: Knobs, *, begun: bool = False) -> dict[str, object]:
    """A message or a tool call, as it is when it begins and when it is done."""
    status = "in_progress" if begun else "completed"
    if knobs.tool:
        said = "" if begun else "".join(ARGUMENTS)
        return {
            "id": "fc_@call@",
            "type": "function_call",
            "status": status,
            "arguments": said,
            "call_id": "call_@call@",
            "name": "weather",
        }
    content = [] if begun else [_response_part("".join(_text(knobs)))]
    return {"id": "msg_@call@", "type": "message", "status": status, "content": content, "role": "assistant"}


def _response_part(text: str) -> dict[str, object]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _responses_plain(knobs: Knobs, model: str) -> Script:
    body = _response(knobs, model, "completed", [_response_item(knobs)])
    return Script(200, ((b"content-type", b"application/json"),), _json(body))


def _responses_stream(knobs: Knobs, model: str) -> Script:
    begun = _response(knobs, model, "in_progress", [])
    at: dict[str, object] = {"item_id": "fc_@call@" if knobs.tool else "msg_@call@", "output_index": 0}
    events: list[dict[str, object]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": _response_item(knobs, begun=True)},
    ]
    if knobs.tool:
        first = len(events)
        events += [{"type": "response.function_call_arguments.delta", **at, "delta": part} for part in ARGUMENTS]
        content = range(first, len(events))
        events.append({"type": "response.function_call_arguments.done", **at, "arguments": "".join(ARGUMENTS)})
    else:
        at["content_index"] = 0
        events.append({"type": "response.content_part.added", **at, "part": _response_part("")})
        first, whole = len(events), "".join(_text(knobs))
        events += [{"type": "response.output_text.delta", **at, "delta": text, "logprobs": []} for text in _text(knobs)]
        content = range(first, len(events))
        events.append({"type": "response.output_text.done", **at, "text": whole, "logprobs": []})
        events.append({"type": "response.content_part.done", **at, "part": _response_part(whole)})
    item = _response_item(knobs)
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": _response(knobs, model, "completed", [item])})
    frames = [_data(_json({**event, "sequence_number": n}), knobs, str(event["type"])) for n, event in enumerate(events)]
    said = {"type": "server_error", "code": "server_error", "message": "replayed fault midway", "param": None}
    fault = _data(_json({"type": "error", "error": said, "sequence_number": 99}), knobs, "error")
    return Script(200, _STREAM, b"", tuple(frames), tuple(content), fault)


def _compaction(knobs: Knobs) -> Script:
    item = {"id": "cmp_@call@", "type": "compaction", "encrypted_content": "gAAAAA"}
    body = {"id": "resp_@call@", "object": "response.compaction", "created_at": CREATED, "output": [item]}
    if knobs.usage != "none":
        body["usage"] = _responses_usage(knobs)
    return Script(200, ((b"content-type", b"application/json"),), _json(body))


# ---------------------------------------------------------------- anthropic.messages


def _anthropic_usage(knobs: Knobs, output: object) -> dict[str, object]:
    """Anthropic's input_tokens leaves out what was read from and written to the cache."""
    given_in, _ = _odd(knobs)
    if knobs.usage == "exact":
        given_in = knobs.tokens[0] - knobs.cached - knobs.written
    return {
        "input_tokens": given_in,
        "cache_creation_input_tokens": knobs.written,
        "cache_read_input_tokens": knobs.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": knobs.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }


def _anthropic_message(knobs: Knobs, model: str, content: list[object], stop: str | None, output: object) -> dict[str, object]:
    message: dict[str, object] = {
        "id": "msg_@call@",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
    }
    if knobs.usage != "none":
        message["usage"] = None if knobs.usage == "null" else _anthropic_usage(knobs, output)
    return message


def _anthropic_plain(knobs: Knobs, model: str) -> Script:
    _, given_out = _odd(knobs)
    content: list[object] = [{"type": "text", "text": "".join(_text(knobs))}]
    if knobs.tool:
        content = [{"type": "tool_use", "id": "toolu_@call@", "name": "weather", "input": {"city": "Bern"}}]
    body = _anthropic_message(knobs, model, content, "tool_use" if knobs.tool else "end_turn", given_out)
    return Script(200, ((b"content-type", b"application/json"),), _json(body))


def _anthropic_stream(knobs: Knobs, model: str) -> Script:
    def event(value: dict[str, object]) -> bytes:
        return _data(_json(value), knobs, str(value["type"]))

    _, given_out = _odd(knobs)
    frames = [event({"type": "message_start", "message": _anthropic_message(knobs, model, [], None, 1)})]
    content: list[int] = []
    if knobs.tool:
        block: dict[str, object] = {"type": "tool_use", "id": "toolu_@call@", "name": "weather", "input": {}}
        deltas: list[dict[str, object]] = [{"type": "input_json_delta", "partial_json": part} for part in ARGUMENTS]
    else:
        block = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": text} for text in _text(knobs)]
    frames.append(event({"type": "content_block_start", "index": 0, "content_block": block}))
    frames.append(event({"type": "ping"}))
    for delta in deltas:
        content.append(len(frames))
        frames.append(event({"type": "content_block_delta", "index": 0, "delta": delta}))
    frames.append(event({"type": "content_block_stop", "index": 0}))
    final: dict[str, object] = {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use" if knobs.tool else "end_turn", "stop_sequence": None},
    }
    if knobs.usage != "none":
        final["usage"] = None if knobs.usage == "null" else {"output_tokens": given_out}
    frames.append(event(final))
    frames.append(event({"type": "message_stop"}))
    fault = {"type": "error", "error": {"type": "overloaded_error", "message": "replayed fault midway"}}
    return Script(200, _STREAM, b"", tuple(frames), tuple(content), event(fault))


# ---------------------------------------------------------------- gemini.generate


def _gemini_usage(knobs: Knobs, *, whole: bool) -> dict[str, object] | None:
    """Google's candidatesTokenCount leaves thoughts out, and zeros are not said. Before the end only the prompt is counted."""
    if knobs.usage == "null":
        return None
    given_in, given_out = _odd(knobs)
    counts: dict[str, object] = {"promptTokenCount": given_in}
    if knobs.cached:
        counts["cachedContentTokenCount"] = knobs.cached
    if not whole:
        return {**counts, "totalTokenCount": given_in}
    made = given_out - knobs.reasoning  # type: ignore[operator]
    counts |= {"candidatesTokenCount": made, "totalTokenCount": given_in + given_out}  # type: ignore[operator]
    return {**counts, "thoughtsTokenCount": knobs.reasoning} if knobs.reasoning else counts


def _gemini_chunk(knobs: Knobs, model: str, part: dict[str, object], reason: str | None) -> dict[str, object]:
    candidate: dict[str, object] = {"content": {"parts": [part], "role": "model"}}
    if reason is not None:
        candidate["finishReason"] = reason
    chunk: dict[str, object] = {"candidates": [{**candidate, "index": 0}]}
    if knobs.usage != "none":
        chunk["usageMetadata"] = _gemini_usage(knobs, whole=reason is not None)
    return {**chunk, "modelVersion": f"{model}-2026-01-01", "responseId": "gem_@call@"}


_GEMINI_CALL: dict[str, object] = {"functionCall": {"name": "weather", "args": {"city": "Bern"}}}


def _gemini_plain(knobs: Knobs, model: str) -> Script:
    part = _GEMINI_CALL if knobs.tool else {"text": "".join(_text(knobs))}
    return Script(200, _JSON, _json(_gemini_chunk(knobs, model, part, "STOP")))


def _gemini_stream(knobs: Knobs, model: str) -> Script:
    """No terminal event: the last chunk has the reason to stop. Without `alt=sse` it is a JSON array."""
    parts = [_GEMINI_CALL] if knobs.tool else [{"text": text} for text in _text(knobs)]
    chunks = [_json(_gemini_chunk(knobs, model, part, None)) for part in parts]
    content = tuple(range(len(chunks)))
    chunks.append(_json(_gemini_chunk(knobs, model, {"text": ""}, "STOP")))
    fault = _json({"error": {"code": 503, "message": "replayed fault midway", "status": "UNAVAILABLE"}})
    if not knobs.array:
        # Google's own lines end by CRLF; `crlf` of the knobs says it for all formats.
        return Script(200, _STREAM, b"", tuple(_data(chunk, knobs) for chunk in chunks), content, _data(fault, knobs))
    frames = [b"[" + chunks[0], *(b"\n,\r\n" + chunk for chunk in chunks[1:]), b"\n]"]
    return Script(200, _JSON, b"", tuple(frames), content, b"\n,\r\n" + fault + b"\n]")


def _gemini_embeddings(knobs: Knobs) -> Script:
    """Of a batch, if `n` is not 1; older models count nothing here."""
    values = {"values": [round((place % 17 - 8) / 16, 6) for place in range(knobs.size or 4)]}
    answer: dict[str, object] = {"embedding": values} if knobs.n == 1 else {"embeddings": [values] * knobs.n}
    if knobs.usage != "none":
        answer["usageMetadata"] = None if knobs.usage == "null" else {"promptTokenCount": _odd(knobs)[0]}
    return Script(200, _JSON, _json(answer))


_JSON = ((b"content-type", b"application/json; charset=UTF-8"),)
_STREAM = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))


def _data(data: bytes, knobs: Knobs, event: str | None = None) -> bytes:
    end = b"\r\n" if knobs.crlf else b"\n"
    lines = [b"event: " + event.encode()] if event else []
    lines.append(b"data: " + data)
    if knobs.comments:
        lines = [b": keep-alive", b"", *lines, b"x-unknown: 1"]
    return end.join([*lines, b"", b""])
