"""Traces are found quickly among a million: an index for each filter that people set, and one over what was said."""

import sqlite3
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import context, op

from spangate.store import fulltext
from spangate.store.types import Words

revision = "0005"
down_revision = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Rows that share the first columns of an index, as SQLite's planner is to assume: nobody analyses a database for it, and by itself it
# takes any column for as good as any other (https://www.sqlite.org/lang_analyze.html#fixed_results_of_analyze). They put the filters in
# an order, the narrowest first, and each before the index that needs no sort; of states only the rare one is looked up.
ASSUMED = {
    "ix_traces_experiment_id_request_time_ms_trace_id": "1000000 100000 2 1",
    "ix_traces_experiment_id_state_request_time_ms": "1000000 100000 300 2",
    "ix_traces_experiment_id_name_request_time_ms": "1000000 100000 3000 2",
    "ix_traces_experiment_id_endpoint_id_request_time_ms": "1000000 100000 3000 2",
    "ix_traces_experiment_id_request_type_request_time_ms": "1000000 100000 2000 2",
    "ix_traces_experiment_id_username_request_time_ms": "1000000 100000 500 2",
    "ix_traces_experiment_id_user_id_request_time_ms": "1000000 100000 50 2",
    "ix_traces_experiment_id_duration_ms_request_time_ms_trace_id": "1000000 100000 50 1 1",
    "ix_traces_session_id_request_time_ms": "1000000 3 1",
    "ix_traces_user_id_request_time_ms": "1000000 300 1",
}


def upgrade() -> None:
    op.add_column("traces", sa.Column("username", Words(255)))
    op.execute("UPDATE traces SET username = (SELECT caller FROM calls WHERE calls.call_id = traces.call_id)")
    for column in ("state", "name", "endpoint_id", "request_type", "username", "user_id"):
        op.create_index(f"ix_traces_experiment_id_{column}_request_time_ms", "traces", ["experiment_id", column, "request_time_ms"])
    slowest = ["experiment_id", "duration_ms", "request_time_ms", "trace_id"]
    op.create_index("ix_traces_experiment_id_duration_ms_request_time_ms_trace_id", "traces", slowest)
    for table in ("trace_tags", "trace_metadata"):
        op.create_index(f"ix_{table}_key_trace_id", table, ["key", "trace_id"])
    match context.get_context().dialect.name:
        case "sqlite":
            op.execute("ANALYZE sqlite_schema")  # makes the table, and looks at nothing
            for index, rows in ASSUMED.items():
                op.execute(f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('traces', '{index}', '{rows}')")  # noqa: S608
            if _has_trigrams():
                for statement in fulltext.SQLITE:
                    op.execute(statement)
        case "postgresql":
            op.execute(fulltext.POSTGRESQL)
        case _:
            pass


def _has_trigrams() -> bool:
    if context.is_offline_mode():
        return True
    has_fts5 = op.get_bind().exec_driver_sql("SELECT sqlite_compileoption_used('ENABLE_FTS5')").scalar()
    return bool(has_fts5) and sqlite3.sqlite_version_info >= (3, 34)
