"""Where the tables of a live database are not what the schema says."""

from collections.abc import Iterator
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.schema import SchemaItem

from . import fulltext
from .schema import metadata


def drift(connection: Connection) -> Iterator[str]:
    """One line for each difference."""
    # MySQL shows a default of false as 0, in which Alembic sees another one.
    defaults = _same_default if connection.dialect.name == "mysql" else True
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": defaults, "include_name": _declared}
    )
    for difference in compare_metadata(context, metadata):
        yield _said(difference)


def _declared(name: str | None, kind: str, _: Any) -> bool:
    """Whether a table or an index is the schema's, and not of the index over texts, which each database has in a form of its own."""
    return not (kind == "table" and name in fulltext.TABLES) and not (kind == "index" and name in fulltext.INDEXES)


def _same_default(_: Any, __: Any, ___: Any, shown: str | None, ____: Any, declared: str | None) -> bool | None:
    """Whether the two differ, or None: Alembic is to look."""
    return False if (shown, declared) == ("0", "false") else None


def _said(difference: Any) -> str:
    """One line for one of Alembic's differences, which are tuples, or lists of them for one column."""
    if isinstance(difference, list | tuple):
        parts: list[Any] = list(difference)  # pyright: ignore[reportUnknownArgumentType]
        return " ".join(_said(part) for part in parts)
    return repr(difference) if isinstance(difference, SchemaItem) else str(difference)
