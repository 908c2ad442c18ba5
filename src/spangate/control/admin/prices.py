"""The price book over HTTP: what is in it, what it makes of a usage, whether a second source says the same, and a newer edition of it."""

import base64
import binascii
import bisect
import datetime
import fnmatch
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from ...prices import Billed, usd
from ...prices.book import Class, Price, Terms
from ...prices.check import Comparison, Disagreement, compare
from ...prices.cost import PART_OF, input_leaves, output_leaves
from ...prices.genai import SOURCE as GENAI
from ...prices.modelsdev import SOURCE as MODELS_DEV
from ...prices.modelsdev import installed as second_source
from ...providers import canonical, catalog
from ...store import endpoints
from ...store import prices as store
from ...store.endpoints import Endpoint
from ...store.faults import Invalid, NotFound
from ...wire.usage import CEILING, Usage
from ..desk import Desk
from ..policy import Policy, allows, caller_of, unlimited
from ..pricing import Pricing
from . import overrides
from .rates import PriceRow, RateRow, moment, ms, price_row, rate_rows, shown

PATH = "/api/v1/prices"
PAGE, PAGE_LIMIT = 100, 1000

Count = Annotated[int | None, Field(ge=0, le=CEILING)]


class Prices(BaseModel):
    edition: str | None = Field(description="The price list that was read last.")
    prices: list[PriceRow]
    next_page_token: str | None = Field(description="null: this is the last page.")


class Refresh(BaseModel):
    """Without `url` and `document`: the list of the installed package."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(default=None, description="Where genai-prices' list is fetched; `default`: where the settings say.")
    document: list[Any] | None = Field(default=None, description="genai-prices' list itself: providers with their models.")
    correct: bool = Field(
        default=False, description="The past was wrong: the new prices hold for all time. Reprice the ledger for it to be seen there."
    )
    force: bool = Field(default=False, description="Take the list even if it has far fewer prices than are in force.")


class Refreshed(BaseModel):
    edition: str | None
    added: list[PriceRow]
    ended: list[PriceRow] = Field(description="As they were before.")
    kept: int


class Difference(BaseModel):
    """A rate that the two sources say differently, in USD for a million tokens."""

    provider: str
    model: str
    other_model: str = Field(description="The second source's name of it.")
    token_class: Class
    above: int = Field(description="In calls of more input tokens.")
    usd: str = Field(description="As the book has it.")
    other_usd: str = Field(description="As the second source has it.")
    price_id: str = Field(description="The book's.")
    effective_from: datetime.datetime | None = Field(description="Since when the book has it; null: since ever.")
    in_use: bool = Field(description="A model of an endpoint here has this price now.")


class Check(BaseModel):
    source: str
    other_source: str
    disagreements: list[Difference] = Field(description="Of the models that are in use here first.")
    agreed: int = Field(description="Rates that both have, and the same.")
    only_here: int = Field(description="Rates that the second source does not have, of providers that both know.")
    only_there: int


class Tokens(BaseModel):
    """By class, as the ledger has them: `input` includes cached tokens, `output` reasoning. null: nobody said."""

    model_config = ConfigDict(extra="forbid")

    input: Count = None
    output: Count = None
    cache_read: Count = None
    cache_write: Count = None
    cache_write_5m: Count = None
    cache_write_1h: Count = None
    reasoning: Count = None
    audio_input: Count = None
    audio_output: Count = None
    image_input: Count = None
    image_output: Count = None


class Asked(BaseModel):
    """An endpoint, whose models are then quoted, or a provider and a model."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str | None = Field(default=None, description="Its name.")
    provider: str | None = Field(default=None, description="The catalogue's name.")
    model: str | None = Field(default=None, description="The provider's name of it; with an endpoint: only this one of its models.")
    response_model: str | None = Field(default=None, description="The model that answered, if the provider names another one.")
    secret_id: str | None = None
    service_tier: str | None = Field(default=None, description="In the provider's word, such as `flex` or `priority`.")
    batch: bool = False
    at: datetime.datetime | None = Field(default=None, description="When the call is made; null: now. Without a zone: UTC.")
    usage: Tokens


class Part(BaseModel):
    """What the tokens of one class come to, before the multiplier."""

    token_class: Class
    tokens: int
    paid_as: Class = Field(description="Whose rate that is: the class itself, or the one that it is a part of.")
    usd: str = Field(description="The rate in force for this call: USD for a million tokens; where the class is `request`, each.")
    cost: str


class Quote(BaseModel):
    """USD as exact decimals. null: unknown, which is not zero."""

    provider: str
    model: str
    price_id: str | None = Field(description="What the ledger would say: of a price, an override, or of both together.")
    override: str | None = Field(description="Name of the override that is in force.")
    multiplier: str | None
    rates: dict[Class, RateRow] = Field(description="All that are in force.")
    parts: list[Part]
    input_cost: str | None
    output_cost: str | None
    cost: str | None


