"""Which operation a method and a path mean, where a pattern says it."""

import pytest

from spangate.worker.operations import RAW_METHODS, Operation, place, query_up, streams

ID = "resp_0a1B2c=.~-_9"
BASES = ["/v1/responses", "/gateway/openai/v1/responses"]


def found(method: str, path: str, sent: str | None = None) -> tuple[Operation, str | None, str | None]:
    it = place(path, (sent or path).encode())
    assert it is not None
    operation = it.operation(method)
    assert operation is not None
    return operation, it.endpoint, it.response_id


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("method", "rest", "what"),
    [("GET", "", "get"), ("DELETE", "", "delete"), ("POST", "/cancel", "cancel"), ("GET", "/input_items", "input-items")],
)
def test_what_is_done_with_a_response(base: str, method: str, rest: str, what: str) -> None:
    operation, endpoint, response_id = found(method, f"{base}/{ID}{rest}")
    assert (operation.format, operation.method, operation.names_model) == ("openai.responses.stored", method, False)
    assert operation.request_type == f"passthrough/model/openai-responses-{what}"
    assert (operation.suffix, endpoint, response_id) == (f"/{ID}{rest}", None, ID)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "rest",
    [
        "/",
        "/..",
        "/.",
        "/a b",
        "/a%2e",
        "/größe",
        "/a?b",
        "/a#b",
        "/a/b",
        "/a/cancel/",
        "/a//cancel",
        "/" + "a" * 256,
        "/input_tokens",
        "/-a",
    ],
)
def test_what_is_no_id_is_no_operation(base: str, rest: str) -> None:
    assert place(base + rest, b"") is None


def test_compacting_is_no_id() -> None:
    it = place("/v1/responses/compact", b"")
    assert it is not None
    assert (it.allow, it.response_id) == ("POST", None)


@pytest.mark.parametrize(
    ("method", "rest", "sent", "up", "stream"),
    [
        ("GET", "", "", "", False),
        (
            "GET",
            "",
            "stream=true&starting_after=4&include_obfuscation=false",
            "stream=true&starting_after=4&include_obfuscation=false",
            True,
        ),
        ("GET", "", "stream=false", "stream=false", False),
        ("GET", "", "include[]=a&include%5B%5D=b&include=c", "include%5B%5D=a&include%5B%5D=b&include=c", False),
        ("GET", "", "key=sk-1&api_key=2&x=3", "", False),
        ("GET", "/input_items", "limit=5&order=asc&after=i-1&before=i-9&stream=true", "limit=5&order=asc&after=i-1&before=i-9", None),
        ("DELETE", "", "stream=true", "", None),
        ("POST", "/cancel", "stream=true", "", None),
    ],
)
def test_of_the_query_goes_up_what_is_listed(method: str, rest: str, sent: str, up: str, stream: bool | None) -> None:
    operation, _, _ = found(method, f"/v1/responses/{ID}{rest}")
    chosen = query_up(operation, sent.encode())
    assert (chosen, streams(operation, chosen)) == (up, stream)


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/gateway/anthropic/v1/messages/count_tokens"])
def test_counting_tokens(path: str) -> None:
    operation, endpoint, _ = found("POST", path)
    assert (operation.format, operation.request_type, operation.suffix, endpoint) == (
        "anthropic.count_tokens",
        "passthrough/model/anthropic-count-tokens",
        "",
        None,
    )


@pytest.mark.parametrize("method", RAW_METHODS)
def test_the_raw_proxy_hands_on_the_path_as_it_was_sent(method: str) -> None:
    operation, endpoint, _ = found(method, "/gateway/proxy/my chat/files/a/b", "/gateway/proxy/my%20chat/files/a%2Fb")
    assert (operation.format, operation.request_type, operation.method, operation.suffix, endpoint) == (
        "raw",
        "proxy/raw",
        method,
        "/files/a%2Fb",
        "my chat",
    )
    assert query_up(operation, b"a=1&key=2") == "a=1&key=2", "it is looked at where it is sent"


@pytest.mark.parametrize("sent", ["/gateway%2Fproxy/chat/files", "/gateway/proxy/chat"])
def test_a_raw_path_that_is_not_there_as_it_was_sent_is_none(sent: str) -> None:
    operation, endpoint, _ = found("GET", "/gateway/proxy/chat/files", sent)
    assert (operation.suffix, endpoint) == ("", "chat")


def test_the_raw_proxy_needs_an_endpoint() -> None:
    assert place("/gateway/proxy/", b"/gateway/proxy/") is None
