"""Keyset paging: a page begins after the last row of the one before, so rows that come in meanwhile shift nothing.

The token is opaque to clients, and good only for the search it came from.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from .faults import Invalid

# Bound parameters of one statement are few on SQL Server (2,100), and long IN lists are slow to plan anywhere.
CHUNK = 500


_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # as a database has room for


class Order:
    """One key of an order. `expression` must never be null: the comparison with the last row would be neither true nor false."""

    def __init__(self, expression: sa.ColumnElement[Any], name: str, *, descending: bool) -> None:
        self.expression = expression
        self.name = name
        self.descending = descending


class Page:
    """Pages of one search. The last of `orders` must be unique; `search` is what else tells this search from others."""

    def __init__(self, orders: Sequence[Order], search: tuple[object, ...]) -> None:
        seen: set[str] = set()
        self._orders = [order for order in orders if not (order.name in seen or seen.add(order.name))]
        shape = repr((search, [(order.name, order.descending) for order in self._orders]))
        self._mark = hashlib.sha256(shape.encode("utf-8", "replace")).digest()[:8]

    def rows(self, connection: Connection, query: sa.Select[Any], size: int, token: str | None) -> tuple[Sequence[sa.Row[Any]], str | None]:
        """At most `size` rows after the token's, and the token of the next page if there is one."""
        return self.merged(connection, [query], size, token)

    def merged(
        self, connection: Connection, queries: Sequence[sa.Select[Any]], size: int, token: str | None
    ) -> tuple[Sequence[sa.Row[Any]], str | None]:
        """Of several queries for the same columns, none of which finds what another does: each follows an index of its own."""
        return self.cut(self.first(connection, queries, size + 1, token), size)

    def first(
        self, connection: Connection, queries: Sequence[sa.Select[Any]], most: int, token: str | None, end: str | None = None
    ) -> Sequence[sa.Row[Any]]:
        """At most so many rows after the token's, to be `cut` once there are enough of them. `end`: up to that token's row."""
        parts = [query.limit(most) for query in self._ordered(queries, token)]
        if end is not None:
            parts = [part.where(*self._up_to(self.place(end))) for part in parts]
        return connection.execute(parts[0] if len(parts) == 1 else self._united(parts, most)).all()

    def stretch(self, connection: Connection, queries: Sequence[sa.Select[Any]], most: int, token: str | None) -> str | None:
        """The token of a row up to which the queries have so many rows after the token's, or fewer; None: up to the end."""
        parts = [query.offset(max(1, most // len(queries)) - 1).limit(1) for query in self._ordered(queries, token)]
        row = connection.execute(parts[0] if len(parts) == 1 else self._united(parts, 1)).first()
        return None if row is None else self._token(list(row[-len(self._orders) :]))

    def token_at(self, *values: object) -> str:
        """The token that a row would have with these values for the orders."""
        return self._token(list(values))

    @property
    def by(self) -> str:
        """The name of the order that comes before the others."""
        return self._orders[0].name

    def _ordered(self, queries: Sequence[sa.Select[Any]], token: str | None) -> list[sa.Select[Any]]:
        keys = [order.expression.label(f"_key{index}") for index, order in enumerate(self._orders)]
        after = [self._after(self.place(token))] if token else []
        ordered = [_towards(order.expression, order) for order in self._orders]
        return [query.add_columns(*keys).where(*after).order_by(*ordered) for query in queries]

    def cut(self, rows: Sequence[sa.Row[Any]], size: int) -> tuple[Sequence[sa.Row[Any]], str | None]:
        """The page, and the token of the next one if there are more rows than it takes."""
        if len(rows) <= size:
            return rows, None
        rows = rows[:size]
        return rows, self._token(list(rows[-1][-len(self._orders) :]))

    def place(self, token: str) -> list[Any]:
        """What the last row of the page before has for each order."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            mark, values = msgspec.msgpack.decode(raw, type=tuple[bytes, list[_Number | str | float]])
        except (binascii.Error, ValueError, msgspec.DecodeError):
            raise Invalid("Invalid page token") from None
        if mark != self._mark or len(values) != len(self._orders) or not all(map(_fits, self._orders, values)):
            raise Invalid("Invalid page token: it belongs to another search")
        return list(values)

    def _united(self, parts: Sequence[sa.Select[Any]], limit: int) -> sa.Select[Any]:
        whole = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery()
        ordered = [_towards(whole.c[f"_key{index}"], order) for index, order in enumerate(self._orders)]
        return sa.select(whole).order_by(*ordered).limit(limit)

    def _after(self, values: list[Any]) -> sa.ColumnElement[bool]:
        """(a, b) > (x, y), spelled out: row comparison knows no mixed directions, and SQL Server has none."""
        cases: list[sa.ColumnElement[bool]] = []
        for index, order in enumerate(self._orders):
            same = [earlier.expression == values[at] for at, earlier in enumerate(self._orders[:index])]
            beyond = order.expression < values[index] if order.descending else order.expression > values[index]
            cases.append(sa.and_(*same, beyond))
        return sa.or_(*cases)

    def _up_to(self, values: list[Any]) -> list[sa.ColumnElement[bool]]:
        order = self._orders[0]
        # The first says what follows from the second, and an index can tell.
        return [order.expression >= values[0] if order.descending else order.expression <= values[0], sa.not_(self._after(values))]

    def _token(self, values: list[Any]) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode([self._mark, values])).decode().rstrip("=")


def _fits(order: Order, value: str | float) -> bool:
    match order.expression.type:
        case sa.types.String():
            return isinstance(value, str)
        case sa.types.Integer():
            return isinstance(value, int)
        case sa.types.Numeric():
            return isinstance(value, int | float)
        case _:
            return True


def _towards(expression: sa.ColumnElement[Any], order: Order) -> sa.ColumnElement[Any]:
    return expression.desc() if order.descending else expression.asc()


_T = TypeVar("_T")


def chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """`items` in parts that fit one IN list."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
