"""Sums of money that no database can overflow: whole microdollars and the picodollars beyond them are added up apart.

SUM of 64-bit integers fails on SQLite and on SQL Server once it passes 2^63 - 1, which is nine million dollars in picodollars.
"""

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

MICRO = 1_000_000  # picodollars a microdollar
MOST = 2**63 - 1  # picodollars that a row can hold


def total(column: sa.ColumnElement[Any]) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    """Two sums over a column of picodollars, none below zero, for `whole` to put together."""
    rest = column % MICRO
    # Without its rest the number is a multiple, which MySQL's decimal division keeps exact; FLOOR(n / 10^6) would round first.
    return sa.func.sum((column - rest) // MICRO), sa.func.sum(rest)


def whole(micro: int | Decimal | None, rest: int | Decimal | None) -> int:
    """Picodollars. A sum over no rows is null, and comes to zero."""
    return int(micro or 0) * MICRO + int(rest or 0)


def split(pico: int) -> tuple[int, int]:
    """As rollups keep it: whole microdollars, and the picodollars beyond them."""
    return divmod(pico, MICRO)
