"""Traces found by any part of what was said, with each database's own index over their previews.

SQLite has a table of FTS5 with a trigram tokenizer, which triggers keep; PostgreSQL an index of pg_trgm. On the other databases, and where
these cannot be had, previews are read one after the other. An index only says which traces may match: each is then compared.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from .filters import Comparison
from .schema import traces

TERMS = 32  # trigrams of one search; more narrow nothing down and cost a look each

_INDEX = "ix_traces_previews"
_DOCS, _TERMS = "trace_search_docs", "trace_search"
# What is there beside the schema. The last three are FTS5's own.
TABLES = frozenset({_DOCS, _TERMS, f"{_TERMS}_config", f"{_TERMS}_data", f"{_TERMS}_idx"})
INDEXES = frozenset({_INDEX})


def _said(row: str) -> str:
    """Both previews. Lower case of the dotted capital I is two characters to Python, and to FTS5 itself: here they agree."""
    return f"replace(coalesce({row}.request_preview, '') || char(10) || coalesce({row}.response_preview, ''), char(304), char(105, 775))"


_ADDED = f"""
    INSERT INTO {_DOCS} (trace_id) VALUES (new.trace_id);
    INSERT INTO {_TERMS} (rowid, said) SELECT doc, {_said("new")} FROM {_DOCS} WHERE trace_id = new.trace_id;
"""  # noqa: S608
_REMOVED = f"""
    INSERT INTO {_TERMS} ({_TERMS}, rowid, said) SELECT 'delete', doc, {_said("old")} FROM {_DOCS} WHERE trace_id = old.trace_id;
    DELETE FROM {_DOCS} WHERE trace_id = old.trace_id;
"""  # noqa: S608
# FTS5 wants integers for its documents. Those that SQLite gives to rows itself may change (https://www.sqlite.org/lang_vacuum.html).
# It keeps no text and no positions: a seventh of the size, and half of the work.
SQLITE = (
    f"CREATE TABLE {_DOCS} (doc INTEGER NOT NULL PRIMARY KEY, trace_id VARCHAR(36) NOT NULL UNIQUE)",
    f"CREATE VIRTUAL TABLE {_TERMS} USING fts5(said, content='', detail=none, columnsize=0, tokenize='trigram')",
    f"INSERT INTO {_DOCS} (trace_id) SELECT trace_id FROM traces ORDER BY trace_id",  # noqa: S608
    f"INSERT INTO {_TERMS} (rowid, said) SELECT doc, {_said('traces')} FROM {_DOCS} JOIN traces USING (trace_id) ORDER BY doc",  # noqa: S608
    f"CREATE TRIGGER {_TERMS}_added AFTER INSERT ON traces BEGIN{_ADDED}END",
    f"CREATE TRIGGER {_TERMS}_removed AFTER DELETE ON traces BEGIN{_REMOVED}END",
    f"CREATE TRIGGER {_TERMS}_changed AFTER UPDATE OF request_preview, response_preview ON traces BEGIN{_REMOVED}{_ADDED}END",
)
# pg_trgm is a trusted extension: whoever owns the database may make it, where it is installed.
_CREATE_INDEX = f"CREATE INDEX {_INDEX} ON traces USING gin (request_preview gin_trgm_ops, response_preview gin_trgm_ops)"
POSTGRESQL = f"""
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    {_CREATE_INDEX};
EXCEPTION WHEN insufficient_privilege OR undefined_file OR undefined_object OR feature_not_supported THEN
    RAISE NOTICE 'pg_trgm cannot be had: previews are searched without an index';
END
$$
"""


def merge(connection: Connection) -> None:
    """Rewrites SQLite's index without what was deleted of it, which it otherwise drops piece by piece as more is added."""
    if connection.dialect.name == "sqlite" and _indexed(connection):
        connection.exec_driver_sql(f"INSERT INTO {_TERMS} ({_TERMS}) VALUES ('optimize')")  # noqa: S608


def missing(connection: Connection) -> str | None:
    """What to do where the index should be there and is not; None: it is, or the database has none."""
    match connection.dialect.name:
        case "sqlite" if not _indexed(connection):
            return "Previews are searched without an index: this SQLite had no FTS5 with trigrams when the database was made."
        case "postgresql" if not sa.inspect(connection).has_index("traces", _INDEX):
            return f"Previews are searched without an index. Once pg_trgm is there (CREATE EXTENSION pg_trgm): {_CREATE_INDEX}"
        case _:
            return None


def candidates(connection: Connection, comparison: Comparison) -> sa.Select[str] | None:
    """Ids of all traces that a comparison with their previews may hold for, and of some others; None: nobody can say quickly.

    PostgreSQL is not asked: it uses its index by itself.
    """
    if connection.dialect.name != "sqlite" or not isinstance(comparison.value, str):
        return None
    terms = list(_terms(comparison.op, comparison.value))
    if not terms or not _indexed(connection):
        return None
    step = max(1, len(terms) // TERMS)
    wanted = " AND ".join(f'"{term}"' for term in terms[::step][:TERMS])
    docs, search = sa.table(_DOCS, sa.column("doc"), sa.column("trace_id", sa.String)), sa.table(_TERMS, sa.column("rowid"))
    found = sa.select(search.c.rowid).where(sa.literal_column(_TERMS).op("MATCH")(wanted))
    return sa.select(docs.c.trace_id).where(docs.c.doc.in_(found))


def is_rare(connection: Connection, condition: sa.ColumnElement[bool], most: int) -> bool:
    """Whether PostgreSQL expects a condition on previews to leave so many traces at most: then it takes all of them from its index."""
    if connection.dialect.name != "postgresql":
        return False
    query = sa.select(traces.c.trace_id).where(condition).compile(connection, compile_kwargs={"render_postcompile": True})
    plan: Any = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {query}", query.params).scalar_one()
    return plan[0]["Plan"]["Plan Rows"] <= most


def _terms(op: str, text: str) -> Iterator[str]:
    """The trigrams that are in whatever the comparison holds for, ready to stand in quotes."""
    match op:
        case "=":
            runs = [text]
        case "LIKE":
            runs = text.replace("_", "%").split("%")
        case "ILIKE":
            runs = text.lower().replace("_", "%").split("%")
        case _:
            return
    known: set[str] = set()
    for run in runs:
        run = run.replace("\u0130", "i\u0307")
        for at in range(len(run) - 2):
            term = run[at : at + 3]
            if term not in known and (op != "ILIKE" or all(map(_folds, term))):
                known.add(term)
                yield term.replace('"', '""')


def _folds(character: str) -> bool:
    """Whether all that Python lowers to this character FTS5 takes for the same too: its tables of scripts with case are those of 2012."""
    if character < "\u0250" or ("\u0370" <= character < "\u0528" and character != "\u03f3"):
        return True
    return character == character.lower() == character.upper()


def _indexed(connection: Connection) -> bool:
    return connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = ?", (_TERMS,)).first() is not None
