import pytest

from spangate.relay.headers import headers_down, headers_up

PROOF = {"x-api-key": "ours", "anthropic-version": "2023-06-01"}
OPENAI = ["openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "openai.responses.stored"]
ANTHROPIC = ["anthropic.messages", "anthropic.count_tokens"]
GEMINI = ["gemini.generate", "gemini.count_tokens", "gemini.embeddings"]
EVERY = [*OPENAI, *ANTHROPIC, *GEMINI, "raw"]

# Each header that clients are known to send, and in which formats it goes up.
UP: list[tuple[bytes, list[str]]] = [
    (b"anthropic-beta", [*ANTHROPIC, "raw"]),
    (b"anthropic-version", [*ANTHROPIC, "raw"]),
    (b"openai-beta", [*OPENAI, "raw"]),
    (b"openai-safety-identifier", [*OPENAI, "raw"]),
    (b"x-client-request-id", [*OPENAI, "raw"]),
    (b"x-server-timeout", [*GEMINI, "raw"]),
    (b"accept-language", ["raw"]),
    # credentials, and what belongs to one
    (b"authorization", []),
    (b"proxy-authorization", []),
    (b"api-key", []),
    (b"x-api-key", []),
    (b"x-goog-api-key", []),
    (b"x-goog-user-project", []),
    (b"openai-organization", []),
    (b"openai-project", []),
    (b"openai-api-key", []),
    (b"x-mlflow-authorization", []),
    (b"cookie", []),
    # of one connection, or of our own
    (b"connection", []),
    (b"keep-alive", []),
    (b"te", []),
    (b"trailer", []),
    (b"transfer-encoding", []),
    (b"upgrade", []),
    (b"proxy-connection", []),
    (b"expect", []),
    (b"host", []),
    (b"content-length", []),
    (b"content-encoding", []),
    (b"accept-encoding", []),
    (b"x-spangate-call-id", []),
    (b"x-mlflow-gateway-caller", []),
    # of no use to the provider, or of too much
    (b"user-agent", []),
    (b"idempotency-key", []),
    (b"traceparent", []),
    (b"tracestate", []),
    (b"x-stainless-retry-count", []),
    (b"x-goog-api-client", []),
    (b"x-forwarded-for", []),
    (b"forwarded", []),
    (b"referer", []),
    (b"origin", []),
    (b"http-referer", []),
    (b"x-title", []),
    (b"anthropic-dangerous-direct-browser-access", []),
]


@pytest.mark.parametrize(("name", "formats"), UP, ids=[name.decode() for name, _ in UP])
def test_goes_up_in_these_formats_and_in_no_other(name: bytes, formats: list[str]) -> None:
    said = [(name, b"value")]
    assert [format for format in EVERY if headers_up(said, {}, format, stream=False).get(name.decode()) == "value"] == formats


@pytest.mark.parametrize("format", EVERY)
def test_whatever_the_client_says_the_proof_is_ours(format: str) -> None:
    said = [(name.encode(), b"client's") for name in ("authorization", "x-api-key", "x-goog-api-key", "api-key")]
    proof = {"authorization": "Bearer ours", "x-api-key": "ours", "x-goog-api-key": "ours", "api-key": "ours"}
    assert headers_up(said, proof, format, stream=False).items() >= proof.items()


def test_the_clients_version_wins_and_several_are_joined() -> None:
    said = [(b"anthropic-beta", b"a"), (b"anthropic-beta", b"b,c"), (b"anthropic-version", b"2024-01-01")]
    assert headers_up(said, PROOF, "anthropic.messages", stream=True) == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "x-api-key": "ours",
        "anthropic-version": "2024-01-01",
        "anthropic-beta": "a,b,c",
    }


def test_what_connection_names_stays_here_and_takes_nothing_of_ours_along() -> None:
    said = [(b"anthropic-beta", b"a"), (b"anthropic-version", b"2024-01-01"), (b"connection", b"close, X-Api-Key , Anthropic-Version")]
    assert headers_up(said, PROOF, "anthropic.messages", stream=False) == {
        "content-type": "application/json",
        "accept": "application/json",
        "x-api-key": "ours",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "a",
    }


@pytest.mark.parametrize("bad", [b"a\r\nx-api-key: b", b"a\nb", b"a\rb", b"a\0", b"\x7f", b"\x1b[31m"])
def test_a_value_that_could_begin_another_header_passes_neither_way(bad: bytes) -> None:
    assert "anthropic-beta" not in headers_up([(b"anthropic-beta", bad)], PROOF, "anthropic.messages", stream=False)
    assert headers_down({b"x-request-id": bad, b"content-type": bad}) == [(b"content-type", b"application/octet-stream")]


@pytest.mark.parametrize("good", [b"", b"a b", b"a\tb", b"\xc3\xa9"])
def test_a_value_that_is_one_passes_both_ways(good: bytes) -> None:
    assert headers_up([(b"anthropic-beta", good)], PROOF, "anthropic.messages", stream=False)["anthropic-beta"] == good.decode("latin-1")
    assert headers_down({b"x-request-id": good}, typed=False) == [(b"x-request-id", good)]


@pytest.mark.parametrize(
    "name",
    [
        b"retry-after",
        b"retry-after-ms",
        b"x-should-retry",
        b"request-id",
        b"x-request-id",
        b"openai-processing-ms",
        b"openai-version",
        b"x-ratelimit-remaining-tokens",
        b"x-ratelimit-reset-requests",
        b"anthropic-ratelimit-requests-limit",
        b"anthropic-priority-input-tokens-limit",
        b"ratelimit",
        b"ratelimit-remaining",
        b"ratelimitbysize-remaining",
        b"apim-request-id",
        b"x-ms-region",
        b"x-groq-region",
        b"mistral-correlation-id",
        b"cf-ray",
    ],
)
def test_comes_down(name: bytes) -> None:
    assert headers_down({b"content-type": b"a/b", name: b"1"}) == [(b"content-type", b"a/b"), (name, b"1")]
    assert headers_down({name: b"1", b"connection": b"close, " + name.upper()}, typed=False) == [], "of one connection"


@pytest.mark.parametrize(
    "name",
    [
        b"set-cookie",
        b"set-cookie2",
        b"authorization",
        b"proxy-authenticate",
        b"www-authenticate",
        b"x-api-key",
        b"openai-organization",
        b"openai-project",
        b"anthropic-organization-id",
        b"connection",
        b"keep-alive",
        b"transfer-encoding",
        b"content-length",
        b"content-encoding",
        b"trailer",
        b"upgrade",
        b"server",
        b"date",
        b"via",
        b"alt-svc",
        b"location",
        b"strict-transport-security",
        b"access-control-allow-origin",
        b"x-spangate-call-id",
        b"x-spangate-trace-id",
    ],
)
def test_does_not_come_down(name: bytes) -> None:
    assert headers_down({name: b"1"}, typed=False) == []


@pytest.mark.parametrize(("typed", "expected"), [(True, [(b"content-type", b"application/octet-stream")]), (False, [])])
def test_an_answer_without_a_type_has_none_made_up_for_it(typed: bool, expected: list[tuple[bytes, bytes]]) -> None:
    assert headers_down({}, typed=typed) == expected
