"""Responses later on, the raw proxy and token counts on their way through the engine."""

import json

import msgspec
import pytest

from spangate.exchange import Caller, Content, EndpointSettings, Inbound, Maker, ProxyRules, Reply, Role, Route, Status
from spangate.relay.route import Routes
from spangate.relay.streaming import CutOff, StreamBody
from spangate.wire.problems import Interrupted, Refusal
from spangate.wire.usage import Provenance, Usage

from .fakes import CALL_ID, CLAUDE, JSON, NAMES, SECOND, SSE, TARGET, World, inbound

FIRST = msgspec.structs.replace(
    TARGET, formats={"openai.chat": "https://p/v1/chat/completions", "openai.responses": "https://p/v1/responses"}, base_url="https://p/v1"
)
OTHER = msgspec.structs.replace(SECOND, formats={"openai.responses": "https://q/v1/responses"}, base_url="https://q/v1")
RULES = ProxyRules(methods=("GET", "POST", "PUT", "HEAD"), paths=("/files", "/files/*", "/chat/completions"))
ROUTES = Routes(
    {
        "all": Route(endpoint_id="e-1", name="all", targets=(FIRST, OTHER), experiment_id="7", settings=EndpointSettings(proxy=RULES)),
        "shut": Route(endpoint_id="e-2", name="shut", targets=(FIRST,), experiment_id="7"),
        "claude": Route(
            endpoint_id="e-3",
            name="claude",
            targets=(msgspec.structs.replace(CLAUDE, formats={"anthropic.count_tokens": "https://a/v1/messages/count_tokens"}),),
            experiment_id="7",
        ),
    }
)
COMPLETED = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-x-1",
    "output": [],
    "usage": {"input_tokens": 5, "output_tokens": 7},
}


def world(status: int = 200, headers: list[tuple[bytes, bytes]] | None = None, *pieces: bytes | Exception) -> World:
    it = World(status, JSON if headers is None else headers, pieces)
    it.routes = ROUTES
    return it


def later(method: str = "GET", suffix: str = "", what: str = "get", *, query: str = "", stream: bool | None = None) -> Inbound:
    return Inbound(
        call_id=CALL_ID,
        format="openai.responses.stored",
        request_type=f"passthrough/model/openai-responses-{what}",
        path=f"/v1/responses/resp_1{suffix}",
        headers=[(b"content-type", b"x/y"), (b"cookie", b"a=b"), (b"authorization", b"Bearer theirs")],
        body=b"",
        received_at=1_700_000_000_000_000_000,
        started=100.0,
        server="gw",
        method=method,
        suffix=f"/resp_1{suffix}",
        query=query,
        stream=stream,
        names_model=False,
        response_id="resp_1",
        opaque=True,
        caller=Caller(key_id="k-1", name="admin"),
    )


def raw(method: str, path: str, body: bytes = b"", *headers: tuple[bytes, bytes], query: str = "", endpoint: str = "all") -> Inbound:
    return Inbound(
        call_id=CALL_ID,
        format="raw",
        request_type="proxy/raw",
        path=f"/gateway/proxy/{endpoint}{path}",
        headers=[*headers, (b"cookie", b"a=b"), (b"authorization", b"Bearer theirs")],
        body=body,
        received_at=1_700_000_000_000_000_000,
        started=100.0,
        server="gw",
        endpoint=endpoint,
        method=method,
        suffix=path,
        query=query,
        names_model=False,
        caller=Caller(key_id="k-1", name="admin"),
    )


def said(body: object) -> bytes:
    return json.dumps(body).encode()


async def drunk(reply: Reply) -> bytes:
    assert isinstance(reply.body, StreamBody)
    return b"".join([piece async for piece in reply.body])


# ---------------------------------------------------------------- responses later on


@pytest.mark.parametrize(
    ("method", "suffix", "what"),
    [("GET", "", "get"), ("DELETE", "", "delete"), ("POST", "/cancel", "cancel"), ("GET", "/input_items", "input-items")],
)
async def test_a_response_is_asked_for_at_the_target_that_made_it(method: str, suffix: str, what: str) -> None:
    it = world(200, JSON, said(COMPLETED))
    it.responses.known["resp_1"] = Maker("e-1", "d-3")
    reply = await it.relay(later(method, suffix, what, query="limit=1"))
    assert (reply.status, reply.body, reply.headers) == (200, said(COMPLETED), [*JSON, *NAMES])
    (sent,) = it.transport.sent
    assert (sent.method, sent.url, sent.body) == (method, f"https://q/v1/responses/resp_1{suffix}?limit=1", b"")
    assert sent.headers == {"accept": "application/json", "authorization": "Bearer second-secret"}
    assert it.log[:2] == ["begin", "send"]
    exchange = it.exchange
    assert (exchange.status, exchange.endpoint, exchange.model, exchange.format) == (Status.ok, "all", None, "openai.responses.stored")
    (attempt,) = exchange.attempts
    assert (attempt.model_definition_id, attempt.response_id, attempt.usage) == ("d-3", "resp_1", Usage(input=5, output=7))
    assert it.content == Content(response=said(COMPLETED))


