"""The description of our own API, for programs."""

from typing import Any

from fastapi import FastAPI, Request

from ..policy import Policy, allows


def mount(app: FastAPI) -> None:
    @app.get("/api/v1/openapi.json", include_in_schema=False)
    @allows(Policy.viewer)
    def openapi(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        described: FastAPI = request.app
        return described.openapi()
