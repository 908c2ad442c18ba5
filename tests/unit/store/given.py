"""What the store's tests are given: exchanges, a keyring, an endpoint with all that it needs."""

from dataclasses import dataclass

import pytest
from sqlalchemy import Connection

from spangate.envelope import Keyring
from spangate.exchange import AttemptRecord, Content, Exchange, Status, TraceEntry
from spangate.store import endpoints, models, secrets
from spangate.store.endpoints import Endpoint, EndpointModel
from spangate.store.models import ModelDefinition
from spangate.store.secrets import Secret
from spangate.wire.usage import Provenance, Usage

KEYRING = Keyring(bytes(range(32)))
T0 = 1_700_000_000_000  # ms


def seeds(count: int) -> pytest.MarkDecorator:
    """So many on SQLite, which is quick; on each server the first two: a seed finds faults of ours, a server those of its SQL."""
    on = {"sqlite": count, "postgresql": 2, "mariadb": 2}
    return pytest.mark.parametrize(("dialect", "seed"), [(one, seed) for one in on for seed in range(on[one])], indirect=["dialect"])


def call_id(n: int) -> str:
    return f"01890000-0000-7000-8000-{n:012x}"


def trace_id(n: int) -> str:
    return "tr-" + call_id(n).replace("-", "")


def attempt(no: int = 1, **changes: object) -> AttemptRecord:
    facts: dict[str, object] = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "format": "openai.chat",
        "started": 1_000_000,
        "ended": 9_000_000,
        "status": Status.ok,
        "http_status": 200,
        "usage": Usage(input=11, output=7, cache_read=4),
        "provenance": Provenance.reported,
    }
    return AttemptRecord(no=no, **(facts | changes))  # type: ignore[arg-type]


def exchange(n: int, *, experiment_id: str | None = "0", **changes: object) -> Exchange:
    """Call number n, received n milliseconds after T0."""
    facts: dict[str, object] = {
        "format": "openai.chat",
        "request_type": "passthrough/model/openai-chat",
        "path": "/v1/chat/completions",
        "server": "127.0.0.1:4000",
        "received_at": (T0 + n) * 1_000_000,
        "status": Status.ok,
        "http_status": 200,
        "duration": 10_000_000,
        "endpoint_id": "e-1",
        "endpoint": "chat",
        "model": "chat",
        "agent": "OpenAI",
        "attempts": (attempt(),),
    }
    return Exchange(call_id=call_id(n), experiment_id=experiment_id, **(facts | changes))  # type: ignore[arg-type]


def begun(n: int, **changes: object) -> Exchange:
    """The same call as its Begun record has it."""
    opened = attempt(ended=None, status=Status.unknown, http_status=None, usage=Usage(), provenance=Provenance.unknown)
    return exchange(n, **({"status": Status.unknown, "http_status": None, "duration": None, "attempts": (opened,)} | changes))  # type: ignore[arg-type]


def entry(exchange: Exchange, content: Content | None) -> TraceEntry:
    """A stand-in for record's own."""
    return TraceEntry(
        name=f"gateway/{exchange.endpoint}",
        state="OK" if exchange.status is Status.ok else "ERROR",
        request_preview=None if content is None or content.request is None else content.request.decode(),
        response_preview=None if content is None or content.response is None else content.response.decode(),
    )


@dataclass(frozen=True)
class House:
    secret: Secret
    model: ModelDefinition
    endpoint: Endpoint


def house(connection: Connection, name: str = "chat", **changes: object) -> House:
    """A secret, a model and an endpoint of them, each named after `name`."""
    secret = secrets.create(connection, KEYRING, name=f"{name}-key", values={"api_key": "sk-0123456789abcdef"}, provider="openai", now=T0)
    model = models.create(
        connection, name=f"{name}-model", secret_id=secret.secret_id, provider="openai", model_name="gpt-4o-mini", by="ann", now=T0
    )
    wanted = [EndpointModel(model_definition_id=model.model_definition_id)]
    endpoint = endpoints.create(connection, **({"name": name, "models": wanted, "by": "ann", "now": T0} | changes))  # type: ignore[arg-type]
    return House(secret, model, endpoint)
