import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.exchange import (
    Answered,
    Asked,
    Attempted,
    AttemptEnded,
    AttemptRecord,
    Caller,
    Content,
    Counted,
    EndpointSettings,
    Exchange,
    Fact,
    Fault,
    Faulted,
    Finished,
    FirstToken,
    Gave,
    Headed,
    Identified,
    Inbound,
    Received,
    Route,
    Routed,
    Status,
    Target,
)
from spangate.record.recorder import MESSAGE_LIMIT, NAME_LIMIT, Recorder
from spangate.wire.usage import Provenance, Usage

CALL = "0194f0c2-1111-7222-8333-444455556666"
WALL = 1_700_000_000_000_000_000
INBOUND = Inbound(
    call_id=CALL,
    format="openai.chat",
    request_type="passthrough/model/openai-chat",
    path="/v1/chat/completions",
    headers=[(b"authorization", b"Bearer never-kept-0123456789")],
    body=b'{"model":"chat","messages":[]}',
    received_at=WALL,
    started=100.0,
    server="gw:4000",
    caller=Caller(key_id="k-1", name="admin", agent="openai-python"),
)
TARGET = Target(
    model_definition_id="d-1",
    provider="openai",
    model="gpt-4o-mini",
    formats={"openai.chat": "https://api.openai.com/v1/chat/completions"},
    headers={"authorization": "Bearer never-kept-0123456789"},
    secret_id="s-1",
)
OTHER = msgspec.structs.replace(TARGET, model_definition_id="d-2", provider="anthropic", model="claude", secret_id="s-2")
ROUTE = Route(endpoint_id="e-1", name="chat", targets=(TARGET,), experiment_id="7")
UNTRACKED = msgspec.structs.replace(ROUTE, experiment_id=None)
USAGE = Usage(input=11, output=7, cache_read=4)

HAPPY: list[Fact] = [
    Received(INBOUND),
    Routed(ROUTE, True, "chat"),
    Attempted(1, TARGET, "openai.chat", 100.001),
    Headed(200, "req_1", 100.101),
    Identified("chatcmpl-1", "gpt-4o-mini-2024-07-18"),
    FirstToken(100.201),
    Gave("stop"),
    Counted(USAGE, Provenance.reported),
    Answered(b'{"choices":[]}'),
    AttemptEnded(100.301),
    Finished(Status.ok, 200, 100.302),
]
ENVELOPE = Exchange(
    call_id=CALL,
    format="openai.chat",
    request_type="passthrough/model/openai-chat",
    path="/v1/chat/completions",
    server="gw:4000",
    received_at=WALL,
    status=Status.unknown,
    caller_id="k-1",
    caller="admin",
    agent="openai-python",
    request_bytes=30,
)
ROUTED = msgspec.structs.replace(ENVELOPE, endpoint_id="e-1", endpoint="chat", experiment_id="7", model="chat", stream=True)
OPEN = AttemptRecord(
    no=1, provider="openai", model="gpt-4o-mini", format="openai.chat", started=1_000_000, model_definition_id="d-1", secret_id="s-1"
)
WON = msgspec.structs.replace(
    OPEN,
    headed=101_000_000,
    first_token=201_000_000,
    ended=301_000_000,
    status=Status.ok,
    http_status=200,
    upstream_request_id="req_1",
    response_id="chatcmpl-1",
    response_model="gpt-4o-mini-2024-07-18",
    stop_reason="stop",
    usage=USAGE,
    provenance=Provenance.reported,
)


def fold(*facts: Fact, **options: int) -> Recorder:
    recorder = Recorder(**options)
    for fact in facts:
        recorder(fact)
    return recorder


def test_the_call_belongs_to_whom_the_key_did_when_it_was_shown() -> None:
    caller = Caller(key_id="k-2", name="bot", owner="ann", team="search")
    refused = fold(Received(msgspec.structs.replace(INBOUND, caller=caller)), Finished(Status.refused, 403, 100.1)).exchange()
    assert (refused.caller, refused.owner, refused.team, refused.status) == ("bot", "ann", "search", Status.refused)


def test_folds_an_answered_call() -> None:
    assert fold(*HAPPY).exchange() == msgspec.structs.replace(
        ROUTED, status=Status.ok, http_status=200, duration=302_000_000, first_token=201_000_000, attempts=(WON,)
    )


def test_is_of_unknown_status_with_its_attempt_open_when_it_begins() -> None:
    assert fold(*HAPPY[:3]).exchange() == msgspec.structs.replace(ROUTED, attempts=(OPEN,))


def test_has_nobody_and_nothing_before_the_request() -> None:
    assert fold().exchange().call_id == ""
    assert fold().content() is None


