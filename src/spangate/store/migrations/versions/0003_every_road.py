"""Endpoints get settings and aliases, attempts the tokens of images and the service tier, and responses that providers keep a table."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from spangate.store.types import TABLE, Id, Prose, Words

revision = "0003"
down_revision = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("endpoints", sa.Column("settings", Prose()))
    op.create_table(
        "aliases",
        sa.Column("pattern", Words(256), nullable=False),
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", Words(255)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", Words(255)),
        sa.PrimaryKeyConstraint("pattern", name="pk_aliases"),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.endpoint_id"], name="fk_aliases_endpoint_id", ondelete="CASCADE"),
        **TABLE,
    )
    op.create_index("ix_aliases_endpoint_id", "aliases", ["endpoint_id"])
    op.add_column("attempts", sa.Column("image_input_tokens", sa.BigInteger))
    op.add_column("attempts", sa.Column("image_output_tokens", sa.BigInteger))
    op.add_column("attempts", sa.Column("service_tier", Words(255)))
    op.create_table(
        "responses",
        sa.Column("response_id", Words(255), nullable=False),
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("model_definition_id", Id(), nullable=False),
        sa.Column("call_id", Id(36), nullable=False),
        sa.Column("attempt_no", sa.Integer, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("counted_by", Id(36)),
        sa.PrimaryKeyConstraint("response_id", name="pk_responses"),
        **TABLE,
    )
    op.create_index("ix_responses_made_at", "responses", ["made_at"])
