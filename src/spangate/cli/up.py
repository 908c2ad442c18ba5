"""`spangate up`: a gateway that has something to call a minute after you met it. Running it twice makes nothing twice."""

import ipaddress
import re
import shlex
import sys
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from rich.console import Console
from rich.text import Text

from ..client import Client, ClientError, Endpoint, ModelConfig
from ..config import Found, Settings, provider_keys
from ..providers import catalog
from ..supervise import Running
from .options import configured
from .serve import greet, key_on_file, supervise

# Ports that local servers use unless told otherwise; each lists its models at /v1/models. (ollama.com, docs.vllm.ai, lmstudio.ai)
LOCAL = {"ollama": 11434, "vllm": 8000, "lm-studio": 1234}
LOCAL_PATIENCE = 0.5  # s; loopback answers at once or is not there
LISTING_PATIENCE = 5.0  # s for a provider's list of models
CONTROL_PATIENCE = 30.0  # s until the management API is there; workers may be up long before
MODELS_EACH = 20  # endpoints made for one local server; a shelf of models is not a wish for an endpoint each

# Which of a provider's models to begin with: the newest of these names, else the one that was current when this was written (2026-01).
CHOICE = {
    "openai": (re.compile(r"gpt-[\d.]+-mini"), "gpt-5-mini"),
    "anthropic": (re.compile(r"claude-sonnet-[\d-]+"), "claude-sonnet-4-5"),
}


@dataclass(frozen=True)
class Wish:
    """A credential and the models to reach by it."""

    secret: str
    provider: str
    models: Sequence[str]
    values: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    auth_config: Mapping[str, str] = field(default_factory=dict[str, str])
    said: str = ""  # what the person is told


@configured
def up(settings: Settings) -> None:
    """Runs the gateway with endpoints for the provider keys and local servers that are here, or a simulated one."""
    console = Console(highlight=False, soft_wrap=True)

    def ready(running: Running) -> None:
        greet(running, console)
        try:
            with Client(running.url, running.settings.admin_key) as client:
                name, provider = furnish(client, wishes(running.settings.port, console), console)
                _served(client, name)
                link = client.url + client.sessions.link().path
        except ClientError as error:
            console.print(Text(f"Not everything was made: {error}", style="red"))
            return
        if provider == "simulated":
            console.print(
                Text.assemble("Endpoint ", (name, "bold"), (" is SIMULATED: it answers by itself, there is no model behind it.", "yellow"))
            )
            console.print(
                Text("  With OPENAI_API_KEY or ANTHROPIC_API_KEY set, or Ollama, vLLM or LM Studio running, `up` makes real ones.", "dim")
            )
        console.print(Text.assemble("\nOpen it: ", (link, "bold")))
        console.print(Text(f"  once, within ten minutes; for another link: {program()} ui{_folder(running.settings)}", "dim"))
        console.print(Text("\nCall it:\n"))
        console.print(Text(first_call(running, name, provider), style="bold"))
        console.print(Text(f"\nWatch it: {program()} traces tail{_folder(running.settings)}\nStop it:  Ctrl-C", style="dim"))

    raise SystemExit(supervise(settings, ready))


# ---------------------------------------------------------------- what is here


def wishes(own_port: int, console: Console) -> list[Wish]:
    found = [wish for key in provider_keys() if (wish := _keyed(key, console))]
    return found + [wish for name, port in LOCAL.items() if port != own_port and (wish := _local(name, port))]


def _keyed(found: Found, console: Console) -> Wish | None:
    base = (found.api_base or catalog()[found.provider].base_url or "").rstrip("/")
    pattern, fallback = CHOICE[found.provider]
    proof = {"x-api-key": found.key, "anthropic-version": "2023-06-01", "authorization": f"Bearer {found.key}"}
    listed, refused = _models(base, LISTING_PATIENCE, proof)
    if refused:
        console.print(Text(f"{found.variable}: the provider refuses this key, so nothing is made for it.", style="yellow"))
        return None
    known = [name for name in listed if pattern.fullmatch(name)]
    if listed and not known:
        known = listed  # another server than the usual one: what it has, it has
    auth_config = {"api_base": base} if found.api_base else {}
    if found.api_base and _loopback(base):
        auth_config["allow_private"] = "true"
    return Wish(
        secret=found.provider,
        provider=found.provider,
        models=[known[0] if known else fallback],
        values={"api_key": found.key},
        auth_config=auth_config,
        said=f"with the key in {found.variable}",
    )


def _local(name: str, port: int) -> Wish | None:
    base = f"http://127.0.0.1:{port}/v1"
    listed, _ = _models(base, LOCAL_PATIENCE, {})
    models = [model for model in listed if "embed" not in model.lower()][:MODELS_EACH]
    if not models:
        return None
    # Loopback, and only because it was found there just now: everything else needs the setting or the secret's own word.
    auth_config = {"api_base": base, "allow_private": "true"}
    said = f"on {name} at 127.0.0.1:{port} (its secret may call loopback)"
    provider = name if name in catalog() else "openai-compatible"
    return Wish(secret=name, provider=provider, models=models, auth_config=auth_config, said=said)


