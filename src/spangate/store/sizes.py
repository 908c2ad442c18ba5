"""How large the database is, what of it, since when, and how fast it grows. Looks nowhere that takes long: what is not counted is
estimated, and says so.
"""

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from . import fulltext, retention
from .retention import DAY, Kind, Periods
from .schema import calls, contents, metadata, traces, usage_rollups

EXACT = 2 << 30  # bytes of an SQLite file up to which each page is looked at: a second or two from a plain disk
SAMPLE = 200  # rows that stand for all of a table in a larger one
GROWTH = 7  # days that the growth is the mean of

# What is deleted together, and which rows say how much of it there is.
_OF = {
    Kind.content: (contents,),
    Kind.trace: (traces, metadata.tables["trace_tags"], metadata.tables["trace_metadata"]),
    Kind.ledger: (calls, metadata.tables["attempts"], metadata.tables["responses"]),
}
SEARCH = "trace_search"  # SQLite's index over previews, which is tables of its own; elsewhere it is an index of `traces`
_ROLLUPS = ("usage_rollups", "usage_dimensions")


class Table(Struct, frozen=True, kw_only=True):
    """A table with its indexes."""

    name: str
    rows: int
    bytes: int


class Part(Struct, frozen=True, kw_only=True):
    """What has a period of its own. Moments in ms; None: there is nothing of it."""

    kind: Kind
    rows: int
    bytes: int
    oldest: int | None
    newest: int | None
    due_rows: int  # that have outlived their period, and are not deleted yet
    due_bytes: int  # at the mean size of a row


class Size(Struct, frozen=True, kw_only=True):
    dialect: str
    bytes: int  # of all, what is free included
    free: int | None  # bytes that new rows take first; None: the database does not say
    rows_estimated: bool  # else they were counted
    bytes_estimated: bool  # of the tables; else they were measured
    tables: tuple[Table, ...]  # the largest first
    parts: tuple[Part, ...]
    calls_per_day: float  # mean of the last whole days; 0: no day is whole yet
    bytes_per_day: int  # at the mean size of a call with all that is kept of it


def measure(connection: Connection, *, now: int) -> Size:
    """`now`: ms."""
    match connection.dialect.name:
        case "sqlite":
            whole, free, tables, estimated = _sqlite(connection)
            rows_estimated = False
        case "postgresql":
            whole, free, tables, estimated = _postgresql(connection)
            rows_estimated = True
        case "mysql":
            whole, free, tables, estimated = _mysql(connection)
            rows_estimated = True
        case _:
            whole, free, tables, estimated = _mssql(connection)
            rows_estimated = False
    by_name = {table.name: table for table in tables}
    periods = retention.periods(connection)
    parts = tuple(_part(connection, kind, by_name, periods, now) for kind in Kind)
    per_day = _calls_per_day(connection, now)
    grown = [table for table in tables if table.name in (*_ROLLUPS, SEARCH, *(held.name for kind in Kind for held in _OF[kind]))]
    held = by_name[calls.name].rows
    return Size(
        dialect=connection.dialect.name,
        bytes=whole,
        free=free,
        rows_estimated=rows_estimated,
        bytes_estimated=estimated,
        tables=tuple(sorted(tables, key=lambda table: (-table.bytes, table.name))),
        parts=parts,
        calls_per_day=per_day,
        bytes_per_day=round(per_day * sum(table.bytes for table in grown) / held) if held else 0,
    )


def total(connection: Connection) -> int:
    """Bytes of all, what is free included, at no cost."""
    match connection.dialect.name:
        case "sqlite":
            page, pages = (int(connection.exec_driver_sql(f"PRAGMA {what}").scalar_one()) for what in ("page_size", "page_count"))
            return page * pages
        case "postgresql":
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
        case "mysql":
            return _mysql(connection)[0]
        case _:
            return _mssql(connection)[0]


def _part(connection: Connection, kind: Kind, tables: dict[str, Table], periods: Periods, now: int) -> Part:
    held = [tables[table.name] for table in _OF[kind]]
    if kind is Kind.trace and SEARCH in tables:
        held.append(tables[SEARCH])
    rows, size = held[0].rows, sum(table.bytes for table in held)
    oldest, newest = retention.span(connection, kind)
    due = retention.due(connection, kind, periods, now)
    return Part(
        kind=kind, rows=rows, bytes=size, oldest=oldest, newest=newest, due_rows=due, due_bytes=round(due * size / max(rows, due, 1))
    )


