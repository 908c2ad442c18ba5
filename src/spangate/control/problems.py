"""Every fault of a management call in one shape, MLflow's: {"error_code", "message"}. No SQL, no traceback, no secret.
Where fields of the request are at fault, `errors` says what is wrong with each, so that a form can put it beside them.

MLflow's client waits and tries again on 429 and 5xx, so those are said only where waiting helps: a thing that is in use
is a 400 here (MLflow's own server says 500, and its client hangs).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy import exc
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..store import faults
from .mlflow.notation import Malformed, render_error
from .policy import Forbidden, Unidentified

log = logging.getLogger("spangate.control")

# First match wins; a class comes before those that it derives from.
FAULTS: tuple[tuple[type[Exception], int, str], ...] = (
    (Malformed, 400, "INVALID_PARAMETER_VALUE"),
    (faults.Invalid, 400, "INVALID_PARAMETER_VALUE"),
    (faults.NotFound, 404, "RESOURCE_DOES_NOT_EXIST"),
    (faults.AlreadyExists, 400, "RESOURCE_ALREADY_EXISTS"),
    (faults.InUse, 400, "INVALID_STATE"),
    (faults.Outdated, 409, "RESOURCE_CONFLICT"),
    (faults.Unavailable, 503, "TEMPORARILY_UNAVAILABLE"),
    (Forbidden, 403, "PERMISSION_DENIED"),
    (Unidentified, 401, "UNAUTHENTICATED"),
)
STATUS_CODES = {404: "ENDPOINT_NOT_FOUND", 405: "BAD_REQUEST", 413: "BAD_REQUEST", 501: "NOT_IMPLEMENTED", 503: "TEMPORARILY_UNAVAILABLE"}


class FieldProblem(BaseModel):
    field: str = Field(description='Steps into the request, joined by dots: `primaries.0.model`. "": the request as a whole.')
    message: str


class Problem(BaseModel):
    """Why a request was not done."""

    error_code: str
    message: str = Field(description="For a person.")
    errors: list[FieldProblem] = Field(default=[], description="What is wrong with which field; absent where no field is at fault.")


LONGEST = 2_000  # characters of a message: what was asked for is quoted in it, however long


def problem(status: int, code: str, message: str, errors: Sequence[faults.FieldFault] = ()) -> Response:
    headers = {"www-authenticate": 'Bearer realm="spangate"'} if status == 401 else None
    more = {"errors": [error._asdict() | {"message": _cut(error.message)} for error in errors]} if errors else {}
    return Response(render_error(code, _cut(message), **more), status, headers=headers, media_type="application/json")


def _cut(message: str) -> str:
    return message if len(message) <= LONGEST else f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"


def install(app: FastAPI) -> None:
    for kind, status, code in FAULTS:
        app.add_exception_handler(kind, _known(status, code))
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(exc.SQLAlchemyError, _database)
    app.add_exception_handler(Exception, _unforeseen)


def _known(status: int, code: str) -> Callable[[Request, Any], Awaitable[Response]]:
    async def answer(request: Request, error: Any) -> Response:
        return problem(status, code, error.message, _fields(error))

    return answer


def _fields(error: Any) -> Sequence[faults.FieldFault]:
    match error:
        case faults.Misfilled(errors=errors):
            return errors
        case faults.StoreFault(field=field, message=message) if field:
            return (faults.FieldFault(field, message),)
        case _:
            return ()


async def _http(request: Request, error: Any) -> Response:
    if error.status_code == 404:
        return problem(404, "ENDPOINT_NOT_FOUND", f"There is nothing at {request.method} {request.url.path}.")
    if error.status_code == 405:
        return problem(405, "BAD_REQUEST", f"{request.url.path} does not take {request.method}.")
    return problem(error.status_code, STATUS_CODES.get(error.status_code, "BAD_REQUEST"), str(error.detail))


async def _invalid(request: Request, error: Any) -> Response:
    """A query parameter of our own API that pydantic refused."""
    errors = [
        faults.FieldFault(".".join(str(step) for step in fault["loc"][1:]), fault["msg"].removeprefix("Value error, "))
        for fault in error.errors()
    ]
    told = "; ".join(f"{field}: {message}" for field, message in errors)
    return problem(400, "INVALID_PARAMETER_VALUE", f"Invalid request: {told}.", errors)


async def _database(request: Request, error: Any) -> Response:
    """What the store did not foresee. The text of the error holds SQL and parameters, so it goes to the log only."""
    log.error("%s %s: %s", request.method, request.url.path, error)
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError):
        return problem(503, "TEMPORARILY_UNAVAILABLE", "The database cannot be reached. Calls are served on; try this again later.")
    if isinstance(error, exc.IntegrityError):
        return problem(400, "RESOURCE_CONFLICT", "Something else was changed at the same time. Look again, then try again.")
    if isinstance(error, exc.DataError):
        return problem(400, "INVALID_PARAMETER_VALUE", "A value is too long or too large to keep.")
    return problem(500, "INTERNAL_ERROR", "This should not have happened; the server's log says more.")


async def _unforeseen(request: Request, error: Exception) -> Response:
    return problem(500, "INTERNAL_ERROR", "This should not have happened; the server's log says more.")
