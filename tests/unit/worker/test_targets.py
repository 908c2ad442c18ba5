"""What a sealed target becomes, where its provider is called otherwise than OpenAI."""

import json
from pathlib import Path

from spangate.exchange import SealedTarget, Target
from spangate.providers import ClientCredentials, catalog
from spangate.worker import snapshots
from spangate.worker.snapshots import Snapshots

from .test_snapshots import KEYRING, publish, route


def opened(tmp_path: Path, provider: str, model: str, values: dict[str, str], auth_config: dict[str, str]) -> Target:
    sealed = SealedTarget(
        model_definition_id="d-1",
        provider=provider,
        model=model,
        secret_id="s-1",
        sealed=KEYRING.seal(json.dumps(values).encode(), row="s-1", field=snapshots.FIELD),
        auth_config=auth_config,
    )
    publish(tmp_path / "snapshot.msgpack", 1, route("chat", sealed))
    it = Snapshots(tmp_path / "snapshot.msgpack", KEYRING, catalog())
    it.refresh()
    return it.routes["chat"].targets[0]


def test_one_with_a_token_to_be_fetched_has_no_proof_yet(tmp_path: Path) -> None:
    auth_config = {"api_base": "https://r.example/openai/v1", "api_version": "1", "tenant_id": "t", "client_id": "c"}
    found = opened(tmp_path, "azure", "my gpt", {"client_secret": "s"}, auth_config)
    deployment = "https://r.example/openai/deployments/my%20gpt"
    assert found == Target(
        model_definition_id="d-1",
        provider="azure",
        model="my gpt",
        formats={
            "openai.chat": f"{deployment}/chat/completions?api-version=1",
            "openai.completions": f"{deployment}/completions?api-version=1",
            "openai.embeddings": f"{deployment}/embeddings?api-version=1",
            "openai.responses": "https://r.example/openai/responses?api-version=1",
        },
        headers={},
        grant=ClientCredentials(
            url="https://login.microsoftonline.com/t/oauth2/v2.0/token",
            client_id="c",
            client_secret="s",
            scope="https://cognitiveservices.azure.com/.default",
            client="body",
        ),
        base_url="https://r.example",
        usage_in_stream="ask",
        secret_id="s-1",
    )


def test_one_whose_provider_goes_on_when_it_is_hung_up_on_is_drained(tmp_path: Path) -> None:
    found = opened(tmp_path, "mistral", "mistral-small", {"api_key": "k-1"}, {})
    assert (found.client_gone, found.usage_in_stream, found.headers) == ("drain", "rejects", {"authorization": "Bearer k-1"})


def test_all_its_keys_are_known_whatever_header_they_stand_in(tmp_path: Path) -> None:
    values = {"api_key": "pk-0123456789", "portkey_config": '{"api_key": "sk-0123456789"}', "provider_api_key": "sk-abcdefghijk"}
    assert opened(tmp_path, "portkey", "m", values, {}).credentials == ("sk-abcdefghijk", "pk-0123456789", '{"api_key": "sk-0123456789"}')
    assert opened(tmp_path, "gemini", "m", {"api_key": "AIza-0123456789"}, {}).credentials == ("AIza-0123456789",)
    base = {"api_base": "https://r.example"}
    assert opened(tmp_path, "azure", "m", {"api_key": "azure-0123456789"}, base).credentials == ("azure-0123456789",)
    assert opened(tmp_path, "openai", "m", {"api_key": "short"}, {}).credentials == ()
