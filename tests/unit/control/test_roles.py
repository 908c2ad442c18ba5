"""Who may call what: written down here in full, so that a change of it is seen, and held against the application that is served."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from spangate.config import Settings
from spangate.control.app import Control
from spangate.control.policy import Policy, check
from spangate.exchange import Role, SealedKey

# The least role, the method, the path. What is under /api is under /ajax-api too. Whoever adds a route adds it here.
TABLE = """
open      GET    /version
open      GET    /health
open      GET    /
open      GET    /assets/{path:path}
viewer    GET    /api/v1/session
open      POST   /api/v1/session
open      DELETE /api/v1/session
open      POST   /api/v1/session/link
admin     POST   /api/v1/session/links
viewer    GET    /api/3.0/mlflow/gateway/supported-providers
viewer    GET    /api/3.0/mlflow/gateway/provider-config
admin     POST   /api/3.0/mlflow/gateway/secrets/create
admin     GET    /api/3.0/mlflow/gateway/secrets/get
admin     GET    /api/3.0/mlflow/gateway/secrets/list
admin     POST   /api/3.0/mlflow/gateway/secrets/update
admin     DELETE /api/3.0/mlflow/gateway/secrets/delete
admin     POST   /api/3.0/mlflow/gateway/model-definitions/create
viewer    GET    /api/3.0/mlflow/gateway/model-definitions/get
viewer    GET    /api/3.0/mlflow/gateway/model-definitions/list
admin     POST   /api/3.0/mlflow/gateway/model-definitions/update
admin     DELETE /api/3.0/mlflow/gateway/model-definitions/delete
admin     POST   /api/3.0/mlflow/gateway/endpoints/create
viewer    GET    /api/3.0/mlflow/gateway/endpoints/get
viewer    GET    /api/3.0/mlflow/gateway/endpoints/list
admin     POST   /api/3.0/mlflow/gateway/endpoints/update
admin     DELETE /api/3.0/mlflow/gateway/endpoints/delete
admin     POST   /api/3.0/mlflow/gateway/endpoints/models/attach
admin     POST   /api/3.0/mlflow/gateway/endpoints/models/detach
admin     POST   /api/3.0/mlflow/gateway/endpoints/set-tag
admin     DELETE /api/3.0/mlflow/gateway/endpoints/delete-tag
admin     POST   /api/3.0/mlflow/gateway/endpoints/bindings/create
viewer    GET    /api/3.0/mlflow/gateway/endpoints/bindings/list
admin     DELETE /api/3.0/mlflow/gateway/endpoints/bindings/delete
developer POST   /api/2.0/mlflow/experiments/create
viewer    GET    /api/2.0/mlflow/experiments/get
viewer    GET    /api/2.0/mlflow/experiments/get-by-name
viewer    POST   /api/2.0/mlflow/experiments/search
viewer    GET    /api/2.0/mlflow/experiments/search
admin     POST   /api/2.0/mlflow/experiments/update
admin     POST   /api/2.0/mlflow/experiments/delete
admin     POST   /api/2.0/mlflow/experiments/restore
developer POST   /api/2.0/mlflow/experiments/set-experiment-tag
developer POST   /api/2.0/mlflow/experiments/delete-experiment-tag
viewer    POST   /api/3.0/mlflow/traces/search
admin     POST   /api/3.0/mlflow/traces/delete-traces
admin     POST   /api/2.0/mlflow/traces/delete-traces
viewer    GET    /api/3.0/mlflow/traces/get
viewer    GET    /api/3.0/mlflow/traces/batchGet
viewer    POST   /api/3.0/mlflow/traces/batchGetInfos
viewer    GET    /api/3.0/mlflow/traces/{trace_id}
developer PATCH  /api/3.0/mlflow/traces/{trace_id}/tags
developer DELETE /api/3.0/mlflow/traces/{trace_id}/tags
developer PATCH  /api/2.0/mlflow/traces/{trace_id}/tags
developer DELETE /api/2.0/mlflow/traces/{trace_id}/tags
viewer    GET    /api/v1/status
admin     GET    /api/v1/server
viewer    GET    /metrics
viewer    GET    /api/v1/calls
viewer    GET    /api/v1/calls/{call_id}
viewer    GET    /api/v1/completeness
admin     GET    /api/v1/responses/{response_id}
viewer    GET    /api/v1/traces
viewer    GET    /api/v1/traces/{trace_id}
viewer    GET    /api/v1/sessions
viewer    GET    /api/v1/sessions/{session_id:path}
viewer    GET    /api/v1/experiments
viewer    GET    /api/v1/usage
viewer    GET    /api/v1/usage/months
viewer    GET    /api/v1/months/{month}
admin     POST   /api/v1/months/{month}/close
admin     POST   /api/v1/months/{month}/reopen
admin     GET    /api/v1/retention
admin     PATCH  /api/v1/retention
admin     POST   /api/v1/traces/delete
admin     GET    /api/v1/database/size
viewer    GET    /api/v1/prices/overrides
admin     POST   /api/v1/prices/overrides
admin     PATCH  /api/v1/prices/overrides/{override_id}
admin     DELETE /api/v1/prices/overrides/{override_id}
viewer    GET    /api/v1/prices
admin     POST   /api/v1/prices/refresh
viewer    GET    /api/v1/prices/check
viewer    POST   /api/v1/prices/quote
viewer    GET    /api/v1/prices/{price_id}
admin     POST   /api/v1/reprice
viewer    GET    /api/v1/providers
viewer    GET    /api/v1/catalog/models
admin     GET    /api/v1/secrets
admin     POST   /api/v1/secrets
admin     POST   /api/v1/secrets/{secret_id}/rotate
viewer    GET    /api/v1/endpoints
admin     POST   /api/v1/endpoints
viewer    GET    /api/v1/endpoints/{endpoint}
admin     PUT    /api/v1/endpoints/{endpoint}
admin     DELETE /api/v1/endpoints/{endpoint}
admin     GET    /api/v1/endpoints/{endpoint}/uses
viewer    GET    /api/v1/endpoints/{name}/settings
admin     PATCH  /api/v1/endpoints/{name}/settings
viewer    GET    /api/v1/aliases
admin     PUT    /api/v1/aliases
admin     DELETE /api/v1/aliases
admin     POST   /api/v1/keys
admin     GET    /api/v1/keys
admin     GET    /api/v1/keys/{key_id}
admin     PATCH  /api/v1/keys/{key_id}
admin     POST   /api/v1/keys/{key_id}/revoke
viewer    POST   /api/v1/reconcile
viewer    GET    /api/v1/openapi.json
"""
DECLARED = {(method, path): Policy(policy) for policy, method, path in (line.split() for line in TABLE.strip().splitlines())}


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """Composed and not started: whoever gets as far as the database is told that it is not open yet, so nothing is done."""
    control = Control(Settings(data_dir=tmp_path, admin_key="sg-0123456789abcdef"))
    keys = [SealedKey(key_id=role, digest=control.pepper.digest(role.encode()), name=role, role=role) for role in Role]
    control.publisher.keys = {key.digest: key for key in keys}
    yield control
    control.database.close()
    control.numbers.close()


def routes(control: Control) -> Iterator[tuple[str, str, APIRoute]]:
    for route in check(control.app):
        for method in sorted(route.methods - {"HEAD"}):
            yield method, re.sub("^/ajax-api/", "/api/", route.path), route


def unserved(route: APIRoute) -> bool:
    return route.endpoint.__module__ == "spangate.control.mlflow.unserved"


def test_each_route_is_for_whom_the_table_says(control: Control) -> None:
    said = {(method, path): route.policy for method, path, route in routes(control) if not unserved(route)}  # type: ignore[attr-defined]
    assert said == DECLARED


def test_whoever_is_known_is_told_what_is_not_served(control: Control) -> None:
    assert {route.policy for _, _, route in routes(control) if unserved(route)} == {Policy.viewer}  # type: ignore[attr-defined]


def test_each_role_is_let_in_and_kept_out_as_the_table_says(control: Control) -> None:
    wrong: list[str] = []
    with TestClient(control.app, raise_server_exceptions=False) as client:
        for method, path, route in routes(control):
            if unserved(route):
                continue
            policy = DECLARED.get((method, path), route.policy)  # type: ignore[attr-defined]
            real = re.sub(r"{[^}]*}", "x", route.path)
            for role in (None, "nobody", *Role):
                headers = {} if role is None else {"authorization": f"Bearer {role}"}
                answered = client.request(method, real, headers=headers, json=None if method == "GET" else {})
                kept_out = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}.get(answered.status_code)
                if policy is Policy.open:
                    expected = None
                elif role not in list(Role):
                    expected = "UNAUTHENTICATED"
                else:
                    expected = None if RANKS.index(role) >= RANKS.index(policy) else "PERMISSION_DENIED"
                if kept_out != expected or (kept_out and answered.json()["error_code"] != expected):
                    wrong.append(f"{method} {real} by {role}: {answered.status_code} {answered.text[:100]}")
    assert wrong == []


RANKS = ["open", "viewer", "developer", "admin"]
