"""The ledger as a provider's bill would have it: attempts by day, model, credential and price, each token in one class.

Failed attempts are in it: a provider bills the tokens that it made. It only reads, and only the days that are asked for.
"""

import datetime
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..prices.rows import Override, Price
from ..wire.usage import Provenance
from . import money
from .accounts import DENIED, FREE, UNREACHED
from .faults import Invalid
from .paging import chunks
from .schema import attempts, calls, price_overrides, prices, secrets

DAYS = 92  # of one question: a quarter of a year
DAY_NS = 86_400_000_000_000
EXAMPLES = 1_000  # calls with unknown tokens that are looked at
NAMED = 5  # of them, that one row names
GENERATIONS = 500_000  # ids of responses that are brought along

EPOCH = datetime.date(1970, 1, 1)

T = TypeVar("T")


class Booked(Struct, frozen=True, kw_only=True):
    """Attempts of one day, model, credential and price, counted by us or by the provider. The fields of reconcile.cells.Booked."""

    day: datetime.date  # UTC, on which the calls were received
    model: str  # that answered, else that was asked for
    secret: str  # the credential's name; its id if it is gone
    price_id: str | None
    estimated: bool  # we counted the tokens
    attempts: int
    unknown: int  # of them, that may have cost tokens nobody knows of
    tokens: dict[str, int]  # by class, each token in one
    cost: int | None  # picodollars
    rates: dict[str, int | Fraction]  # picodollars a token by class, where the price has one rate for each
    calls: tuple[str, ...]  # some of those with unknown tokens


def booked(connection: Connection, provider: str, *, since: datetime.date, until: datetime.date) -> list[Booked]:
    """What the ledger has of a provider (the catalogue's name), from `since` to before `until`, days in UTC."""
    _bounded(since, until)
    inner = _attempts(provider, since, until).subquery()
    micro, rest = money.total(inner.c.cost)
    group = (inner.c.day, inner.c.model, inner.c.secret_id, inner.c.price_id, inner.c.estimated)
    query = sa.select(
        *group,
        sa.func.sum(inner.c.counted).label("attempts"),
        sa.func.sum(inner.c.unknown).label("unknown"),
        *(sa.func.sum(inner.c[cls]).label(cls) for cls in _CLASSES),
        micro.label("micro"),
        rest.label("rest"),
    ).group_by(*group)
    rows = [row for row in connection.execute(query).mappings() if row["attempts"]]
    names = {row.secret_id: row.name for row in connection.execute(sa.select(secrets.c.secret_id, secrets.c.name))}
    rates = _rates(connection, {row["price_id"] for row in rows if row["price_id"] is not None})
    examples = _examples(connection, provider, since, until) if any(row["unknown"] for row in rows) else {}
    return [_booked(row, names, rates, examples) for row in sorted(rows, key=_order)]


def generations(connection: Connection, provider: str, *, since: datetime.date, until: datetime.date) -> frozenset[str]:
    """The ids of a provider's responses in these days; none at all if they are too many to bring along."""
    _bounded(since, until)
    query = _joined(sa.select(attempts.c.response_id), provider, since, until).where(attempts.c.response_id.is_not(None))
    found = frozenset(connection.execute(query.limit(GENERATIONS + 1)).scalars())
    return found if len(found) <= GENERATIONS else frozenset()


def _bounded(since: datetime.date, until: datetime.date) -> None:
    if not EPOCH <= since < until <= datetime.date(2200, 1, 1):
        raise Invalid(f"The days are from {since} to before {until}: that is none.")
    if (until - since).days > DAYS:
        raise Invalid(f"From {since} to {until} are {(until - since).days} days; at most {DAYS} are compared at once.")


def _ns(day: datetime.date) -> int:
    return (day - EPOCH).days * DAY_NS


def _joined(query: Any, provider: str, since: datetime.date, until: datetime.date) -> sa.Select[Any]:
    received = calls.c.received_ns
    return query.join_from(calls, attempts, calls.c.call_id == attempts.c.call_id).where(
        received >= _ns(since), received < _ns(until), attempts.c.provider == provider
    )


def _said(name: str) -> sa.ColumnElement[int]:
    return sa.func.coalesce(attempts.c[f"{name}_tokens"], 0)


