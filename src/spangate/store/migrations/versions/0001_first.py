"""The first tables: management, the ledger, traces, journals. An endpoint does not know yet whether it is tracked."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from spangate.store.types import TABLE, Bytes, Id, Prose, Words

revision = "0001"
down_revision = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "server_state",
        sa.Column("name", Id(), nullable=False),
        sa.Column("number", sa.BigInteger),
        sa.Column("text", Words(255)),
        sa.PrimaryKeyConstraint("name", name="pk_server_state"),
        **TABLE,
    )
    op.create_table(
        "experiments",
        sa.Column("experiment_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("name", Words(500), nullable=False),
        sa.Column("artifact_location", Prose()),
        sa.Column("lifecycle_stage", Id(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", name="pk_experiments"),
        sa.UniqueConstraint("name", name="uq_experiments_name"),
        **TABLE,
    )
    op.create_table(
        "experiment_tags",
        sa.Column("experiment_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("key", Words(250), nullable=False),
        sa.Column("value", Prose(), nullable=False),
        sa.PrimaryKeyConstraint("experiment_id", "key", name="pk_experiment_tags"),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.experiment_id"], name="fk_experiment_tags_experiment_id", ondelete="CASCADE"
        ),
        **TABLE,
    )
    op.create_table(
        "secrets",
        sa.Column("secret_id", Id(), nullable=False),
        sa.Column("name", Words(255), nullable=False),
        sa.Column("sealed", Bytes(), nullable=False),
        sa.Column("masked_values", Prose(), nullable=False),
        sa.Column("provider", Id()),
        sa.Column("auth_config", Prose(), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", Words(255)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", Words(255)),
        sa.PrimaryKeyConstraint("secret_id", name="pk_secrets"),
        sa.UniqueConstraint("name", name="uq_secrets_name"),
        **TABLE,
    )
    op.create_table(
        "model_definitions",
        sa.Column("model_definition_id", Id(), nullable=False),
        sa.Column("name", Words(255), nullable=False),
        sa.Column("secret_id", Id()),
        sa.Column("provider", Id(), nullable=False),
        sa.Column("model_name", Words(256), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", Words(255)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", Words(255)),
        sa.PrimaryKeyConstraint("model_definition_id", name="pk_model_definitions"),
        sa.ForeignKeyConstraint(["secret_id"], ["secrets.secret_id"], name="fk_model_definitions_secret_id"),
        sa.UniqueConstraint("name", name="uq_model_definitions_name"),
        **TABLE,
    )
    op.create_table(
        "endpoints",
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("name", Words(255), nullable=False),
        sa.Column("routing_strategy", Id()),
        sa.Column("fallback_strategy", Id()),
        sa.Column("fallback_max_attempts", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", Words(255)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", Words(255)),
        sa.PrimaryKeyConstraint("endpoint_id", name="pk_endpoints"),
        sa.UniqueConstraint("name", name="uq_endpoints_name"),
        **TABLE,
    )
    op.create_table(
        "endpoint_models",
        sa.Column("mapping_id", Id(), nullable=False),
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("model_definition_id", Id(), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("linkage_type", Id(16), nullable=False),
        sa.Column("fallback_order", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", Words(255)),
        sa.PrimaryKeyConstraint("mapping_id", name="pk_endpoint_models"),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.endpoint_id"], name="fk_endpoint_models_endpoint_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["model_definition_id"], ["model_definitions.model_definition_id"], name="fk_endpoint_models_model_definition_id"
        ),
        sa.UniqueConstraint(
            "endpoint_id", "model_definition_id", "linkage_type", name="uq_endpoint_models_endpoint_id_model_definition_id_linkage_type"
        ),
        **TABLE,
    )
    op.create_table(
        "endpoint_tags",
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("key", Words(250), nullable=False),
        sa.Column("value", Prose(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", "key", name="pk_endpoint_tags"),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.endpoint_id"], name="fk_endpoint_tags_endpoint_id", ondelete="CASCADE"),
        **TABLE,
    )
    op.create_table(
        "endpoint_bindings",
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("resource_type", Id(50), nullable=False),
        sa.Column("resource_id", Words(255), nullable=False),
        sa.Column("display_name", Words(255)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", Words(255)),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", Words(255)),
        sa.PrimaryKeyConstraint("endpoint_id", "resource_type", "resource_id", name="pk_endpoint_bindings"),
        sa.ForeignKeyConstraint(["endpoint_id"], ["endpoints.endpoint_id"], name="fk_endpoint_bindings_endpoint_id", ondelete="CASCADE"),
        **TABLE,
    )
    op.create_table(
        "calls",
        sa.Column("call_id", Id(36), nullable=False),
        sa.Column("process_id", Id(), nullable=False),
        sa.Column("received_ns", sa.BigInteger, nullable=False),
        sa.Column("duration_ns", sa.BigInteger),
        sa.Column("first_token_ns", sa.BigInteger),
        sa.Column("format", Id(), nullable=False),
        sa.Column("request_type", Id(), nullable=False),
        sa.Column("endpoint_id", Id()),
        sa.Column("endpoint", Words(255)),
        sa.Column("experiment_id", sa.BigInteger),
        sa.Column("model", Words(256)),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("caller_id", Id()),
        sa.Column("caller", Words(255)),
        sa.Column("agent", Words(255)),
        sa.Column("request_bytes", sa.BigInteger, nullable=False),
        sa.Column("status", Id(16), nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("fault_kind", Id()),
        sa.Column("fault_message", Words(1000)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_calls"),
        **TABLE,
    )
    op.create_index("ix_calls_received_ns_call_id", "calls", ["received_ns", "call_id"])
    op.create_table(
        "attempts",
        sa.Column("call_id", Id(36), nullable=False),
        sa.Column("attempt_no", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("provider", Id(), nullable=False),
        sa.Column("model", Words(256), nullable=False),
        sa.Column("format", Id(), nullable=False),
        sa.Column("model_definition_id", Id()),
        sa.Column("secret_id", Id()),
        sa.Column("started_ns", sa.BigInteger, nullable=False),
        sa.Column("headed_ns", sa.BigInteger),
        sa.Column("first_token_ns", sa.BigInteger),
        sa.Column("ended_ns", sa.BigInteger),
        sa.Column("status", Id(16), nullable=False),
        sa.Column("http_status", sa.Integer),
        sa.Column("upstream_request_id", Words(255)),
        sa.Column("response_id", Words(255)),
        sa.Column("response_model", Words(256)),
        sa.Column("stop_reason", Words(255)),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cache_read_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("cache_write_5m_tokens", sa.BigInteger),
        sa.Column("cache_write_1h_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("audio_input_tokens", sa.BigInteger),
        sa.Column("audio_output_tokens", sa.BigInteger),
        sa.Column("usage_invalid", Words(255)),
        sa.Column("provenance", Id(16), nullable=False),
        sa.Column("fault_kind", Id()),
        sa.Column("fault_message", Words(1000)),
        sa.PrimaryKeyConstraint("call_id", "attempt_no", name="pk_attempts"),
        **TABLE,
    )
    op.create_table(
        "traces",
        sa.Column("trace_id", Id(36), nullable=False),
        sa.Column("experiment_id", sa.BigInteger, nullable=False),
        sa.Column("call_id", Id(36), nullable=False),
        sa.Column("name", Words(255), nullable=False),
        sa.Column("state", Id(16), nullable=False),
        sa.Column("request_time_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("request_preview", Words(1000)),
        sa.Column("response_preview", Words(1000)),
        sa.Column("endpoint_id", Id()),
        sa.Column("request_type", Id()),
        sa.Column("caller", Words(255)),
        sa.Column("exchange", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("trace_id", name="pk_traces"),
        **TABLE,
    )
    op.create_index("ix_traces_experiment_id_request_time_ms_trace_id", "traces", ["experiment_id", "request_time_ms", "trace_id"])
    op.create_table(
        "trace_tags",
        sa.Column("trace_id", Id(36), nullable=False),
        sa.Column("key", Words(250), nullable=False),
        sa.Column("value", Prose(), nullable=False),
        sa.PrimaryKeyConstraint("trace_id", "key", name="pk_trace_tags"),
        **TABLE,
    )
    op.create_table(
        "trace_metadata",
        sa.Column("trace_id", Id(36), nullable=False),
        sa.Column("key", Words(250), nullable=False),
        sa.Column("value", Prose(), nullable=False),
        sa.PrimaryKeyConstraint("trace_id", "key", name="pk_trace_metadata"),
        **TABLE,
    )
    op.create_table(
        "contents",
        sa.Column("trace_id", Id(36), nullable=False),
        sa.Column("request", Bytes()),
        sa.Column("response", Bytes()),
        sa.Column("request_truncated", sa.Boolean, nullable=False),
        sa.Column("response_truncated", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("trace_id", name="pk_contents"),
        **TABLE,
    )
    op.create_table(
        "journals",
        sa.Column("process_id", Id(), nullable=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("byte_offset", sa.BigInteger, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("duplicates", sa.BigInteger, nullable=False),
        sa.Column("state", Id(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("process_id", name="pk_journals"),
        **TABLE,
    )
    op.create_table(
        "journal_gaps",
        sa.Column("process_id", Id(), nullable=False),
        sa.Column("first_seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("noticed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("process_id", "first_seq", name="pk_journal_gaps"),
        **TABLE,
    )
    op.create_table(
        "open_calls",
        sa.Column("call_id", Id(36), nullable=False),
        sa.Column("process_id", Id(), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("exchange", Bytes(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_open_calls"),
        **TABLE,
    )
    op.create_index("ix_open_calls_process_id", "open_calls", ["process_id"])