async def test_what_is_deleted_may_have_no_words_left() -> None:
    it = world(204, [])
    it.responses.known["resp_1"] = Maker("e-1", "d-3")
    reply = await it.relay(later("DELETE", "", "delete"))
    assert (reply.status, reply.body) == (204, b"")
    assert it.exchange.status is Status.ok


async def test_who_makes_a_response_is_known_before_the_client_can_ask() -> None:
    it = world(200, SSE, b'data: {"type":"response.created","response":{"id":"resp_7","status":"in_progress"}}\n\n')
    reply = await it.call(b'{"model":"all","stream":true,"input":"x"}', "openai.responses")
    assert it.responses.known == {"resp_7": Maker("e-1", "d-1")}
    assert isinstance(reply.body, StreamBody)
    reply.body.leave()


async def test_an_answer_in_another_format_is_no_response() -> None:
    it = world(200, JSON, said({"id": "chatcmpl-1", "choices": []}))
    await it.call(b'{"model":"all"}')
    assert it.responses.known == {}


@pytest.mark.parametrize("status", ["queued", "in_progress", "completed", "incomplete", "cancelled", "failed"])
async def test_how_a_response_stands_is_no_fault_of_who_asks(status: str) -> None:
    body = said({**COMPLETED, "status": status, "error": {"code": "server_error", "message": "No."} if status == "failed" else None})
    it = world(200, JSON, body)
    it.responses.known["resp_1"] = Maker("e-1", "d-1")
    assert (await it.relay(later())).body == body
    assert it.exchange.status is Status.ok


@pytest.mark.parametrize(
    "last", [b"", b'data: {"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":"x"}}}\n\n']
)
async def test_the_stream_of_a_response_ends_when_it_ends(last: bytes) -> None:
    begun = b'data: {"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress"}}\n\n'
    it = world(200, SSE, begun, *([last] if last else []))
    it.responses.known["resp_1"] = Maker("e-1", "d-1")
    assert await drunk(await it.relay(later(query="stream=true", stream=True))) == begun + last
    assert it.transport.sent[0].headers["accept"] == "text/event-stream"
    assert (it.exchange.status, it.exchange.stream) == (Status.ok, True)


async def test_the_stream_of_a_response_that_breaks_is_cut() -> None:
    begun = b'data: {"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress"}}\n\n'
    it = world(200, SSE, begun, Interrupted(502, "upstream_dropped", "Gone."))
    it.responses.known["resp_1"] = Maker("e-1", "d-1")
    with pytest.raises(CutOff):
        await drunk(await it.relay(later(query="stream=true", stream=True)))
    assert it.exchange.status is Status.provider_gone


@pytest.mark.parametrize(
    ("maker", "fault", "status", "kind"),
    [
        (None, None, 404, "unknown_response"),
        (Maker("e-9", "d-1"), None, 404, "unknown_response"),
        (Maker("e-1", "d-9"), None, 404, "unknown_response"),
        (None, Refusal(503, "response_lookup", "Later.", retry_after="1"), 503, "response_lookup"),
    ],
)
async def test_a_response_that_cannot_be_found_is_refused(maker: Maker | None, fault: Refusal | None, status: int, kind: str) -> None:
    it = world()
    it.responses.fault = fault
    if maker is not None:
        it.responses.known["resp_1"] = maker
    reply = await it.relay(later())
    assert isinstance(reply.body, bytes)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (status, kind)
    assert (b"retry-after" in dict(reply.headers)) is (status == 503)
    assert (it.transport.sent, it.exchange.status) == ([], Status.refused)


async def test_what_time_cures_is_tried_again_there_and_nowhere_else() -> None:
    it = world()
    it.responses.known["resp_1"] = Maker("e-1", "d-1")
    it.answer = it.says(503, JSON, b'{"error":{"message":"Down."}}')
    assert (await it.relay(later())).status == 503
    assert [sent.url for sent in it.transport.sent] == ["https://p/v1/responses/resp_1"] * 3
    assert (len(it.journal.begun), len(it.journal.resumed), len(it.journal.settled)) == (1, 2, 1)


