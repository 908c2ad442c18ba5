"""Which headers pass. Both ways by allow-list: credentials, cookies, hop-by-hop and our own names cannot slip through."""

from collections.abc import Mapping, Sequence

Headers = list[tuple[bytes, bytes]]

# What the client may say to the provider, by the format that the provider speaks.
_UP: Mapping[str, frozenset[bytes]] = {
    "openai.chat": frozenset(),  # openai-organization and -project belong to a credential, and that is ours
    "anthropic.messages": frozenset({b"anthropic-beta", b"anthropic-version"}),
}

# What clients act on. x-should-retry and retry-after-ms: OpenAI's and Anthropic's SDKs.
_DOWN = frozenset(
    {
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"request-id",
        b"x-request-id",
        b"openai-processing-ms",
        b"openai-version",
    }
)
_DOWN_FAMILIES = (b"x-ratelimit-", b"anthropic-ratelimit-")


def headers_up(inbound: Sequence[tuple[bytes, bytes]], proof: Mapping[str, str], format: str, *, stream: bool) -> dict[str, str]:
    """The target's headers, and what the client may add; its anthropic-version wins over ours."""
    headers = {"content-type": "application/json", "accept": "text/event-stream" if stream else "application/json", **proof}
    allowed = _UP.get(format)
    if allowed:
        said: dict[str, str] = {}
        for name, value in inbound:
            if name in allowed:
                key, text = name.decode(), value.decode("latin-1")
                said[key] = f"{said[key]},{text}" if key in said else text
        headers.update(said)
    return headers


def headers_down(headers: Mapping[bytes, bytes], *, typed: bool = True) -> Headers:
    """`typed`: with the provider's content type."""
    kept = [(name, value) for name, value in headers.items() if name in _DOWN or name.startswith(_DOWN_FAMILIES)]
    if typed:
        kept.insert(0, (b"content-type", headers.get(b"content-type", b"application/octet-stream")))
    return kept
