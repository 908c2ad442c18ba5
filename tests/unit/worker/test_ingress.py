import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from spangate import session
from spangate.envelope import Pepper
from spangate.exchange import Caller, Inbound, Reply, Route, SealedKey
from spangate.observe import logs
from spangate.relay.route import Routes
from spangate.relay.streaming import GONE, CutOff
from spangate.wire.problems import Refusal
from spangate.worker.asgi import Headers, Message, Receive, Scope, Send
from spangate.worker.bodies import BodyLimits
from spangate.worker.hosts import Hosts
from spangate.worker.ingress import Ingress

KEY = b"sg-0123456789"
SHOWN = (b"authorization", b"Bearer " + KEY)
CALLER = Caller(key_id="k-1", name="admin", agent="tests")


class Relay:
    """Notes what comes in; answers with what it is told to."""

    def __init__(self) -> None:
        self.calls: list[Inbound] = []
        self.refusals: list[tuple[Inbound, Refusal]] = []
        self.answer: Callable[[], Any] = lambda: Reply(status=200, headers=[(b"x-a", b"1")], body=b"hi")

    async def __call__(self, inbound: Inbound) -> Reply:
        self.calls.append(inbound)
        answer = self.answer()
        return await answer if asyncio.iscoroutine(answer) else answer

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Reply:
        self.refusals.append((inbound, refusal))
        return Reply(status=refusal.status, headers=[], body=refusal.kind.encode())


PEPPER = Pepper(bytes(32))


class Knowledge:
    keys = {PEPPER.digest(KEY): SealedKey(key_id="k-1", digest=b"", name="admin")}
    routes = Routes(
        {
            "b": Route(endpoint_id="e-2", name="b", targets=(), created_at=1_700_000_000_000),
            "a": Route(endpoint_id="e-1", name="a", targets=(), created_at=1_600_000_000_000),
        }
    )