def test_folds_a_refusal_before_the_endpoint_is_known() -> None:
    recorder = fold(
        Received(msgspec.structs.replace(INBOUND, caller=None, endpoint="nope")),
        Faulted(Status.refused, "unauthenticated", "Show a key."),
        Finished(Status.refused, 401, 100.002),
    )
    assert recorder.exchange() == msgspec.structs.replace(
        ENVELOPE,
        caller_id=None,
        caller=None,
        agent=None,
        model="nope",
        status=Status.refused,
        http_status=401,
        duration=2_000_000,
        fault=Fault("unauthenticated", "Show a key."),
    )
    assert recorder.content() is None


def test_tells_a_failed_attempt_from_the_one_that_answered() -> None:
    lost = Faulted(Status.error, "rate_limit", "slow down", 429)
    second = [msgspec.structs.replace(HAPPY[2], no=2, target=OTHER, at=100.05), *HAPPY[3:]]
    exchange = fold(*HAPPY[:3], Headed(429, "req_0", 100.02), lost, AttemptEnded(100.03), *second).exchange()
    fault = Fault("rate_limit", "slow down", 429)
    assert exchange.attempts == (
        msgspec.structs.replace(
            OPEN, headed=20_000_000, http_status=429, upstream_request_id="req_0", ended=30_000_000, status=Status.error, fault=fault
        ),
        msgspec.structs.replace(
            WON, no=2, provider="anthropic", model="claude", started=50_000_000, model_definition_id="d-2", secret_id="s-2"
        ),
    )
    assert (exchange.status, exchange.fault, exchange.first_token) == (Status.ok, None, 201_000_000)


def test_fails_with_the_words_of_the_last_attempt() -> None:
    fault = Fault("overloaded", "later", 529)
    exchange = fold(
        *HAPPY[:3], Faulted(Status.error, "overloaded", "later", 529), AttemptEnded(100.03), Finished(Status.error, 529, 100.04)
    ).exchange()
    assert (exchange.status, exchange.fault, exchange.attempts[0].fault) == (Status.error, fault, fault)


def test_keeps_the_first_fault_as_the_cause() -> None:
    exchange = fold(
        *HAPPY[:3],
        Faulted(Status.error, "server_error", "out of memory"),
        Faulted(Status.provider_gone, "reset", "connection reset"),
        AttemptEnded(100.03),
        Faulted(Status.client_gone, "late", "first of the call"),
        Faulted(Status.client_gone, "later", "second of the call"),
        Finished(Status.error, 502, 100.04),
    ).exchange()
    assert (exchange.attempts[0].status, exchange.attempts[0].fault) == (Status.error, Fault("server_error", "out of memory"))
    assert exchange.fault == Fault("late", "first of the call")


@pytest.mark.parametrize("status", [Status.client_gone, Status.provider_gone, Status.timeout])
def test_ends_an_open_attempt_with_its_call(status: Status) -> None:
    exchange = fold(*HAPPY[:6], Finished(status, 499, 100.25)).exchange()
    assert (exchange.attempts[0].status, exchange.attempts[0].ended) == (status, 250_000_000)


def test_ends_an_open_attempt_that_failed_with_its_own_fault() -> None:
    exchange = fold(*HAPPY[:3], Faulted(Status.timeout, "idle", "60 s"), Finished(Status.client_gone, 499, 100.25)).exchange()
    assert (exchange.attempts[0].status, exchange.status) == (Status.timeout, Status.client_gone)


def test_counts_the_last_report() -> None:
    exchange = fold(*HAPPY[:8], Counted(Usage(input=1, output=2), Provenance.drained)).exchange()
    assert (exchange.attempts[0].usage, exchange.attempts[0].provenance) == (Usage(input=1, output=2), Provenance.drained)


def test_takes_an_estimate_only_where_nothing_was_said() -> None:
    estimate = Counted(Usage(output=3), Provenance.estimated)
    assert fold(*HAPPY[:3], estimate).exchange().attempts[0].usage == Usage(output=3)
    begun = Counted(Usage(input=7, cache_read=2), Provenance.reported)
    partly = fold(*HAPPY[:3], begun, Counted(Usage(input=1, output=3), Provenance.estimated)).exchange().attempts[0]
    assert (partly.usage, partly.provenance) == (Usage(input=7, output=3, cache_read=2), Provenance.estimated)
    nothing = fold(*HAPPY[:3], Counted(Usage(), Provenance.estimated)).exchange().attempts[0]
    assert (nothing.usage, nothing.provenance) == (Usage(), Provenance.unknown)
    assert fold(*HAPPY[:8], estimate).exchange().attempts[0] == msgspec.structs.replace(WON, ended=None, status=Status.unknown)


def test_keeps_the_first_of_first_tokens_and_of_ends() -> None:
    assert fold(*HAPPY, FirstToken(200.0), Finished(Status.error, 500, 300.0)).exchange() == fold(*HAPPY).exchange()


