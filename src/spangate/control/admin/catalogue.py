"""The models that there are to choose from, over HTTP: what models.dev knows of each, and what it costs here now."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field

from ...prices import Billed, usd
from ...prices.book import Class, Terms
from ...prices.models import SOURCE, Model, models
from ...providers import catalog
from ...store import models as store
from ...store.faults import Invalid
from ...store.models import ModelDefinition
from .. import credentials
from ..desk import Desk
from ..policy import Policy, allows, caller_of
from ..pricing import Pricing

PAGE = 50
MILLION = 1_000_000

Used = dict[tuple[str, str], list[ModelDefinition]]  # by provider and model

Dollars = Annotated[str | None, Field(description="US dollars for a million tokens. null: not known.")]


class ModelPrice(BaseModel):
    """Now, for a call of ordinary length and service; an endpoint or a contract may have a price of its own."""

    price_id: str
    input: Dollars
    output: Dollars
    cache_read: Dollars
    overridden: bool = Field(description="By an admin's word; else it is the price book's.")


class DefinitionRef(BaseModel):
    model_definition_id: str
    name: str
    secret_id: str | None
    secret_name: str | None


class KnownModel(BaseModel):
    """null: nobody says."""

    provider: str
    model: str = Field(description="The provider's own name of it.")
    title: str
    context_window: int | None = Field(description="In tokens.")
    max_output: int | None = Field(description="In tokens.")
    input: list[str] = Field(description="What it takes: text, image, audio, video, pdf. Empty: nobody says.")
    output: list[str] = Field(description="As with input.")
    tools: bool | None
    reasoning: bool | None
    structured_output: bool | None
    released: str | None = Field(description="A date, or a month.")
    status: str | None = Field(description="alpha, beta or deprecated; null: in service.")
    price: ModelPrice | None = Field(description="null: it has none, so what calls cost is unknown, which is not zero.")
    model_definitions: list[DefinitionRef] = Field(description="Those of this model that there are already.")
    source: str | None = Field(description="Who knows this; null: the model is known from model definitions alone.")


class KnownModels(BaseModel):
    models: list[KnownModel]
    total: int = Field(description="On all pages.")
    next_page_token: str | None = Field(description="null: this is the last page.")


def mount(app: FastAPI, desk: Desk, pricing: Pricing) -> None:
    @app.get("/api/v1/catalog/models", tags=["providers"], response_model=KnownModels)
    @allows(Policy.viewer)
    def list_known_models(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        provider: Annotated[str | None, Query(description="The catalogue's name: only its models.")] = None,
        q: Annotated[str, Query(description="Words, each of them in the model's name or title.")] = "",
        max_results: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
        page_token: str | None = None,
    ) -> KnownModels:
        """Models to choose from: those with definitions first, then the newest; deprecated ones last. Others can be called too."""
        start = _start(page_token)
        caller = caller_of(request)
        desk.ready()
        pricing.open()
        with desk.read() as connection:
            definitions = store.list_(connection)
            if caller.endpoints is not None:
                behind = store.behind(connection, caller.endpoints)
                definitions = [definition for definition in definitions if definition.model_definition_id in behind]
        used: Used = {}
        for definition in definitions:
            used.setdefault((definition.provider, definition.model_name), []).append(definition)
        found = _found([credentials.known(provider)] if provider else list(catalog()), q.lower().split(), used)
        page = found[start : start + max_results]
        return KnownModels(
            models=[_row(name, model, used.get((name, model.id), []), pricing, desk.now()) for name, model in page],
            total=len(found),
            next_page_token=str(start + max_results) if start + max_results < len(found) else None,
        )


def _start(page_token: str | None) -> int:
    if not page_token:
        return 0
    if not re.fullmatch(r"[0-9]{1,6}", page_token):
        raise Invalid("Invalid page token", field="page_token")
    return int(page_token)


def _found(providers: Sequence[str], words: Sequence[str], used: Used) -> list[tuple[str, Model]]:
    found = [
        (name, model)
        for name in providers
        for model in _models(name, used)
        if all(word in f"{model.id} {model.name}".lower() for word in words)
    ]
    found.sort(key=lambda one: (one[0], one[1].id))
    found.sort(key=lambda one: one[1].release_date or "", reverse=True)
    found.sort(key=lambda one: ((one[0], one[1].id) not in used, one[1].status == "deprecated"))
    return found


def _models(provider: str, used: Used) -> Iterator[Model]:
    known = models().get(catalog()[provider].names.models or "", ())
    yield from known
    there = {model.id for model in known}
    for name, model in used:
        if name == provider and model not in there:
            yield Model(id=model, name=model)


def _row(provider: str, model: Model, definitions: Sequence[ModelDefinition], pricing: Pricing, now: int) -> KnownModel:
    terms = pricing.book.find(Billed(at=now, provider=provider, model=model.id))
    listed = model in models().get(catalog()[provider].names.models or "", ())
    return KnownModel(
        provider=provider,
        model=model.id,
        title=model.name,
        context_window=model.limit.context or None,
        max_output=model.limit.output or None,
        input=list(model.modalities.input),
        output=list(model.modalities.output),
        tools=model.tool_call,
        reasoning=model.reasoning,
        structured_output=model.structured_output,
        released=model.release_date,
        status=model.status,
        price=None if terms is None else _price(terms),
        model_definitions=[
            DefinitionRef(
                model_definition_id=definition.model_definition_id,
                name=definition.name,
                secret_id=definition.secret_id,
                secret_name=definition.secret_name,
            )
            for definition in definitions
        ],
        source=SOURCE if listed else None,
    )


def _price(terms: Terms) -> ModelPrice:
    def asked(name: Class) -> str | None:
        rate = terms.rates.get(name)
        return None if rate is None else usd(round(rate.base * MILLION * (terms.multiplier or Fraction(1))))

    return ModelPrice(
        price_id=terms.price_id,
        input=asked("input"),
        output=asked("output"),
        cache_read=asked("cache_read"),
        overridden=terms.override is not None,
    )
