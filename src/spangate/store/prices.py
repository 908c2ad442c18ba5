"""The price book as the database keeps it: each price that was ever in force, and what admins say against it.

A price that was in force stays in force for its time, so that what was priced by it can be priced again and come to the same.
"""

import logging
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import Connection

from ..prices.book import Book, Misfit, Override, Price, Rate
from ..prices.match import StartsWith
from ..providers import canonical, catalog
from . import limits
from .engine import bump
from .faults import AlreadyExists, Invalid, NotFound
from .paging import chunks
from .schema import endpoints, secrets, server_state
from .schema import price_overrides as overrides_table
from .schema import prices as table

log = logging.getLogger("spangate.store")

COUNTER = "prices"  # in server_state: a number that each change moves, and the edition in words
FETCHED = "prices_fetched"  # in server_state: ms
# No edition knows it: what is answered in process has no bill.
SIMULATED = Price(
    provider="simulated", model="simulated", match=StartsWith(""), rates={"input": Rate(0), "output": Rate(0)}, source="spangate"
)
LEAST = 0.5  # of the prices that are in force: an edition with fewer is taken for a broken one


class Changes(Struct, frozen=True, kw_only=True):
    """What a new edition changed."""

    added: tuple[Price, ...] = ()
    ended: tuple[Price, ...] = ()  # in force until now, or wrongly believed to have been; as they were before
    kept: int = 0


class Kept(Struct, frozen=True, kw_only=True):
    """An override, and who made it."""

    override: Override
    created_at: int
    updated_at: int
    created_by: str | None
    updated_by: str | None


class State(Struct, frozen=True):
    """Which book this is."""

    number: int = 0  # moves with each change; 0: there never was a price
    edition: str | None = None


def state(connection: Connection) -> State:
    row = connection.execute(sa.select(server_state.c.number, server_state.c.text).where(server_state.c.name == COUNTER)).first()
    return State() if row is None else State(row.number, row.text)


def book(connection: Connection, names: Mapping[str, str]) -> Book:
    """All prices that are or were in force, and all overrides. `names`: the price book's id of a provider, by the catalogue's name."""
    return Book((*prices(connection), SIMULATED), [kept.override for kept in overrides(connection)], names)


def prices(connection: Connection) -> list[Price]:
    """Those that are, were or will be in force."""
    in_force = sa.or_(table.c.effective_from.is_(None), table.c.effective_to.is_(None), table.c.effective_to > table.c.effective_from)
    return [_price(document) for document in connection.execute(sa.select(table.c.document).where(in_force)).scalars()]


def price(connection: Connection, price_id: str) -> Price:
    """Any that ever was, also one that was a mistake: the ledger may name it."""
    if price_id == SIMULATED.price_id:
        return SIMULATED
    document = connection.execute(sa.select(table.c.document).where(table.c.price_id == price_id)).scalar()
    if document is None:
        raise NotFound(f"There is no price '{price_id}'.")
    return _price(document)


def fetched_at(connection: Connection) -> int | None:
    """When an edition was last fetched from where it is published (ms), by any host."""
    return connection.execute(sa.select(server_state.c.number).where(server_state.c.name == FETCHED)).scalar()


def note_fetch(connection: Connection, now: int) -> None:
    if connection.execute(server_state.update().where(server_state.c.name == FETCHED).values(number=now)).rowcount == 0:
        connection.execute(server_state.insert().values(name=FETCHED, number=now))


# ---------------------------------------------------------------- editions


