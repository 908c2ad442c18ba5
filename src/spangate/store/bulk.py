"""Many rows at once, in the quickest way that the driver has: COPY on PostgreSQL, executemany elsewhere."""

from collections.abc import Sequence
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
    """Rows of one table, in the order of `columns`."""

    def __init__(self, table: sa.Table) -> None:
        self.table = table
        self.columns = [column.name for column in table.columns]
        self._types = [next(name for kind, name in _POSTGRESQL if isinstance(column.type, kind)) for column in table.columns]

    def insert(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """All of them, or an exception of the driver."""
        if not rows:
            return
        preparer = connection.dialect.identifier_preparer
        names = ", ".join(preparer.quote(name) for name in self.columns)
        if connection.dialect.name == "postgresql":
            cursor: Any = connection.connection.cursor()
            with cursor, cursor.copy(f"COPY {self.table.name} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(self._types)
                for row in rows:
                    copy.write_row(row)
            return
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        marks = ", ".join([mark] * len(self.columns))
        # Names and marks only; every value is bound.
        connection.exec_driver_sql(f"INSERT INTO {self.table.name} ({names}) VALUES ({marks})", list(rows))  # noqa: S608