class Quotes(BaseModel):
    at: datetime.datetime
    quotes: list[Quote]


def mount(app: FastAPI, desk: Desk, pricing: Pricing) -> None:
    overrides.mount(app, desk, pricing)

    @app.get(PATH, tags=["prices"], response_model=Prices)
    @allows(Policy.viewer)
    def list_prices(  # pyright: ignore[reportUnusedFunction]
        provider: Annotated[str | None, Query(description="The catalogue's name, or the price book's.")] = None,
        model: Annotated[
            str | None, Query(description="A model: the price that calls with this name have. With `*`: the book's names.")
        ] = None,
        at: Annotated[datetime.datetime | None, Query(description="In force at this moment; without: now. Without a zone: UTC.")] = None,
        history: Annotated[bool, Query(description="All that ever were, are or will be in force.")] = False,
        max_results: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE,
        page_token: str | None = None,
    ) -> Prices:
        """Prices, by provider, model, condition and time."""
        desk.ready()
        pricing.open()
        if history and at is not None:
            raise Invalid("Give 'at' or 'history', not both.")
        when = None if history else (ms(at) if at is not None else desk.now())
        found = sorted(_listed(pricing, provider, model, when), key=_place)
        rows, token = _page(found, max_results, page_token)
        return Prices(edition=pricing.state.edition, prices=[price_row(price) for price in rows], next_page_token=token)

    @app.post(f"{PATH}/refresh", tags=["prices"], response_model=Refreshed)
    @allows(Policy.admin)
    def refresh_prices(wanted: Refresh) -> Refreshed:  # pyright: ignore[reportUnusedFunction]
        """Takes a newer price list. What is in the ledger keeps its cost; of a known model a price holds from now on, or from its date."""
        desk.ready()
        how = {"correct": wanted.correct, "force": wanted.force}
        if wanted.url is not None and wanted.document is not None:
            raise Invalid("Give 'url' or 'document', not both.")
        pricing.open()
        if wanted.document is not None:
            changes = pricing.take(msgspec.json.encode(wanted.document), **how)
        elif wanted.url is not None:
            changes = pricing.fetch(None if wanted.url == "default" else wanted.url, **how)
        else:
            changes = pricing.take_installed(**how)
        desk.publish()
        return Refreshed(
            edition=pricing.state.edition,
            added=[price_row(price) for price in sorted(changes.added, key=_place)],
            ended=[price_row(price) for price in sorted(changes.ended, key=_place)],
            kept=changes.kept,
        )

    @app.get(f"{PATH}/check", tags=["prices"], response_model=Check)
    @allows(Policy.viewer)
    def check_prices(  # pyright: ignore[reportUnusedFunction]
        request: Request, in_use: Annotated[bool, Query(description="Only of models that endpoints here use.")] = False
    ) -> Check:
        """Holds the book against the installed list of models.dev. Where they differ, one is wrong: look at the provider's page."""
        unlimited(request)
        with desk.read() as connection:
            models = [
                (mapping.model_definition.provider, mapping.model_definition.model_name)
                for endpoint in endpoints.list_(connection)
                for mapping in endpoint.mappings
            ]
        pricing.open()
        now, book = desk.now(), pricing.book
        found = (book.find(Billed(at=now, provider=provider, model=model)) for provider, model in models)
        used = {terms.price.price_id for terms in found if terms is not None and terms.price is not None}
        return _check(compare(book.prices, second_source(), now, only=used if in_use else None), used)

    @app.post(f"{PATH}/quote", tags=["prices"], response_model=Quotes)
    @allows(Policy.viewer)
    def quote(asked: Asked, request: Request) -> Quotes:  # pyright: ignore[reportUnusedFunction]
        """What a usage costs, class by class. Changes nothing."""
        at = ms(asked.at)
        at = desk.now() if at is None else at
        usage = Usage(**asked.usage.model_dump())
        with desk.read() as connection:
            endpoint = None if asked.endpoint is None else endpoints.get(connection, name=asked.endpoint)
        if endpoint is not None and not caller_of(request).may_read(endpoint.endpoint_id):
            raise NotFound(f"GatewayEndpoint not found (name='{asked.endpoint}')")
        pricing.open()
        quotes: list[Quote] = []
        for provider, model, secret_id in _targets(asked, endpoint):
            billed = Billed(
                at=at,
                provider=provider,
                model=model,
                response_model=asked.response_model,
                service_tier=asked.service_tier,
                batch=asked.batch,
                endpoint_id=None if endpoint is None else endpoint.endpoint_id,
                secret_id=secret_id,
                usage=usage,
            )
            quotes.append(_quote(pricing, billed))
        return Quotes(at=datetime.datetime.fromtimestamp(at / 1000, datetime.UTC), quotes=quotes)

    @app.get(PATH + "/{price_id}", tags=["prices"], response_model=PriceRow)
    @allows(Policy.viewer)
    def get_price(price_id: str) -> PriceRow:  # pyright: ignore[reportUnusedFunction]
        """One price, as the ledger names it: also one that turned out to be a mistake."""
        with desk.read() as connection:
            return price_row(store.price(connection, price_id))


