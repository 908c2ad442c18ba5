"""Providers with other paths and headers than OpenAI, and with tokens that must be fetched first; set up by our command line."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from .cloud import ANSWER, CLIENT, SECRET, Cloud
from .gateway import ADMIN_KEY, Attempt, Call, Gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("providers") / "data", log_level="debug") as running:
        yield running


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud(key="canary-key-of-azure-8d2e") as running:
        yield running


def furnish(gateway: Gateway, name: str, provider: str, model: str, *fields: str) -> None:
    """A secret, a model and an endpoint of that name. A field is `--value` or `--config` and what follows it."""
    gateway.cli("secrets", "create", name, "--provider", provider, *fields)
    gateway.cli("models", "create", name, "--provider", provider, "--model", model, "--secret", name)
    gateway.cli("endpoints", "create", name, "--model", name)
    gateway.known(name)


def say(gateway: Gateway, endpoint: str) -> tuple[dict[str, Any], Call]:
    """What the client got, and the call's row in the ledger."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30) as client:
        try:
            raw = client.chat.completions.with_raw_response.create(model=endpoint, messages=[{"role": "user", "content": "Hi"}])
            said, headers = raw.http_response.json(), raw.headers
        except openai.APIStatusError as error:
            said, headers = error.response.json(), error.response.headers
    return said, gateway.call_row(headers["x-spangate-call-id"])


def attempt(no: int, provider: str, model: str, **changes: Any) -> Attempt:
    answered = {"status": "ok", "provenance": "reported", "http_status": 200, "input_tokens": 7, "output_tokens": 2}
    return Attempt(**({"attempt_no": no, "provider": provider, "model": model} | answered | changes))  # type: ignore[arg-type]


def test_azure_by_a_service_principal(gateway: Gateway, cloud: Cloud) -> None:
    values = ("--value", f"client_secret={SECRET}", "--config", f"client_id={CLIENT}", "--config", "tenant_id=tenant-1")
    where = ("--config", f"api_base={cloud.url}", "--config", f"authority_host={cloud.url}")
    furnish(gateway, "entra", "azure", "my-deployment", *values, *where)
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: say(gateway, "entra"), range(8)))
    assert [answer for answer, _ in said] == [ANSWER] * 8
    assert [row.attempts for _, row in said] == [[attempt(1, "azure", "my-deployment")]] * 8
    assert cloud.served == [("/openai/v1/chat/completions", "my-deployment")] * 8
    form = {"grant_type": "client_credentials", "scope": "https://cognitiveservices.azure.com/.default"}
    assert cloud.asked == [("/tenant-1/oauth2/v2.0/token", form, False)], "one token for all"


def test_azure_by_a_key_and_a_dated_api(gateway: Gateway, cloud: Cloud) -> None:
    where = ("--config", f"api_base={cloud.url}/", "--config", "api_version=2024-10-21")
    furnish(gateway, "dated", "azure", "my deployment", "--value", f"api_key={cloud.key}", *where)
    said, row = say(gateway, "dated")
    assert (said, row.attempts) == (ANSWER, [attempt(1, "azure", "my deployment")])
    assert cloud.served == [("/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21", "my deployment")]
    assert cloud.asked == []


def test_databricks_by_a_service_principal_whose_token_is_revoked(gateway: Gateway, cloud: Cloud) -> None:
    config = ("--config", f"client_id={CLIENT}", "--config", f"api_base={cloud.url}/serving-endpoints")
    furnish(gateway, "lake", "databricks", "dbrx", "--value", f"client_secret={SECRET}", *config)
    assert say(gateway, "lake")[0] == ANSWER
    cloud.revoke()
    said, row = say(gateway, "lake")
    assert said == ANSWER
    refused = {"status": "error", "provenance": "unknown", "http_status": 401, "input_tokens": None, "output_tokens": None}
    assert row.attempts == [
        attempt(1, "databricks", "dbrx", **refused, fault_kind="upstream_token_refused"),
        attempt(2, "databricks", "dbrx"),
    ]
    assert cloud.asked == [("/oidc/v1/token", {"grant_type": "client_credentials", "scope": "all-apis"}, True)] * 2
    assert cloud.served == [("/serving-endpoints/chat/completions", "dbrx")] * 2
    assert cloud.refused == 1


def test_a_wrong_secret_is_told_and_not_shown(gateway: Gateway, cloud: Cloud) -> None:
    config = ("--config", f"client_id={CLIENT}", "--config", f"api_base={cloud.url}")
    furnish(gateway, "locked", "databricks", "dbrx", "--value", "client_secret=canary-wrong-5e1d", *config)
    said, row = say(gateway, "locked")
    words = "There is no token for databricks. 127.0.0.1 answered 401 (invalid_client, AADSTS7000215)."
    assert (said["error"]["message"], said["error"]["code"]) == (words, "upstream_credential")
    assert (row.http_status, row.status) == (502, "error")
    assert (cloud.served, cloud.refused) == ([], 0), "nothing was sent"


def test_a_provider_like_openai_at_an_address_of_ones_own(gateway: Gateway, cloud: Cloud) -> None:
    furnish(gateway, "near", "groq", "llama", "--value", f"api_key={cloud.key}", "--config", f"api_base={cloud.url}/openai/v1")
    said, row = say(gateway, "near")
    assert (said, row.attempts) == (ANSWER, [attempt(1, "groq", "llama")])
    assert cloud.served == [("/openai/v1/chat/completions", "llama")]


def test_what_is_secret_is_in_no_log_and_no_trace(gateway: Gateway, cloud: Cloud) -> None:
    config = ("--config", f"client_id={CLIENT}", "--config", f"api_base={cloud.url}")
    furnish(gateway, "quiet", "databricks", "dbrx", "--value", f"client_secret={SECRET}", *config)
    say(gateway, "quiet")
    cloud._token = lambda *_: (200, {"access_token": "canary-stale-token-0123456789"})  # type: ignore[method-assign]
    cloud.revoke()
    said, row = say(gateway, "quiet")  # the provider echoes the token that it does not take
    assert said["error"]["message"] == "***masked*** is no good"
    assert [one.fault_kind for one in row.attempts] == ["upstream_token_refused", "unauthorized"]
    experiments = [str(row.experiment_id)]
    shown = [gateway.log_text(), str(gateway.traces(*experiments)), str(said)]
    shown += [str(gateway.trace(info["trace_id"])) for info in gateway.traces(*experiments)]
    assert not [text for text in shown if "canary" in text]
