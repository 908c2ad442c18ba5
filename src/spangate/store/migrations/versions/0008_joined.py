"""Sums of an hour and of a day are there of all keys together too: what is asked for by no key is read from a quarter of the rows."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy import Connection

from spangate.store.histogram import Histogram
from spangate.store.money import split, whole

revision = "0008"
down_revision = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

WIDTHS = (3_600, 86_400)
DIMENSION = ("endpoint_id", "endpoint", "provider", "model", "key_id", "key_name", "owner", "team", "status", "price_id")
OF_KEYS = ("key_id", "key_name", "owner", "team")
OTHERWISE = ("width", "bucket", "dimension_id", "cost_micro", "cost_rest", "durations", "first_tokens")


def upgrade() -> None:
    if context.is_offline_mode():  # there is nothing to add up
        return
    connection = op.get_bind()
    rollups, dimensions = (sa.Table(name, sa.MetaData(), autoload_with=connection) for name in ("usage_rollups", "usage_dimensions"))
    joined: dict[str, str] = {}
    known: set[str] = set()
    for row in connection.execute(sa.select(dimensions)).mappings().all():
        told = {name: "" if name in OF_KEYS else row[name] for name in DIMENSION}
        digest = joined[row["dimension_id"]] = _digest(told)
        known.add(row["dimension_id"])
        if digest not in known:
            known.add(digest)
            there = sa.select(dimensions.c.dimension_id).where(dimensions.c.dimension_id == digest)
            if connection.execute(there).first() is None:
                connection.execute(dimensions.insert().values(dimension_id=digest, **told))
    for width in WIDTHS:
        buckets = sa.select(rollups.c.bucket).where(rollups.c.width == width).distinct().order_by(rollups.c.bucket)
        for bucket in connection.execute(buckets).scalars().all():
            _join(connection, rollups, joined, width, bucket)


def _join(connection: Connection, rollups: sa.Table, joined: dict[str, str], width: int, bucket: int) -> None:
    sums: dict[str, _Sums] = {}
    query = sa.select(rollups).where(rollups.c.width == width, rollups.c.bucket == bucket)
    for row in connection.execute(query).mappings():
        sums.setdefault(joined[row["dimension_id"]], _Sums()).add(row)
    if sums:
        place = {"width": -width, "bucket": bucket}
        connection.execute(rollups.insert(), [{**place, "dimension_id": digest, **of.columns()} for digest, of in sums.items()])


class _Sums:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.pico = 0
        self.times = {"durations": Histogram(), "first_tokens": Histogram()}

    def add(self, row: Mapping[Any, Any]) -> None:
        for name, number in row.items():
            if name not in OTHERWISE:
                self.counts[name] += number
        self.pico += whole(row["cost_micro"], row["cost_rest"])
        for name, histogram in self.times.items():
            histogram.merge(Histogram.of(row[name]))

    def columns(self) -> dict[str, Any]:
        micro, rest = split(self.pico)
        return {**self.counts, "cost_micro": micro, "cost_rest": rest, **{name: bytes(of) for name, of in self.times.items()}}


def _digest(told: dict[str, str]) -> str:
    return hashlib.blake2b("".join(f"{len(told[name])}:{told[name]}" for name in DIMENSION).encode(), digest_size=16).hexdigest()
