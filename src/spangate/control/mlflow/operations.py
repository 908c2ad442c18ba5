"""What an operation of MLflow's REST is: a method, a path, the message that it takes, and the plain function that answers."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ...exchange import Caller
from ..desk import Desk
from ..policy import Policy, allows, caller_of
from . import notation
from .messages import Ask

A = TypeVar("A", bound=Ask)
Method = Literal["GET", "POST", "PATCH", "DELETE"]
PREFIXES = ("/api", "/ajax-api")  # the client's and the browser's name for the same
JSON = "application/json"


@dataclass(frozen=True)
class Operation(Generic[A]):
    method: Method
    path: str  # after the prefix
    ask: type[A]
    answer: Callable[[Desk, A], msgspec.Struct]
    policy: Policy


def mount(app: FastAPI, desk: Desk, operations: Sequence[Operation[Any]]) -> None:
    for operation in operations:
        for prefix in PREFIXES:
            endpoint = _endpoint(desk, operation)
            app.add_api_route(prefix + operation.path, endpoint, methods=[operation.method], include_in_schema=False, response_model=None)


def _endpoint(desk: Desk, operation: Operation[Any]) -> Callable[..., Any]:
    def answer(caller: Caller, body: bytes, query: Sequence[tuple[str, str]], path: dict[str, str]) -> bytes:
        if operation.method == "GET":  # MLflow's DELETE carries a JSON body, its GET a query string
            ask = notation.parse_query(operation.ask, query, path)
        else:
            ask = notation.parse_body(operation.ask, body, path)
        return notation.render(operation.answer(dataclasses.replace(desk, caller=caller), ask))

    @allows(operation.policy)
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        # In a thread: the database's drivers wait, and a large trace takes a while to render.
        rendered = await run_in_threadpool(answer, caller_of(request), body, request.query_params.multi_items(), dict(request.path_params))
        return Response(rendered, media_type=JSON)

    return endpoint
