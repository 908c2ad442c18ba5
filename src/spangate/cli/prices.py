"""`spangate prices`: what tokens cost, who says so, and what is said against it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ..client.prices import Disagreement, Override, Part, Price, Quote, Rate, Tier
from .options import calling
from .there import Columns, There, grid, write_json

app = typer.Typer(help="Prices: what tokens cost, who says so, and what is said against it. USD.", no_args_is_help=True)
override = typer.Typer(help="Prices of your own: for an endpoint, a contract, a provider or a model.", no_args_is_help=True)
app.add_typer(override, name="override")

Model = Annotated[str | None, typer.Option(help="A model as calls name it; with * in it: names in the price book.")]
Provider = Annotated[str | None, typer.Option(help="One of `spangate providers list`.")]
At = Annotated[str | None, typer.Option(help="A moment, such as 2026-11-01 or 2026-11-01T08:00:00Z. Without a zone: UTC.")]
Correct = Annotated[bool, typer.Option("--correct", help="The past was wrong too: new prices hold for all time.")]
Force = Annotated[bool, typer.Option("--force", help="Take a list that has far fewer prices than are in force.")]
Since = Annotated[str | None, typer.Option("--from", help="In force from this moment on; without a zone: UTC. `ever`: no beginning.")]
Until = Annotated[str | None, typer.Option("--until", help="In force until this moment; without a zone: UTC. `open`: no end.")]

USUAL = ("input", "output", "cache_read", "cache_write")
PRICE: Columns[Price] = {
    "provider": lambda price: price.provider,
    "model": lambda price: price.model,
    "when": lambda price: pairs(price.when),
    "input": lambda price: rate(price.rates.get("input")),
    "output": lambda price: rate(price.rates.get("output")),
    "cache read": lambda price: rate(price.rates.get("cache_read")),
    "cache write": lambda price: rate(price.rates.get("cache_write")),
    "other": lambda price: rates({name: rate for name, rate in price.rates.items() if name not in USUAL}),
    "from": lambda price: day(price.effective_from),
    "to": lambda price: day(price.effective_to),
    "id": lambda price: price.price_id,
}
WHOLE: Columns[Price] = {
    **PRICE,
    "hours (UTC)": lambda price: "; ".join(f"{hours.start} to {hours.end}: {rates(hours.rates)}" for hours in price.hours),
    "said by": lambda price: price.source,
    "price of": lambda price: price.of,
    "not counted": lambda price: ", ".join(price.uncounted),
}
OVERRIDE: Columns[Override] = {
    "name": lambda override: override.name,
    "endpoint": lambda override: override.endpoint or override.endpoint_id,
    "contract": lambda override: override.secret or override.secret_id,
    "provider": lambda override: override.provider,
    "model": lambda override: override.model,
    "rates": lambda override: rates(override.rates or {}),
    "times": lambda override: override.multiplier,
    "from": lambda override: day(override.effective_from),
    "to": lambda override: day(override.effective_to),
    "id": lambda override: override.override_id,
}
DIFFERENCE: Columns[Disagreement] = {
    "provider": lambda found: found.provider,
    "model": lambda found: found.model,
    "there named": lambda found: "" if found.other_model == found.model else found.other_model,
    "class": lambda found: found.token_class,
    "above": lambda found: f"{found.above:,}" if found.above else "",
    "here": lambda found: found.usd,
    "there": lambda found: found.other_usd,
    "since": lambda found: day(found.effective_from),
    "in use": lambda found: found.in_use,
}
PART: Columns[Part] = {
    "class": lambda part: part.token_class,
    "tokens": lambda part: f"{part.tokens:,}",
    "at": lambda part: part.usd,
    "paid as": lambda part: "" if part.paid_as == part.token_class else part.paid_as,
    "cost": lambda part: part.cost,
}


@app.command("list")
@calling
def list_(
    there: There,
    provider: Provider = None,
    model: Model = None,
    at: At = None,
    all: Annotated[bool, typer.Option("--all", help="Also those that were or will be in force.")] = False,
) -> None:
    """Prices in force, in USD for a million tokens."""
    found = there.client.prices.list(provider=provider, model=model, at=at, history=all)
    there.table(found, PRICE, empty="No price is known. Say one: spangate prices override set NAME --model MODEL --rate input=1.25")


@app.command()
@calling
def show(there: There, price_id: Annotated[str, typer.Argument(help="p-..., as calls and usage name it.")]) -> None:
    """One price, also one that is not in force any more."""
    there.tell(there.client.prices.get(price_id), WHOLE)


@app.command()
@calling
def check(
    there: There, in_use: Annotated[bool, typer.Option("--in-use", help="Only of the models that endpoints here use.")] = False
) -> None:
    """Where a second source, models.dev, says another price: one of the two is wrong."""
    found = there.client.prices.check(in_use=in_use)
    if there.json:
        write_json(found)
        return
    there.table(found.disagreements, DIFFERENCE, empty="The two agree wherever both have a price.")
    there.say(
        f"here: {found.source}, there: {found.other_source}; {found.agreed:,} rates are the same, {len(found.disagreements):,} differ"
    )


@app.command()
@calling
def refresh(
    there: There,
    file: Annotated[
        Path | None, typer.Option(help="A list in the form in which genai-prices publishes it.", exists=True, dir_okay=False)
    ] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="From where the gateway's setting `prices_url` says.")] = False,
    source: Annotated[str | None, typer.Option("--from-url", help="From this URL, which the gateway fetches.")] = None,
    correct: Correct = False,
    force: Force = False,
) -> None:
    """Takes a newer price list: the installed package's, a file's, or a fetched one. What was in force stays so for its time."""
    if sum((file is not None, fetch, source is not None)) > 1:
        raise typer.BadParameter("one of --file, --fetch and --from-url, not several")
    done = there.client.prices.refresh(
        url="default" if fetch else source, document=None if file is None else listed(file), correct=correct, force=force
    )
    if there.json:
        write_json(done)
        return
    if done.added:
        there.say("New:")
        there.table(done.added, PRICE, empty="")
    there.say(f"{done.edition}: {len(done.added):,} new, {len(done.ended):,} ended, {done.kept:,} as before.")


@app.command()
@calling
def quote(
    there: There,
    endpoint: Annotated[str | None, typer.Argument(help="Name or id of an endpoint: all of its models.")] = None,
    provider: Provider = None,
    model: Annotated[str | None, typer.Option(help="The provider's name of it.")] = None,
    tokens: Annotated[
        list[str] | None, typer.Option("--tokens", "-t", help="A class and how many, such as input=1200, cache_read=1000, output=300.")
    ] = None,
    tier: Annotated[str | None, typer.Option(help="Service tier in the provider's word, such as flex.")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="Sent as a batch.")] = False,
    at: At = None,
) -> None:
    """What a usage would cost, class by class. `input` includes cached tokens, `output` reasoning."""
    name = there.endpoint(endpoint).name if endpoint else None
    quotes = there.client.prices.quote(
        counts(tokens or ["input=1000000", "output=1000000"]),
        endpoint=name,
        provider=provider,
        model=model,
        service_tier=tier,
        batch=batch,
        at=at,
    )
    if there.json:
        write_json(quotes)
        return
    for one in quotes:
        there.say(f"{one.model} of {one.provider}: {told(one)}")
        if one.parts:
            there.console.print(grid(one.parts, PART))


@override.command("list")
@calling
def list_overrides(there: There) -> None:
    """All prices of your own."""
    there.table(
        there.client.prices.overrides(),
        OVERRIDE,
        empty="None. Make one: spangate prices override set NAME --endpoint ENDPOINT --rate input=1.25 --rate output=10",
    )


@override.command("set")
@calling
def set_override(
    there: There,
    name: Annotated[str, typer.Argument(help="Its name.")],
    endpoint: Annotated[str | None, typer.Option(help="For the calls of this endpoint: name or id.")] = None,
    secret: Annotated[str | None, typer.Option(help="For the calls with this credential, the contract: name or id.")] = None,
    provider: Provider = None,
    model: Annotated[str | None, typer.Option(help="For this model, asked for or answered; each * stands for any characters.")] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="A class and its USD for a million tokens, such as input=1.25; input=1.25,200000:2.50 with a tier above 200,000 input "
            "tokens. `request`: USD for each call."
        ),
    ] = None,
    times: Annotated[str | None, typer.Option(help="Multiplies the book's price, such as 0.85.")] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Says a price of your own; without --rate and --times, changes the dates of one that is there."""
    if rate or times:
        made = there.client.prices.create_override(
            name,
            endpoint_id=there.endpoint(endpoint).endpoint_id if endpoint else None,
            secret_id=there.secret(secret).secret_id if secret else None,
            provider=provider,
            model=model,
            rates=said(rate) if rate else None,
            multiplier=times,
            effective_from=None if since == "ever" else since,
            effective_to=None if until == "open" else until,
        )
    else:
        if (since is None and until is None) or endpoint or secret or provider or model:
            raise typer.BadParameter("say what it costs: --rate CLASS=USD or --times FACTOR; or change dates alone: --from, --until")
        dates = {"effective_from": (since, "ever"), "effective_to": (until, "open")}
        changes = {field: None if value == none else value for field, (value, none) in dates.items() if value is not None}
        made = there.client.prices.change_override(named(there, name).override_id, changes)
    there.tell(made, OVERRIDE)