def replace(
    connection: Connection, edition: Sequence[Price], source: str, *, now: int, correct: bool = False, force: bool = False
) -> Changes:
    """Makes `edition` the book from `now` (ms) on; what it says of earlier days with dates of its own holds for those too.

    `correct`: the past was wrong, the edition holds for all time. `force`: even if it knows far fewer prices than are in force.
    `source` is the edition in words. Pricing the ledger anew is another command.
    """
    bump(connection)
    before = {row.price_id: row for row in connection.execute(sa.select(table))}
    believed = [price for row in before.values() if not _void(row) and (price := _legible(row)) is not None]
    current = sum(price.in_force(now) for price in believed)
    if not edition or (not force and len(edition) < LEAST * current):
        raise Invalid(f"That edition has {len(edition)} prices, and {current} are in force. It looks broken; nothing was changed.")
    after = _placed(_continued(believed, edition, now, correct), edition, believed)
    _keep(connection, before, after, now)
    _moved(connection, edition=source)
    old = {price.price_id: price for price in believed if correct or price.effective_to is None or price.effective_to > now}
    wanted = {price.price_id: price for price in after}
    return Changes(
        added=tuple(price for price_id, price in wanted.items() if price_id not in before or _void(before[price_id])),
        ended=tuple(price for price_id, price in old.items() if price_id not in wanted or not _lasts(wanted[price_id], price)),
        kept=sum(price_id in wanted and _lasts(wanted[price_id], price) for price_id, price in old.items()),
    )


def _continued(believed: Iterable[Price], edition: Iterable[Price], now: int, correct: bool) -> list[Price]:
    old, new = _lines(believed), _lines(edition)
    return [price for line in {**old, **new} for price in _line_continued(old.get(line, []), new.get(line, []), now, correct)]


def _line_continued(old: list[Price], new: list[Price], now: int, correct: bool) -> list[Price]:
    """What was believed, up to the moment from which the edition knows better; from there on what the edition says."""
    if correct or not old:
        return new
    dated = [price.effective_from for price in new if price.effective_from is not None and not _known(price, price.effective_from, old)]
    since = min([now, *dated])
    line = [_until(price, since) for price in old if price.effective_from is None or price.effective_from < since]
    for price in new:
        if price.effective_to is not None and price.effective_to <= since:
            continue
        if price.effective_from is None or price.effective_from <= since:
            last = line[-1] if line else None
            if last is not None and last.effective_to == since and _terms(last) == _terms(price):
                line[-1] = msgspec.structs.replace(price, price_id=last.price_id, effective_from=last.effective_from)
                continue
            price = msgspec.structs.replace(price, price_id="", effective_from=since)
        line.append(price)
    return line


def _lines(prices: Iterable[Price]) -> dict[tuple[object, ...], list[Price]]:
    """The prices that follow one another, by what they are for."""

    def line(price: Price) -> tuple[object, ...]:
        return price.provider, price.model, tuple(sorted(price.when.items()))

    ordered = sorted(prices, key=lambda price: (line(price), price.effective_from is not None, price.effective_from or 0))
    return {key: list(group) for key, group in groupby(ordered, line)}


def _known(price: Price, since: int, old: Iterable[Price]) -> bool:
    return any(believed.in_force(since) and _terms(believed) == _terms(price) for believed in old)


def _terms(price: Price) -> str:
    """What is asked, whenever."""
    return msgspec.structs.replace(price, price_id="", effective_from=None, effective_to=None).price_id


def _until(price: Price, end: int) -> Price:
    return price if price.effective_to is not None and price.effective_to <= end else msgspec.structs.replace(price, effective_to=end)


def _lasts(price: Price, before: Price) -> bool:
    return price.effective_to is None or (before.effective_to is not None and price.effective_to >= before.effective_to)


def _placed(prices: Iterable[Price], edition: Iterable[Price], believed: Iterable[Price]) -> list[Price]:
    """The prices with the edition's names and order of the models. A model that it has no more stays before the same one as it was,
    so that the calls of its time still find it."""
    new, old = _sequences(edition), _sequences(believed)
    places: dict[tuple[str, str], int] = {}
    for provider in {**old, **new}:
        sequence = list(new.get(provider, {}))
        place = len(sequence)
        for model in reversed(old.get(provider, {})):
            if model not in new.get(provider, {}):
                sequence.insert(place, model)
            place = sequence.index(model)
        places |= {(provider, model): place for place, model in enumerate(sequence)}
    return [
        msgspec.structs.replace(
            price,
            match=new.get(price.provider, {}).get(price.model, price).match,
            order=places[price.provider, price.model],
        )
        for price in prices
    ]


