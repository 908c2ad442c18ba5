"""Revisions on MySQL and MariaDB, whose DDL commits as it goes: one that failed half-way is run again, and what it made is not made twice.

Alembic takes this in the place of its own when it is imported.
"""

from typing import Any

import sqlalchemy as sa
from alembic.ddl.mysql import MySQLImpl


class ResumableMySQL(MySQLImpl):
    __dialect__ = "mysql"

    def create_table(self, table: sa.Table, **options: Any) -> None:
        # Another table of that name is in the way, and says so itself.
        if self._columns(table.name) != {column.name for column in table.columns}:
            super().create_table(table, **options)

    def add_column(self, table_name: str, column: sa.Column[Any], **options: Any) -> None:
        if column.name not in self._columns(table_name):
            super().add_column(table_name, column, **options)

    def create_index(self, index: sa.Index, **options: Any) -> None:
        if index.table is None or index.name not in self._indexes(index.table.name):
            super().create_index(index, **options)

    def _columns(self, table: str) -> set[str]:
        return set() if self._absent(table) else {column["name"] for column in self._look().get_columns(table)}

    def _indexes(self, table: str) -> set[str | None]:
        return set() if self._absent(table) else {index["name"] for index in self._look().get_indexes(table)}

    def _absent(self, table: str) -> bool:
        return self.as_sql or not self._look().has_table(table)

    def _look(self) -> sa.Inspector:
        assert self.connection is not None
        return sa.inspect(self.connection)  # a new one each time: it remembers what it saw
