"""Experiments: where traces are read. Their ids are never given out twice, and a deleted one only sleeps.

An endpoint that is tracked always has an active experiment: whoever deletes it moves the endpoint to a fresh one in
the same transaction (`delete`), so that calls go on and their traces stay readable.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from . import changed, filters, limits, paging
from .engine import bump
from .faults import AlreadyExists, Invalid, NotFound
from .schema import endpoint_tags, endpoints, server_state
from .schema import experiment_tags as tags_table
from .schema import experiments as table

ACTIVE, DELETED = "active", "deleted"
REPLACED = "spangate.experiment.replaced"  # an endpoint's tag: why its traces go elsewhere from some moment on
SOURCE_TYPE, SOURCE_ID, IS_GATEWAY = "mlflow.experiment.sourceType", "mlflow.experiment.sourceId", "mlflow.experiment.isGateway"
PAGE = 1_000
PAGE_LIMIT = 50_000  # MLflow's


class Experiment(Struct, frozen=True, kw_only=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    created_at: int
    updated_at: int
    tags: dict[str, str]


def names(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """By id, of those that are active."""
    found: dict[str, str] = {}
    for some in paging.chunks([_number(experiment_id) for experiment_id in ids]):
        condition = table.c.experiment_id.in_(some) & (table.c.lifecycle_stage == ACTIVE)
        rows = connection.execute(sa.select(table.c.experiment_id, table.c.name).where(condition))
        found |= {str(row.experiment_id): row.name for row in rows}
    return found


def create(
    connection: Connection,
    *,
    name: str,
    tags: Mapping[str, str] | None = None,
    artifact_location: str | None = None,
    now: int,
) -> str:
    bump(connection)
    limits.given(name, "name", limits.EXPERIMENT_NAME)
    known = connection.execute(sa.select(table.c.lifecycle_stage).where(table.c.name == name)).scalar()
    if known == DELETED:
        raise AlreadyExists(f"Experiment '{name}' already exists in deleted state. You can restore the experiment, or choose another name.")
    if known is not None:
        raise AlreadyExists(f"Experiment '{name}' already exists.")
    return str(_made(connection, name, tags or {}, artifact_location, now))


def get(connection: Connection, experiment_id: str) -> Experiment:
    found = _experiments(connection, _SHOWN.where(table.c.experiment_id == _number(experiment_id)))
    if not found:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    return found[0]


def get_by_name(connection: Connection, name: str) -> Experiment:
    """Also a deleted one, which says so: MLflow's `set_experiment` asks for that."""
    found = _experiments(connection, _SHOWN.where(table.c.name == name))
    if not found:
        raise NotFound(f"Could not find experiment with name '{name}'")
    return found[0]


def search(
    connection: Connection,
    *,
    filter: str | None = None,
    order_by: Sequence[str] = (),
    view: str = "ACTIVE_ONLY",
    max_results: int | None = None,
    page_token: str | None = None,
    among: Collection[str] | None = None,
    endpoint_ids: Collection[str] | None = None,
) -> tuple[list[Experiment], str | None]:
    """`among`: ids of those that may be found; None: all. `endpoint_ids`: none into which other endpoints alone trace; None: all."""
    size = PAGE if max_results is None else max_results
    if not 1 <= size <= PAGE_LIMIT:
        raise Invalid(f"Invalid value for max_results: {size}. It must be at least 1 and at most {PAGE_LIMIT}.")
    query = _SHOWN
    match view:
        case "ACTIVE_ONLY" | "VIEW_TYPE_UNSPECIFIED" | "":
            query = query.where(table.c.lifecycle_stage == ACTIVE)
        case "DELETED_ONLY":
            query = query.where(table.c.lifecycle_stage == DELETED)
        case "ALL":
            pass
        case _:
            raise Invalid(f"Invalid view_type '{view}'. Use ACTIVE_ONLY, DELETED_ONLY or ALL.")
    if among is not None:
        query = query.where(table.c.experiment_id.in_(sorted(_number(experiment_id) for experiment_id in among)))
    if endpoint_ids is not None:
        query = query.where(~_of_others(endpoint_ids))
    for comparison in filters.parse(filter or ""):
        query = query.where(_condition(connection.dialect.name, comparison))
    orders = [_order(clause) for clause in order_by] or [paging.Order(table.c.created_at, "created_at", descending=True)]
    orders.append(paging.Order(table.c.experiment_id, "experiment_id", descending=True))
    page = paging.Page(orders, ("experiments", view, filter))
    rows, token = page.rows(connection, query, size, page_token)
    return _with_tags(connection, rows), token


