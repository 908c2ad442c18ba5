"""Whoever watches traces as they come is told of each, also of one that comes after others which were received later."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from spangate.store.types import TABLE, Bytes, Id

revision = "0007"
down_revision = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "arrivals",
        sa.Column("process_id", Id(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.Column("traces", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("process_id", "last_seq", name="pk_arrivals"),
        **TABLE,
    )
    op.create_index("ix_arrivals_arrived_at", "arrivals", ["arrived_at"])
