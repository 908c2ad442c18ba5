"""What a provider's answer is, from its head and its first frame, before the client has seen anything of it."""

from collections.abc import Mapping

from spangate.wire import lenient
from spangate.wire.events import Failed
from spangate.wire.problems import UpstreamProblem

# The statuses that the providers give these words when they can still give a status.
# https://docs.anthropic.com/en/api/errors, https://platform.openai.com/docs/guides/error-codes
_STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def streamed(headers: Mapping[bytes, bytes], *, asked: bool) -> bool:
    """What the provider says it sends counts; where it does not say, what was asked for."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind == b"text/event-stream" or (asked and kind != b"application/json")


def shaped(body: bytes) -> bool:
    """Whether a provider's refusal has the shape of its format: in all that we relay, an object with an object `error` in it."""
    try:
        said = lenient.mapping(lenient.parse(body))
    except (ValueError, RecursionError):
        return False
    return said is not None and lenient.mapping(said.get("error")) is not None


def stillborn(failure: Failed, headers: Mapping[bytes, bytes]) -> UpstreamProblem:
    """A stream whose first word is an error: the client gets a real status, on which its retries work, and no 200."""
    return UpstreamProblem(_STATUSES.get(failure.kind, 502), failure.kind, failure.message, retry_after=later(headers))


def later(headers: Mapping[bytes, bytes]) -> str | None:
    """When the provider says to come back, in its own words."""
    said = headers.get(b"retry-after")
    return None if said is None else said.decode("latin-1")