@override.command("delete")
@calling
def delete_override(there: There, name: Annotated[str, typer.Argument(help="Its name or id.")]) -> None:
    """Forgets it, as if it had never been. One that was right until today is ended instead: `set NAME --until`."""
    gone = named(there, name)
    there.client.prices.delete_override(gone.override_id)
    there.say(f"Override {gone.name} is gone.")


def named(there: There, name: str) -> Override:
    for one in there.client.prices.overrides():
        if name in (one.name, one.override_id):
            return one
    raise typer.BadParameter(f"there is no override '{name}'; `spangate prices override list` shows all")


def told(quote: Quote) -> str:
    if quote.cost is None:
        return "unknown" if quote.price_id is None else f"unknown: {quote.price_id} has no rate for some of these tokens"
    why = [
        quote.price_id or "",
        f"override {quote.override}" if quote.override else "",
        f"times {quote.multiplier}" if quote.multiplier else "",
    ]
    return f"{quote.cost} USD ({', '.join(filter(None, why))})"


def said(given: Iterable[str]) -> dict[str, Rate]:
    """`input=1.25,200000:2.50` as a class and its rate."""
    found: dict[str, Rate] = {}
    for item in given:
        name, separator, value = item.partition("=")
        base, *tiers = value.split(",")
        cut = [tier.partition(":") for tier in tiers]
        if not separator or not name or not all(above.isascii() and above.isdigit() for above, _, _ in cut):
            raise typer.BadParameter(f"'{item}' is not class=USD or class=USD,TOKENS:USD")
        found[name] = Rate(usd=base, tiers=tuple(Tier(above=int(above), usd=usd) for above, _, usd in cut))
    return found


def counts(given: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in given:
        name, separator, value = item.partition("=")
        if not separator or not value.isascii() or not value.isdigit():
            raise typer.BadParameter(f"'{item}' is not class=count")
        found[name] = int(value)
    return found


def listed(file: Path) -> list[Any]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Any])
    except msgspec.MsgspecError as error:
        raise typer.BadParameter(f"{file} is no price list: {error}") from None


def rate(rate: Rate | None) -> str:
    if rate is None:
        return ""
    return "; ".join([rate.usd, *(f"above {tier.above:,}: {tier.usd}" for tier in rate.tiers)])


def rates(all: Mapping[str, Rate]) -> str:
    return ", ".join(f"{name} {rate(one)}" for name, one in all.items())


def pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def day(moment: str | None) -> str:
    """A moment in UTC, as short as it can be said."""
    return (moment or "").removesuffix("Z").removesuffix("T00:00:00")
