"""What admins say against the price book, over HTTP: rates or a multiplier for an endpoint, a contract (a secret), a provider, a model."""

import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import FastAPI, Request
from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from ...prices.book import Class, Misfit, Override
from ...store import prices as store
from ...store.faults import Invalid
from ...store.schema import endpoints, secrets
from ..desk import Desk
from ..policy import Policy, allows, unlimited
from ..pricing import Pricing
from .rates import RateRow, moment, ms, parsed, rate_rows

PATH = "/api/v1/prices/overrides"

Start = Annotated[datetime.datetime | None, Field(description="null: since ever. Without a zone: UTC.")]
End = Annotated[datetime.datetime | None, Field(description="The first moment that it is not in force any more; null: it stays.")]


class OverrideAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="For people; no two have the same.")
    endpoint_id: str | None = None
    secret_id: str | None = Field(default=None, description="The contract: calls with this credential.")
    provider: str | None = Field(default=None, description="The catalogue's name.")
    model: str | None = Field(default=None, description="Asked for or answered, in any case; each `*` stands for any characters.")
    effective_from: Start = None
    effective_to: End = None
    rates: dict[Class, RateRow | str] | None = Field(
        default=None, description="In place of all rates of the book. A class that is not named is paid as the one that it is a part of."
    )
    multiplier: str | None = Field(default=None, description="A decimal that the book's price is multiplied with, such as `0.85`.")


class Changed(BaseModel):
    """What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    effective_from: Start = None
    effective_to: End = None


class OverrideRow(BaseModel):
    override_id: str
    name: str
    endpoint_id: str | None
    endpoint: str | None = Field(description="Its name; null also if it is gone.")
    secret_id: str | None
    secret: str | None = Field(description="Its name; null also if it is gone.")
    provider: str | None
    model: str | None
    effective_from: datetime.datetime | None
    effective_to: datetime.datetime | None
    rates: dict[Class, RateRow] | None
    multiplier: str | None
    created_at: datetime.datetime
    updated_at: datetime.datetime
    created_by: str | None
    updated_by: str | None


class Overrides(BaseModel):
    overrides: list[OverrideRow]


class Gone(BaseModel):
    """Nothing is left to say."""


def mount(app: FastAPI, desk: Desk, pricing: Pricing) -> None:
    @app.get(PATH, tags=["prices"], response_model=Overrides)
    @allows(Policy.viewer)
    def list_overrides(request: Request) -> Overrides:  # pyright: ignore[reportUnusedFunction]
        """All overrides, in the order of their names."""
        unlimited(request)
        with desk.read() as connection:
            return Overrides(overrides=[_row(connection, kept) for kept in store.overrides(connection)])

    @app.post(PATH, tags=["prices"], response_model=OverrideRow)
    @allows(Policy.admin)
    def create_override(wanted: OverrideAsked, request: Request) -> OverrideRow:  # pyright: ignore[reportUnusedFunction]
        """Another price, for calls that fit every scope that is set. What is in the ledger keeps its cost until it is repriced."""
        with desk.write() as connection:
            kept = store.create(connection, _override(wanted), by=request.state.caller.name, now=desk.now())
            row = _row(connection, kept)
        pricing.look()
        return row

    @app.patch(PATH + "/{override_id}", tags=["prices"], response_model=OverrideRow)
    @allows(Policy.admin)
    def change_override(override_id: str, changes: Changed, request: Request) -> OverrideRow:  # pyright: ignore[reportUnusedFunction]
        """Changes its name or its time; another price is another override. If it begins at another time it has another id from then on."""
        given = changes.model_fields_set
        with desk.write() as connection:
            kept = store.update(
                connection,
                override_id,
                name=changes.name if "name" in given else UNSET,
                effective_from=ms(changes.effective_from) if "effective_from" in given else UNSET,
                effective_to=ms(changes.effective_to) if "effective_to" in given else UNSET,
                by=request.state.caller.name,
                now=desk.now(),
            )
            row = _row(connection, kept)
        pricing.look()
        return row

    @app.delete(PATH + "/{override_id}", tags=["prices"], response_model=Gone)
    @allows(Policy.admin)
    def delete_override(override_id: str) -> Gone:  # pyright: ignore[reportUnusedFunction]
        """Forgets it, as if it had never been. One that was right until today is ended instead: `effective_to`."""
        with desk.write() as connection:
            store.delete(connection, override_id)
        pricing.look()
        return Gone()


def _override(wanted: OverrideAsked) -> Override:
    fields: dict[str, Any] = wanted.model_dump(include={"name", "endpoint_id", "secret_id", "provider", "model"})
    try:
        return Override(
            **fields,
            effective_from=ms(wanted.effective_from),
            effective_to=ms(wanted.effective_to),
            rates=None if wanted.rates is None else parsed(wanted.rates),
            multiplier=None if wanted.multiplier is None else Decimal(wanted.multiplier),
        )
    except InvalidOperation:
        raise Invalid('Invalid override: the multiplier is a decimal such as "0.85".', field="multiplier") from None
    except Misfit as error:
        raise Invalid(f"Invalid override: {error}.", field=error.field) from None


def _row(connection: Connection, kept: store.Kept) -> OverrideRow:
    override = kept.override
    return OverrideRow(
        override_id=override.override_id,
        name=override.name,
        endpoint_id=override.endpoint_id,
        endpoint=_name(connection, endpoints.c.endpoint_id, endpoints.c.name, override.endpoint_id),
        secret_id=override.secret_id,
        secret=_name(connection, secrets.c.secret_id, secrets.c.name, override.secret_id),
        provider=override.provider,
        model=override.model,
        effective_from=moment(override.effective_from),
        effective_to=moment(override.effective_to),
        rates=None if override.rates is None else rate_rows(override.rates),
        multiplier=None if override.multiplier is None else f"{override.multiplier:f}",
        created_at=datetime.datetime.fromtimestamp(kept.created_at / 1000, datetime.UTC),
        updated_at=datetime.datetime.fromtimestamp(kept.updated_at / 1000, datetime.UTC),
        created_by=kept.created_by,
        updated_by=kept.updated_by,
    )


def _name(connection: Connection, column: sa.Column[Any], name: sa.Column[Any], id: str | None) -> str | None:
    return None if id is None else connection.execute(sa.select(name).where(column == id)).scalar()
