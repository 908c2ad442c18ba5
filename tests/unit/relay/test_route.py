import pytest

from spangate.exchange import Caller, Inbound, Route
from spangate.relay.admit import admit
from spangate.relay.route import route
from spangate.wire.problems import Refusal

CHAT = Route(endpoint_id="e", name="chat", targets=())
ROUTES = {"chat": CHAT}


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
    admit(Caller(key_id="k", name="n"), CHAT)
    with pytest.raises(Refusal, match="A key is needed"):
        admit(None, CHAT)