def _calls_per_day(connection: Connection, now: int) -> float:
    """From the rollups, which know of calls that are gone too."""
    today = now - now % DAY
    table = usage_rollups.c
    query = sa.select(sa.func.sum(table.calls), sa.func.min(table.bucket))
    query = query.where(table.width == DAY // 1000, table.bucket >= today - GROWTH * DAY, table.bucket < today)
    counted, first = connection.execute(query).one()
    return 0.0 if first is None else float(counted) / ((today - first) // DAY)


# ---------------------------------------------------------------- what each database knows of itself


_Known = tuple[int, int | None, list[Table], bool]


def _sqlite(connection: Connection) -> _Known:
    page, pages, free = (
        int(connection.exec_driver_sql(f"PRAGMA {what}").scalar_one()) for what in ("page_size", "page_count", "freelist_count")
    )
    rows = {name: _counted(connection, table) for name, table in metadata.tables.items()}
    exact = page * pages <= EXACT and bool(connection.exec_driver_sql("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'").first())
    if exact:
        query = "SELECT m.tbl_name, SUM(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name WHERE s.aggregate = 1 GROUP BY 1"
        sizes: dict[str, int] = {row[0]: row[1] for row in connection.exec_driver_sql(query)}
    else:
        weights = {name: count * _mean(connection, metadata.tables[name]) for name, count in rows.items()}
        share = page * (pages - free) / (sum(weights.values()) or 1)
        sizes = {name: round(weight * share) for name, weight in weights.items()}
    tables = [Table(name=name, rows=count, bytes=sizes.get(name, 0)) for name, count in rows.items()]
    if search := sum(sizes.get(name, 0) for name in fulltext.TABLES):
        tables.append(Table(name=SEARCH, rows=rows[traces.name], bytes=search))
    return page * pages, page * free, tables, not exact


def _mean(connection: Connection, table: sa.Table) -> float:
    """Bytes of a row, of those that came last, with what its indexes repeat of it."""
    columns = [*table.columns, *(column for index in (table.primary_key, *table.indexes) for column in index.columns)]
    length = sum((sa.func.coalesce(sa.func.length(sa.cast(column, sa.LargeBinary)), 0) for column in columns), sa.literal(0))
    newest = sa.select(length.label("length")).order_by(sa.text("rowid DESC")).limit(SAMPLE).subquery()
    return float(connection.execute(sa.select(sa.func.avg(newest.c.length))).scalar() or 0)


def _postgresql(connection: Connection) -> _Known:
    query = """
        SELECT relname, reltuples, pg_total_relation_size(oid) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
    """
    found: dict[str, tuple[float, int]] = {row[0]: (row[1], row[2]) for row in connection.exec_driver_sql(query)}
    tables = [
        # -1: nobody has looked at it yet.
        Table(name=name, rows=int(found[name][0]) if found[name][0] >= 0 else _counted(connection, table), bytes=found[name][1])
        for name, table in metadata.tables.items()
    ]
    return total(connection), None, tables, False


def _mysql(connection: Connection) -> _Known:
    query = """
        SELECT table_name, table_rows, data_length + index_length, data_free FROM information_schema.tables
        WHERE table_schema = DATABASE()
    """
    rows = connection.exec_driver_sql(query).all()
    tables = [Table(name=row[0], rows=int(row[1] or 0), bytes=int(row[2] or 0)) for row in rows if row[0] in metadata.tables]
    free = sum(int(row[3] or 0) for row in rows)
    return sum(int(row[2] or 0) for row in rows) + free, free, tables, False


def _mssql(connection: Connection) -> _Known:
    query = (
        "SELECT OBJECT_NAME(object_id), SUM(CASE WHEN index_id IN (0, 1) THEN row_count ELSE 0 END), SUM(reserved_page_count) * 8192 "
        "FROM sys.dm_db_partition_stats GROUP BY object_id"
    )
    rows = connection.exec_driver_sql(query).all()
    tables = [Table(name=row[0], rows=int(row[1]), bytes=int(row[2])) for row in rows if row[0] in metadata.tables]
    return sum(int(row[2]) for row in rows), None, tables, False


def _counted(connection: Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