def of_others(connection: Connection, experiment_id: str, endpoint_ids: Collection[str]) -> bool:
    """Whether endpoints trace into it, and none of these does."""
    found = sa.select(table.c.experiment_id).where(table.c.experiment_id == _number(experiment_id), _of_others(endpoint_ids))
    return connection.execute(found).first() is not None


def _of_others(endpoint_ids: Collection[str]) -> sa.ColumnElement[bool]:
    traces = sa.exists().where(endpoints.c.experiment_id == table.c.experiment_id)
    return sa.and_(traces, ~traces.where(endpoints.c.endpoint_id.in_(sorted(endpoint_ids))))


def rename(connection: Connection, experiment_id: str, name: str, *, now: int) -> None:
    bump(connection)
    before = get(connection, experiment_id)
    if before.lifecycle_stage != ACTIVE:
        raise Invalid("Cannot rename a non-active experiment.")
    limits.given(name, "new_name", limits.EXPERIMENT_NAME)
    if name != before.name and connection.execute(sa.select(table.c.name).where(table.c.name == name)).first() is not None:
        raise AlreadyExists(f"Experiment '{name}' already exists.")
    _set(connection, _number(experiment_id), name=name, updated_at=now)


def delete(connection: Connection, experiment_id: str, *, now: int) -> None:
    """Marks it deleted. Endpoints that are tracked there go on in a fresh experiment, and say so in a tag."""
    bump(connection)
    if get(connection, experiment_id).lifecycle_stage != ACTIVE:
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    number = _number(experiment_id)
    _set(connection, number, lifecycle_stage=DELETED, updated_at=now)
    moved = sa.select(endpoints.c.endpoint_id, endpoints.c.name).where(
        endpoints.c.experiment_id == number, endpoints.c.usage_tracking == sa.true()
    )
    when = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="seconds")
    for endpoint_id, name in connection.execute(moved).all():
        fresh = of_endpoint(connection, endpoint_id, name, now=now)
        connection.execute(endpoints.update().where(endpoints.c.endpoint_id == endpoint_id).values(experiment_id=fresh))
        changed.touch(connection, endpoint_id, now)
        put(connection, endpoint_tags, {"endpoint_id": endpoint_id, "key": REPLACED}, f"{experiment_id} deleted at {when}")


def restore(connection: Connection, experiment_id: str, *, now: int) -> None:
    bump(connection)
    if get(connection, experiment_id).lifecycle_stage != DELETED:
        raise NotFound(f"No deleted Experiment with id={experiment_id} exists")
    _set(connection, _number(experiment_id), lifecycle_stage=ACTIVE, updated_at=now)


def set_tag(connection: Connection, experiment_id: str, key: str, value: str) -> None:
    bump(connection)
    _must_be_active(get(connection, experiment_id))
    _tag(connection, _number(experiment_id), key, value)


def delete_tag(connection: Connection, experiment_id: str, key: str) -> None:
    bump(connection)
    _must_be_active(get(connection, experiment_id))
    condition = (tags_table.c.experiment_id == _number(experiment_id)) & (tags_table.c.key == key)
    if connection.execute(tags_table.delete().where(condition)).rowcount == 0:
        raise NotFound(f"No tag with name: {key} in experiment with id {experiment_id}")


# ---------------------------------------------------------------- for endpoints


def active(connection: Connection, experiment_id: str | int) -> int | None:
    """The experiment's number if it is there and active."""
    try:
        number = _number(str(experiment_id))
    except NotFound:
        return None
    condition = (table.c.experiment_id == number) & (table.c.lifecycle_stage == ACTIVE)
    return connection.execute(sa.select(table.c.experiment_id).where(condition)).scalar()


def of_endpoint(connection: Connection, endpoint_id: str, name: str, *, now: int) -> int:
    """The experiment of an endpoint that has none: `gateway/<name>`, made or (if active) reused.

    A deleted namesake is left alone: then `gateway/<name>-2`, and so on. Such a numbered one is reused only if it
    is this endpoint's own, as `gateway/chat-2` may well be that of an endpoint `chat-2`.
    """
    tags = {SOURCE_TYPE: "GATEWAY", SOURCE_ID: endpoint_id, IS_GATEWAY: "true"}
    suffix = 1
    while True:
        candidate = f"gateway/{name}" if suffix == 1 else f"gateway/{name}-{suffix}"
        row = connection.execute(sa.select(table.c.experiment_id, table.c.lifecycle_stage).where(table.c.name == candidate)).first()
        if row is None:
            return _made(connection, candidate, tags, None, now)
        if row.lifecycle_stage == ACTIVE:
            there = _tags(connection, [row.experiment_id]).get(row.experiment_id, {})
            if suffix == 1 or there.get(SOURCE_ID) == endpoint_id:
                for key in tags.keys() - there.keys():
                    _tag(connection, row.experiment_id, key, tags[key])
                return row.experiment_id
        suffix += 1


