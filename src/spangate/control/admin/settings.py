"""What an endpoint says beyond MLflow's words, over HTTP. In a change, absent is not null: null takes a setting away."""

from typing import Annotated, Any, Literal

import msgspec
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from ...exchange import EndpointSettings, ProxyRules, Retention
from ...store import endpoints
from ...store import settings as store
from ...store.faults import NotFound
from ..desk import Desk
from ..policy import Policy, allows, caller_of
from .retention import Periods

Seconds = Annotated[float | None, Field(gt=0, le=store.LONGEST, allow_inf_nan=False)]
PATH = "/api/v1/endpoints/{name}/settings"


class Proxy(BaseModel):
    """What the raw proxy may pass on: these methods, at these paths."""

    model_config = ConfigDict(extra="forbid")

    methods: list[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]] = []
    paths: list[str] = Field(
        default=[], description="Under the provider's base URL, from their slash on: exact, or what begins so where it ends in `/*`."
    )


class Settings(BaseModel):
    """null: the server's setting is in force, or what the provider's row says. Timeouts are in s, all but the total of an attempt."""

    model_config = ConfigDict(extra="forbid")

    connect_timeout: Seconds = Field(default=None, description="To reach the provider.")
    first_byte_timeout: Seconds = Field(default=None, description="From sending to the status of the answer, connecting included.")
    idle_timeout: Seconds = Field(default=None, description="Between two pieces of the answer.")
    total_timeout: Seconds = Field(
        default=None, description="For the call as a whole: all attempts, the pauses between them, and the answer."
    )
    client_gone: Literal["close", "drain"] | None = Field(
        default=None, description="What to do with a stream whose client has left: hang up, or read on until the provider has counted."
    )
    proxy: Proxy | None = Field(default=None, description="null: the raw proxy is off.")
    retention: Periods | None = Field(
        default=None, description="For how long what is kept of this endpoint's calls. null here and in it: the server's periods."
    )
    content: Literal["full", "metadata"] | None = Field(
        default=None,
        description="metadata: traces have spans, tokens and cost, and nothing of what was said is written down anywhere. null: full.",
    )


def mount(app: FastAPI, desk: Desk) -> None:
    @app.get(PATH, tags=["endpoints"], response_model=Settings)
    @allows(Policy.viewer)
    def get_settings(name: str, request: Request) -> Settings:  # pyright: ignore[reportUnusedFunction]
        """The settings of one endpoint."""
        with desk.read() as connection:
            if not caller_of(request).may_read(endpoints.get(connection, name=name).endpoint_id):
                raise NotFound(f"GatewayEndpoint not found (name='{name}')")
            return shown(store.get(connection, name))

    @app.patch(PATH, tags=["endpoints"], response_model=Settings)
    @allows(Policy.admin)
    def change_settings(name: str, wanted: Settings, request: Request) -> Settings:  # pyright: ignore[reportUnusedFunction]
        """Changes what is named and leaves the rest; in force in every worker within a second."""
        with desk.write() as connection:
            changed = store.update(connection, name, changes(wanted), by=request.state.caller.name, now=desk.now())
        return shown(changed)


def changes(wanted: Settings, *, whole: bool = False) -> dict[str, Any]:
    """In the store's types; `whole`: also what is not named, which is then taken away."""
    fields = Settings.model_fields if whole else wanted.model_fields_set
    named: dict[str, Any] = {field: getattr(wanted, field) for field in fields}
    if wanted.proxy is not None:
        named["proxy"] = ProxyRules(methods=tuple(wanted.proxy.methods), paths=tuple(wanted.proxy.paths))
    if wanted.retention is not None:
        named["retention"] = Retention(**wanted.retention.model_dump())
    return named


def shown(settings: EndpointSettings) -> Settings:
    return Settings.model_validate(msgspec.to_builtins(settings))
