import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spangate.exchange import Alias, Caller, Inbound, Maker, Route, Scope, Target
from spangate.relay.admit import admit
from spangate.relay.route import Routes, continued, fits, made_by, route
from spangate.wire.problems import Refusal

CHAT = Route(endpoint_id="e", name="chat", targets=())
ROUTES = Routes({"chat": CHAT})


def inbound(endpoint: str | None = None) -> Inbound:
    return Inbound(
        call_id="c",
        format="openai.chat",
        request_type="t",
        path="/",
        headers=(),
        body=b"",
        received_at=0,
        started=0,
        server="",
        endpoint=endpoint,
    )


@pytest.mark.parametrize(("endpoint", "model"), [(None, "chat"), ("chat", None), ("chat", "something else")])
def test_the_path_wins_over_the_model(endpoint: str | None, model: str | None) -> None:
    assert route(ROUTES, inbound(endpoint), model) is CHAT


@pytest.mark.parametrize(
    ("endpoint", "model", "status", "kind", "param"),
    [
        (None, None, 400, "missing_model", "model"),
        (None, "", 400, "missing_model", "model"),
        (None, "Chat", 404, "unknown_model", "model"),
        ("nope", "chat", 404, "unknown_model", None),
    ],
)
def test_refuses_what_it_cannot_find(endpoint: str | None, model: str | None, status: int, kind: str, param: str | None) -> None:
    with pytest.raises(Refusal) as refused:
        route(ROUTES, inbound(endpoint), model)
    assert (refused.value.status, refused.value.kind, refused.value.param) == (status, kind, param)


def test_does_not_repeat_a_name_of_any_length() -> None:
    with pytest.raises(Refusal) as refused:
        route(ROUTES, inbound(), "x" * 10_000)
    assert len(refused.value.message) < 300


def test_admits_whoever_showed_a_key() -> None:
    admit(Caller(key_id="k", name="n", role="developer"), CHAT)
    with pytest.raises(Refusal, match="A key is needed"):
        admit(None, CHAT)


@pytest.mark.parametrize(
    ("has", "kind"),
    [
        ({"role": "admin"}, None),
        ({"role": "developer", "endpoints": frozenset({CHAT.endpoint_id, "e-9"})}, None),
        ({"role": "developer", "endpoints": frozenset({"e-9"})}, "endpoint_not_allowed"),
        ({"role": "developer", "endpoints": frozenset[str]()}, "endpoint_not_allowed"),
        ({"role": "viewer"}, "role_reads_only"),
        ({"role": "viewer", "endpoints": frozenset({CHAT.endpoint_id})}, "role_reads_only"),
        ({"role": "viewer", "endpoints": frozenset({"e-9"})}, "endpoint_not_allowed"),
        ({"role": "reader"}, "role_reads_only"),
    ],
)
def test_a_call_needs_a_role_that_calls_and_a_key_for_the_endpoint(has: dict[str, Any], kind: str | None) -> None:
    caller = Caller(key_id="k", name="n", **has)
    if kind is None:
        admit(caller, CHAT)
        return
    with pytest.raises(Refusal) as refused:
        admit(caller, CHAT)
    assert (refused.value.status, refused.value.kind) == (403, kind)


@pytest.mark.parametrize(
    ("caller", "may"),
    [
        (Caller(key_id="k", name="n"), True),
        (Caller(key_id="k", name="n", role="developer", scopes=("other", "proxy")), True),
        (Caller(key_id="k", name="n", role="developer", scopes=("other",)), False),
        (Caller(key_id="k", name="n", role="developer"), False),
    ],
)
def test_a_scope_is_the_admins_or_the_keys_own(caller: Caller, may: bool) -> None:
    if may:
        admit(caller, CHAT, scope=Scope.proxy)
        return
    with pytest.raises(Refusal) as refused:
        admit(caller, CHAT, scope=Scope.proxy)
    assert (refused.value.status, refused.value.kind) == (403, "missing_scope")


# ---------------------------------------------------------------- aliases


def made(*aliases: tuple[str, str]) -> Routes:
    routes = {name: Route(endpoint_id=f"e-{name}", name=name, targets=()) for name in ("a", "b", "c")}
    return Routes(routes, [Alias(pattern=pattern, endpoint=endpoint) for pattern, endpoint in aliases])


