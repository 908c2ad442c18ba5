"""What goes into experiments: the endpoints that trace there, and how many traces there are, counted as far as a person looks."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from . import paging
from .schema import endpoints, traces

COUNTED = 1_000  # traces of one experiment; a page of experiments then reads so many entries of an index for each


class Tracing(Struct, frozen=True, kw_only=True):
    endpoints: tuple[tuple[str, str], ...]  # ids and names of those that trace there today, by their names
    traces: int  # COUNTED at most
    last_ms: int | None  # when the newest of them came


def tracing(connection: Connection, experiment_ids: Sequence[str], endpoint_ids: Collection[str] | None = None) -> dict[str, Tracing]:
    """By experiment. `endpoint_ids`: what these alone have to do with it; None: all."""
    numbers = [int(experiment_id) for experiment_id in experiment_ids]
    into: dict[int, list[tuple[str, str]]] = {number: [] for number in numbers}
    for some in paging.chunks(numbers):
        columns = endpoints.c
        query = sa.select(columns.experiment_id, columns.endpoint_id, columns.name).order_by(columns.name)
        query = query.where(columns.experiment_id.in_(some), columns.usage_tracking == sa.true())
        if endpoint_ids is not None:
            query = query.where(columns.endpoint_id.in_(sorted(endpoint_ids)))
        for experiment_id, endpoint_id, name in connection.execute(query):
            into[experiment_id].append((endpoint_id, name))
    return {str(number): _tracing(connection, number, tuple(into[number]), endpoint_ids) for number in numbers}


def _tracing(connection: Connection, number: int, into: tuple[tuple[str, str], ...], endpoint_ids: Collection[str] | None) -> Tracing:
    when = traces.c.request_time_ms
    query = sa.select(when).where(traces.c.experiment_id == number)
    if endpoint_ids is not None:
        query = query.where(traces.c.endpoint_id.in_(sorted(endpoint_ids)))
    some = query.limit(COUNTED).subquery()
    count = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    last = connection.execute(query.order_by(when.desc()).limit(1)).scalar() if count else None
    return Tracing(endpoints=into, traces=count, last_ms=last)
