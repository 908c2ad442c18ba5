"""Alembic's door. Only `store.revisions` and `store.ddl` open it: there is no alembic.ini, the connection or the dialect is handed in."""

from alembic import context

from spangate.store import resumable as _resumable  # noqa: F401  # pyright: ignore[reportUnusedImport]  Alembic learns of it by its import
from spangate.store.schema import metadata

_given = context.config.attributes

if context.is_offline_mode():
    context.configure(dialect_name=_given["dialect"], target_metadata=metadata, literal_binds=True, output_buffer=_given["output"])
    context.run_migrations()
else:
    # The caller has begun the transaction and holds the lock against a second runner.
    context.configure(connection=_given["connection"], target_metadata=metadata)
    context.run_migrations()