@pytest.mark.parametrize(
    ("aliases", "name", "found"),
    [
        ([("gpt-5", "a")], "gpt-5", "a"),
        ([("gpt-5", "a")], "GPT-5", None),
        ([("gpt-5", "a")], "gpt-5-mini", None),
        ([("b", "a")], "b", "b"),  # an endpoint's own name comes first
        ([("*", "a")], "b", "b"),
        ([("gpt-*", "a"), ("gpt-5", "b")], "gpt-5", "b"),  # then the exact one
        ([("gpt-*", "a"), ("gpt-5*", "b"), ("*", "c")], "gpt-5-mini", "b"),  # then the most literal one
        ([("gpt-*", "a"), ("gpt-5*", "b"), ("*", "c")], "gpt-4", "a"),
        ([("gpt-*", "a"), ("gpt-5*", "b"), ("*", "c")], "claude", "c"),
        ([("*-mini", "b"), ("gpt-5*", "a")], "gpt-5-mini", "b"),  # of equally literal ones the first in the alphabet
        ([("gpt-5*", "a"), ("*-mini", "b")], "gpt-5-mini", "b"),
        ([("**b**", "a"), ("*b*", "c")], "abc", "a"),
        ([("openai/*", "a")], "openai/", "a"),
        ([("claude-*-4*", "a")], "claude-sonnet-4-5", "a"),
        ([("claude-*-4*", "a")], "claude-4", None),
        ([("gpt-5", "gone")], "gpt-5", None),  # its endpoint is not there
        ([("gpt-5", "gone"), ("gpt*", "a")], "gpt-5", "a"),
        ([("gpt.5", "a")], "gpt-5", None),  # nothing but the star means anything
    ],
)
def test_what_a_name_means(aliases: list[tuple[str, str]], name: str, found: str | None) -> None:
    routes = made(*aliases)
    for meant in (routes.find(name), routes.find(name)):  # the second one is remembered
        assert (meant and meant.name) == found


def test_names_that_clients_make_up_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spangate.relay.route.FITTED", 2)
    routes = made(("*", "a"))
    assert {routes.find(f"n{n}") for n in range(5)} == {routes["a"]}
    assert len(routes._fitted) == 2  # pyright: ignore[reportPrivateUsage]


def test_lists_endpoints_and_exact_aliases() -> None:
    routes = made(("gpt-5", "a"), ("gpt-*", "b"), ("b", "a"), ("old", "gone"))
    assert {name: found.name for name, found in routes.names.items()} == {"a": "a", "b": "b", "c": "c", "gpt-5": "a"}
    assert sorted(routes) == ["a", "b", "c"]


@given(st.lists(st.text("ab", max_size=3), min_size=2, max_size=5), st.text("ab", max_size=12))
def test_a_star_stands_for_anything(pieces: list[str], name: str) -> None:
    assert fits(pieces, name) == bool(re.fullmatch(".*".join(map(re.escape, pieces)), name, re.DOTALL))


def test_no_pattern_takes_long() -> None:
    """As a regular expression this one is beyond any patience."""
    assert not fits(["a"] * 40 + ["b"], "a" * 20_000)


# ---------------------------------------------------------------- who made a response


def target(name: str, **changes: object) -> Target:
    plain = Target(
        model_definition_id=name,
        provider="openai",
        model=name,
        formats={"openai.chat": f"https://{name}/chat", "openai.responses": f"https://{name}/responses"},
        headers={},
        base_url="https://api",
        secret_id="s-1",
    )
    return msgspec.structs.replace(plain, **changes)


FIRST, SECOND, THIRD = target("one"), target("two", fallback_order=1), target("three", fallback_order=2, secret_id="s-2")
SEVERAL = Route(endpoint_id="e-1", name="several", targets=(FIRST, SECOND, THIRD), max_attempts=3)


def test_a_response_is_asked_for_where_it_was_made() -> None:
    asked = made_by(Routes({"several": SEVERAL}), "resp_1", Maker("e-1", "two"))
    only = target("two", formats={"openai.responses.stored": "https://two/responses"})
    assert asked == msgspec.structs.replace(SEVERAL, targets=(only,))


@pytest.mark.parametrize(
    ("maker", "why"), [(None, "knows of none"), (Maker("e-2", "one"), "was deleted"), (Maker("e-1", "four"), "does not belong")]
)
def test_a_response_without_its_maker_is_not_there(maker: Maker | None, why: str) -> None:
    with pytest.raises(Refusal, match=why) as refused:
        made_by(Routes({"several": SEVERAL}), "resp_1", maker)
    assert (refused.value.status, refused.value.kind) == (404, "unknown_response")


def test_a_response_goes_on_where_the_one_before_it_was_made() -> None:
    assert continued(SEVERAL, Maker("e-1", "one")).targets == (FIRST, SECOND)
    assert continued(SEVERAL, Maker("e-1", "two")).targets == (target("two"),)
    assert continued(SEVERAL, Maker("e-1", "three")).targets == (target("three", secret_id="s-2"),)


@pytest.mark.parametrize("maker", [None, Maker("e-2", "one"), Maker("e-1", "four")])
def test_what_nobody_here_made_goes_where_any_call_goes(maker: Maker | None) -> None:
    assert continued(SEVERAL, maker) is SEVERAL