@pytest.mark.parametrize(
    ("known", "url"),
    [
        ({"resp_0": Maker("e-1", "d-3")}, "https://q/v1/responses"),
        ({"resp_0": Maker("e-1", "d-1")}, "https://p/v1/responses"),
        ({"resp_0": Maker("e-2", "d-3")}, "https://p/v1/responses"),  # another endpoint's: as any call
        ({}, "https://p/v1/responses"),
    ],
)
async def test_a_response_that_goes_on_goes_where_the_one_before_it_was_made(known: dict[str, Maker], url: str) -> None:
    it = world(200, JSON, said(COMPLETED))
    it.responses.known.update(known)
    await it.call(b'{"model":"all","previous_response_id":"resp_0"}', "openai.responses")
    assert (it.responses.asked, [sent.url for sent in it.transport.sent]) == (["resp_0"], [url])


@pytest.mark.parametrize(("maker", "status"), [(Maker("e-1", "d-1"), 403), (Maker("e-2", "d-1"), 200), (None, 200)])
async def test_a_key_for_some_endpoints_goes_on_from_their_responses_alone(maker: Maker | None, status: int) -> None:
    it = world(200, JSON, said(COMPLETED))
    it.responses.known.update({} if maker is None else {"resp_0": maker})
    caller = Caller(key_id="k-2", name="team", role=Role.developer, endpoints=frozenset({"e-2"}))
    asked = inbound(b'{"model":"shut","previous_response_id":"resp_0"}', "openai.responses")
    reply = await it.relay(msgspec.structs.replace(asked, caller=caller))
    assert (reply.status, len(it.transport.sent)) == (status, status == 200)


async def test_it_goes_on_without_control_too() -> None:
    it = world(200, JSON, said(COMPLETED))
    it.responses.fault = Refusal(503, "response_lookup", "Later.")
    assert (await it.call(b'{"model":"all","previous_response_id":"resp_0"}', "openai.responses")).status == 200


@pytest.mark.parametrize(
    ("body", "format"),
    [
        (b'{"model":"all"}', "openai.responses"),
        (b'{"model":"all","previous_response_id":null}', "openai.responses"),
        (b'{"model":"all","previous_response_id":7}', "openai.responses"),
        (b'{"model":"shut","previous_response_id":"resp_0"}', "openai.responses"),  # there is only one target
        (b'{"model":"all","previous_response_id":"resp_0"}', "openai.chat"),
    ],
)
async def test_nobody_is_asked_where_nothing_hangs_on_it(body: bytes, format: str) -> None:
    it = world(200, JSON, said(COMPLETED))
    await it.call(body, format)
    assert it.responses.asked == []


# ---------------------------------------------------------------- token counts


async def test_a_count_of_tokens_is_no_usage() -> None:
    it = world(200, JSON, b'{"input_tokens": 2095}')
    reply = await it.call(b'{"model":"claude","messages":[]}', "anthropic.count_tokens")
    assert reply.body == b'{"input_tokens": 2095}'
    (sent,) = it.transport.sent
    assert (sent.url, sent.body) == ("https://a/v1/messages/count_tokens", b'{"model":"claude-x","messages":[]}')
    assert it.exchange.status is Status.ok
    assert (it.exchange.attempts[0].usage, it.exchange.attempts[0].provenance) == (Usage(), Provenance.unknown)


async def test_a_count_that_is_an_error_has_its_status() -> None:
    it = world(200, JSON, b'{"type":"error","error":{"type":"overloaded_error","message":"Busy."}}')
    it.routes = Routes({"claude": msgspec.structs.replace(ROUTES["claude"], max_attempts=1)})
    assert (await it.call(b'{"model":"claude","messages":[]}', "anthropic.count_tokens")).status == 529


# ---------------------------------------------------------------- the raw proxy


