"""The tables in plain sight, for each database: `ddl/*.sql` are what the migrations run and what the schema says, under version control.

python -m spangate.store.ddl --check    fails where migrations, schema and files differ, and says where
python -m spangate.store.ddl --write    writes the files anew
"""

import argparse
import io
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine.mock import create_mock_engine

from . import fulltext
from .drift import drift
from .revisions import config
from .schema import metadata

DIRECTORY = Path(__file__).parent / "ddl"
# A version for each, as SQLAlchemy asks a server for its own before it writes DDL.
URLS = {
    "sqlite": "sqlite://",
    "postgresql": "postgresql+psycopg://",
    "mysql": "mysql+pymysql://",
    "mssql": "mssql+pyodbc://",
}


def golden(dialect: str) -> str:
    """What the dialect's file must hold."""
    return (
        f"-- Written by `python -m spangate.store.ddl --write`; do not edit. Dialect: {dialect}\n\n"
        f"-- ---------------------------------------------------------------- the schema\n\n{_schema(dialect)}\n"
        f"-- ---------------------------------------------------------------- the revisions\n\n{_revisions(dialect)}"
    )


def faults() -> Iterator[str]:
    """Where migrations, schema and files differ."""
    for dialect in URLS:
        path = DIRECTORY / f"{dialect}.sql"
        if not path.exists():
            yield f"{path.name} is missing"
        elif path.read_text() != golden(dialect):
            yield f"{path.name} is not what the schema and the migrations say"
    migrated, declared = create_engine("sqlite://"), create_engine("sqlite://")
    with migrated.begin() as first, declared.begin() as second:
        offered = config()
        offered.attributes["connection"] = first
        command.upgrade(offered, "head")
        metadata.create_all(second)
        for difference in drift(first):
            yield f"the migrations lead to another schema: {difference}"
        if (one := _shape(first)) != (other := _shape(second)):
            for table in sorted(one.keys() | other.keys()):
                if one.get(table) != other.get(table):
                    yield f"table {table}: the migrations say {one.get(table)}, the schema says {other.get(table)}"
    migrated.dispose()
    declared.dispose()


def _schema(dialect: str) -> str:
    lines: list[str] = []

    def take(statement: sa.schema.ExecutableDDLElement, *_: object, **__: object) -> None:
        lines.append(str(statement.compile(dialect=engine.dialect)).strip() + ";\n")

    engine = create_mock_engine(URLS[dialect], take)
    metadata.create_all(engine, checkfirst=False)
    # A table's indexes are a set to SQLAlchemy: they come after their table, in any order.
    made = groupby(lines, key=lambda line: line.startswith("CREATE INDEX"))
    return _tidy("\n".join(line for are_indexes, group in made for line in (sorted(group) if are_indexes else group)))


def _revisions(dialect: str) -> str:
    output = io.StringIO()
    offered = config()
    offered.attributes |= {"dialect": dialect, "output": output}
    command.upgrade(offered, "head", sql=True)
    return _tidy(output.getvalue())


def _tidy(text: str) -> str:
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip() + "\n"


def _shape(connection: Connection) -> dict[str, list[str]]:
    """Each table as SQLite keeps it: columns with type, null, default and key; foreign keys; indexes with their columns."""
    shape: dict[str, list[str]] = {}
    tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    for table in tables:
        if table in {"alembic_version", "sqlite_stat1", *fulltext.TABLES}:
            continue
        facts = [str(tuple(row[1:])) for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
        facts += [str(tuple(row[2:])) for row in connection.exec_driver_sql(f"PRAGMA foreign_key_list({table})")]
        for row in connection.exec_driver_sql(f"PRAGMA index_list({table})").all():
            columns = [column[2] for column in connection.exec_driver_sql(f"PRAGMA index_info({row[1]})")]
            facts.append(f"{row[2:]} {columns}")
        shape[str(table)] = sorted(facts)
    return shape


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m spangate.store.ddl")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        DIRECTORY.mkdir(exist_ok=True)
        for dialect in URLS:
            (DIRECTORY / f"{dialect}.sql").write_text(golden(dialect))
    found = list(faults())
    for fault in found:
        sys.stderr.write(f"{fault}\n")
    if found:
        sys.stderr.write("Run `python -m spangate.store.ddl --write` if the change is meant, and look at the difference.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