class Door:
    """An ingress, and a client that sends the given messages, then stays until it is told to leave."""

    def __init__(self) -> None:
        self.relay = Relay()
        self.forwarded: list[str] = []
        self.told: list[tuple[object, ...]] = []
        self.sent: list[Message] = []
        self.gone = asyncio.Event()
        self.reads_all = False
        self.ready = (True, ["control: does not answer"])
        self.ingress = Ingress(
            relay=self.relay,
            knowledge=Knowledge(),
            pepper=PEPPER,
            forward=self.forward,
            ready=self.readiness,
            bodies=BodyLimits(100, 0.1),
            hosts=Hosts(["gw"]),
            unidentified=lambda call_id: self.told.append((call_id,)),
            answered=lambda *said: self.told.append((*said, logs.call_id.get())),
            new_id=lambda: "id-1",
            clock=lambda: 5.0,
            wall=lambda: 7,
        )

    async def forward(self, scope: Scope, receive: Receive, send: Send, extra: Headers) -> None:
        self.forwarded.append(scope["path"])
        while self.reads_all and (await receive())["more_body"]:
            pass
        assert (extra, logs.call_id.get()) == ([(b"x-spangate-call-id", b"id-1")], "id-1")

    async def readiness(self) -> tuple[bool, list[str]]:
        return self.ready

    async def request(
        self, method: str, path: str, body: bytes | list[bytes] = b"", headers: Headers | None = None, *, hangs: bool = False
    ) -> None:
        pieces = [body] if isinstance(body, bytes) else list(body)
        head = [SHOWN, (b"user-agent", b"tests/1"), (b"host", b"gw:4000")] if headers is None else headers
        scope = {"type": "http", "method": method, "path": path, "headers": head}

        async def receive() -> Message:
            if pieces:
                piece = pieces.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(pieces) or hangs}
            if not hangs:
                await self.gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self.sent.append(message)
            if message["type"] == "http.response.body" and not message["more_body"]:
                self.gone.set()  # as uvicorn does it: a reply that is whole ends the wait

        await self.ingress(scope, receive, send)
        self.gone.set()

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.mark.parametrize(
    ("path", "format", "request_type", "endpoint"),
    [
        ("/v1/completions", "openai.completions", "passthrough/model/openai-completions", None),
        ("/v1/embeddings", "openai.embeddings", "passthrough/model/openai-embeddings", None),
        ("/v1/responses", "openai.responses", "passthrough/model/openai-responses", None),
        ("/v1/responses/compact", "openai.responses", "passthrough/model/openai-responses", None),
        ("/gateway/openai/v1/completions", "openai.completions", "passthrough/model/openai-completions", None),
        ("/gateway/openai/v1/embeddings", "openai.embeddings", "passthrough/model/openai-embeddings", None),
        ("/gateway/openai/v1/responses", "openai.responses", "passthrough/model/openai-responses", None),
        ("/gateway/openai/v1/responses/compact", "openai.responses", "passthrough/model/openai-responses", None),
        ("/v1/chat/completions", "openai.chat", "passthrough/model/openai-chat", None),
        ("/gateway/openai/v1/chat/completions", "openai.chat", "passthrough/model/openai-chat", None),
        ("/v1/messages", "anthropic.messages", "passthrough/model/anthropic-messages", None),
        ("/gateway/anthropic/v1/messages", "anthropic.messages", "passthrough/model/anthropic-messages", None),
        ("/gateway/mlflow/v1/chat/completions", "mlflow.chat", "unified/chat", None),
        ("/gateway/my.chat-1/mlflow/invocations", "mlflow.chat", "unified/chat", "my.chat-1"),
    ],
)
async def test_hands_a_call_to_the_relay(door: Door, path: str, format: str, request_type: str, endpoint: str | None) -> None:
    body = b'{"messages": []}'
    await door.request("POST", path, [body[:5], b"", body[5:]])
    assert door.relay.calls == [
        Inbound(
            call_id="id-1",
            format=format,
            request_type=request_type,
            path=path,
            headers=[SHOWN, (b"user-agent", b"tests/1"), (b"host", b"gw:4000")],
            body=body,
            received_at=7,
            started=5.0,
            server="gw:4000",
            endpoint=endpoint,
            suffix="/compact" if path.endswith("/compact") else "",
            caller=CALLER,
        )
    ]
    assert door.sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1"), (b"content-length", b"2")]},
        {"type": "http.response.body", "body": b"hi", "more_body": False},
    ]


@pytest.mark.parametrize(
    "path", ["/version", "/", "/api/2.0/mlflow/experiments/get", "/gateway/a/b/mlflow/invocations", "/gateway//mlflow/invocations"]
)
async def test_everything_else_goes_to_control(door: Door, path: str) -> None:
    await door.request("GET", path)
    assert door.forwarded == [path]


@pytest.mark.parametrize("path", ["/v1/traces", "/gateway/geminis/v1beta/models/x:generateContent", "/v10/x", "/v1"])
async def test_what_only_looks_like_a_clients_path_goes_to_control(door: Door, path: str) -> None:
    await door.request("POST", path)
    assert door.forwarded == [path]


