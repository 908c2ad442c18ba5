"""What is sent to a target: the client's own bytes with the target's model, the target's URL and proof, and the few headers that go up."""

import math

import msgspec

from spangate.exchange import Inbound, Target
from spangate.wire.formats import raw

from . import peek_gemini
from .asked import USAGE_ON_REQUEST
from .headers import headers_up
from .peek import Peek, patch, without
from .upstream import Outgoing, Timeouts


class Plan(msgspec.Struct, frozen=True):
    """What will be sent, to whom, and what the client must not see of it."""

    target: Target
    format: str  # what is spoken with the provider
    outgoing: Outgoing
    stream: bool
    withhold_usage: bool  # we asked for usage in the stream, the client did not


def plan(inbound: Inbound, peeked: Peek, target: Target, format: str, timeouts: Timeouts | None = None, deadline: float = math.inf) -> Plan:
    ask = peeked.stream and target.usage_in_stream == "ask" and format in USAGE_ON_REQUEST
    # MLflow's unified streams carry usage unless the client says that it wants none; OpenAI's only if it says that it does.
    wanted = peeked.include_usage is not False if inbound.format == "mlflow.chat" else peeked.include_usage is True
    return Plan(
        target=target,
        format=format,
        outgoing=Outgoing(
            url=url(target.formats[format], inbound),
            method=inbound.method,
            headers=headers(inbound, target, format, stream=peeked.stream and not peek_gemini.listed(inbound)),
            body=_body(inbound, peeked, target, format, ask_usage=ask),
            allow_private=target.allow_private,
            timeouts=timeouts,
            deadline=deadline,
        ),
        stream=peeked.stream,
        withhold_usage=ask and not wanted,
    )


def _body(inbound: Inbound, peeked: Peek, target: Target, format: str, *, ask_usage: bool) -> bytes:
    if not inbound.names_model:
        return inbound.body
    if format in peek_gemini.FORMATS:
        return peek_gemini.patch(inbound.body, peeked, target.model)
    body = patch(inbound.body, peeked, model=target.model, ask_usage=ask_usage)
    # Who refuses the option sends usage without being asked, so that the client misses nothing.
    refused = target.usage_in_stream == "rejects" and peeked.options_at is not None and format in USAGE_ON_REQUEST
    return without(body, "stream_options") if refused else body


def headers(inbound: Inbound, target: Target, format: str, *, stream: bool) -> dict[str, str]:
    up = headers_up(inbound.headers, target.headers, format, stream=stream)
    if not inbound.body:
        del up["content-type"]
    elif format == raw.NAME and not any(name == b"content-type" for name, _ in inbound.headers):
        del up["content-type"]  # what the client did not name is not ours to name
    if format == raw.NAME and not any(name == b"accept" for name, _ in inbound.headers):
        up["accept"] = "*/*"
    return up


def url(base: str, inbound: Inbound) -> str:
    """The URL of the format with what the operation adds to its path and to its query."""
    path, _, fixed = base.partition("?")
    query = "&".join(part for part in (fixed, inbound.query) if part)
    return f"{path}{inbound.suffix}?{query}" if query else path + inbound.suffix