def _models(base: str, patience: float, headers: Mapping[str, str]) -> tuple[list[str], bool]:
    """What a server lists, the newest first, and whether it refused the key. A server that says nonsense lists nothing."""
    try:
        with httpx.Client(timeout=patience, trust_env=not _loopback(base), follow_redirects=False) as http:
            answer = http.get(f"{base}/models", headers=dict(headers))
            if answer.status_code in (401, 403):
                return [], True
            said: object = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return [], False
    rows: object = cast("dict[str, object]", said).get("data") if isinstance(said, dict) else None
    if not isinstance(rows, list):
        return [], False
    models = [cast("dict[str, Any]", row) for row in cast("list[object]", rows) if isinstance(row, dict)]
    named = [row for row in models if isinstance(row.get("id"), str) and row["id"]]
    return [row["id"] for row in sorted(named, key=_age, reverse=True)], False


def _age(row: Mapping[str, Any]) -> tuple[float, str]:
    created = row.get("created")
    return (float(created) if isinstance(created, int | float) else 0.0, str(row.get("created_at", "")))


def _loopback(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# ---------------------------------------------------------------- what is made of it


def furnish(client: Client, wanted: Sequence[Wish], console: Console) -> tuple[str, str]:
    """Makes what is not there yet; returns the endpoint to try first, and its provider."""
    _settled(client)
    endpoints = {endpoint.name: endpoint for endpoint in client.endpoints()}
    if not wanted and not endpoints:
        wanted = [Wish("simulated", "simulated", ["simulated"], said="on the built-in simulated provider")]
    secrets = {secret.secret_name: secret for secret in client.secrets()}
    definitions = client.models()
    first: tuple[str, str] | None = None
    for wish in wanted:
        secret = secrets.get(wish.secret) or client.create_secret(
            wish.secret, provider=wish.provider, values=wish.values, auth_config=wish.auth_config or None
        )
        known = {model.model_name: model for model in definitions if model.secret_id == secret.secret_id}
        # Where one model was chosen before, by a person or by us, the newest of today changes nothing.
        for model in [next(iter(known))] if known and wish.provider in CHOICE else wish.models:
            definition = known.get(model)
            if definition is None:
                name = _free(model, {model.name for model in definitions})
                definition = client.create_model(name, secret_id=secret.secret_id, provider=wish.provider, model_name=model)
                definitions.append(definition)
            endpoint = next((one for one in endpoints.values() if definition.model_definition_id in _answering(one)), None)
            if endpoint is None:
                name = _free("demo" if wish.provider == "simulated" else endpoint_name(model), endpoints)
                endpoint = endpoints[name] = client.create_endpoint(name, [ModelConfig(definition.model_definition_id)])
                console.print(Text.assemble("Made endpoint ", (name, "bold"), f" {wish.said}"))
            first = first or (endpoint.name, wish.provider)
    return first or _any(client)


def _answering(endpoint: Endpoint) -> set[str]:
    return {mapping.model_definition_id for mapping in endpoint.model_mappings}


def _any(client: Client) -> tuple[str, str]:
    for endpoint in client.endpoints():
        for mapping in endpoint.model_mappings:
            if mapping.model_definition:
                return endpoint.name, mapping.model_definition.provider
    raise ClientError("there are endpoints, but none has a model; `spangate endpoints attach` gives it one")


def endpoint_name(model: str) -> str:
    """The model's name, so that clients need not change theirs, in the letters that an endpoint's name may have."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", model).strip("-") or "model"


def _free(name: str, taken: Container[str]) -> str:
    return name if name not in taken else next(f"{name}-{number}" for number in range(2, 10_000) if f"{name}-{number}" not in taken)


def _settled(client: Client) -> None:
    """Returns when nothing is degraded: workers serve from the last snapshot long before the management API is there."""
    until = time.monotonic() + CONTROL_PATIENCE
    while client.ready().detail.get("degraded") and time.monotonic() < until:
        time.sleep(0.1)


def _served(client: Client, name: str) -> None:
    """Returns when the workers know the endpoint, so that the call printed next answers."""
    until = time.monotonic() + LISTING_PATIENCE
    while name not in client.served() and time.monotonic() < until:
        time.sleep(0.05)


# ---------------------------------------------------------------- what is said


def first_call(running: Running, name: str, provider: str) -> str:
    settings = running.settings
    key = f"$(cat {shlex.quote(str(settings.admin_key_file))})" if key_on_file(settings) else "$SPANGATE_ADMIN_KEY"
    said = '"messages": [{"role": "user", "content": "Hello!"}]'
    path, more = ("/v1/messages", ', "max_tokens": 200') if provider == "anthropic" else ("/v1/chat/completions", "")
    return (
        f"curl {running.url}{path} \\\n"
        f'  -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\\n'
        f'  -d \'{{"model": "{name}"{more}, {said}}}\''
    )


def program() -> str:
    """How this person can call us: by the path into the checkout if that is where we live."""
    script = Path(sys.prefix) / "bin" / "spangate"
    try:
        return str(script.relative_to(Path.cwd()))
    except ValueError:
        return "spangate"


def _folder(settings: Settings) -> str:
    default = Settings.model_fields["data_dir"].get_default(call_default_factory=True)
    return "" if settings.data_dir == default else f" --data-dir {shlex.quote(str(settings.data_dir))}"