@pytest.mark.parametrize(
    ("path", "version", "status", "anthropics"),
    [
        ("/v1/nope", False, 404, False),
        ("/v1/responses/input_tokens", False, 404, False),
        ("/v1/filesystem", True, 404, True),
        ("/v1/messages/drafts", False, 404, True),
        ("/gateway/openai/v1/responses/resp_1/parts", False, 501, False),
        ("/gateway/anthropic/v1/messages/drafts", False, 501, True),
        ("/gateway/mlflow/v1/embeddings", False, 501, False),
    ],
)
async def test_what_is_not_served_is_told_in_the_clients_format(
    door: Door, path: str, version: bool, status: int, anthropics: bool
) -> None:
    await door.request("POST", path, b"{}", [SHOWN, (b"anthropic-version", b"1")] if version else [SHOWN])
    said = json.loads(door.body)
    assert (door.status, said["error"]["code"]) == (status, "unsupported_operation")
    assert said["error"]["message"] == f"This gateway does not serve POST {path}."
    assert (said.get("type") == "error") is anthropics
    assert door.headers[b"x-spangate-call-id"] == b"id-1"
    assert door.told == [("POST", path, status, "id-1")]


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/v1/audio/speech", "/gateway/proxy/{endpoint}/audio/speech"),
        ("/v1/files", "/gateway/proxy/{endpoint}/files"),
        ("/v1/messages/batches", "/gateway/proxy/{endpoint}/messages/batches"),
        ("/gateway/openai/v1/images/edits", "/gateway/proxy/{endpoint}/images/edits"),
        ("/gateway/anthropic/v1/files/file_1", "/gateway/proxy/{endpoint}/files/file_1"),
    ],
)
async def test_what_is_not_served_and_may_go_raw_is_told_where(door: Door, path: str, raw: str) -> None:
    await door.request("POST", path, b"{}", [SHOWN])
    assert json.loads(door.body)["error"]["message"] == (
        f"This gateway does not serve POST {path}. Where an endpoint allows it, the raw proxy passes it on: POST {raw}."
    )


@pytest.mark.parametrize("headers", [[], [(b"authorization", b"Bearer wrong")]], ids=["none", "wrong"])
@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/chat/completions", lambda said: said["error"]["type"]),
        ("/v1/messages", lambda said: said["error"]["type"]),
        ("/gateway/mlflow/v1/chat/completions", lambda said: said["error"]["type"]),
        ("/v1/models", lambda said: said["error"]["type"]),
        ("/v1/models/a", lambda said: said["error"]["type"]),
        ("/gateway/mlflow/v1/models", lambda said: said["error"]["type"]),
        ("/v1/embeddings", lambda said: said["error"]["type"]),
    ],
)
async def test_without_a_key_it_says_so_in_the_clients_format(
    door: Door, path: str, shape: Callable[[dict[str, Any]], str], headers: Headers
) -> None:
    await door.request("GET" if "models" in path else "POST", path, b"{}", headers)
    assert door.status == 401
    said = json.loads(door.body)
    assert shape(said) == "authentication_error"
    assert ("request_id" in said) is (path == "/v1/messages")
    assert door.headers[b"x-spangate-call-id"] == b"id-1"
    assert (door.relay.calls, door.relay.refusals) == ([], []), "who is nobody leaves no record"
    assert door.told == [("id-1",)]


async def test_who_shows_no_key_is_told_of_all_places_for_one(door: Door) -> None:
    await door.request("POST", "/v1/chat/completions", b"{}", [])
    message = json.loads(door.body)["error"]["message"]
    assert [name for name in ("Authorization", "x-api-key", "x-goog-api-key", "api-key", "Basic") if name not in message] == []


async def test_before_the_first_snapshot_no_key_is_called_wrong(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Knowledge, "keys", {})
    await door.request("POST", "/v1/messages", b"{}")
    assert (door.status, door.headers[b"retry-after"]) == (503, b"1")
    assert json.loads(door.body)["type"] == "error"
    assert (door.relay.calls, door.told) == ([], [("POST", "/v1/messages", 503, "id-1")])