def _sequences(prices: Iterable[Price]) -> dict[str, dict[str, Price]]:
    """Each provider's models in the order in which they are tried."""
    found: dict[str, dict[str, Price]] = {}
    for price in sorted(prices, key=lambda price: price.order):
        found.setdefault(price.provider, {}).setdefault(price.model, price)
    return found


def _keep(connection: Connection, before: Mapping[str, sa.Row[Any]], after: Iterable[Price], now: int) -> None:
    wanted = {price.price_id: price for price in after}
    added: list[dict[str, object]] = []
    for price in wanted.values():
        row = before.get(price.price_id)
        document = msgspec.json.encode(price).decode()
        changed = {"effective_from": price.effective_from, "effective_to": price.effective_to, "document": document}
        if row is None:
            same = {"price_id": price.price_id, "provider": price.provider, "model": price.model, "source": price.source}
            added.append({**same, "retrieved_at": now, **changed})
        elif row.document != document or _void(row):
            connection.execute(table.update().where(table.c.price_id == price.price_id).values(changed))
    for rows in chunks(added):
        connection.execute(table.insert(), rows)
    # In force for no time at all, but there: calls may have been priced by it.
    gone = [price_id for price_id, row in before.items() if price_id not in wanted and not _void(row)]
    for ids in chunks(gone):
        connection.execute(table.update().where(table.c.price_id.in_(ids)).values(effective_from=0, effective_to=0))


def _void(row: sa.Row[Any]) -> bool:
    return row.effective_from is not None and row.effective_from == row.effective_to


def _legible(row: sa.Row[Any]) -> Price | None:
    """None: it cannot be read. A new edition ends it, so that the book can be read again."""
    try:
        return _price(row.document)
    except msgspec.MsgspecError as error:
        log.warning("the price %s of %s's %s cannot be read, and ends with this edition: %s", row.price_id, row.provider, row.model, error)
        return None


@lru_cache(8_192)  # a book is read anew when an override changes, and the thousands of prices in it are what they were
def _price(document: str) -> Price:
    return msgspec.json.decode(document, type=Price)


# ---------------------------------------------------------------- overrides


def overrides(connection: Connection) -> list[Kept]:
    """In the order of their names, by code point."""
    rows = connection.execute(sa.select(overrides_table))
    return sorted((_kept(row) for row in rows), key=lambda kept: kept.override.name)


def override(connection: Connection, override_id: str) -> Kept:
    row = connection.execute(sa.select(overrides_table).where(overrides_table.c.override_id == override_id)).first()
    if row is None:
        raise NotFound(f"There is no price override '{override_id}'.")
    return _kept(row)


def create(connection: Connection, wanted: Override, *, by: str | None = None, now: int) -> Kept:
    bump(connection)
    wanted = _valid(connection, wanted)
    _free(connection, wanted)
    person = limits.kept(by, limits.NAME)
    connection.execute(
        overrides_table.insert().values(**_columns(wanted), created_at=now, created_by=person, updated_at=now, updated_by=person)
    )
    _moved(connection)
    return override(connection, wanted.override_id)


