"""Endpoints learn whether their calls are traced, and where to.

Endpoints that are there already stay untracked: an upgrade must not start to keep what people say.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    # Plain ADD COLUMN: SQLite's other way, copying the table, would take the endpoints' models with it (ON DELETE CASCADE).
    op.add_column("endpoints", sa.Column("usage_tracking", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("endpoints", sa.Column("experiment_id", sa.BigInteger))