def holder(monkeypatch: pytest.MonkeyPatch, **has: Any) -> None:
    """The one key that is known is another one."""
    monkeypatch.setattr(Knowledge, "keys", {PEPPER.digest(KEY): SealedKey(key_id="k-2", digest=b"", name="ours", **has)})


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/models", "/v1/nothing"])
async def test_an_expired_key_is_told_apart_from_a_wrong_one(door: Door, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holder(monkeypatch, expires_at=0)
    await door.request("GET" if "models" in path else "POST", path, b"{}")
    said = json.loads(door.body)["error"]
    assert (door.status, said["type"], "has expired" in said["message"]) == (401, "authentication_error", True)
    assert (door.relay.calls, door.relay.refusals, door.told) == ([], [], [("id-1",)])


async def test_a_call_has_all_of_its_callers_key(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    has = {"role": "developer", "endpoints": frozenset({"e-1"}), "owner": "ann", "team": "search"}
    holder(monkeypatch, expires_at=1, **has)
    await door.request("POST", "/v1/chat/completions", b'{"model":"a"}')
    (inbound,) = door.relay.calls
    assert inbound.caller == Caller(key_id="k-2", name="ours", agent="tests", **has)


def in_a_browser(*headers: tuple[bytes, bytes], ends: int = 1) -> Headers:
    value = session.sealed(session.Session(PEPPER.digest(KEY), ends), PEPPER)
    return [(b"host", b"gw:4000"), (b"cookie", b"spangate_session=" + value.encode()), *headers]


async def test_a_page_of_ours_calls_by_its_session(door: Door) -> None:
    await door.request("POST", "/v1/messages", b'{"model":"a"}', in_a_browser((b"sec-fetch-site", b"same-origin")))
    (inbound,) = door.relay.calls
    assert (door.status, inbound.caller.name) == (200, "admin")


@pytest.mark.parametrize(
    ("headers", "status", "word"),
    [
        (in_a_browser((b"sec-fetch-site", b"cross-site")), 403, "own pages"),
        (in_a_browser((b"sec-fetch-site", b"same-origin"), (b"sec-fetch-dest", b"iframe")), 403, "own pages"),
        (in_a_browser((b"sec-fetch-site", b"same-origin"), ends=0), 401, "sign in again"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/messages"), ("GET", "/v1/responses/r-1"), ("GET", "/gateway/proxy/a/files")])
async def test_a_session_that_does_not_count_makes_no_call(
    door: Door, method: str, path: str, headers: Headers, status: int, word: str
) -> None:
    await door.request(method, path, b"{}", headers)
    assert (door.status, word in json.loads(door.body)["error"]["message"]) == (status, True)
    assert (b"www-authenticate" in door.headers) is (status == 401)
    assert (door.relay.calls, door.relay.refusals, door.told) == ([], [], [("id-1",)])


async def test_a_person_may_look_at_the_list_of_models(door: Door) -> None:
    await door.request("GET", "/v1/models", b"", in_a_browser((b"sec-fetch-site", b"none"), (b"sec-fetch-dest", b"document")))
    assert [row["id"] for row in json.loads(door.body)["data"]] == ["a", "b"]


async def test_a_key_in_the_url_is_no_key(door: Door) -> None:
    await door.request("POST", "/v1/chat/completions?api_key=" + KEY.decode(), b"{}", [])
    assert (door.status, door.relay.calls, door.forwarded) == (401, [], [])


@pytest.mark.parametrize("body", [b"x" * 101, [b"x" * 60, b"x" * 60]], ids=["at once", "in pieces"])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_past_the_limit_is_refused(door: Door, body: bytes | list[bytes], declared: bool) -> None:
    head = [SHOWN, (b"content-length", b"120")] if declared else [SHOWN, (b"content-length", b"what")]
    await door.request("POST", "/v1/messages", body, head)
    assert (door.status, door.body) == (413, b"body_too_large")
    ((inbound, refusal),) = door.relay.refusals
    assert (inbound.body, inbound.caller and inbound.caller.key_id, refusal.status) == (b"", "k-1", 413)
    assert door.relay.calls == []


async def test_a_body_at_the_limit_is_taken(door: Door) -> None:
    await door.request("POST", "/v1/messages", b"x" * 100)
    assert len(door.relay.calls[0].body) == 100


async def test_a_packed_body_is_handed_on_unpacked_and_its_headers_say_so(door: Door) -> None:
    body = gzip.compress(b'{"messages": []}')
    head = [SHOWN, (b"content-encoding", b"gzip"), (b"content-length", str(len(body)).encode()), (b"x-a", b"1")]
    await door.request("POST", "/v1/messages", [body[:9], body[9:]], head)
    (inbound,) = door.relay.calls
    assert (inbound.body, inbound.headers) == (b'{"messages": []}', [SHOWN, (b"x-a", b"1")])


async def test_a_body_packed_in_another_way_is_refused_with_those_that_are_read(door: Door) -> None:
    await door.request("POST", "/v1/messages", b"x", [SHOWN, (b"content-encoding", b"br")])
    assert (door.status, door.body, door.headers[b"accept-encoding"]) == (415, b"unsupported_encoding", b"gzip, deflate, zstd")


async def test_a_body_that_is_not_what_its_coding_says_is_refused(door: Door) -> None:
    await door.request("POST", "/v1/messages", b"{}", [SHOWN, (b"content-encoding", b"zstd")])
    assert (door.status, door.body) == (400, b"invalid_encoding")


async def test_a_body_that_stops_coming_is_a_408(door: Door) -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        door.sent.append(message)

    await door.ingress({"type": "http", "method": "POST", "path": "/v1/messages", "headers": [SHOWN]}, receive, send)
    assert (door.status, door.body) == (408, b"body_timeout")


@pytest.mark.parametrize("body", [b"x" * 101, [b"x" * 60, b"x" * 60]], ids=["at once", "in pieces"])
async def test_what_goes_to_control_has_the_same_bounds(door: Door, body: bytes | list[bytes]) -> None:
    door.reads_all = True
    await door.request("POST", "/api/2.0/mlflow/experiments/create", body)
    assert (door.status, json.loads(door.body)) == (
        413,
        {"error_code": "BAD_REQUEST", "message": "The request body is larger than the limit of 100 bytes."},
    )


async def test_what_is_declared_too_large_never_goes_to_control(door: Door) -> None:
    await door.request("POST", "/api/2.0/mlflow/experiments/create", b"", [(b"content-length", b"101")])
    assert (door.status, door.forwarded) == (413, [])
    assert door.told == [("POST", "/api/2.0/mlflow/experiments/create", 413, "id-1")]


async def test_what_goes_to_control_stays_packed(door: Door) -> None:
    await door.request("POST", "/v1/traces", b"", [(b"content-encoding", b"br")])
    assert door.forwarded == ["/v1/traces"]


@pytest.mark.parametrize(
    ("host", "status", "kind"),
    [(b"evil.example", 421, "unknown_host"), (b"gw@evil", 400, "invalid_host"), (b"", 400, "invalid_host")],
)
@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/v1/messages", lambda said: said["error"]["code"]),
        ("/v1/chat/completions", lambda said: said["error"]["code"]),
        ("/v1/moderations", lambda said: said["error"]["code"]),
        ("/api/2.0/mlflow/experiments/get", lambda said: said["error_code"]),
    ],
)
async def test_who_comes_under_another_name_is_turned_away(
    door: Door, path: str, read: Callable[[dict[str, Any]], str], host: bytes, status: int, kind: str
) -> None:
    await door.request("POST", path, b"{}", [SHOWN, (b"host", host)])
    assert (door.status, read(json.loads(door.body))) == (status, "BAD_REQUEST" if path.startswith("/api") else kind)
    assert door.headers[b"x-spangate-call-id"] == b"id-1"
    assert (door.relay.calls, door.relay.refusals, door.forwarded) == ([], [], [])
    assert door.told == [("POST", path, status, "id-1")]


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_probes_come_under_any_name(door: Door, path: str) -> None:
    await door.request("GET", path, headers=[(b"host", b"10.0.0.7:4000")])
    assert door.status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_other_methods_are_told_which_one(door: Door, method: str) -> None:
    await door.request(method, "/v1/chat/completions")
    assert (door.status, door.body, door.headers[b"allow"]) == (405, b"method_not_allowed", b"POST")
    assert len(door.relay.refusals) == 1


@pytest.mark.parametrize(
    ("body", "format", "request_type"),
    [
        (b'{"messages": []}', "mlflow.chat", "unified/chat"),
        (b'{"messages": [], "input": "x"}', "mlflow.chat", "unified/chat"),
        (b'{"input": "x"}', "mlflow.embeddings", "unified/embeddings"),
    ],
)
async def test_invocations_tell_chat_from_embeddings(door: Door, body: bytes, format: str, request_type: str) -> None:
    await door.request("POST", "/gateway/a/mlflow/invocations", body)
    (inbound,) = door.relay.calls
    assert (inbound.format, inbound.request_type, inbound.endpoint) == (format, request_type, "a")


async def test_invocations_that_are_neither_are_refused(door: Door) -> None:
    await door.request("POST", "/gateway/a/mlflow/invocations", b'{"prompt": "x"}')
    assert (door.status, door.body) == (400, b"missing_messages")


@pytest.mark.parametrize("body", [b"[]", b"{", b""])
async def test_invocations_leave_what_cannot_be_read_to_the_relay(door: Door, body: bytes) -> None:
    await door.request("POST", "/gateway/a/mlflow/invocations", body)
    assert len(door.relay.calls) == 1


async def test_a_client_that_leaves_before_it_has_said_all_never_called(door: Door) -> None:
    await door.request("POST", "/v1/messages", [b"{"], hangs=True)
    assert (door.sent, door.relay.calls, door.relay.refusals) == ([], [], [])


async def test_other_protocols_are_let_lie(door: Door) -> None:
    await door.ingress({"type": "websocket", "path": "/v1/messages"}, door.gone.wait, door.readiness)  # pyright: ignore[reportArgumentType]
    assert door.sent == []


# ---------------------------------------------------------------- replies


class Stream:
    """A body that gives pieces, and at the end ends, is cut, or never comes."""

    def __init__(self, *pieces: bytes, ending: Exception | str | None = None) -> None:
        self.pieces = list(pieces)
        self.ending = ending

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if isinstance(self.ending, Exception):
            raise self.ending
        if self.ending:
            await asyncio.Event().wait()
        raise StopAsyncIteration


async def test_a_stream_goes_out_piece_by_piece(door: Door) -> None:
    door.relay.answer = lambda: Reply(status=200, headers=[(b"content-type", b"x")], body=Stream(b"a", b"b"))
    await door.request("POST", "/v1/messages", b"{}")
    assert door.sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"x")]},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b", "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
    ]


