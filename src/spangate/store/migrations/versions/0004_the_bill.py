"""The bill: keys, the price book, cost beside tokens, rollups of both, and whose conversation a trace is of.

Calls that are there already have no cost and are in no rollup; `unpriced` is null in them, until control has accounted for them.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from spangate.store.types import TABLE, Bytes, Id, Prose, Words

revision = "0004"
down_revision = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", Id(), nullable=False),
        sa.Column("name", Words(255), nullable=False),
        sa.Column("digest", Id(), nullable=False),
        sa.Column("hint", Id(16), nullable=False),
        sa.Column("role", Id(16), nullable=False),
        sa.Column("scopes", Prose(), nullable=False),
        sa.Column("endpoints", Prose()),
        sa.Column("experiments", Prose()),
        sa.Column("owner", Words(255)),
        sa.Column("team", Words(255)),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", Words(255)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", Words(255)),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
        sa.UniqueConstraint("name", name="uq_api_keys_name"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
        **TABLE,
    )
    op.create_table(
        "api_key_tags",
        sa.Column("key_id", Id(), nullable=False),
        sa.Column("key", Words(250), nullable=False),
        sa.Column("value", Words(255), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "key", name="pk_api_key_tags"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.key_id"], name="fk_api_key_tags_key_id", ondelete="CASCADE"),
        **TABLE,
    )
    op.create_table(
        "prices",
        sa.Column("price_id", Id(), nullable=False),
        sa.Column("provider", Id(), nullable=False),
        sa.Column("model", Words(256), nullable=False),
        sa.Column("effective_from", sa.BigInteger),
        sa.Column("effective_to", sa.BigInteger),
        sa.Column("source", Id(), nullable=False),
        sa.Column("retrieved_at", sa.BigInteger, nullable=False),
        sa.Column("document", Prose(), nullable=False),
        sa.PrimaryKeyConstraint("price_id", name="pk_prices"),
        **TABLE,
    )
    op.create_index("ix_prices_provider_model", "prices", ["provider", "model"])
    op.create_table(
        "price_overrides",
        sa.Column("override_id", Id(), nullable=False),
        sa.Column("name", Words(255), nullable=False),
        sa.Column("effective_from", sa.BigInteger),
        sa.Column("effective_to", sa.BigInteger),
        sa.Column("document", Prose(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", Words(255)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", Words(255)),
        sa.PrimaryKeyConstraint("override_id", name="pk_price_overrides"),
        sa.UniqueConstraint("name", name="uq_price_overrides_name"),
        **TABLE,
    )
    op.create_table(
        "closed_months",
        sa.Column("month", Id(7), nullable=False),
        sa.Column("closed_at", sa.BigInteger, nullable=False),
        sa.Column("closed_by", Words(255)),
        sa.Column("reopened_at", sa.BigInteger),
        sa.Column("document", Prose(), nullable=False),
        sa.PrimaryKeyConstraint("month", name="pk_closed_months"),
        **TABLE,
    )
    op.create_table(
        "calibrations",
        sa.Column("provider", Id(), nullable=False),
        sa.Column("model", Words(256), nullable=False),
        sa.Column("input_characters", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_characters", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("provider", "model", name="pk_calibrations"),
        **TABLE,
    )
    op.create_table(
        "usage_dimensions",
        sa.Column("dimension_id", Id(32), nullable=False),
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("endpoint", Words(255), nullable=False),
        sa.Column("provider", Id(), nullable=False),
        sa.Column("model", Words(256), nullable=False),
        sa.Column("key_id", Id(), nullable=False),
        sa.Column("key_name", Words(255), nullable=False),
        sa.Column("owner", Words(255), nullable=False),
        sa.Column("team", Words(255), nullable=False),
        sa.Column("status", Id(16), nullable=False),
        sa.Column("price_id", Id(), nullable=False),
        sa.PrimaryKeyConstraint("dimension_id", name="pk_usage_dimensions"),
        **TABLE,
    )
    op.create_table(
        "usage_rollups",
        sa.Column("width", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("dimension_id", Id(32), nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_5m_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("audio_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("audio_output_tokens", sa.BigInteger, nullable=False),
        sa.Column("image_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("image_output_tokens", sa.BigInteger, nullable=False),
        sa.Column("unpriced_attempts", sa.BigInteger, nullable=False),
        sa.Column("unpriced_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("unpriced_output_tokens", sa.BigInteger, nullable=False),
        sa.Column("estimated_attempts", sa.BigInteger, nullable=False),
        sa.Column("estimated_input_tokens", sa.BigInteger, nullable=False),
        sa.Column("estimated_output_tokens", sa.BigInteger, nullable=False),
        sa.Column("unknown_attempts", sa.BigInteger, nullable=False),
        sa.Column("cost_micro", sa.BigInteger, nullable=False),
        sa.Column("cost_rest", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("first_token_ms", sa.BigInteger, nullable=False),
        sa.Column("durations", Bytes(), nullable=False),
        sa.Column("first_tokens", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("width", "bucket", "dimension_id", name="pk_usage_rollups"),
        **TABLE,
    )
    op.add_column("calls", sa.Column("owner", Words(255)))
    op.add_column("calls", sa.Column("team", Words(255)))
    op.add_column("calls", sa.Column("input_tokens", sa.BigInteger))
    op.add_column("calls", sa.Column("output_tokens", sa.BigInteger))
    op.add_column("calls", sa.Column("cost_pico", sa.BigInteger))
    op.add_column("calls", sa.Column("unpriced", sa.Integer))
    op.add_column("calls", sa.Column("estimated", sa.Integer))
    op.add_column("attempts", sa.Column("price_id", Id()))
    op.add_column("attempts", sa.Column("input_cost_pico", sa.BigInteger))
    op.add_column("attempts", sa.Column("output_cost_pico", sa.BigInteger))
    op.add_column("attempts", sa.Column("cost_pico", sa.BigInteger))
    op.add_column("traces", sa.Column("session_id", Words(255)))
    op.add_column("traces", sa.Column("user_id", Words(255)))
    op.create_index("ix_traces_session_id_request_time_ms", "traces", ["session_id", "request_time_ms"])
    op.create_index("ix_traces_user_id_request_time_ms", "traces", ["user_id", "request_time_ms"])
