"""SQLite's index over what was said is merged in small pieces beside the drain, and holds nothing of traces in which nothing was said."""

from collections.abc import Sequence

from alembic import context, op

from spangate.store import fulltext

revision = "0006"
down_revision = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    if context.get_context().dialect.name == "sqlite" and _indexed():
        for statement in fulltext.SQLITE_FOLDED:
            op.execute(statement)


def _indexed() -> bool:
    return context.is_offline_mode() or fulltext.indexed(op.get_bind())
