"""Which headers pass. Both ways by allow-list: credentials, cookies, hop-by-hop and our own names cannot slip through.

Up goes what steers the answer. Not what names an account (openai-organization, openai-project, x-goog-user-project: they belong to a
credential, and that is ours); not idempotency-key, for two of our callers who choose the same one would share an answer under our one
credential; not x-stainless-* and other telemetry of SDKs; not traceparent, for the provider's parent is our attempt and not the caller's
span. Down comes what clients act on, and what support asks for.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

Headers = list[tuple[bytes, bytes]]


class Allowed(msgspec.Struct, frozen=True):
    names: frozenset[bytes] = frozenset()
    families: tuple[bytes, ...] = ()
    never: frozenset[bytes] = frozenset()

    def __contains__(self, name: bytes) -> bool:
        return name in self.names or (name.startswith(self.families) and name not in self.never)


# What the client may say to the provider, by the first word of the format that the provider speaks.
_ANTHROPIC = frozenset({b"anthropic-beta", b"anthropic-version"})
_OPENAI_FAMILY = (b"openai-",)
_OPENAI_NEVER = frozenset({b"openai-organization", b"openai-project", b"openai-api-key"})
_OPENAI = frozenset({b"x-client-request-id"})  # the caller's own name of the request, which OpenAI logs for support
_GEMINI = frozenset({b"x-server-timeout"})  # s that Google's SDK asks the server to take at the most
_UP: Mapping[str, Allowed] = {
    "openai": Allowed(_OPENAI, _OPENAI_FAMILY, _OPENAI_NEVER),
    "anthropic": Allowed(_ANTHROPIC),
    "gemini": Allowed(_GEMINI),
    # Any provider's: what it does not know says nothing to it.
    "raw": Allowed(
        _OPENAI | _ANTHROPIC | _GEMINI | {b"accept", b"accept-language", b"content-type"},
        _OPENAI_FAMILY,
        _OPENAI_NEVER,
    ),
}

_DOWN = Allowed(
    frozenset(
        {
            b"retry-after",
            b"retry-after-ms",  # OpenAI's and Anthropic's SDKs wait by these two
            b"x-should-retry",
            b"request-id",  # Anthropic
            b"x-request-id",  # OpenAI and most others
            b"openai-processing-ms",
            b"openai-version",
            b"apim-request-id",  # Azure
            b"x-ms-request-id",
            b"x-ms-client-request-id",
            b"x-ms-region",
            b"azureml-model-session",
            b"x-goog-request-id",
            b"x-gemini-service-tier",  # the tier that served it, which may be another one than was asked for
            b"x-groq-region",
            b"mistral-correlation-id",
            b"x-kong-request-id",  # Mistral's gateway
            b"x-ds-trace-id",  # DeepSeek
            b"x-portkey-trace-id",
            b"cf-ray",  # OpenAI, Anthropic, OpenRouter and xAI are behind Cloudflare, whose logs are by this name
            b"ratelimit",  # IETF's draft: one header, or the family below
            b"ratelimit-policy",
        }
    ),
    (b"x-ratelimit-", b"anthropic-ratelimit-", b"anthropic-priority-", b"ratelimit-", b"ratelimitbysize-", b"x-ratelimitbysize-"),
)

# Field values as RFC 9110 5.5 has them. A line end in one would begin a header of somebody else's choosing.
_CLEAN = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


def headers_up(inbound: Sequence[tuple[bytes, bytes]], proof: Mapping[str, str], format: str, *, stream: bool) -> dict[str, str]:
    """The target's headers, and what the client may add; its anthropic-version wins over ours."""
    headers = {"content-type": "application/json", "accept": "text/event-stream" if stream else "application/json", **proof}
    allowed = _UP.get(format.partition(".")[0])
    if allowed is not None:
        said: dict[str, str] = {}
        for name, value in inbound:
            if name in allowed and _CLEAN.fullmatch(value):
                key, text = name.decode(), value.decode("latin-1")
                said[key] = f"{said[key]},{text}" if key in said else text
        if said:
            headers.update((key, text) for key, text in said.items() if key.encode() not in hops(inbound))
    return headers


def headers_down(headers: Mapping[bytes, bytes], *, typed: bool = True) -> Headers:
    """`typed`: with the provider's content type."""
    connection = headers.get(b"connection")
    dropped = hops([(b"connection", connection)]) if connection else ()
    kept = [(name, value) for name, value in headers.items() if name in _DOWN and name not in dropped and _CLEAN.fullmatch(value)]
    if typed:
        content_type = headers.get(b"content-type", b"")
        kept.insert(0, (b"content-type", content_type if content_type and _CLEAN.fullmatch(content_type) else b"application/octet-stream"))
    return kept


def hops(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """What `Connection` names speaks of one connection only."""
    return frozenset(word.strip().lower() for name, value in headers if name == b"connection" for word in value.split(b","))
