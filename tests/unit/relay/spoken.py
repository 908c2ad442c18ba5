"""What clients and providers say to the engine, and what it keeps of that."""

import errno
import json
from typing import Any

from spangate.exchange import AttemptRecord, Exchange, Reply, Status
from spangate.wire.usage import Provenance, Usage

from .fakes import CALL_ID

FULL = OSError(errno.ENOSPC, "No space left on device")
ASK = b'{"model": "chat", "messages": []}'
ASK_DARK = b'{"model": "dark", "messages": []}'
ASK_STREAM = b'{"model": "chat", "stream": true, "messages": []}'
ASK_STREAM_USAGE = b'{"model": "chat", "stream": true, "stream_options": {"include_usage": true}, "messages": []}'
SENT_STREAM = b'{"stream_options":{"include_usage":true},"model": "gpt-x", "stream": true, "messages": []}'

PLAIN = (
    b'{"id": "c-1", "model": "gpt-x-1",'
    b' "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],'
    b' "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}'
)


def frame(choices: str, usage: str = "") -> bytes:
    return f'data: {{"id":"c-1","model":"gpt-x-1","choices":{choices}{usage}}}\n\n'.encode()


ROLE = frame('[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]')
WORD = frame('[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]')
STOP = frame('[{"index":0,"delta":{},"finish_reason":"stop"}]')
USAGE = frame("[]", ',"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}')
BOTH = frame('[{"index":0,"delta":{},"finish_reason":"stop"}]', ',"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}')
DONE = b"data: [DONE]\n\n"
FOLDED = {
    "id": "c-1",
    "object": "chat.completion",
    "model": "gpt-x-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
CLAUDE_ASK = b'{"model": "claude", "max_tokens": 9, "stream": true, "messages": []}'
CLAUDE_FRAMES = [
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m-1","type":"message","role":"assistant","model":"claude-x-1",'
    b'"content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}\n\n',
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
]
REPORTED = Usage(input=3, output=2)


def attempt(**changes: Any) -> AttemptRecord:
    """The attempt of a call that went well, with what is different. The clock is 0.25 s at the attempt, 0.5 s at the head."""
    plain: dict[str, Any] = {
        "no": 1,
        "provider": "openai",
        "model": "gpt-x",
        "format": "openai.chat",
        "started": 250_000_000,
        "model_definition_id": "d-1",
        "secret_id": "s-1",
        "headed": 500_000_000,
        "ended": 750_000_000,
        "status": Status.ok,
        "http_status": 200,
        "response_id": "c-1",
        "response_model": "gpt-x-1",
        "stop_reason": "stop",
        "usage": REPORTED,
        "provenance": Provenance.reported,
    }
    return AttemptRecord(**(plain | changes))


def exchange(*attempts: AttemptRecord, **changes: Any) -> Exchange:
    plain: dict[str, Any] = {
        "call_id": CALL_ID,
        "format": "openai.chat",
        "request_type": "passthrough/model/openai-chat",
        "path": "/v1/x",
        "server": "gw",
        "received_at": 1_700_000_000_000_000_000,
        "status": Status.ok,
        "http_status": 200,
        "duration": 750_000_000,
        "endpoint_id": "e-1",
        "endpoint": "chat",
        "experiment_id": "7",
        "model": "chat",
        "caller_id": "k-1",
        "caller": "admin",
        "agent": "tests",
        "request_bytes": len(ASK),
        "attempts": attempts,
    }
    return Exchange(**(plain | changes))


def problem(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply.body, bytes)
    return json.loads(reply.body)["error"]
