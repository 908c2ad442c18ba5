"""Which model made a response that its provider keeps: what a worker asks when somebody wants to read one that another worker relayed."""

from fastapi import FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from ...store import responses as store
from ...store.faults import NotFound, Unavailable
from ..desk import Desk
from ..policy import Policy, allows
from .status import Progress


class Response(BaseModel):
    """A response and who made it."""

    response_id: str = Field(description="The provider's own id.")
    endpoint_id: str
    model_definition_id: str
    call_id: str = Field(description="The call that it answered.")


def mount(app: FastAPI, desk: Desk, progress: Progress) -> None:
    @app.get("/api/v1/responses/{response_id}", tags=["ledger"], response_model=Response)
    @allows(Policy.admin)
    def get_response(response_id: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Who made a response. What waits in the journals is drained first if it is not known yet."""
        with desk.read() as connection:
            found = _maker(connection, response_id)
        if found is None:
            fault = progress.drained()
            with desk.read() as connection:
                found = _maker(connection, response_id)
            if found is None and fault is not None:
                raise Unavailable(f"The journals, where it may be, cannot be drained: {fault}")
        if found is None:
            raise NotFound(f"No response with id '{response_id[:200]}' was made through this gateway.")
        return found


def _maker(connection: Connection, response_id: str) -> Response | None:
    made = store.maker(connection, response_id)
    if made is None:
        return None
    return Response(
        response_id=response_id,
        endpoint_id=made.endpoint_id,
        model_definition_id=made.model_definition_id,
        call_id=made.call_id,
    )