def update(
    connection: Connection,
    override_id: str,
    *,
    name: str | UnsetType = UNSET,
    effective_from: int | UnsetType | None = UNSET,
    effective_to: int | UnsetType | None = UNSET,
    by: str | None = None,
    now: int,
) -> Kept:
    """Changes its name or its time. What it says stays: another price is another override, so that an id always means the same price.
    For that reason it has another id if it begins at another time."""
    bump(connection)
    before = override(connection, override_id).override
    given = {"name": name, "effective_from": effective_from, "effective_to": effective_to}
    changes = {field: value for field, value in given.items() if value is not UNSET}
    try:
        wanted = msgspec.structs.replace(before, override_id="", **changes)
    except Misfit as error:
        raise Invalid(f"Invalid override: {error}.", field=error.field) from None
    _named(wanted.name)
    _free(connection, wanted, but=override_id)
    changed = {**_columns(wanted), "updated_at": now, "updated_by": limits.kept(by, limits.NAME)}
    connection.execute(overrides_table.update().where(overrides_table.c.override_id == override_id).values(changed))
    _moved(connection)
    return override(connection, wanted.override_id)


def delete(connection: Connection, override_id: str) -> None:
    """As if it had never been: what is priced anew is priced without it."""
    bump(connection)
    if connection.execute(overrides_table.delete().where(overrides_table.c.override_id == override_id)).rowcount == 0:
        raise NotFound(f"There is no price override '{override_id}'.")
    _moved(connection)


def _valid(connection: Connection, wanted: Override) -> Override:
    """`wanted` with the catalogue's name of its provider."""
    _named(wanted.name)
    if wanted.endpoint_id is not None:
        _there(connection, endpoints.c.endpoint_id, wanted.endpoint_id, "endpoint")
    if wanted.secret_id is not None:
        _there(connection, secrets.c.secret_id, wanted.secret_id, "secret")
    if wanted.model is not None:
        _text(wanted.model, "model", limits.MODEL)
    if wanted.provider is None:
        return wanted
    provider = canonical(wanted.provider)
    if provider not in catalog():
        raise Invalid(f"There is no provider '{wanted.provider}'; there are {', '.join(catalog())}.")
    return msgspec.structs.replace(wanted, override_id="", provider=provider)


def _there(connection: Connection, column: sa.Column[Any], id: str, what: str) -> None:
    if connection.execute(sa.select(column).where(column == id)).first() is None:
        raise NotFound(f"There is no {what} '{id}'.")


def _named(name: str) -> None:
    _text(name, "name", limits.NAME)


def _text(value: str, what: str, longest: int) -> None:
    limits.given(value, what, longest)
    if value != value.strip() or any(unicodedata.category(character) == "Cc" for character in value):
        raise Invalid(f"'{what}' must not begin or end with white space, or hold control characters")


def _free(connection: Connection, wanted: Override, *, but: str | None = None) -> None:
    taken = sa.select(overrides_table.c.name).where(overrides_table.c.override_id != (but or ""))
    if connection.execute(taken.where(overrides_table.c.name == wanted.name)).first() is not None:
        raise AlreadyExists(f"A price override is named '{wanted.name}' already.", field="name")
    same = connection.execute(taken.where(overrides_table.c.override_id == wanted.override_id)).scalar()
    if same is not None:
        raise AlreadyExists(f"The price override '{same}' says the same already.")


def _columns(wanted: Override) -> dict[str, object]:
    return {
        "override_id": wanted.override_id,
        "name": wanted.name,
        "effective_from": wanted.effective_from,
        "effective_to": wanted.effective_to,
        "document": msgspec.json.encode(wanted).decode(),
    }


def _kept(row: sa.Row[Any]) -> Kept:
    return Kept(
        override=msgspec.json.decode(row.document, type=Override),
        created_at=row.created_at,
        updated_at=row.updated_at,
        created_by=row.created_by,
        updated_by=row.updated_by,
    )


# ---------------------------------------------------------------- other hosts


def _moved(connection: Connection, *, edition: str | None = None) -> None:
    """Whoever holds a book in memory reads it anew."""
    named = {} if edition is None else {"text": limits.kept(edition, limits.NAME)}
    counter = server_state.update().where(server_state.c.name == COUNTER)
    if connection.execute(counter.values(number=server_state.c.number + 1, **named)).rowcount == 0:
        connection.execute(server_state.insert().values(name=COUNTER, number=1, **named))
