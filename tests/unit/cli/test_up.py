import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from spangate.cli import up
from spangate.cli.serve import greet
from spangate.cli.up import Wish, endpoint_name, first_call, furnish, wishes
from spangate.config import Settings
from spangate.supervise import Running

from .conftest import Gateway


@contextmanager
def server(models: object, status: int = 200) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """Something on loopback that lists models; also what headers it saw."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()} | {"path": self.path})
            body = models if isinstance(models, bytes) else json.dumps(models).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield http.server_port, seen
        http.shutdown()


@pytest.fixture
def said() -> Console:
    return Console(file=StringIO(), width=200)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys, and no local servers but those of the test."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(up, "LOCAL", {})


def listing(*names: str) -> dict[str, object]:
    return {"object": "list", "data": [{"id": name, "created": created} for created, name in enumerate(names)]}


def text(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_with_nothing_there_a_simulated_demo_is_made_once(gateway: Gateway, said: Console) -> None:
    with gateway.client() as client:
        assert furnish(client, [], said) == ("demo", "simulated")
        before = (client.endpoints(), client.models(), client.secrets())
        assert furnish(client, [], said) == ("demo", "simulated")
        assert (client.endpoints(), client.models(), client.secrets()) == before
    assert text(said).count("Made endpoint") == 1


def test_what_was_begun_is_finished(gateway: Gateway, said: Console) -> None:
    with gateway.client() as client:
        secret = client.create_secret("simulated", provider="simulated")
        client.create_model("simulated", secret_id=secret.secret_id, provider="simulated", model_name="simulated")
        assert furnish(client, [], said) == ("demo", "simulated")
        assert (len(client.secrets()), len(client.models()), len(client.endpoints())) == (1, 1, 1)


def test_where_there_are_endpoints_no_demo_is_made(gateway: Gateway, said: Console) -> None:
    with gateway.client() as client:
        furnish(client, [Wish("ollama", "openai-compatible", ["llama"], auth_config={"api_base": "https://1.1.1.1/v1"})], said)
        assert furnish(client, [], said) == ("llama", "openai-compatible")
        assert [endpoint.name for endpoint in client.endpoints()] == ["llama"]


def test_a_local_server_gets_an_endpoint_a_model_and_its_secret_alone_may_call_loopback(
    gateway: Gateway, said: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(listing("llama3.2:1b", "nomic-embed-text", "qwen/qwen3")) as (port, _), gateway.client() as client:
        monkeypatch.setattr(up, "LOCAL", {"ollama": port})
        furnish(client, wishes(4000, said), said)
        furnish(client, wishes(4000, said), said)
        assert sorted(endpoint.name for endpoint in client.endpoints()) == ["llama3.2-1b", "qwen-qwen3"]
        (secret,) = client.secrets()
        assert (secret.provider, secret.auth_config) == ("ollama", {"api_base": f"http://127.0.0.1:{port}/v1", "allow_private": "true"})
    assert "may call loopback" in text(said)


def test_a_model_pulled_later_is_added(gateway: Gateway, said: Console) -> None:
    place = {"api_base": "http://127.0.0.1:1/v1", "allow_private": "true"}
    with gateway.client() as client:
        furnish(client, [Wish("ollama", "openai-compatible", ["a"], auth_config=place)], said)
        furnish(client, [Wish("ollama", "openai-compatible", ["b", "a"], auth_config=place)], said)
        assert sorted(endpoint.name for endpoint in client.endpoints()) == ["a", "b"]


def test_a_key_brings_the_newest_of_its_kind_and_is_sent_where_it_belongs(
    gateway: Gateway, said: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(listing("gpt-5-mini", "gpt-6.1-mini", "gpt-7-turbo")) as (port, seen), gateway.client() as client:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-123")
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1/")
        assert furnish(client, wishes(4000, said), said) == ("gpt-6.1-mini", "openai")
        assert (seen[0]["path"], seen[0]["authorization"]) == ("/v1/models", "Bearer sk-canary-123")
    assert "sk-canary" not in text(said)


def test_the_newest_of_tomorrow_changes_nothing(gateway: Gateway, said: Console) -> None:
    with gateway.client() as client:
        furnish(client, [Wish("openai", "openai", ["gpt-5-mini"], values={"api_key": "k"})], said)
        assert furnish(client, [Wish("openai", "openai", ["gpt-6-mini"], values={"api_key": "k"})], said) == ("gpt-5-mini", "openai")
        assert len(client.endpoints()) == 1


def test_a_refused_key_makes_nothing_and_is_told(said: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    with server({}, status=401) as (port, _):
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-bad")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{port}")
        assert wishes(4000, said) == []
    assert "ANTHROPIC_API_KEY: the provider refuses this key" in text(said)


@pytest.mark.parametrize("nonsense", [b"<html>", b"[]", b'{"data": 1}', b'{"data": [1, {"id": 2}, {}]}'])
def test_what_lists_no_models_is_no_model_server(nonsense: bytes, said: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(nonsense) as (port, _):
        monkeypatch.setattr(up, "LOCAL", {"vllm": port})
        assert wishes(4000, said) == []


def test_it_does_not_take_itself_for_a_model_server(said: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(listing("demo")) as (port, seen):
        monkeypatch.setattr(up, "LOCAL", {"vllm": port})
        assert wishes(port, said) == []
        assert seen == []


@pytest.mark.parametrize(("model", "name"), [("llama3.2:1b", "llama3.2-1b"), ("org/model name", "org-model-name"), ("::", "model")])
def test_an_endpoint_is_named_after_its_model(model: str, name: str) -> None:
    assert endpoint_name(model) == name


@pytest.mark.parametrize(
    ("made", "kept", "words"),
    [
        (True, "sg-0123456789abcdef", "Admin key, shown this once: sg-0123456789abcdef\n  kept in {file}\n"),
        (False, "sg-0123456789abcdef", "  admin key: in {file}\n"),
        (False, "sg-an-older-one-that-is-not-in-force", ""),
    ],
)
def test_where_the_key_is_kept_is_said(made: bool, kept: str, words: str, tmp_path: Path, said: Console) -> None:
    settings = Settings(data_dir=tmp_path, admin_key="sg-0123456789abcdef", kek=base64.b64encode(bytes(32)).decode())
    settings.admin_key_file.write_text(f"{kept}\n")
    greet(Running("http://127.0.0.1:4000", settings, made), said)
    assert isinstance(said.file, StringIO)
    assert said.file.getvalue() == "Spangate answers at http://127.0.0.1:4000\n" + words.format(file=settings.admin_key_file)


def test_the_printed_call_reads_the_key_from_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / "admin.key").write_text("sg-0123456789abcdef\n")
    kek = base64.b64encode(bytes(32)).decode()
    running = Running("http://127.0.0.1:4000", Settings(data_dir=folder, admin_key="sg-0123456789abcdef", kek=kek), True)
    call = first_call(running, "demo", "simulated")
    assert f"Bearer $(cat '{folder}/admin.key')" in call
    assert "/v1/chat/completions" in call
    assert "sg-0123456789abcdef" not in call
    assert "/v1/messages" in first_call(running, "claude", "anthropic")