async def test_bytes_pass_that_nobody_reads() -> None:
    it = world(
        200, [(b"content-type", b"application/octet-stream"), (b"x-request-id", b"r-1"), (b"set-cookie", b"a")], b"\x00\xff", b"\x01"
    )
    asked = raw("PUT", "/files/a", b"\xfe\x00", (b"content-type", b"image/png"), (b"accept", b"x/y"), (b"x-a", b"1"), query="key=1&b=2")
    reply = await it.relay(msgspec.structs.replace(asked, opaque=True))
    assert (reply.status, reply.headers) == (200, [(b"content-type", b"application/octet-stream"), (b"x-request-id", b"r-1"), *NAMES])
    assert await drunk(reply) == b"\x00\xff\x01"
    (sent,) = it.transport.sent
    assert (sent.method, sent.url, sent.body) == ("PUT", "https://p/v1/files/a?b=2", b"\xfe\x00")
    assert sent.headers == {"content-type": "image/png", "accept": "x/y", "authorization": "Bearer sk"}
    exchange = it.exchange
    assert (exchange.status, exchange.format, exchange.request_type, exchange.request_bytes) == (Status.ok, "raw", "proxy/raw", 2)
    assert (exchange.attempts[0].usage, exchange.attempts[0].provenance) == (Usage(), Provenance.unknown)
    assert it.content == Content()


async def test_of_what_people_can_read_the_trace_has_both_sides() -> None:
    it = world(200, JSON, b'{"data":', b"[]}")
    asked = raw("POST", "/files", b'{"a":1}', (b"content-type", b"application/json"))
    assert await drunk(await it.relay(asked)) == b'{"data":[]}'
    assert it.content == Content(request=b'{"a":1}', response=b'{"data":[]}')


async def test_an_answer_without_a_body_is_one() -> None:
    it = world(204, [])
    reply = await it.relay(raw("HEAD", "/files"))
    assert (reply.status, reply.headers, await drunk(reply)) == (204, NAMES, b"")
    assert it.transport.sent[0].headers == {"accept": "*/*", "authorization": "Bearer sk"}
    assert it.exchange.status is Status.ok


async def test_a_raw_answer_that_breaks_is_cut_without_a_word_of_ours() -> None:
    it = world(200, [], b"abc", Interrupted(502, "upstream_dropped", "Gone."))
    reply = await it.relay(raw("GET", "/files/a"))
    assert isinstance(reply.body, StreamBody)
    assert await anext(reply.body) == b"abc"
    with pytest.raises(CutOff):
        await anext(reply.body)
    assert it.exchange.status is Status.provider_gone


async def test_a_known_format_is_counted_and_its_body_is_the_clients() -> None:
    body = b'{"model":"gpt-own","stream":true,"messages":[]}'
    frames = b'data: {"id":"c","model":"gpt-own","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n'
    it = world(200, SSE, frames)
    assert await drunk(await it.relay(raw("POST", "/chat/completions", body, (b"content-type", b"application/json")))) == frames
    (sent,) = it.transport.sent
    assert (sent.url, sent.body) == ("https://p/v1/chat/completions", body)
    exchange = it.exchange
    assert (exchange.status, exchange.format, exchange.request_type, exchange.stream) == (Status.ok, "openai.chat", "proxy/raw", True)
    assert exchange.attempts[0].usage == Usage(input=3, output=4)


@pytest.mark.parametrize("body", [b'{"detail":"No such file"}', b"<html>", b'{"error":{"message":"No."}}'])
async def test_the_providers_refusal_passes_in_its_own_words_and_is_not_tried_again(body: bytes) -> None:
    it = world(503, [(b"content-type", b"x/y")], body)
    reply = await it.relay(raw("POST", "/files", b"x"))
    assert (reply.status, reply.body, reply.headers) == (503, body, [(b"content-type", b"x/y"), *NAMES])
    assert (len(it.transport.sent), it.exchange.status) == (1, Status.error)


@pytest.mark.parametrize(
    ("inbound", "status", "kind"),
    [
        (raw("GET", "/files", endpoint="shut"), 403, "proxy_off"),
        (raw("GET", "/files", endpoint="none"), 404, "unknown_model"),
        (raw("DELETE", "/files"), 403, "proxy_not_allowed"),
        (raw("GET", "/models"), 403, "proxy_not_allowed"),
        (raw("GET", "/files/%2e%2e/models"), 400, "bad_proxy_path"),
        (msgspec.structs.replace(raw("GET", "/files"), caller=Caller(key_id="k", name="small", role="developer")), 403, "missing_scope"),
    ],
)
async def test_what_may_not_pass_is_refused_before_anybody_is_called(inbound: Inbound, status: int, kind: str) -> None:
    it = world()
    reply = await it.relay(inbound)
    assert isinstance(reply.body, bytes)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (status, kind)
    assert (it.transport.sent, it.exchange.status) == ([], Status.refused)
