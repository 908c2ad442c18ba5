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

FOLD = 16  # pages: some 4 ms, and more than deleting a hundred traces adds
TERMS = 32  # trigrams of one search; more narrow nothing down and cost a look each

_INDEX = "ix_traces_previews"
_DOCS, _TERMS = "trace_search_docs", "trace_search"
# What is there beside the schema. The last three are FTS5's own.
TABLES = frozenset({_DOCS, _TERMS, f"{_TERMS}_config", f"{_TERMS}_data", f"{_TERMS}_idx"})
INDEXES = frozenset({_INDEX})


def _said(row: str) -> str:
    """Both previews. Lower case of the dotted capital I is two characters to Python, and to FTS5 itself: here they agree."""
    return f"replace(coalesce({row}.request_preview, '') || char(10) || coalesce({row}.response_preview, ''), char(304), char(105, 775))"


# A trace that nothing was said in has no document.
_ADDED = f"""
    INSERT INTO {_DOCS} (trace_id) SELECT new.trace_id WHERE coalesce(new.request_preview, new.response_preview) IS NOT NULL;
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
# From 0005 to 0006. What FTS5 merges by itself it merges within whoever's transaction happens to come, hundreds of pages at once: the
# sixty-fourth page that is written pays for all. `fold` does it instead.
SQLITE_FOLDED = (
    *(f"DROP TRIGGER {_TERMS}_{when}" for when in ("added", "removed", "changed")),
    *(statement for statement in SQLITE if statement.startswith("CREATE TRIGGER")),
    f"INSERT INTO {_TERMS} ({_TERMS}, rank) VALUES ('automerge', 0)",  # noqa: S608
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
    if connection.dialect.name == "sqlite" and indexed(connection):
        connection.exec_driver_sql(f"INSERT INTO {_TERMS} ({_TERMS}) VALUES ('optimize')")  # noqa: S608


def fold(connection: Connection) -> bool:
    """Merges a few pages of what was added to SQLite's index and taken from it lately. Returns whether there was anything to merge."""
    if connection.dialect.name != "sqlite" or not indexed(connection):
        return False
    driver: Any = connection.connection.driver_connection
    before: int = driver.total_changes
    connection.exec_driver_sql(f"INSERT INTO {_TERMS} ({_TERMS}, rank) VALUES ('merge', {FOLD})")  # noqa: S608
    return driver.total_changes - before > 1  # https://www.sqlite.org/fts5.html#the_merge_command


def missing(connection: Connection) -> str | None:
    """What to do where the index should be there and is not; None: it is, or the database has none."""
    match connection.dialect.name:
        case "sqlite" if not indexed(connection):
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
    if not terms or not indexed(connection):
        return None
    step = max(1, len(terms) // TERMS)
    wanted = " AND ".join(f'"{term}"' for term in terms[::step][:TERMS])
    docs, search = sa.table(_DOCS, sa.column("doc"), sa.column("trace_id", sa.String)), sa.table(_TERMS, sa.column("rowid"))
    found = sa.select(search.c.rowid).where(sa.literal_column(_TERMS).op("MATCH")(wanted))
    return sa.select(docs.c.trace_id).where(docs.c.doc.in_(found))


def is_rare(connection: Connection, condition: sa.ColumnElement[bool], most: int) -> bool:
    """Whether PostgreSQL takes from its index what a condition on previews leaves, and expects so many traces at most."""
    if connection.dialect.name != "postgresql":
        return False
    query = sa.select(traces.c.trace_id).where(condition).compile(connection, compile_kwargs={"render_postcompile": True})
    plan: Any = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {query}", query.params).scalar_one()
    # What has no trigram it also takes for rare, and reads all previews.
    return plan[0]["Plan"]["Plan Rows"] <= most and _INDEX in str(plan)


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


def indexed(connection: Connection) -> bool:
    return connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = ?", (_TERMS,)).first() is not None
