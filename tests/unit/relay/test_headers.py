import pytest

from spangate.relay.headers import headers_down, headers_up

PROOF = {"x-api-key": "ours", "anthropic-version": "2023-06-01"}
CLIENT = [
    (b"authorization", b"Bearer client"),
    (b"x-api-key", b"client"),
    (b"cookie", b"a=b"),
    (b"host", b"gw"),
    (b"user-agent", b"x/1"),
    (b"openai-organization", b"org"),
    (b"openai-project", b"proj"),
    (b"connection", b"anthropic-version"),
    (b"x-mlflow-authorization", b"Basic z"),
    (b"accept-encoding", b"gzip"),
    (b"anthropic-beta", b"a"),
    (b"anthropic-beta", b"b,c"),
    (b"anthropic-version", b"2024-01-01"),
]


def test_anthropic_gets_its_two_and_the_clients_version_wins() -> None:
    assert headers_up(CLIENT, PROOF, "anthropic.messages", stream=True) == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "x-api-key": "ours",
        "anthropic-version": "2024-01-01",
        "anthropic-beta": "a,b,c",
    }


def test_openai_gets_nothing_of_the_client() -> None:
    assert headers_up(CLIENT, {"authorization": "Bearer ours"}, "openai.chat", stream=False) == {
        "content-type": "application/json",
        "accept": "application/json",
        "authorization": "Bearer ours",
    }


PROVIDER = {
    b"content-type": b"application/json",
    b"retry-after": b"7",
    b"x-ratelimit-remaining-tokens": b"1",
    b"anthropic-ratelimit-requests-limit": b"2",
    b"request-id": b"r1",
    b"x-request-id": b"r2",
    b"openai-processing-ms": b"12",
    b"set-cookie": b"__cf_bm=x",
    b"connection": b"keep-alive",
    b"transfer-encoding": b"chunked",
    b"content-length": b"3",
    b"authorization": b"Bearer echo",
    b"x-spangate-call-id": b"forged",
    b"server": b"cloudflare",
    b"openai-organization": b"org",
}


def test_what_clients_act_on_comes_back_and_nothing_else() -> None:
    assert sorted(headers_down(PROVIDER)) == sorted(
        [
            (b"content-type", b"application/json"),
            (b"retry-after", b"7"),
            (b"x-ratelimit-remaining-tokens", b"1"),
            (b"anthropic-ratelimit-requests-limit", b"2"),
            (b"request-id", b"r1"),
            (b"x-request-id", b"r2"),
            (b"openai-processing-ms", b"12"),
        ]
    )


@pytest.mark.parametrize(("typed", "expected"), [(True, [(b"content-type", b"application/octet-stream")]), (False, [])])
def test_an_answer_without_a_type_has_none_made_up_for_it(typed: bool, expected: list[tuple[bytes, bytes]]) -> None:
    assert headers_down({}, typed=typed) == expected