def test_adds_what_is_said_later_and_forgets_nothing() -> None:
    exchange = fold(*HAPPY[:5], Identified(None, "other"), Identified("id-2", None)).exchange()
    assert (exchange.attempts[0].response_id, exchange.attempts[0].response_model) == ("id-2", "other")


@given(st.lists(st.sampled_from([*HAPPY, Faulted(Status.error, "k", "m"), Attempted(2, OTHER, "anthropic.messages", 99.0)])))
def test_takes_facts_in_any_order(facts: list[Fact]) -> None:
    recorder = fold(*facts)
    exchange = recorder.exchange()
    recorder.content()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(exchange), type=Exchange) == exchange
    assert all(attempt.started >= 0 for attempt in exchange.attempts)


# ---------------------------------------------------------------- content


def test_keeps_both_bodies_of_a_traced_call() -> None:
    assert fold(*HAPPY).content() == Content(request=INBOUND.body, response=b'{"choices":[]}')
    assert fold(*HAPPY[:8]).content() == Content(request=INBOUND.body)
    opaque = Received(msgspec.structs.replace(INBOUND, opaque=True))
    assert fold(opaque, *HAPPY[1:]).content() == Content(response=b'{"choices":[]}'), "bytes that are no text are not kept"
    silent = Received(msgspec.structs.replace(INBOUND, body=b""))
    assert fold(silent, *HAPPY[1:]).content() == Content(response=b'{"choices":[]}'), "a request without a body said nothing"


def test_what_an_attempt_said_that_was_not_the_last_is_not_the_answer() -> None:
    again = [*HAPPY[:10], Attempted(2, OTHER, "anthropic.messages", 101.0)]
    assert fold(*again).content() == Content(request=INBOUND.body)
    assert fold(*again, Answered(b"{}")).content() == Content(request=INBOUND.body, response=b"{}")


def test_keeps_no_content_of_an_untraced_call() -> None:
    recorder = fold(HAPPY[0], Routed(UNTRACKED, True, "chat"), *HAPPY[2:])
    assert recorder.content() is None
    assert recorder.exchange().trace_id is None


BARE = msgspec.structs.replace(ROUTE, settings=EndpointSettings(content="metadata"))


def test_keeps_no_content_where_the_endpoint_keeps_metadata_alone_and_all_else_as_ever() -> None:
    recorder = fold(HAPPY[0], Routed(BARE, True, "chat"), *HAPPY[2:])
    assert recorder.content() is None
    assert recorder.exchange() == msgspec.structs.replace(fold(*HAPPY).exchange(), content="metadata")
    assert fold(HAPPY[0], Routed(msgspec.structs.replace(UNTRACKED, settings=BARE.settings), True, "chat")).exchange().content is None