async def test_a_cut_stream_has_no_end(door: Door) -> None:
    door.relay.answer = lambda: Reply(status=200, headers=[], body=Stream(b"a", ending=CutOff("gone")))
    await door.request("POST", "/v1/messages", b"{}")
    assert door.sent[-1] == {"type": "http.response.body", "body": b"a", "more_body": True}


async def test_a_client_that_hangs_up_cancels_its_call(door: Door) -> None:
    seen: list[BaseException] = []

    async def waiting() -> Reply:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            seen.append(error)
            raise
        raise AssertionError

    door.relay.answer = waiting
    serving = asyncio.create_task(door.request("POST", "/v1/messages", b"{}"))
    await asyncio.sleep(0.01)
    door.gone.set()
    await asyncio.wait_for(serving, 5)
    assert [error.args for error in seen] == [(GONE,)]
    assert door.sent == []


async def test_a_client_that_hangs_up_midway_cancels_its_stream(door: Door) -> None:
    door.relay.answer = lambda: Reply(status=200, headers=[], body=Stream(b"a", ending="never"))
    serving = asyncio.create_task(door.request("POST", "/v1/messages", b"{}"))
    await asyncio.sleep(0.01)
    assert door.sent[-1]["body"] == b"a"
    door.gone.set()
    await asyncio.wait_for(serving, 5)