def _listed(pricing: Pricing, provider: str | None, model: str | None, at: int | None) -> Iterator[Price]:
    ids = None if not provider else {pricing.book.names.get(provider, provider)}
    for price in pricing.book.prices:
        if (ids is None or price.provider in ids) and (at is None or price.in_force(at)) and (not model or _named(price, model)):
            yield price


def _named(price: Price, model: str) -> bool:
    name = model.lower()
    return fnmatch.fnmatchcase(price.model.lower(), name) if "*" in name else price.model.lower() == name or price.match.matches(name)


Place = tuple[str, str, str, int, str]


def _place(price: Price) -> Place:
    when = msgspec.json.encode(price.when, order="sorted").decode() if price.when else ""
    return price.provider, price.model, when, -(2**53) if price.effective_from is None else price.effective_from, price.price_id


def _page(prices: Sequence[Price], size: int, token: str | None) -> tuple[Sequence[Price], str | None]:
    """After the token's place: the book may have changed meanwhile, and nothing is shown twice or left out for it."""
    start = bisect.bisect_right(prices, _after(token), key=_place) if token else 0
    rows = prices[start : start + size]
    if start + size >= len(prices):
        return rows, None
    return rows, base64.urlsafe_b64encode(msgspec.msgpack.encode(_place(rows[-1]))).decode().rstrip("=")


def _after(token: str) -> Place:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(raw, type=Place)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise Invalid("Invalid page token") from None


def _check(found: Comparison, used: set[str]) -> Check:
    differences = [_difference(each, each.price_id in used) for each in found.disagreements]
    return Check(
        source=GENAI,
        other_source=MODELS_DEV,
        disagreements=sorted(differences, key=lambda each: not each.in_use),
        agreed=found.agreed,
        only_here=found.first_only,
        only_there=found.second_only,
    )


def _difference(found: Disagreement, used: bool) -> Difference:
    return Difference(
        provider=found.provider,
        model=found.model,
        other_model=found.second_model,
        token_class=found.token_class,
        above=found.above,
        usd=shown(found.token_class, found.first),
        other_usd=shown(found.token_class, found.second),
        price_id=found.price_id,
        effective_from=moment(found.effective_from),
        in_use=used,
    )


def _targets(asked: Asked, endpoint: Endpoint | None) -> Iterator[tuple[str, str, str | None]]:
    """Provider, model and secret of each model that is asked about."""
    if endpoint is None:
        if not asked.provider or not asked.model:
            raise Invalid("Missing value for required parameter 'endpoint', or 'provider' and 'model'.")
        if canonical(asked.provider) not in catalog():
            raise Invalid(f"There is no provider '{asked.provider}'; there are {', '.join(catalog())}.")
        yield canonical(asked.provider), asked.model, asked.secret_id
        return
    models = [mapping.model_definition for mapping in endpoint.mappings]
    fitting = [model for model in models if asked.model in (None, model.model_name, model.name)]
    if not fitting:
        raise NotFound(f"The endpoint '{endpoint.name}' has no model '{asked.model}'; it has {', '.join(model.name for model in models)}.")
    for model in fitting:
        yield model.provider, model.model_name, asked.secret_id or model.secret_id


def _quote(pricing: Pricing, billed: Billed) -> Quote:
    book = pricing.book
    terms, cost = book.find(billed), book.cost(billed)
    override = None if terms is None else terms.override
    return Quote(
        provider=billed.provider,
        model=billed.model,
        price_id=None if terms is None else terms.price_id,
        override=None if override is None else override.name,
        multiplier=None if override is None or override.multiplier is None else f"{override.multiplier:f}",
        rates={} if terms is None else rate_rows(terms.rates),
        parts=[] if terms is None else list(_parts(terms, billed.usage)),
        input_cost=None if cost is None else usd(cost.input),
        output_cost=None if cost is None else usd(cost.output),
        cost=None if cost is None else usd(cost.total),
    )


def _parts(terms: Terms, usage: Usage) -> Iterator[Part]:
    fee: list[tuple[Class, int]] = [("request", 1)] if "request" in terms.rates and usage.known else []
    for name, tokens in (*input_leaves(usage), *output_leaves(usage), *fee):
        paid_as = name
        while paid_as not in terms.rates and paid_as in PART_OF:
            paid_as = PART_OF[paid_as]
        if paid_as in terms.rates:
            pico = terms.rates[paid_as].at(usage.input or 0)
            yield Part(token_class=name, tokens=tokens, paid_as=paid_as, usd=shown(paid_as, pico), cost=usd(tokens * pico))
