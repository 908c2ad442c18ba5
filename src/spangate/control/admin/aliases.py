"""Aliases over HTTP. A pattern holds slashes and stars, so it travels in the body or the query, never in the path."""

import datetime
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from ...store import aliases as store
from ..desk import Desk
from ..moments import moment
from ..policy import Policy, allows, caller_of

PATH = "/api/v1/aliases"


class AliasAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pattern: str = Field(description="A model name that clients send; each `*` in it stands for any characters, or none.")
    endpoint: str = Field(description="Name of the endpoint that is meant.")


class Alias(BaseModel):
    pattern: str
    endpoint: str = Field(description="Name of the endpoint that is meant.")
    endpoint_id: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    created_by: str | None
    updated_by: str | None


class Aliases(BaseModel):
    aliases: list[Alias]


class Gone(BaseModel):
    """Nothing is left to say."""


def mount(app: FastAPI, desk: Desk) -> None:
    @app.get(PATH, tags=["aliases"], response_model=Aliases)
    @allows(Policy.viewer)
    def list_aliases(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        endpoint: Annotated[str | None, Query(description="Name of an endpoint: only its aliases.")] = None,
    ) -> Aliases:
        """All aliases, in the order of their patterns."""
        with desk.read() as connection:
            aliases = store.list_(connection, endpoint=endpoint or None)
        return Aliases(aliases=[_shown(alias) for alias in aliases if caller_of(request).may_read(alias.endpoint_id)])

    @app.put(PATH, tags=["aliases"], response_model=Alias)
    @allows(Policy.admin)
    def set_alias(wanted: AliasAsked, request: Request) -> Alias:  # pyright: ignore[reportUnusedFunction]
        """Makes the pattern mean the endpoint, whatever it meant before; in force in every worker within a second."""
        with desk.write() as connection:
            alias = store.put(connection, wanted.pattern, endpoint=wanted.endpoint, by=request.state.caller.name, now=desk.now())
        return _shown(alias)

    @app.delete(PATH, tags=["aliases"], response_model=Gone)
    @allows(Policy.admin)
    def delete_alias(pattern: str) -> Gone:  # pyright: ignore[reportUnusedFunction]
        """Forgets the alias that is written exactly so."""
        with desk.write() as connection:
            store.delete(connection, pattern, now=desk.now())
        return Gone()


def _shown(alias: store.Alias) -> Alias:
    return Alias(
        pattern=alias.pattern,
        endpoint=alias.endpoint,
        endpoint_id=alias.endpoint_id,
        created_at=moment(alias.created_at),
        updated_at=moment(alias.updated_at),
        created_by=alias.created_by,
        updated_by=alias.updated_by,
    )
