"""A client that writes down what it saw, call by call: one of the three books that the invariant compares."""

import asyncio
import contextlib
import json
import re
from typing import Any

import aiohttp
import msgspec

from tests.upstream.knobs import mark

# Every call says its mark to the gateway too: so a ledger row can be matched even if its reply never came.
CALLER = "x-mlflow-gateway-caller"
# {} is the endpoint's name, where the path says it.
PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.completions": "/v1/completions",
    "openai.responses": "/v1/responses",
    "openai.embeddings": "/v1/embeddings",
    "anthropic.messages": "/v1/messages",
    "gemini.generate": "/v1beta/models/{}:generateContent",
    "gemini.embeddings": "/v1beta/models/{}:embedContent",
    "mlflow.chat": "/gateway/mlflow/v1/chat/completions",
    "mlflow.embeddings": "/gateway/{}/mlflow/invocations",
}
ON_REQUEST = {"openai.chat", "openai.completions", "mlflow.chat"}  # their streams say usage to who asks for it
OPENAI_USAGE = re.compile(rb'"usage":\{"prompt_tokens":(\d+),"completion_tokens":(\d+)')
RESPONSES_USAGE = re.compile(rb'"usage":\{"input_tokens":(\d+),"input_tokens_details":\{[^{}]*\},"output_tokens":(\d+)')
EMBEDDINGS_USAGE = re.compile(rb'"usage":\{"prompt_tokens":(\d+),"total_tokens":\d+()\}')
ANTHROPIC_OUTPUT = re.compile(rb'"output_tokens":(\d+)')
ANTHROPIC_INPUT = re.compile(rb'"input_tokens":(\d+),"cache_creation_input_tokens":(\d+),"cache_read_input_tokens":(\d+)')


class Seen(msgspec.Struct, kw_only=True):
    """One call as its client saw it."""

    id: str
    format: str = "openai.chat"
    stream: bool = False
    status: int | None = None  # None: no head came
    call_id: str | None = None
    trace_id: str | None = None
    whole: bool = False  # the answer came to its end: a terminal event, or the whole body
    left: bool = False  # we hung up
    input: int | None = None
    output: int | None = None
    fault: str | None = None  # what broke on the wire
    body: bytes = b""

    def count(self) -> None:
        """Reads the tokens off the answer. Anthropic's input leaves cached tokens out; the books put them in."""
        if self.format == "anthropic.messages":
            if found := ANTHROPIC_INPUT.search(self.body):
                self.input = sum(int(n) for n in found.groups())
            if all_found := ANTHROPIC_OUTPUT.findall(self.body):
                self.output = int(all_found[-1])
        elif all_usages := USAGES.get(self.format, OPENAI_USAGE).findall(self.body):
            self.input, self.output = (int(n or 0) for n in all_usages[-1])


# The last chunk's, and that of embeddings.
GEMINI_USAGE = re.compile(rb'"usageMetadata":\{"promptTokenCount":(\d+),"candidatesTokenCount":(\d+)')
USAGES = {"gemini.generate": GEMINI_USAGE, "openai.responses": RESPONSES_USAGE, "openai.embeddings": EMBEDDINGS_USAGE}


def body(format: str, endpoint: str, call: str, stream: bool, ask_usage: bool = True, **knobs: object) -> dict[str, Any]:
    text = f"Hello {mark(call, **knobs)}"
    if format.startswith("gemini."):  # all but the text stands in the path
        said: dict[str, Any] = {"role": "user", "parts": [{"text": text}]}
        return {"contents": [said]} if format == "gemini.generate" else {"content": said}
    asked: dict[str, Any] = {"model": endpoint}
    match format:
        case "openai.completions":
            asked["prompt"] = text
        case "openai.responses" | "openai.embeddings" | "mlflow.embeddings":
            asked["input"] = text
        case _:
            asked["messages"] = [{"role": "user", "content": text}]
    if format == "anthropic.messages":
        asked["max_tokens"] = 64
    if stream:
        asked["stream"] = True
        if format in ON_REQUEST and ask_usage:
            asked["stream_options"] = {"include_usage": True}
    return asked


def path(format: str, endpoint: str, stream: bool = False) -> str:
    said = PATHS[format].format(endpoint)
    return said.replace(":generateContent", ":streamGenerateContent?alt=sse") if stream else said


class Client:
    """Many calls at once over one aiohttp session. Never retries: what happened, happened."""

    def __init__(self, url: str, key: str, timeout: float = 60) -> None:
        self.url = url
        self.key = key
        self.timeout = timeout
        self.seen: list[Seen] = []
        self.session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Client":
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=self.timeout), trust_env=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.session is not None
        await self.session.close()

    async def call(
        self,
        endpoint: str,
        call: str,
        *,
        format: str = "openai.chat",
        stream: bool = False,
        leave_after: int | None = None,
        ask_usage: bool = True,
        **knobs: object,
    ) -> Seen:
        """One call; `leave_after` hangs up after so many bytes of the answer (0: as soon as the request is sent and 50 ms have gone)."""
        seen = Seen(id=call, format=format, stream=stream)
        self.seen.append(seen)
        headers = {CALLER: call, "authorization": f"Bearer {self.key}"}
        if format == "anthropic.messages":
            headers["anthropic-version"] = "2023-06-01"
        asked = body(format, endpoint, call, stream, ask_usage, **knobs)
        try:
            if leave_after == 0:
                seen.left = True
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._exchange(seen, path(format, endpoint, stream), headers, asked, None), 0.05)
            else:
                await self._exchange(seen, path(format, endpoint, stream), headers, asked, leave_after)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            seen.fault = f"{type(error).__name__}: {error}"
        seen.count()
        return seen

    async def _exchange(self, seen: Seen, path: str, headers: dict[str, str], asked: dict[str, Any], leave_after: int | None) -> None:
        assert self.session is not None
        async with self.session.post(self.url + path, data=json.dumps(asked), headers=headers) as answer:
            seen.status = answer.status
            seen.call_id = answer.headers.get("x-spangate-call-id")
            seen.trace_id = answer.headers.get("x-spangate-trace-id")
            async for chunk in answer.content.iter_any():
                seen.body += chunk
                if ended(seen):
                    seen.whole = True
                if leave_after is not None and len(seen.body) >= leave_after:
                    seen.left = True
                    answer.close()
                    return
            if not seen.stream and seen.status == 200:
                seen.whole = True
            if seen.stream and seen.format in REASONS and seen.status == 200:
                seen.whole = b'"error"' not in seen.body and REASONS[seen.format] in seen.body


def ended(seen: Seen) -> bool:
    """The terminal event that an SDK stops at has come."""
    if not seen.stream or seen.status != 200:
        return False
    end = ENDS.get(seen.format)
    return end is not None and end in seen.body


# These have no terminal event: their end is the last chunk, with the reason to stop, and then the end of the body.
REASONS = {"mlflow.chat": b'"finish_reason":"', "gemini.generate": b'"finishReason":"'}
# The terminal event, where a format has one.
ENDS = {
    "openai.chat": b"data: [DONE]",
    "openai.completions": b"data: [DONE]",
    "openai.responses": b'"type":"response.completed"',
    "anthropic.messages": b'"type":"message_stop"',
}
