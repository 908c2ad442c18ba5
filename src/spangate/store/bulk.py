"""Many rows at once, in the quickest way that the driver has: COPY on PostgreSQL, executemany elsewhere."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

# PostgreSQL's names of the types, as COPY's binary form needs each value in exactly its column's type.
_POSTGRESQL: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.BigInteger, "int8"),
    (sa.Integer, "int4"),
    (sa.Boolean, "bool"),
    (sa.Double, "float8"),
    (sa.LargeBinary, "bytea"),
    (sa.String, "text"),
)


class Rows:
    """Rows of one table, in the order of `columns`.

    `indexed`: to index a row takes PostgreSQL as long as it takes us to make it. What comes as text it stores as soon as it has 64 KB
    (src/backend/commands/copyfrom.c, MAX_BUFFERED_BYTES, which counts lines of text only); of the binary form, quicker to send and half
    the size for bytes, it first waits for 1,000 rows, or for all.
    """

    def __init__(self, table: sa.Table, *, indexed: bool = False) -> None:
        self.table = table
        self._indexed = indexed
        self.columns = [column.name for column in table.columns]
        self.keys = [column.name for column in table.primary_key.columns]
        self._values = itemgetter(*self.columns)
        self._types = [next(name for kind, name in _POSTGRESQL if isinstance(column.type, kind)) for column in table.columns]

    def insert(self, connection: Connection, rows: Iterable[tuple[Any, ...]]) -> None:
        """All of them, or an exception of the driver. PostgreSQL is given each as soon as it is made."""
        rows = iter(rows)
        first = next(rows, None)
        if first is None:
            return
        rows = itertools.chain((first,), rows)
        if connection.dialect.name == "postgresql":
            cursor: Any = connection.connection.cursor()
            names = _names(connection, self.columns)
            form = "TEXT" if self._indexed else "BINARY"
            with cursor, cursor.copy(f"COPY {self.table.name} ({names}) FROM STDIN (FORMAT {form})") as copy:
                if not self._indexed:
                    copy.set_types(self._types)
                for row in rows:
                    copy.write_row(row)
            return
        # Names and marks only; every value is bound.
        connection.exec_driver_sql(self._inserting(connection), list(rows))

    def insert_absent(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Those whose key is not there yet, also if somebody else inserts it at this moment: then this waits for them.

        Who calls this in the same order everywhere waits for nobody who waits for them.
        """
        if not rows:
            return
        inserting = self._inserting(connection)
        match connection.dialect.name:
            case "mysql":
                key = _names(connection, self.keys[:1])
                connection.exec_driver_sql(f"{inserting} ON DUPLICATE KEY UPDATE {key} = {key}", list(rows))
            case "mssql":
                there = f"SELECT 1 FROM {self.table.name} WITH (UPDLOCK, HOLDLOCK) WHERE {self._this(connection)}"  # noqa: S608
                marks = ", ".join([_mark(connection)] * len(self.columns))
                absent = inserting.replace(f"VALUES ({marks})", f"SELECT {marks} WHERE NOT EXISTS ({there})")
                connection.exec_driver_sql(absent, [(*row, *self._key(row)) for row in rows])
            case _:
                connection.exec_driver_sql(f"{inserting} ON CONFLICT DO NOTHING", list(rows))

    def update(self, connection: Connection, rows: Sequence[tuple[Any, ...]], columns: Sequence[str] | None = None) -> None:
        """Writes `columns` (all, if not said) of the rows that have the keys of these, in their order."""
        if not rows:
            return
        mark = _mark(connection)
        changed = [name for name in (self.columns if columns is None else columns) if name not in self.keys]
        values = itemgetter(*(self.columns.index(name) for name in (*changed, *self.keys)))
        sets = ", ".join(f"{_names(connection, [name])} = {mark}" for name in changed)
        statement = f"UPDATE {self.table.name} SET {sets} WHERE {self._this(connection)}"  # noqa: S608
        connection.exec_driver_sql(statement, [values(row) for row in rows])

    def of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """A row by the names of its columns, in their order."""
        return self._values(row)

    def _inserting(self, connection: Connection) -> str:
        marks = ", ".join([_mark(connection)] * len(self.columns))
        return f"INSERT INTO {self.table.name} ({_names(connection, self.columns)}) VALUES ({marks})"  # noqa: S608

    def _this(self, connection: Connection) -> str:
        return " AND ".join(f"{_names(connection, [name])} = {_mark(connection)}" for name in self.keys)

    def _key(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(row[self.columns.index(name)] for name in self.keys)


def _names(connection: Connection, columns: Iterable[str]) -> str:
    quote = connection.dialect.identifier_preparer.quote
    return ", ".join(quote(name) for name in columns)


def _mark(connection: Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"
