"""What the ledger adds up to, kept with it: each row of `usage_rollups` is the sum of what rows of `calls` and `attempts` contribute.

So whoever writes or changes those rows counts them here, and applies the count in the same transaction. A call is counted
once under the provider and model of its last attempt, its own status, and no price; each of its attempts under its own.
Any sum over any grouping is then exact.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Connection

from ..exchange import Status
from ..prices.cost import Billed, Cost
from ..wire.usage import Provenance, Usage
from . import paging
from .bulk import Rows
from .histogram import Histogram
from .money import MOST, split, whole
from .schema import usage_dimensions, usage_rollups

CostOf = Callable[[Billed], Cost | None]
Row = Mapping[Any, Any]  # by the names of the table's columns

KNOWN = 50_000  # rows that a drain remembers: 10 MB
WIDTHS = (900, 3_600, 86_400)  # s that a bucket lasts, each a multiple of the one before
JOINED = (3_600, 86_400)  # those of which there is another row, of all keys together: a quarter of the rows where there are a hundred keys

# What asks no model costs no tokens: nobody has to know any.
FREE = frozenset({"anthropic.count_tokens", "gemini.count_tokens", "openai.responses.stored"})
# Attempts that ended so cost nothing if nobody says otherwise: the provider said no, or we did.
DENIED = frozenset({Status.error.value, Status.refused.value})
UNREACHED = frozenset({"upstream_connect", "upstream_connect_timeout", "upstream_dns", "upstream_tls"})

_CLASSES = {field: f"{field}_tokens" for field in Usage.__struct_fields__ if field != "invalid"}
TOKENS = tuple(_CLASSES.values())
COSTS = ("price_id", "input_cost_pico", "output_cost_pico", "cost_pico")  # of an attempt
SUMS = ("input_tokens", "output_tokens", "cost_pico", "unpriced", "estimated")  # of a call, over its attempts

_dimensions = Rows(usage_dimensions)
_rollups = Rows(usage_rollups)
_KEY, _OTHERS = ("width", "bucket", "dimension_id"), ("cost_micro", "cost_rest", "durations", "first_tokens")
_COUNTS = tuple(name for name in _rollups.columns if name not in (*_KEY, *_OTHERS))
# A row is taken apart and put together a thousand times a second: by place, not by name.
_counts_of, _others_of = (itemgetter(*map(_rollups.columns.index, names)) for names in (_COUNTS, _OTHERS))
_in_order = itemgetter(*map((*_KEY, *_COUNTS, *_OTHERS).index, _rollups.columns))


class Dimension(NamedTuple):
    """What sums are told apart by, as `usage_dimensions` has it; "" where there is none."""

    endpoint_id: str
    endpoint: str
    provider: str
    model: str
    key_id: str
    key_name: str
    owner: str
    team: str
    status: str
    price_id: str

    @property
    def joined(self) -> "Dimension":
        """Of all keys together, and so of all owners and teams."""
        return self._replace(key_id="", key_name="", owner="", team="")


class Measures:
    """What is added up. `counts` by column, zeros left out; `pico`: the cost."""

    __slots__ = ("counts", "durations", "first_tokens", "pico")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.pico = 0
        self.durations = Histogram()
        self.first_tokens = Histogram()

    def add(self, name: str, number: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + number

    def merge(self, other: "Measures") -> None:
        for name, number in other.counts.items():
            self.add(name, number)
        self.pico += other.pico
        self.durations.merge(other.durations)
        self.first_tokens.merge(other.first_tokens)

    @property
    def nothing(self) -> bool:
        return self.pico == 0 and not any(self.counts.values())


Contributions = dict[tuple[int, Dimension], Measures]  # by the ms at which the narrowest bucket begins


# ---------------------------------------------------------------- what a call comes to


def unpriced(_: Billed) -> Cost | None:
    """For a house without a price book: what everything costs is unknown."""
    return None


def billed(call: Row, attempt: Row) -> Billed:
    """An attempt of the ledger, as its price is looked up."""
    return Billed(
        at=call["received_ns"] // 1_000_000,
        provider=attempt["provider"],
        model=attempt["model"],
        response_model=attempt["response_model"],
        service_tier=attempt["service_tier"],
        endpoint_id=call["endpoint_id"],
        secret_id=attempt["secret_id"],
        usage=Usage(**{field: attempt[column] for field, column in _CLASSES.items()}),
    )


def has_tokens(attempt: Row) -> bool:
    return attempt["input_tokens"] is not None or attempt["output_tokens"] is not None


def priced(call: Row, tried: Sequence[Row], cost_of: CostOf) -> list[dict[str, Any]]:
    """The attempts, with what each costs. Failed ones too: the provider bills the tokens that it made."""
    found: list[dict[str, Any]] = []
    left = MOST  # of a call, so that the sum of its attempts fits its row
    for attempt in tried:
        cost = cost_of(billed(call, attempt)) if has_tokens(attempt) else None
        if cost is None or not 0 <= cost.total <= left:
            found.append({**attempt, **dict.fromkeys(COSTS)})
            continue
        left -= cost.total
        found.append({**attempt, **dict(zip(COSTS, (cost.price_id, cost.input, cost.output, cost.total), strict=True))})
    return found


def sums(tried: Sequence[Row]) -> dict[str, int | None]:
    """The columns of a call that are sums over its attempts."""
    return {
        **{name: _sum(attempt[name] for attempt in tried) for name in ("input_tokens", "output_tokens", "cost_pico")},
        "unpriced": sum(_unpriced(attempt) for attempt in tried),
        "estimated": sum(_estimated(attempt) for attempt in tried),
    }


def count(into: Contributions, call: Row, tried: Sequence[Row]) -> None:
    """A call that is new to the books, with its attempts."""
    provider, model = (tried[-1]["provider"], tried[-1]["model"]) if tried else ("", "")
    measures = _of(into, call, provider, model, call["status"], "")
    measures.add("calls", 1)
    for name, histogram in (("duration", measures.durations), ("first_token", measures.first_tokens)):
        ns = call[f"{name}_ns"]
        if ns is not None:
            histogram.add(ns)
            measures.add(f"{name}_ms", (ns + 500_000) // 1_000_000)
    for attempt in tried:
        count_attempt(into, call, attempt)


def count_attempt(into: Contributions, call: Row, attempt: Row, sign: int = 1) -> None:
    """One attempt. `sign` -1: it is in the books as it is here, and is to be taken out."""
    measures = _of(into, call, attempt["provider"], attempt["model"], attempt["status"], attempt["price_id"] or "")
    measures.add("attempts", sign)
    for name in TOKENS:
        if attempt[name]:
            measures.add(name, sign * attempt[name])
    measures.pico += sign * (attempt["cost_pico"] or 0)
    for kind, applies in (("unpriced", _unpriced(attempt)), ("estimated", _estimated(attempt))):
        if applies:
            measures.add(f"{kind}_attempts", sign)
            measures.add(f"{kind}_input_tokens", sign * (attempt["input_tokens"] or 0))
            measures.add(f"{kind}_output_tokens", sign * (attempt["output_tokens"] or 0))
    if _unknown(attempt):
        measures.add("unknown_attempts", sign)


def _of(into: Contributions, call: Row, provider: str, model: str, status: str, price_id: str) -> Measures:
    dimension = Dimension(
        call["endpoint_id"] or "",
        call["endpoint"] or "",
        provider,
        model,
        call["caller_id"] or "",
        call["caller"] or "",
        call["owner"] or "",
        call["team"] or "",
        status,
        price_id,
    )
    key = bucket(call["received_ns"] // 1_000_000, WIDTHS[0]), dimension
    measures = into.get(key)
    if measures is None:
        measures = into[key] = Measures()
    return measures


def bucket(ms: int, width: int) -> int:
    """When the bucket of `width` seconds begins that holds the moment."""
    return ms - ms % (width * 1_000)


def _unpriced(attempt: Row) -> bool:
    return attempt["price_id"] is None and has_tokens(attempt)


def _estimated(attempt: Row) -> bool:
    return attempt["provenance"] == Provenance.estimated.value and has_tokens(attempt)


def _unknown(attempt: Row) -> bool:
    """Whether it may have cost tokens that nobody knows of."""
    return not (has_tokens(attempt) or attempt["status"] in DENIED or attempt["fault_kind"] in UNREACHED or attempt["format"] in FREE)


def _sum(values: Iterator[int | None]) -> int | None:
    said = [value for value in values if value is not None]
    return sum(said) if said else None


# ---------------------------------------------------------------- into the database


Key = tuple[int, int, str]  # width (below zero: joined), bucket, dimension_id


class Known:
    """Rows that were there when they were last changed: who adds to them again need not ask. One that is gone since is made again."""

    def __init__(self) -> None:
        self.keys: set[Key] = set()

    def add(self, keys: Iterable[Key]) -> None:
        if len(self.keys) > KNOWN:  # most are of a time that no call will be made in again
            self.keys.clear()
        self.keys.update(keys)


def apply(connection: Connection, contributions: Contributions, known: Known | None = None) -> None:
    """Adds them to the rollups of every width. A row that comes to nothing is deleted. `known` is of one database, and is added to.

    Rows are made, and then taken, in the order of their keys, so that several hosts wait for each other and never in a circle. Only
    where somebody deletes a row between the two is that order lost; the database then ends one of them, and its chore tries again.
    """
    changes = _widened(contributions)
    if not changes:
        return
    known = known or Known()
    unknown = changes.keys() - known.keys
    stored: dict[Key, Measures] = {}
    absent = unknown - _there(connection, unknown)
    while absent or not stored:
        _dimensions_there(connection, contributions, {digest for _, _, digest in absent})
        _rollups.insert_absent(connection, [_row(key, Measures()) for key in sorted(absent)])
        stored = _taken(connection, changes)
        absent = changes.keys() - stored.keys()
    written: list[tuple[Any, ...]] = []
    for key, measures in sorted(changes.items(), key=lambda change: change[0]):
        measures.merge(stored[key])
        if measures.nothing:
            _delete(connection, key)
        else:
            written.append(_row(key, measures))
    _rollups.update(connection, written)
    known.add(changes)


def _widened(contributions: Contributions) -> dict[Key, Measures]:
    found: dict[Key, Measures] = {}
    for (begins, dimension), measures in contributions.items():
        if measures.nothing:
            continue
        own, joined = _ids(dimension)
        for width in WIDTHS:
            found.setdefault((width, bucket(begins, width), own), Measures()).merge(measures)
        for width in JOINED:
            found.setdefault((-width, bucket(begins, width), joined), Measures()).merge(measures)
    return found


@lru_cache(4_096)
def _ids(dimension: Dimension) -> tuple[str, str]:
    """Its own, and that of all keys together."""
    return dimension_id(dimension), dimension_id(dimension.joined)


def dimension_id(dimension: Dimension) -> str:
    # Lengths beside the texts: no two dimensions are the same bytes.
    told = "".join(f"{len(text)}:{text}" for text in dimension)
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def _dimensions_there(connection: Connection, contributions: Contributions, wanted: set[str]) -> None:
    by_id: dict[str, Dimension] = {}
    for _, dimension in contributions:
        by_id |= {digest: one for digest, one in zip(_ids(dimension), (dimension, dimension.joined), strict=True) if digest in wanted}
    there: set[str] = set()
    for some in paging.chunks(sorted(by_id)):
        query = sa.select(usage_dimensions.c.dimension_id).where(usage_dimensions.c.dimension_id.in_(some))
        there |= set(connection.execute(query).scalars())
    _dimensions.insert_absent(connection, [(digest, *by_id[digest]) for digest in sorted(by_id.keys() - there)])


def _queries(keys: Iterable[Key], what: sa.Select[Any]) -> Iterator[tuple[int, int, sa.Select[Any]]]:
    """For the rows of these keys, in their order, which is that of each query's rows too: width, bucket, query."""
    table = usage_rollups.c
    for (width, begins), of_bucket in itertools.groupby(sorted(keys), key=lambda key: key[:2]):
        for some in paging.chunks([digest for _, _, digest in of_bucket]):
            query = what.where(table.width == width, table.bucket == begins, table.dimension_id.in_(some))
            yield width, begins, query.order_by(table.dimension_id)


