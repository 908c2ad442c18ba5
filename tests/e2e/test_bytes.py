"""What the provider sent is what the client gets, and the other way round, to the byte."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, PROVIDER_SECRET, Gateway

SHAPES = [
    {},
    {"crlf": True},
    {"comments": True},
    {"n": 200, "size": 700},
    {"n": 13, "pace": True},
    {"tool": True},
    {"usage": "choices", "done": False},
    {"n": 4, "size": 300_000},
]
FORMATS = {
    "openai": ("chat", "/v1/chat/completions"),
    "completions": ("chat", "/v1/completions"),
    "responses": ("chat", "/v1/responses"),
    "anthropic": ("claude", "/v1/messages"),
}


@pytest.fixture(scope="module")
def reference() -> Iterator[Upstream]:
    """Asked without a gateway between; its books are not looked at."""
    with Upstream() as running:
        yield running


def post(port: int, path: str, body: bytes, call: str) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        headers = {"content-type": "application/json", "authorization": f"Bearer {ADMIN_KEY}", CALLER: call, "cookie": "a=b"}
        connection.request("POST", path, body, headers)
        with connection.getresponse() as answer:
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("knobs", SHAPES, ids=[" ".join(s) or "usual" for s in SHAPES])
def test_the_answer(
    gateway: Gateway, upstream: Upstream, reference: Upstream, call: str, format: str, stream: bool, knobs: dict[str, object]
) -> None:
    endpoint, path = FORMATS[format]
    model = "claude-replay" if format == "anthropic" else "gpt-replay"
    text = mark(call, **knobs)
    asked = {"model": endpoint, "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": text}], "input": text}
    if stream and format in ("openai", "completions"):
        asked["stream_options"] = {"include_usage": True}
    status, headers, body = post(gateway.port, path, json.dumps(asked).encode(), call)
    sent = upstream.request(call).body
    alone = json.dumps(asked | {"model": model}).encode()
    direct_status, direct_headers, direct = post(reference.port, path, alone, call)
    assert (status, body) == (direct_status, direct)
    assert headers["content-type"] == direct_headers["content-type"]
    assert sent == alone


def test_the_request(gateway: Gateway, upstream: Upstream, call: str) -> None:
    """White space, order, escapes, number forms and unknown fields stay; the model's name alone is another."""
    body = (
        '{ "x_unknown" : {"model":"inner","a":[1.50,1e3,-0.0]},\r\n\t"model"\t:  "ch\\u0061t" , '
        '"messages":[{"role":"user","content":"\\u00e9 é \\ud83d\\ude42 ' + mark(call) + '"}],"temperature":1.0,"n":1 }'
    ).encode()
    status, _, _ = post(gateway.port, "/v1/chat/completions", body, call)
    assert status == 200
    seen = upstream.request(call)
    assert seen.body == body.replace(b'"ch\\u0061t"', b'"gpt-replay"')
    assert seen.header("authorization") == f"Bearer {PROVIDER_SECRET}"
    assert seen.header("cookie") is None
    assert ADMIN_KEY not in str(seen.headers)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"chat","model":"chat","messages":[]}',
        b'{"model":"chat","stream":true,"stream":false,"messages":[]}',
        b'{"model":"chat","messages":[]',
        b'{"model":{"a":1},"messages":[]}',
        b"[]",
        b"",
        b'{"messages":[]}',
    ],
)
def test_what_is_refused(gateway: Gateway, upstream: Upstream, call: str, body: bytes) -> None:
    before = upstream.stats()["calls"]
    status, headers, said = post(gateway.port, "/v1/chat/completions", body, call)
    assert status == 400
    assert json.loads(said)["error"]["message"]
    assert headers["x-spangate-call-id"]
    assert upstream.stats()["calls"] == before
