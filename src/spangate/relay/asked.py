"""What a request asks for, as far as its operation heeds it: pure, and the one place that knows which operations have no stream."""

import msgspec

from spangate.exchange import Inbound
from spangate.wire.problems import Refusal

from . import peek_gemini
from .peek import Peek, peek

# Their streams hold usage only for who says `stream_options.include_usage`; elsewhere the option is unknown, and refused.
USAGE_ON_REQUEST = frozenset({"openai.chat", "openai.completions"})
# There is nothing to stream: `stream` in the body means nothing here, as in MLflow, and is the provider's to judge.
_PLAIN = frozenset({"openai.embeddings", "mlflow.embeddings", "anthropic.count_tokens"})


def asked(inbound: Inbound) -> Peek:
    """Raises Refusal(400) for what cannot be read, and for a stream where it would be another operation's."""
    if not inbound.names_model:
        return Peek(model=None, stream=bool(inbound.stream), include_usage=None, inside=0, empty=True)
    if inbound.format in peek_gemini.FORMATS:
        return peek_gemini.peek(inbound.body, stream=bool(inbound.stream))
    peeked = peek(inbound.body)
    if not peeked.stream:
        return peeked
    if inbound.suffix:
        raise Refusal(400, "unsupported_stream", f"{inbound.path} does not stream: leave `stream` out.", param="stream")
    return msgspec.structs.replace(peeked, stream=False) if inbound.format in _PLAIN else peeked