async def test_a_provider_that_takes_its_time_is_no_fault_of_the_client(door: Door) -> None:
    door.relay.answer = lambda: Reply(status=200, headers=[], body=Stream(b"a", ending="never"))
    serving = asyncio.create_task(door.request("POST", "/v1/messages", b"{}"))
    await asyncio.sleep(0.3)
    assert not serving.done()
    door.gone.set()
    await asyncio.wait_for(serving, 5)


async def test_the_end_of_the_process_is_no_hanging_up(door: Door) -> None:
    door.relay.answer = lambda: Reply(status=200, headers=[], body=Stream(ending="never"))
    serving = asyncio.create_task(door.request("POST", "/v1/messages", b"{}"))
    await asyncio.sleep(0.01)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    door.gone.set()


# ---------------------------------------------------------------- models, health


async def test_models_in_openais_shape(door: Door) -> None:
    await door.request("GET", "/v1/models")
    assert json.loads(door.body) == {
        "object": "list",
        "data": [
            {"id": "a", "object": "model", "created": 1_600_000_000, "owned_by": "spangate"},
            {"id": "b", "object": "model", "created": 1_700_000_000, "owned_by": "spangate"},
        ],
    }


async def test_models_in_anthropics_shape_for_its_clients(door: Door) -> None:
    await door.request("GET", "/v1/models", headers=[(b"x-api-key", KEY), (b"anthropic-version", b"2023-06-01")])
    said = json.loads(door.body)
    assert [model["type"] for model in said["data"]] == ["model", "model"]
    assert said["first_id"] == "a"