@pytest.mark.parametrize("headers", [(), ((b"x-spangate-user", b"ann"),)])
def test_whose_call_it_is_is_read_from_a_body_that_is_not_kept(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    said = b'{"model":"chat","user":"bob","metadata":{"session_id":"s-1"},"messages":[{"role":"user","content":"the vault"}]}'
    facts = [Received(msgspec.structs.replace(INBOUND, body=said, headers=headers)), Routed(BARE, True, "chat"), *HAPPY[2:]]
    exchange = fold(*facts).exchange()
    assert (exchange.session_id, exchange.user_id) == ("s-1", "ann" if headers else "bob")
    assert b"vault" not in msgspec.msgpack.encode(exchange)
    beyond = fold(*facts, content_limit=len(said) - 1).exchange()
    assert (beyond.session_id, beyond.user_id) == (None, "ann" if headers else None)


def test_cuts_long_bodies_and_says_so() -> None:
    assert fold(*HAPPY, content_limit=10).content() == Content(
        request=b'{"model":"', response=b'{"choices"', request_truncated=True, response_truncated=True
    )


def test_says_when_the_fold_of_the_stream_was_cut() -> None:
    assert fold(*HAPPY[:8], Answered(b"{}", truncated=True)).content() == Content(
        request=INBOUND.body, response=b"{}", response_truncated=True
    )


def test_masks_keys_wherever_the_client_or_the_provider_put_them() -> None:
    key = "sk-proj-abc123DEF456ghi789JKL"
    inbound = msgspec.structs.replace(
        INBOUND, body=b'{"content":"%s"}' % key.encode(), path=f"/x/{key}", caller=Caller(key_id="k", name="n", agent=key)
    )
    recorder = fold(
        Received(inbound),
        Routed(ROUTE, False, key),
        HAPPY[2],
        Faulted(Status.error, "auth", f"Incorrect API key provided: {key}."),
        Answered(b'"%s"' % key.encode()),
        Finished(Status.error, 401, 101.0),
    )
    everything = msgspec.json.encode([recorder.exchange(), str(recorder.content())])
    assert key.encode() not in everything
    assert everything.count(b"***masked***") == 7  # two in the content, path, agent, model, and the fault of attempt and call


def test_never_keeps_headers_or_credentials() -> None:
    recorder = fold(*HAPPY)
    assert b"never-kept" not in msgspec.json.encode(recorder.exchange()) + str(recorder.content()).encode()


def test_masks_the_key_that_a_provider_echoes_though_it_has_no_known_shape() -> None:
    said = "never-kept-0123456789 is no key of ours"
    recorder = fold(
        Received(INBOUND),
        Routed(ROUTE, False, "chat"),
        Attempted(1, TARGET, "openai.chat", 100.1),
        Answered(b'{"error": "%s"}' % said.encode()),
        Faulted(Status.error, "invalid_api_key", said, 401),
        Finished(Status.error, 401, 101.0),
    )
    fault, content = recorder.exchange().fault, recorder.content()
    assert fault is not None
    assert content is not None
    assert fault.message == "***masked*** is no key of ours"
    assert content.response == b'{"error": "***masked*** is no key of ours"}'


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("ended", [(), (AttemptEnded(100.9),)], ids=["at once", "once the attempt is over"])
def test_keeps_no_words_of_a_provider_that_may_quote_a_prompt_which_is_not_kept(bare: bool, ended: tuple[Fact, ...]) -> None:
    recorder = fold(
        Received(INBOUND),
        Routed(BARE if bare else UNTRACKED, False, "chat"),
        Attempted(1, TARGET, "openai.chat", 100.1),
        *ended,
        Faulted(Status.error, "invalid_request_error", "Invalid value: 'what the client said'", 400),
        Finished(Status.error, 400, 101.0),
    )
    fault = recorder.exchange().fault
    assert fault is not None
    assert (fault.kind, fault.http_status) == ("invalid_request_error", 400)
    assert "the client said" not in msgspec.json.encode(recorder.exchange()).decode()


@pytest.mark.parametrize(("path", "body", "model"), [(None, "gtp", "gtp"), ("gemni", "gtp", "gemni"), (None, None, None)])
def test_names_what_was_asked_for_though_it_is_no_endpoint(path: str | None, body: str | None, model: str | None) -> None:
    exchange = fold(
        Received(msgspec.structs.replace(INBOUND, endpoint=path)),
        Asked(body, True),
        Faulted(Status.refused, "unknown_model", "There is none."),
        Finished(Status.refused, 404, 100.002),
    ).exchange()
    assert (exchange.model, exchange.stream, exchange.endpoint, exchange.endpoint_id) == (model, True, None, None)


def test_cuts_long_words() -> None:
    long = "x" * 10_000
    inbound = msgspec.structs.replace(INBOUND, path=long, server=long, endpoint=long, caller=Caller(key_id="k", name="n", agent=long))
    exchange = fold(
        Received(inbound),
        HAPPY[2],
        Headed(200, long, 101.0),
        Identified(long, long),
        Gave(long),
        Faulted(Status.error, "k", long),
    ).exchange()
    attempt = exchange.attempts[0]
    words = [exchange.path, exchange.server, exchange.model, exchange.agent]
    words += [attempt.upstream_request_id, attempt.response_id, attempt.response_model, attempt.stop_reason]
    assert words == ["x" * (NAME_LIMIT - 1) + "…"] * 8
    assert attempt.fault == Fault("k", "x" * (MESSAGE_LIMIT - 1) + "…")


def test_can_be_written_whatever_the_words_hold() -> None:
    odd = "a\ud800b\x00"
    recorder = fold(
        Received(msgspec.structs.replace(INBOUND, path=odd, endpoint=odd)),
        Routed(ROUTE, False, odd),
        HAPPY[2],
        Headed(200, odd, 101.0),
        Identified(odd, odd),
        Gave(odd),
        Faulted(Status.error, odd, odd),
    )
    assert b"\xed" not in msgspec.msgpack.encode(recorder.exchange())
    assert recorder.exchange().attempts[0].response_id == "a\ufffdb\x00"


def test_session_and_user_are_kept_of_tracked_calls_only() -> None:
    named = msgspec.structs.replace(INBOUND, headers=[(b"x-spangate-session", b"s-1"), (b"x-spangate-user", b"ann")])
    tracked = fold(Received(named), Routed(ROUTE, True, "chat")).exchange()
    untracked = fold(Received(named), Routed(UNTRACKED, True, "chat")).exchange()
    assert (tracked.session_id, tracked.user_id) == ("s-1", "ann")
    assert (untracked.session_id, untracked.user_id) == (None, None)
