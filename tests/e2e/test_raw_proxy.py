"""The raw proxy against a real gateway: what is allowed passes byte for byte, what is not never reaches the provider."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import openai
import pytest

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, PROVIDER_SECRET, Call, Gateway, until
from .invariant import expected_tokens
from .rest import RestError

PAUSE = 0.3  # s between two pieces


class Provider:
    """Says what it was asked; /v1/drip says it piece by piece, and /v1/broken does not end."""

    def __init__(self) -> None:
        seen: list[dict[str, Any]] = []

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
                if self.path in ("/v1/drip", "/v1/broken"):
                    self.send_response(200)
                    self.send_header("content-type", "application/x-ndjson")
                    self.send_header("transfer-encoding", "chunked")
                    self.end_headers()
                    for n in range(3):
                        self.wfile.write(b"8\r\n" + b'{"n":%d}\n' % n + b"\r\n")
                        self.wfile.flush()
                        time.sleep(PAUSE)
                    if self.path == "/v1/broken":
                        self.close_connection = True
                        return
                    self.wfile.write(b"0\r\n\r\n")
                    return
                if self.path == "/v1/nothing":
                    self.send_response(204)
                    self.end_headers()
                    return
                said = bytes(range(256)) * 40 if self.path.startswith("/v1/files") else json.dumps({"path": self.path}).encode()
                self.send_response(418 if self.path == "/v1/files/teapot" else 200)
                self.send_header("content-type", "application/octet-stream" if self.path.startswith("/v1/files") else "application/json")
                self.send_header("content-length", str(len(said)))
                self.send_header("set-cookie", "a=b")
                self.send_header("x-request-id", "req_1")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.seen = seen
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def proxied(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with three endpoints: `raw` and `known` let much through, `shut` nothing."""
    with Upstream() as upstream, Gateway(tmp_path_factory.mktemp("raw") / "data", workers=2) as running:
        for name, base in (("raw", provider.base), ("known", upstream.base), ("shut", provider.base)):
            running.endpoint(name, base, wait=name == "shut")
        rules = {
            "methods": ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
            "paths": ["/files", "/files/*", "/drip", "/broken"],
        }
        rules["paths"] += ["/nothing", "/chat/completions", "/models"]
        for name in ("raw", "known"):
            running.rest.call("PATCH", f"/api/v1/endpoints/{name}/settings", {"proxy": rules})
        until(lambda: all(served(running, name) for name in ("raw", "known") for _ in range(8)), 20, "all workers know the rules")
        provider.seen.clear()
        yield running


def served(gateway: Gateway, name: str) -> bool:
    return ask(gateway, "GET", f"/gateway/proxy/{name}/models")[0] == 200


@pytest.fixture
def call() -> str:
    return f"raw-{uuid4().hex[:12]}"


