"""A target whose token must be fetched first: what is sent, and what is written down when there is no token or it is not taken."""

import json

import msgspec

from spangate.exchange import Content, Fault, Reply, Route, Status
from spangate.providers import ClientCredentials
from spangate.relay.route import Routes
from spangate.wire.problems import UpstreamProblem

from .fakes import JSON, NAMES, SECOND, TARGET, FakeIncoming, World
from .spoken import PLAIN
from .test_engine_attempts import problem

TOKEN = "a-token-of-some-length"
GRANT = ClientCredentials(url="https://login/token", client_id="c", client_secret="s", scope="x", client="body")
CLOUD = msgspec.structs.replace(TARGET, headers={}, grant=GRANT)
ASK = b'{"model": "cloud", "messages": []}'
ECHO = b'{"error": {"message": "%s is no good", "type": "auth", "code": "unauthorized"}}' % TOKEN.encode()
MASKED = ECHO.replace(TOKEN.encode(), b"***masked***")


def world(*answers: FakeIncoming | Exception, fallback: bool = False, max_attempts: int | None = None) -> World:
    """A provider and a token endpoint in one, which say these in turn."""
    made = World(200, JSON, [PLAIN])
    targets = (CLOUD, SECOND) if fallback else (CLOUD,)
    route = Route(endpoint_id="e-1", name="cloud", targets=targets, experiment_id="7", max_attempts=max_attempts)
    made.routes = Routes({"cloud": route})
    made.answers = list(answers)
    return made


def says(status: int, body: bytes) -> FakeIncoming:
    return FakeIncoming(status, JSON, [body], [])


def token(text: str = TOKEN) -> FakeIncoming:
    return says(200, json.dumps({"access_token": text, "expires_in": 3600}).encode())


async def test_the_token_is_fetched_before_the_attempt_and_shown_in_it() -> None:
    it = world(token())
    assert await it.call(ASK) == Reply(status=200, headers=[*JSON, *NAMES], body=PLAIN)
    assert [entry for entry in it.log if entry != "close"] == ["send", "begin", "send", "read end", "settle ok"]
    assert [sent.url for sent in it.transport.sent] == ["https://login/token", "https://p/v1/chat/completions"]
    assert it.transport.sent[1].headers["authorization"] == f"Bearer {TOKEN}"


async def test_an_echo_of_the_token_is_masked_for_the_client_and_in_the_record() -> None:
    echo = PLAIN.replace(b'"hi"', b'"%s"' % TOKEN.encode())
    it = world(token(), says(200, echo))
    await it.call(ASK)
    assert it.content == Content(request=ASK, response=echo.replace(TOKEN.encode(), b"***masked***"))
    it = world(token(), says(403, ECHO))
    assert (await it.call(ASK)).body == MASKED
    assert it.exchange.attempts[0].fault == Fault("unauthorized", "***masked*** is no good", 403)


async def test_without_a_token_nothing_is_sent_and_the_attempt_says_why() -> None:
    it = world(says(401, b'{"error": "invalid_client"}'))
    reply = await it.call(ASK)
    words = "There is no token for openai. login answered 401 (invalid_client)."
    assert (reply.status, problem(reply)["code"], problem(reply)["message"]) == (502, "upstream_credential", words)
    assert [entry for entry in it.log if entry != "close"] == ["send", "begin", "settle error"]
    (only,) = it.exchange.attempts
    assert (only.status, only.headed, only.fault) == (Status.error, None, Fault("upstream_credential", words, 502))


async def test_without_a_token_another_target_takes_over() -> None:
    it = world(UpstreamProblem(502, "upstream_connect", "No connection to login: refused."), fallback=True)
    assert (await it.call(ASK)).body == PLAIN
    first, then = it.exchange.attempts
    assert (first.no, first.fault and first.fault.kind) == (1, "upstream_credential")
    assert (then.no, then.provider, then.status) == (2, "groq", Status.ok)
    assert it.transport.sent[-1].headers["authorization"] == "Bearer second-secret"


async def test_a_token_that_is_not_taken_is_replaced_once_and_both_attempts_are_kept() -> None:
    it = world(token(), says(401, ECHO), token("another-token-of-length"))
    assert (await it.call(ASK)).body == PLAIN
    first, then = it.exchange.attempts
    assert (first.http_status, first.fault) == (401, Fault("upstream_token_refused", "***masked*** is no good", 401))
    assert (then.no, then.status, then.provider) == (2, Status.ok, "openai")
    assert it.transport.sent[3].headers["authorization"] == "Bearer another-token-of-length"


async def test_when_the_new_token_is_not_taken_either_the_credential_is_bad_here() -> None:
    it = world(token(), says(401, ECHO), token("another-token-of-length"), says(401, ECHO), fallback=True)
    assert (await it.call(ASK)).body == PLAIN
    assert [one.fault and one.fault.kind for one in it.exchange.attempts] == ["upstream_token_refused", "unauthorized", None]
    it = world(token(), says(401, ECHO), max_attempts=1)
    reply = await it.call(ASK)
    assert (reply.status, reply.body) == (401, MASKED)


async def test_a_token_that_does_not_come_in_time_is_a_fault_of_the_attempt() -> None:
    it = world()
    it.answers = ["hang"]
    it.clock.now = 100.0 + 899.5  # of the 900 s that a call has
    reply = await it.call(ASK)
    assert (reply.status, problem(reply)["code"]) == (504, "upstream_credential")
    assert it.exchange.status is Status.error
