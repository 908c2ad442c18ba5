"""The description of the whole management API, for programs: of our own nouns by FastAPI, of MLflow's by their messages."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ..mlflow.description import description
from ..mlflow.operations import Operation
from ..policy import Policy, allows

PROBLEM = {
    "description": "Why it was not done.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def mount(app: FastAPI, operations: Iterable[Operation[Any]]) -> None:
    operations = tuple(operations)

    @cache
    def described() -> dict[str, Any]:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        paths, schemas = description(operations, PROBLEM)
        document["paths"] |= paths
        document["components"]["schemas"] |= schemas
        return document

    app.openapi = described

    @app.get("/api/v1/openapi.json", include_in_schema=False)
    @allows(Policy.viewer)
    def openapi() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        return described()