async def test_models_in_mlflows_shape(door: Door) -> None:
    await door.request("GET", "/gateway/mlflow/v1/models")
    assert {model["owned_by"] for model in json.loads(door.body)["data"]} == {"mlflow"}


async def test_one_model(door: Door) -> None:
    await door.request("GET", "/v1/models/b")
    assert json.loads(door.body) == {"id": "b", "object": "model", "created": 1_700_000_000, "owned_by": "spangate"}
    assert door.told == [("GET", "/v1/models/b", 200, "id-1")]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/models/c", 404), ("POST", "/v1/models", 405), ("DELETE", "/v1/models/a", 405)]
)
async def test_models_that_are_not_there_and_methods_that_are_not_served(door: Door, method: str, path: str, status: int) -> None:
    await door.request(method, path)
    assert (door.status, b"error" in door.body) == (status, True)
    assert door.told == [(method, path, status, "id-1")]


@pytest.mark.parametrize(
    ("has", "names"),
    [
        ({"role": "developer"}, ["a", "b"]),
        ({"role": "developer", "endpoints": frozenset({"e-2", "e-9"})}, ["b"]),
        ({"role": "developer", "endpoints": frozenset[str]()}, []),
        ({"role": "viewer"}, []),
    ],
)
async def test_models_are_those_that_the_key_may_call(
    door: Door, has: dict[str, Any], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder(monkeypatch, **has)
    await door.request("GET", "/v1/models")
    assert [model["id"] for model in json.loads(door.body)["data"]] == names
    for name in ("a", "b"):
        alone = Door()
        await alone.request("GET", f"/v1/models/{name}")
        assert alone.status == (200 if name in names else 404)


async def test_health_needs_no_key(door: Door) -> None:
    await door.request("GET", "/health", headers=[])
    assert (door.status, door.body) == (200, b"OK")


@pytest.mark.parametrize(("ready", "status", "word"), [(True, 200, "ready"), (False, 503, "not ready")])
async def test_readiness_says_what_is_degraded(door: Door, ready: bool, status: int, word: str) -> None:
    door.ready = (ready, ["control: does not answer"])
    await door.request("GET", "/ready", headers=[])
    assert (door.status, json.loads(door.body)) == (status, {"status": word, "degraded": ["control: does not answer"]})