def put(connection: Connection, tags: sa.Table, row: Mapping[str, object], value: str) -> None:
    """Sets one tag. Update, then insert: the one upsert that each database understands, safe under the change lock."""
    condition = sa.and_(*(tags.c[column] == content for column, content in row.items()))
    if connection.execute(tags.update().where(condition).values(value=value)).rowcount == 0:
        connection.execute(tags.insert().values(**row, value=value))


# ---------------------------------------------------------------- inside

_SHOWN = sa.select(table)

_ATTRIBUTES: dict[str, sa.Column[str] | sa.Column[int]] = {
    "name": table.c.name,
    "creation_time": table.c.created_at,
    "last_update_time": table.c.updated_at,
    "experiment_id": table.c.experiment_id,
}


def _condition(dialect: str, comparison: filters.Comparison) -> sa.ColumnElement[bool]:
    match comparison.entity:
        case "attribute":
            column = _ATTRIBUTES.get(comparison.key)
            if column is None:
                raise Invalid(f"Invalid attribute key '{comparison.key}' specified. Valid keys are {', '.join(_ATTRIBUTES)}.")
            if comparison.key == "name":
                return filters.text(dialect, column, comparison)
            return filters.number(column, comparison)
        case "tag":
            return filters.tagged(dialect, tags_table, tags_table.c.experiment_id == table.c.experiment_id, comparison)
        case entity:
            raise Invalid(f"Invalid entity '{entity}' in filter. Experiments have attributes and tags.")


def _order(clause: str) -> paging.Order:
    entity, key, descending = filters.parse_order(clause)
    column = _ATTRIBUTES.get(key)
    if entity != "attribute" or column is None:
        raise Invalid(f"Invalid order_by clause '{clause}'. Experiments are ordered by {', '.join(_ATTRIBUTES)}.")
    return paging.Order(column, key, descending=descending)


def _number(experiment_id: str) -> int:
    if not experiment_id.isascii() or not experiment_id.isdigit() or len(experiment_id) > 18:
        raise NotFound(f"No Experiment with id={experiment_id[:100]} exists")
    return int(experiment_id)


def _made(connection: Connection, name: str, tags: Mapping[str, str], artifact_location: str | None, now: int) -> int:
    counter = server_state.c.name == "experiments"
    connection.execute(server_state.update().where(counter).values(number=server_state.c.number + 1))
    number = connection.execute(sa.select(server_state.c.number).where(counter)).scalar_one() or 0
    connection.execute(
        table.insert().values(
            experiment_id=number,
            name=name,
            artifact_location=None
            if artifact_location is None
            else limits.given(artifact_location, "artifact_location", 2_000, empty=True),
            lifecycle_stage=ACTIVE,
            created_at=now,
            updated_at=now,
        )
    )
    for key, value in tags.items():
        _tag(connection, number, key, value)
    return number


def _set(connection: Connection, number: int, **values: object) -> None:
    connection.execute(table.update().where(table.c.experiment_id == number).values(**values))


def _tag(connection: Connection, number: int, key: str, value: str) -> None:
    limits.given(key, "key", limits.TAG_KEY)
    limits.given(value, "value", limits.EXPERIMENT_TAG, empty=True)
    put(connection, tags_table, {"experiment_id": number, "key": key}, value)


def _must_be_active(experiment: Experiment) -> None:
    if experiment.lifecycle_stage != ACTIVE:
        raise Invalid(
            f"The experiment {experiment.experiment_id} must be in the 'active' state. Current state is {experiment.lifecycle_stage}."
        )


def _experiments(connection: Connection, query: sa.Select[tuple[object, ...]]) -> list[Experiment]:
    return _with_tags(connection, connection.execute(query).all())


def _with_tags(connection: Connection, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[Experiment]:
    tags = _tags(connection, [row.experiment_id for row in rows])
    return [
        Experiment(
            experiment_id=str(row.experiment_id),
            name=row.name,
            artifact_location=row.artifact_location or f"spangate-artifacts:/{row.experiment_id}",
            lifecycle_stage=row.lifecycle_stage,
            created_at=row.created_at,
            updated_at=row.updated_at,
            tags=tags.get(row.experiment_id, {}),
        )
        for row in rows
    ]


def _tags(connection: Connection, numbers: Iterable[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for some in paging.chunks(list(numbers)):
        query = sa.select(tags_table).where(tags_table.c.experiment_id.in_(some)).order_by(tags_table.c.key)
        for row in connection.execute(query):
            found.setdefault(row.experiment_id, {})[row.key] = row.value
    return found