def _there(connection: Connection, keys: Iterable[Key]) -> set[Key]:
    return {
        (width, begins, digest)
        for width, begins, query in _queries(keys, sa.select(usage_rollups.c.dimension_id))
        for digest in connection.execute(query).scalars()
    }


def _taken(connection: Connection, keys: Iterable[Key]) -> dict[Key, Measures]:
    """Those of the rows that are there, which nobody else changes until we commit."""
    return {
        (width, begins, row.dimension_id): _measures(row)
        for width, begins, query in _queries(keys, sa.select(usage_rollups))
        for row in connection.execute(query.with_for_update().with_hint(usage_rollups, "WITH (UPDLOCK)", "mssql"))
    }


def _measures(row: sa.Row[Any]) -> Measures:
    measures = Measures()
    measures.counts = {name: number for name, number in zip(_COUNTS, _counts_of(row), strict=True) if number}
    micro, rest, durations, first_tokens = _others_of(row)
    measures.pico = whole(micro, rest)
    measures.durations = Histogram.of(durations)
    measures.first_tokens = Histogram.of(first_tokens)
    return measures


def _row(key: Key, measures: Measures) -> tuple[Any, ...]:
    counts = (measures.counts.get(name, 0) for name in _COUNTS)
    return _in_order((*key, *counts, *split(measures.pico), bytes(measures.durations), bytes(measures.first_tokens)))


def _delete(connection: Connection, key: Key) -> None:
    table = usage_rollups.c
    connection.execute(usage_rollups.delete().where(table.width == key[0], table.bucket == key[1], table.dimension_id == key[2]))
