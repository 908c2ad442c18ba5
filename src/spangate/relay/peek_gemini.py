"""Where the body of a request to Gemini repeats the model that its path names; then the body with only these names replaced.

`model` stands in embedContent, in each of batchEmbedContents' requests and in countTokens' generateContentRequest, as a resource name
(`models/…`). Fields have two spellings, as in all JSON of protobuf. Nothing is re-encoded, and a key that is said twice is refused.
"""

from collections.abc import Mapping

import msgspec

from spangate.exchange import Inbound
from spangate.wire.problems import Refusal

from .peek import Peek, Span, past_blanks, scan, spliced

# By the word behind the model in the path: the format, and whether the answer is a stream.
METHODS: Mapping[str, tuple[str, bool]] = {
    "generateContent": ("gemini.generate", False),
    "streamGenerateContent": ("gemini.generate", True),
    "countTokens": ("gemini.count_tokens", False),
    "embedContent": ("gemini.embeddings", False),
    "batchEmbedContents": ("gemini.embeddings", False),
}
FORMATS = frozenset(format for format, _ in METHODS.values())

_INNER = ("generateContentRequest", "generate_content_request")
_items = msgspec.json.Decoder(list[msgspec.Raw])


def peek(body: bytes, *, stream: bool) -> Peek:
    """Raises Refusal(400) for what is no JSON object, or says a key twice where a model may be named."""
    found, inside = scan(body, 0, len(body), "The request body")
    spans = _named(body, found)
    for key in _INNER:
        if key in found and body[found[key][0]] == ord("{"):
            spans += _named(body, scan(body, *found[key], f"`{key}`")[0])
    if "requests" in found and body[found["requests"][0]] == ord("["):
        for number, at in enumerate(_spans(body, *found["requests"])):
            if body[at[0]] == ord("{"):
                spans += _named(body, scan(body, *at, f"`requests[{number}]`")[0])
    return Peek(model=None, stream=stream, include_usage=None, inside=inside, empty=not found, resources_at=tuple(spans))


def listed(inbound: Inbound) -> bool:
    """Whether a stream comes as a JSON array: server-sent events are for who asks for them."""
    return inbound.format == "gemini.generate" and "alt=sse" not in inbound.query


def patch(body: bytes, peek: Peek, model: str) -> bytes:
    """The body with the target's model wherever it names one; every other byte as it was."""
    name = msgspec.json.encode(f"models/{model}")
    return spliced(body, [(*at, name) for at in peek.resources_at])


def _named(body: bytes, found: dict[str, Span]) -> list[Span]:
    """The name of a model, if there is one. What is no string is the provider's to refuse."""
    at = found.get("model")
    return [at] if at is not None and body[at[0]] == ord('"') else []


def _spans(body: bytes, start: int, end: int) -> list[Span]:
    """Where the items of the list stand. The bytes are valid JSON: they were scanned as a part of the whole."""
    spans: list[Span] = []
    try:
        items = _items.decode(body[start:end])
    except RecursionError:
        raise Refusal(400, "invalid_json", "`requests` is nested too deeply.") from None
    at = start + 1
    for item in items:
        at = past_blanks(body, at)
        spans.append((at, at + len(bytes(item))))
        at = past_blanks(body, at + len(bytes(item))) + 1  # past the comma
    return spans
