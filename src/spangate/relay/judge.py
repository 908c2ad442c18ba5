"""What a provider's answer is, from its head and its first frame, before the client has seen anything of it."""

import math
from collections.abc import Mapping

from spangate.exchange import Faulted
from spangate.wire import lenient
from spangate.wire.events import Failed
from spangate.wire.formats.openai_chat import objects
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
    # https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
    "invalid_argument": 400,
    "failed_precondition": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "resource_exhausted": 429,
    "internal": 500,
    "unavailable": 503,
    "deadline_exceeded": 504,
}
# Formats whose streams may be JSON, and labelled as such: an array that grows.
_ARRAYS = frozenset({"gemini.generate"})


def streamed(headers: Mapping[bytes, bytes], format: str, *, asked: bool) -> bool:
    """What the provider says it sends counts; where it does not say, what was asked for."""
    said = kind(headers)
    return said == b"text/event-stream" or (asked and (said != b"application/json" or format in _ARRAYS))


def kind(headers: Mapping[bytes, bytes]) -> bytes:
    """The media type of the content, without its parameters; b"" if none is said."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def shaped(body: bytes, format: str) -> bool:
    """Whether a provider's refusal has the shape of its format: in all that we relay, an object with an object `error` in it; in a list of
    one where the format's streams are lists."""
    try:
        said = lenient.parse(body)
    except (ValueError, RecursionError):
        return False
    items = objects(said) if format in _ARRAYS else []
    refusal = items[0] if len(items) == 1 else lenient.mapping(said)
    return refusal is not None and lenient.mapping(refusal.get("error")) is not None


def stillborn(failure: Failed, headers: Mapping[bytes, bytes]) -> UpstreamProblem:
    """A stream whose first word is an error: the client gets a real status, on which its retries work, and no 200."""
    return advised(UpstreamProblem(_STATUSES.get(failure.kind, 502), failure.kind, failure.message), headers)


def verdict(fault: Faulted) -> UpstreamProblem:
    """A fault amid an answer, as the problem that it would have been before it."""
    return UpstreamProblem(fault.http_status or _STATUSES.get(fault.kind, 502), fault.kind, fault.message)


def later(headers: Mapping[bytes, bytes]) -> str | None:
    """When the provider says to come back: seconds or a date. OpenAI's and Anthropic's SDKs look at `retry-after-ms` first."""
    exactly = headers.get(b"retry-after-ms")
    if exactly is not None:
        try:
            seconds = float(exactly) / 1000
        except ValueError:
            seconds = math.inf
        if math.isfinite(seconds):
            return f"{seconds:g}"  # else the other one may say it
    said = headers.get(b"retry-after")
    return None if said is None else said.decode("latin-1")


def whole_seconds(later: str) -> str:
    """What `later` found, as HTTP writes it: no fractions, which only `retry-after-ms` has."""
    try:
        return str(math.ceil(max(0.0, float(later))))
    except (ValueError, OverflowError):
        return later


def advised(problem: UpstreamProblem, headers: Mapping[bytes, bytes]) -> UpstreamProblem:
    """The problem, with what the provider's headers say of trying again. `x-should-retry`: OpenAI's and Anthropic's."""
    problem.retry_after = later(headers)
    problem.again = headers.get(b"x-should-retry", b"").strip().lower() != b"false"
    return problem
