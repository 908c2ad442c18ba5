"""What MLflow's server has and this one has not: each answers a clear 501, so that a client knows that it asked the right question here."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from ..policy import Policy, allows
from ..problems import problem
from .operations import PREFIXES

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

# Nouns that we serve nothing of: the noun itself and all below it.
NOUNS = (
    "/2.0/mlflow/artifacts",
    "/2.0/mlflow/get-online-trace-details",
    "/2.0/mlflow/logged-models",
    "/2.0/mlflow/metrics",
    "/2.0/mlflow/model-versions",
    "/2.0/mlflow/registered-models",
    "/2.0/mlflow/runs",
    "/2.0/mlflow/unified-traces",
    "/2.0/mlflow/users",
    "/2.0/mlflow/webhooks",
    "/2.0/mlflow/traces",  # the older words for traces
    "/2.0/mlflow-artifacts",
    "/3.0/mlflow/assistant",
    "/3.0/mlflow/datasets",
    "/3.0/mlflow/gateway/budgets",
    "/3.0/mlflow/gateway/guardrails",
    "/3.0/mlflow/issues",
    "/3.0/mlflow/jobs",
    "/3.0/mlflow/label-schemas",
    "/3.0/mlflow/prompt-optimization",
    "/3.0/mlflow/review-queues",
    "/3.0/mlflow/scorer",
    "/3.0/mlflow/scorers",
    "/3.0/mlflow/workspaces",
    "/4.0/mlflow",
)

# Single operations beside others that we serve.
OPERATIONS = (
    ("GET", "/2.0/mlflow/experiments/search-datasets"),
    ("POST", "/2.0/mlflow/experiments/search-datasets"),
    ("POST", "/2.0mlflow/experiments/search-datasets"),  # the slash is missing in MLflow too
    ("GET", "/3.0/mlflow/gateway/supported-models"),
    ("GET", "/3.0/mlflow/gateway/secrets/config"),
    ("POST", "/3.0/mlflow/traces"),
    ("POST", "/3.0/mlflow/traces/calculate-filter-correlation"),
    ("POST", "/3.0/mlflow/traces/link-prompts"),
    ("POST", "/3.0/mlflow/traces/link-to-run"),
    ("POST", "/3.0/mlflow/traces/metrics"),
    ("POST", "/3.0/mlflow/traces/{trace_id}/assessments"),
    ("GET", "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}"),
    ("PATCH", "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}"),
    ("DELETE", "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}"),
    ("GET", "/3.0/mlflow/server-info"),
    ("GET", "/3.0/mlflow/server-features"),
)

# Outside both prefixes.
ELSEWHERE = (
    "/graphql",
    "/v1/traces",
    "/v1/metrics",
    "/v1/logs",
    "/get-artifact",
    "/model-versions/get-artifact",
    "/gateway/gemini/{rest:path}",
    "/gateway/typesafe/{rest:path}",
)


def mount(app: FastAPI) -> None:
    """After the routes that are served: a route that was added earlier wins."""
    for prefix in PREFIXES:
        for method, path in OPERATIONS:
            app.add_api_route(prefix + path, _refuse(), methods=[method], include_in_schema=False, response_model=None)
        for noun in NOUNS:
            for path in (noun, noun + "/{rest:path}"):
                app.add_api_route(prefix + path, _refuse(), methods=METHODS, include_in_schema=False, response_model=None)
    for path in ELSEWHERE:
        app.add_api_route(path, _refuse(), methods=METHODS, include_in_schema=False, response_model=None)


def _refuse() -> Callable[[Request], Coroutine[Any, Any, Response]]:
    @allows(Policy.viewer)  # whoever is known here
    async def refuse(request: Request) -> Response:
        return problem(501, "NOT_IMPLEMENTED", f"{request.method} {request.url.path} is MLflow's; this gateway does not serve it.")

    return refuse