def ask(
    gateway: Gateway, method: str, path: str, body: bytes | None = None, call: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers, body; the path goes out as it stands here."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    try:
        shown = {"authorization": f"Bearer {ADMIN_KEY}", CALLER: call} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (shown | ({} if body is None else {"content-length": str(len(body))})).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def row(gateway: Gateway, call: str) -> Call:
    (found,) = until(lambda: [each for each in gateway.calls() if each.agent == call], 10, f"the row of {call}")
    return found


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_method_and_any_bytes_pass(proxied: Gateway, provider: Provider, call: str, method: str) -> None:
    body = None if method in ("GET", "DELETE", "OPTIONS") else bytes(range(256))
    path = f"/gateway/proxy/raw/files/{call}%20a?limit=2&api_key=sk-of-the-client&include[]=x"
    more = {"content_type": "image/png"} if body else {}
    status, headers, said = ask(proxied, method, path, body, call, accept="x/y", cookie="a=b", x_spangate_thing="1", **more)
    assert (status, said, headers["content-type"]) == (200, bytes(range(256)) * 40, "application/octet-stream")
    assert ("set-cookie" in headers, headers["x-request-id"]) == (False, "req_1")
    (seen,) = [each for each in provider.seen if call in each["path"]]
    assert (seen["method"], seen["body"]) == (method, body or b"")
    assert seen["path"] == f"/v1/files/{call}%20a?limit=2&include%5B%5D=x"
    assert seen["headers"]["authorization"] == f"Bearer {PROVIDER_SECRET}"
    assert seen["headers"].get("content-type") == ("image/png" if body else None)
    assert not {"cookie", "x-spangate-thing", CALLER} & seen["headers"].keys()
    found = row(proxied, call)
    assert (found.status, found.format, found.http_status) == ("ok", "raw", 200)
    trace = proxied.trace("tr-" + found.call_id.replace("-", ""))
    assert trace["trace_info"]["trace_metadata"]["mlflow.gateway.requestType"] == "proxy/raw"
    assert "mlflow.spanOutputs" not in str(trace["spans"]), "bytes that are no text are not kept"


def test_a_head_has_no_body(proxied: Gateway, call: str) -> None:
    status, headers, said = ask(proxied, "HEAD", "/gateway/proxy/raw/files/x", call=call)
    assert (status, said, headers["x-request-id"]) == (200, b"", "req_1")
    assert row(proxied, call).status == "ok"


def test_an_empty_answer_is_empty(proxied: Gateway, call: str) -> None:
    status, headers, said = ask(proxied, "DELETE", "/gateway/proxy/raw/nothing", call=call)
    assert (status, said, "content-type" in headers) == (204, b"", False)
    assert row(proxied, call).status == "ok"


def test_the_providers_refusal_is_its_own(proxied: Gateway, call: str) -> None:
    status, _, said = ask(proxied, "GET", "/gateway/proxy/raw/files/teapot", call=call)
    assert (status, said) == (418, bytes(range(256)) * 40)
    assert row(proxied, call).status == "error"


def test_pieces_pass_as_they_come(proxied: Gateway, call: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxied.port, timeout=20)
    started = time.monotonic()
    connection.request("POST", "/gateway/proxy/raw/drip", headers={"authorization": f"Bearer {ADMIN_KEY}", CALLER: call})
    answer = connection.getresponse()
    assert (answer.read(8), answer.getheader("content-type")) == (b'{"n":0}\n', "application/x-ndjson")
    first = time.monotonic() - started
    assert answer.read() == b'{"n":1}\n{"n":2}\n'
    assert time.monotonic() - started - first > 2 * PAUSE * 0.8, "the first piece did not wait for the last"
    connection.close()
    found = row(proxied, call)
    assert found.status == "ok"
    root = proxied.trace("tr-" + found.call_id.replace("-", ""))["spans"][0]
    assert "n" in str(root), "text is kept"


def test_an_answer_that_breaks_has_no_end(proxied: Gateway, call: str) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask(proxied, "GET", "/gateway/proxy/raw/broken", call=call)
    assert row(proxied, call).status == "provider_gone"


# ---------------------------------------------------------------- known formats


@pytest.mark.parametrize("stream", [False, True])
def test_a_known_format_is_counted(proxied: Gateway, call: str, stream: bool) -> None:
    """The official client, with the raw proxy as its base: the model is the provider's own."""
    headers = {CALLER: call}
    base = f"{proxied.url}/gateway/proxy/known"
    with openai.OpenAI(base_url=base, api_key=ADMIN_KEY, max_retries=0, timeout=30, default_headers=headers) as sdk:
        messages: Any = [{"role": "user", "content": mark(call)}]
        if stream:
            options: Any = {"include_usage": True}
            chunks = list(sdk.chat.completions.create(model="gpt-any", messages=messages, stream=True, stream_options=options))
            assert chunks[-1].usage is not None
        else:
            assert sdk.chat.completions.create(model="gpt-any", messages=messages).model == "gpt-any-2026-01-01"
    found = row(proxied, call)
    (attempt,) = found.attempts
    assert (found.status, found.format, found.stream, attempt.provenance) == ("ok", "openai.chat", stream, "reported")
    assert (attempt.input_tokens, attempt.output_tokens) == expected_tokens(call)


# ---------------------------------------------------------------- what does not pass


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/gateway/proxy/shut/files", 403, "proxy_off"),
        ("GET", "/gateway/proxy/nobody/files", 404, "unknown_model"),
        ("GET", "/gateway/proxy/raw/organization", 403, "proxy_not_allowed"),
        ("GET", "/gateway/proxy/raw/filesystem", 403, "proxy_not_allowed"),
        ("GET", "/gateway/proxy/raw/files/../organization", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw/files/%2e%2e/organization", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw/files/%252e%252e/organization", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw/files/..%2forganization", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw/files%5c..%5corganization", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw/files/..;/organization", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw//127.0.0.1/files", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw/http://127.0.0.1/files", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw/@127.0.0.1/files", 403, "proxy_not_allowed"),
        ("GET", "/gateway/proxy/raw/files%00", 400, "bad_proxy_path"),
        ("GET", "/gateway/proxy/raw", 400, "bad_proxy_path"),
        ("GET", "/gateway%2fproxy/raw/files", 400, "bad_proxy_path"),
        ("POST", "/gateway/proxy/%2e%2e/files", 404, "unknown_model"),
        ("TRACE", "/gateway/proxy/raw/files", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_allowed_never_leaves(
    proxied: Gateway, provider: Provider, call: str, method: str, path: str, status: int, kind: str
) -> None:
    before = len(provider.seen)
    got, _, said = ask(proxied, method, path, call=call)
    assert (got, json.loads(said)["error"]["code"]) == (status, kind)
    found = row(proxied, call)
    assert (found.status, found.fault_kind, found.attempts) == ("refused", kind, [])
    assert len(provider.seen) == before


def test_without_a_key_nothing_passes(proxied: Gateway, provider: Provider) -> None:
    before = len(provider.seen)
    assert ask(proxied, "GET", "/gateway/proxy/raw/files?key=" + ADMIN_KEY, authorization="Bearer wrong")[0] == 401
    assert len(provider.seen) == before


def test_the_proxy_can_be_shut_again(proxied: Gateway) -> None:
    proxied.endpoint("brief", "http://127.0.0.1:9/v1")
    proxied.rest.call("PATCH", "/api/v1/endpoints/brief/settings", {"proxy": {"methods": ["GET"], "paths": ["/files"]}})
    until(lambda: ask(proxied, "GET", "/gateway/proxy/brief/files")[0] == 502, 20, "it is open")
    proxied.rest.call("PATCH", "/api/v1/endpoints/brief/settings", {"proxy": None})
    until(lambda: all(ask(proxied, "GET", "/gateway/proxy/brief/files")[0] == 403 for _ in range(8)), 20, "it is shut")
    with pytest.raises(RestError, match="does not allow the raw proxy"):
        proxied.rest.get("/gateway/proxy/brief/files")
