"""Bodies that are meant to hurt, on every route that takes one: a 4xx in the client's own format, and a gateway that goes on."""

import gzip
import json
from typing import Any

import httpx
import pytest

from spangate.worker.operations import GEMINI, place
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, Gateway

ROUTES = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/responses/compact",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/gateway/openai/v1/chat/completions",
    "/gateway/anthropic/v1/messages",
    "/gateway/mlflow/v1/chat/completions",
    "/gateway/chat/mlflow/invocations",
    *(f"/v1beta/models/chat:{word}" for word in GEMINI),
]
BAD: dict[str, bytes] = {
    "nothing": b"",
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "half of it": b'{"model": "chat", "messages": [',
    "more than it": b'{"model": "chat", "messages": []} {}',
    "NaN": b'{"model": "chat", "messages": [], "temperature": NaN}',
    "Infinity": b'{"model": "chat", "messages": [], "temperature": -Infinity}',
    "no UTF-8 in a key": b'{"\xff": 1, "model": "chat", "messages": []}',
    "half a pair in a key": b'{"\\ud800": 1, "model": "chat", "messages": []}',
    "a key twice": b'{"messages": [], "messages": [], "model": "chat", "model": "chat"}',
    "a NUL between": b'{"model": "chat",\0 "messages": []}',
    "a NUL in a string": b'{"model": "chat", "mess\0ages": []}',
    "5k deep": b'{"model": "chat", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "100k deep": b'{"model": "chat", "messages": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "100k deep, and nothing else": b"[" * 100_000,
}
# What only a body that names its model can do wrong.
BAD_MODEL: dict[str, bytes] = {
    "a model that is an object": b'{"model": {"a": 1}, "messages": []}',
    "a model that is a list": b'{"model": ["chat"], "messages": []}',
    "a model that is a number": b'{"model": 1e400, "messages": []}',
    "half a pair in the model": b'{"model": "\\ud800", "messages": []}',
    "a NUL in the model": b'{"model": "ch\\u0000at", "messages": []}',
    "SQL in the model": b'{"model": "chat\' OR 1=1 --", "messages": []}',
    "a model without an end": b'{"model": "' + b"a" * 1_000_000 + b'", "messages": []}',
}
HEADERS = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}


def post(gateway: Gateway, path: str, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(gateway.url + path, content=body, headers=HEADERS | headers, timeout=20, trust_env=False)


def told(path: str, said: dict[str, Any]) -> str:
    """The message, where a client of this route looks for it."""
    found = place(path, path.encode())
    assert found is not None
    format = found.shown.format
    if format.startswith("anthropic."):
        assert (said["type"], isinstance(said["error"]["type"], str)) == ("error", True)
    elif format.startswith("gemini."):
        assert (isinstance(said["error"]["code"], int), isinstance(said["error"]["status"], str)) == (True, True)
    else:
        assert isinstance(said["error"]["type"], str)
    return said["error"]["message"]


@pytest.mark.parametrize("path", ROUTES)
def test_is_refused_in_the_clients_format(gateway: Gateway, path: str) -> None:
    names_model = "/models/" not in path and "/invocations" not in path
    seen: dict[str, int] = {}
    for name, body in (BAD | (BAD_MODEL if names_model else {})).items():
        reply = post(gateway, path, body)
        seen[name] = reply.status_code
        assert told(path, reply.json()), name
        assert len(reply.content) < 2000, name
    expected = dict.fromkeys(BAD, 400) | (dict.fromkeys(BAD_MODEL, 400) if names_model else {})
    unknown = {"a NUL in the model", "SQL in the model", "a model without an end"}
    assert seen == expected | {name: 404 for name in unknown if names_model}


@pytest.mark.parametrize("path", ROUTES)
def test_a_depth_that_is_too_much_is_named(gateway: Gateway, path: str) -> None:
    assert "nested too deeply" in told(path, post(gateway, path, BAD["5k deep"]).json())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1beta/models/chat:generateContent"])
def test_what_is_packed_wrongly_or_too_well(gateway: Gateway, path: str) -> None:
    bomb = gzip.compress(bytes(40 << 20))
    assert [
        post(gateway, path, body, **{"content-encoding": coding}).status_code
        for body, coding in (
            (b"{}", "gzip"),
            (b"{}", "br"),
            (gzip.compress(BAD["half of it"]), "gzip"),
            (bomb, "gzip"),
            (bomb[:-9], "gzip"),
        )
    ] == [400, 415, 400, 413, 413]


@pytest.mark.parametrize("body", [body for body in BAD.values() if body], ids=[name for name, body in BAD.items() if body])
def test_management_says_400_too(gateway: Gateway, body: bytes) -> None:
    reply = post(gateway, "/api/2.0/mlflow/experiments/create", body)
    assert (reply.status_code, isinstance(reply.json()["error_code"], str)) == (400, True)


def test_the_gateway_is_the_same_as_before(gateway: Gateway, upstream: Upstream, call: str) -> None:
    before = sorted(process.pid for process in gateway.processes())
    for path in ROUTES[:6]:
        for body in BAD.values():
            assert post(gateway, path, body).status_code == 400
    assert sorted(process.pid for process in gateway.processes()) == before
    assert "Traceback" not in gateway.log_text()
    for number, (pack, coding) in enumerate(((bytes, "identity"), (gzip.compress, "gzip"))):
        mine = f"{call}-{number}"
        asked = {"model": "chat", "messages": [{"role": "user", "content": mark(mine)}]}
        headers = {"content-encoding": coding, CALLER: mine}
        assert post(gateway, "/v1/chat/completions", pack(json.dumps(asked).encode()), **headers).status_code == 200
        assert upstream.request(mine).body == json.dumps(asked | {"model": "gpt-replay"}).encode()
        assert upstream.request(mine).header("content-encoding") is None
