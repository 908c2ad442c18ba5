"""What is sent to a target: the client's own bytes with the target's model, the target's URL and proof, and the few headers that go up."""

import msgspec

from spangate.exchange import Inbound, Target

from .asked import USAGE_ON_REQUEST
from .headers import headers_up
from .peek import Peek, patch
from .upstream import Outgoing


class Plan(msgspec.Struct, frozen=True):
    """What will be sent, to whom, and what the client must not see of it."""

    target: Target
    format: str  # what is spoken with the provider
    outgoing: Outgoing
    stream: bool
    withhold_usage: bool  # we asked for usage in the stream, the client did not


def plan(inbound: Inbound, peeked: Peek, target: Target, format: str) -> Plan:
    ask = peeked.stream and target.usage_in_stream == "ask" and format in USAGE_ON_REQUEST
    # MLflow's unified streams carry usage unless the client says that it wants none; OpenAI's only if it says that it does.
    wanted = peeked.include_usage is not False if inbound.format == "mlflow.chat" else peeked.include_usage is True
    return Plan(
        target=target,
        format=format,
        outgoing=Outgoing(
            url=url(target.formats[format], inbound),
            method=inbound.method,
            headers=headers_up(inbound.headers, target.headers, format, stream=peeked.stream),
            body=patch(inbound.body, peeked, model=target.model, ask_usage=ask) if inbound.names_model else inbound.body,
            allow_private=target.allow_private,
        ),
        stream=peeked.stream,
        withhold_usage=ask and not wanted,
    )


def url(base: str, inbound: Inbound) -> str:
    """The URL of the format with what the operation adds to its path and to its query."""
    path, _, fixed = base.partition("?")
    query = "&".join(part for part in (fixed, inbound.query) if part)
    return f"{path}{inbound.suffix}?{query}" if query else path + inbound.suffix
