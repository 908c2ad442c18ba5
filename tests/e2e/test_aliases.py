"""Names that clients already send, and an endpoint's own settings: in force in every worker."""

import openai
import pytest

from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, Call, Gateway, until


def ask(gateway: Gateway, call: str, model: str, **knobs: object) -> str:
    """Each request on a connection of its own, so that now this worker takes it, now that one."""
    headers = {CALLER: call, "connection": "close"}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30, default_headers=headers) as client:
        said = client.chat.completions.create(model=model, messages=[{"role": "user", "content": mark(call, **knobs)}])
    return said.choices[0].message.content or ""


def served(gateway: Gateway, call: str, model: str) -> bool:
    try:
        return bool(ask(gateway, call, model))
    except openai.NotFoundError:
        return False


def in_force(gateway: Gateway, call: str, model: str, expected: bool) -> None:
    until(lambda: all(served(gateway, call, model) is expected for _ in range(4)), 10, f"{model} is {'' if expected else 'not '}known")


def rows(gateway: Gateway, call: str) -> list[Call]:
    return [row for row in gateway.calls() if row.agent == call]


def test_a_name_that_clients_send_means_an_endpoint_until_it_does_not(gateway: Gateway, call: str) -> None:
    name = f"vendor/{call}-large"
    assert not served(gateway, call, name)
    gateway.cli("aliases", "set", f"vendor/{call}-*", "chat")
    in_force(gateway, call, name, True)
    assert name not in gateway.models()
    gateway.cli("aliases", "set", name, "chat")
    gateway.known(name)
    answered = [row for row in rows(gateway, call) if row.status == "ok"]
    assert {row.endpoint for row in answered} == {"chat"}
    assert gateway.rest.get(f"/api/v1/calls/{answered[0].call_id}")["model"] == name
    gateway.cli("aliases", "delete", name)
    gateway.cli("aliases", "delete", f"vendor/{call}-*")
    in_force(gateway, call, name, False)


def test_an_endpoint_takes_its_aliases_along(gateway: Gateway, upstream: Upstream, call: str) -> None:
    endpoint = gateway.endpoint(call, upstream.base)
    gateway.cli("aliases", "set", f"{call}-old", call)
    in_force(gateway, call, f"{call}-old", True)
    gateway.update_endpoint(endpoint["endpoint_id"], name=f"{call}-new")
    gateway.known(f"{call}-new")
    assert served(gateway, call, f"{call}-old")
    gateway.cli("endpoints", "delete", f"{call}-new")
    in_force(gateway, call, f"{call}-old", False)


@pytest.mark.parametrize("how", ["set", "unset"])
def test_an_endpoints_own_time_out_is_in_force_and_can_be_taken_away(gateway: Gateway, upstream: Upstream, call: str, how: str) -> None:
    gateway.endpoint(call, upstream.base)
    gateway.cli("endpoints", "set", call, "--first-byte-timeout", "0.3")
    if how == "unset":
        gateway.cli("endpoints", "set", call, "--unset", "first-byte-timeout")

    def patient() -> bool:
        try:
            return bool(ask(gateway, call, call, first=0.8))
        except openai.InternalServerError:
            return False

    until(lambda: all(patient() is (how == "unset") for _ in range(3)), 10, f"the time-out is {how}")
    ending = {"ok" if how == "unset" else "timeout"}
    until(lambda: {attempt.status for row in rows(gateway, call)[:3] for attempt in row.attempts} == ending, 10, f"all are {ending}")