def _rest(whole: sa.ColumnElement[int], *parts: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """What of a count is in none of its parts; none if they say more than it."""
    left = whole
    for part in parts:
        left = left - part
    return sa.case((left > 0, left), else_=0)


_WRITTEN = _rest(_said("cache_write"), _said("cache_write_5m"), _said("cache_write_1h"))
_CLASSES: Mapping[str, sa.ColumnElement[int]] = {
    "input": _rest(
        _said("input"),
        *(_said(name) for name in ("cache_read", "cache_write_5m", "cache_write_1h", "audio_input", "image_input")),
        _WRITTEN,
    ),
    "cache_read": _said("cache_read"),
    "cache_write": _WRITTEN,
    "cache_write_5m": _said("cache_write_5m"),
    "cache_write_1h": _said("cache_write_1h"),
    "audio_input": _said("audio_input"),
    "image_input": _said("image_input"),
    "output": _rest(_said("output"), _said("audio_output"), _said("image_output")),
    "audio_output": _said("audio_output"),
    "image_output": _said("image_output"),
}

_NOBODY_SAID = attempts.c.input_tokens.is_(None) & attempts.c.output_tokens.is_(None)
_UNKNOWN = (
    _NOBODY_SAID
    & attempts.c.status.not_in(sorted(DENIED))
    & sa.or_(attempts.c.fault_kind.is_(None), attempts.c.fault_kind.not_in(sorted(UNREACHED)))
    & attempts.c.format.not_in(sorted(FREE))
)
# Taken off and not divided by: MySQL's division would round the last seconds of a day into the next.
_DAY = calls.c.received_ns - calls.c.received_ns % sa.literal_column(str(DAY_NS))
_MODEL = sa.func.coalesce(attempts.c.response_model, attempts.c.model)


def _attempts(provider: str, since: datetime.date, until: datetime.date) -> sa.Select[Any]:
    columns = sa.select(
        _DAY.label("day"),
        _MODEL.label("model"),
        attempts.c.secret_id,
        attempts.c.price_id,
        sa.case((attempts.c.provenance == Provenance.estimated.value, 1), else_=0).label("estimated"),
        sa.case((~_NOBODY_SAID | _UNKNOWN, 1), else_=0).label("counted"),
        sa.case((_UNKNOWN, 1), else_=0).label("unknown"),
        attempts.c.cost_pico.label("cost"),
        *(count.label(cls) for cls, count in _CLASSES.items()),
    )
    return _joined(columns, provider, since, until)


def _examples(
    connection: Connection, provider: str, since: datetime.date, until: datetime.date
) -> dict[tuple[int, str, str | None], list[str]]:
    """Some of the calls with unknown tokens, oldest first."""
    columns = sa.select(_DAY.label("day"), _MODEL.label("model"), attempts.c.secret_id, attempts.c.call_id)
    query = _joined(columns, provider, since, until).where(_UNKNOWN).order_by(calls.c.received_ns, calls.c.call_id).limit(EXAMPLES)
    found: dict[tuple[int, str, str | None], list[str]] = {}
    for row in connection.execute(query):
        found.setdefault((int(row.day), row.model, row.secret_id), []).append(row.call_id)
    return found


def _booked(
    row: sa.RowMapping,
    names: Mapping[str, str],
    rates: Mapping[str, dict[str, int | Fraction]],
    examples: Mapping[tuple[int, str, str | None], list[str]],
) -> Booked:
    secret_id, price_id = row["secret_id"], row["price_id"]
    unknown = examples.get((int(row["day"]), row["model"], secret_id), []) if row["unknown"] else []
    return Booked(
        day=EPOCH + datetime.timedelta(days=int(row["day"]) // DAY_NS),
        model=row["model"],
        secret=names.get(secret_id, secret_id or ""),
        price_id=price_id,
        estimated=bool(row["estimated"]),
        attempts=int(row["attempts"]),
        unknown=int(row["unknown"]),
        tokens={cls: int(row[cls]) for cls in _CLASSES if row[cls]},
        cost=None if price_id is None else money.whole(row["micro"], row["rest"]),
        rates=rates.get(price_id or "", {}),
        calls=tuple(unknown[:NAMED]),
    )


def _order(row: sa.RowMapping) -> tuple[object, ...]:
    return int(row["day"]), row["model"], row["secret_id"] or "", row["price_id"] or "", bool(row["estimated"])


# ---------------------------------------------------------------- what a price asks


def _rates(connection: Connection, price_ids: Iterable[str]) -> dict[str, dict[str, int | Fraction]]:
    """By class, for those prices that ask the same of every call. An override that scales a price has an id of both (prices.book)."""
    split = {price_id: price_id.split(".", 1) for price_id in sorted(price_ids)}
    single = {part for parts in split.values() for part in parts}
    listed = {price.price_id: price for price in _documents(connection, prices, prices.c.price_id, single, Price)}
    overrides = {one.override_id: one for one in _documents(connection, price_overrides, price_overrides.c.override_id, single, Override)}
    found: dict[str, dict[str, int | Fraction]] = {}
    for price_id, (first, *scaled) in split.items():
        override, price = overrides.get(first), listed.get(scaled[0] if scaled else first)
        asked = override.rates if override is not None and not scaled else price.rates if price is not None and not price.hours else None
        if asked is None or (scaled and override is None) or any(rate.tiers for rate in asked.values()):
            continue
        times = Fraction(override.multiplier) if scaled and override is not None and override.multiplier is not None else 1
        found[price_id] = {cls: rate.base * times for cls, rate in asked.items()}
    return found


def _documents(connection: Connection, table: sa.Table, id: sa.Column[Any], ids: Iterable[str], kind: type[T]) -> list[T]:
    rows: list[T] = []
    for some in chunks(sorted(ids)):
        rows += [
            msgspec.json.decode(text, type=kind) for text in connection.execute(sa.select(table.c.document).where(id.in_(some))).scalars()
        ]
    return rows
