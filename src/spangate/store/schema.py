"""The tables as they are at the newest revision. `ddl.py` fails the build where the migrations say otherwise.

Management rows (secrets to endpoint_bindings) hold times in milliseconds, as MLflow does; ledger rows in
nanoseconds, in columns that say so. The ledger has no foreign keys: it is the bill, and outlives what it names.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    false,
)

from .types import TABLE, Bytes, Id, Prose, Words

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Named numbers and texts: `version` (each management write adds one), `experiments` (the last id given out), `kek` (fingerprint).
server_state = Table(
    "server_state",
    metadata,
    Column("name", Id(), primary_key=True),
    Column("number", BigInteger),
    Column("text", Words(255)),
    **TABLE,
)

# ---------------------------------------------------------------- management

experiments = Table(
    "experiments",
    metadata,
    # Given out from server_state, so that no database's own counter can ever give one out again.
    Column("experiment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Words(500), nullable=False),
    Column("artifact_location", Prose()),
    Column("lifecycle_stage", Id(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("name"),
    **TABLE,
)

experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("experiment_id", BigInteger, ForeignKey("experiments.experiment_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("key", Words(250), primary_key=True),
    Column("value", Prose(), nullable=False),
    **TABLE,
)

secrets = Table(
    "secrets",
    metadata,
    Column("secret_id", Id(), primary_key=True),
    Column("name", Words(255), nullable=False),
    Column("sealed", Bytes(), nullable=False),  # envelope of one JSON object; bound to secret_id and "values"
    Column("masked_values", Prose(), nullable=False),  # JSON object, computed when the values were written
    Column("provider", Id()),
    Column("auth_config", Prose(), nullable=False),  # JSON object of text
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Words(255)),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Words(255)),
    UniqueConstraint("name"),
    **TABLE,
)

model_definitions = Table(
    "model_definitions",
    metadata,
    Column("model_definition_id", Id(), primary_key=True),
    Column("name", Words(255), nullable=False),
    Column("secret_id", Id(), ForeignKey("secrets.secret_id")),
    Column("provider", Id(), nullable=False),
    Column("model_name", Words(256), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Words(255)),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Words(255)),
    UniqueConstraint("name"),
    **TABLE,
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("endpoint_id", Id(), primary_key=True),
    Column("name", Words(255), nullable=False),
    Column("routing_strategy", Id()),
    Column("fallback_strategy", Id()),
    Column("fallback_max_attempts", Integer),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Words(255)),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Words(255)),
    Column("usage_tracking", Boolean, nullable=False, server_default=false()),
    # No foreign key: experiments are only ever marked deleted, and SQLite cannot add one to a table without copying it.
    Column("experiment_id", BigInteger),
    Column("settings", Prose()),  # JSON of exchange.EndpointSettings; null: all of them are the server's
    UniqueConstraint("name"),
    **TABLE,
)

# Names that clients already send, or patterns of them with `*`. Endpoints' names and these are one set: none is in both.
aliases = Table(
    "aliases",
    metadata,
    Column("pattern", Words(256), primary_key=True),
    Column("endpoint_id", Id(), ForeignKey("endpoints.endpoint_id", ondelete="CASCADE"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Words(255)),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Words(255)),
    Index(None, "endpoint_id"),
    **TABLE,
)

endpoint_models = Table(
    "endpoint_models",
    metadata,
    Column("mapping_id", Id(), primary_key=True),
    Column("endpoint_id", Id(), ForeignKey("endpoints.endpoint_id", ondelete="CASCADE"), nullable=False),
    Column("model_definition_id", Id(), ForeignKey("model_definitions.model_definition_id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("weight", Double, nullable=False),
    Column("linkage_type", Id(16), nullable=False),
    Column("fallback_order", Integer),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Words(255)),
    UniqueConstraint("endpoint_id", "model_definition_id", "linkage_type"),
    **TABLE,
)

endpoint_tags = Table(
    "endpoint_tags",
    metadata,
    Column("endpoint_id", Id(), ForeignKey("endpoints.endpoint_id", ondelete="CASCADE"), primary_key=True),
    Column("key", Words(250), primary_key=True),
    Column("value", Prose(), nullable=False),
    **TABLE,
)

endpoint_bindings = Table(
    "endpoint_bindings",
    metadata,
    Column("endpoint_id", Id(), ForeignKey("endpoints.endpoint_id", ondelete="CASCADE"), primary_key=True),
    Column("resource_type", Id(50), primary_key=True),
    Column("resource_id", Words(255), primary_key=True),
    Column("display_name", Words(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Words(255)),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Words(255)),
    **TABLE,
)

# ---------------------------------------------------------------- the ledger: small, permanent

calls = Table(
    "calls",
    metadata,
    Column("call_id", Id(36), primary_key=True),
    Column("process_id", Id(), nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("duration_ns", BigInteger),
    Column("first_token_ns", BigInteger),
    Column("format", Id(), nullable=False),
    Column("request_type", Id(), nullable=False),
    Column("endpoint_id", Id()),
    Column("endpoint", Words(255)),
    Column("experiment_id", BigInteger),  # where the trace went; null: none was kept
    Column("model", Words(256)),
    Column("stream", Boolean, nullable=False),
    Column("caller_id", Id()),
    Column("caller", Words(255)),
    Column("agent", Words(255)),
    Column("request_bytes", BigInteger, nullable=False),
    Column("status", Id(16), nullable=False),
    Column("http_status", Integer),
    Column("fault_kind", Id()),
    Column("fault_message", Words(1000)),
    Column("attempts", Integer, nullable=False),
    Index(None, "received_ns", "call_id"),
    **TABLE,
)

attempts = Table(
    "attempts",
    metadata,
    Column("call_id", Id(36), primary_key=True),
    Column("attempt_no", Integer, primary_key=True, autoincrement=False),
    Column("provider", Id(), nullable=False),
    Column("model", Words(256), nullable=False),
    Column("format", Id(), nullable=False),
    Column("model_definition_id", Id()),
    Column("secret_id", Id()),
    Column("started_ns", BigInteger, nullable=False),  # this and the next three: after the call was received
    Column("headed_ns", BigInteger),
    Column("first_token_ns", BigInteger),
    Column("ended_ns", BigInteger),
    Column("status", Id(16), nullable=False),
    Column("http_status", Integer),
    Column("upstream_request_id", Words(255)),
    Column("response_id", Words(255)),
    Column("response_model", Words(256)),
    Column("stop_reason", Words(255)),
    Column("input_tokens", BigInteger),  # null is not zero: nobody said
    Column("output_tokens", BigInteger),
    Column("cache_read_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("cache_write_5m_tokens", BigInteger),
    Column("cache_write_1h_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("audio_input_tokens", BigInteger),
    Column("audio_output_tokens", BigInteger),
    Column("usage_invalid", Words(255)),  # comma-separated names of the counts that were no counts
    Column("provenance", Id(16), nullable=False),
    Column("fault_kind", Id()),
    Column("fault_message", Words(1000)),
    Column("image_input_tokens", BigInteger),
    Column("image_output_tokens", BigInteger),
    Column("service_tier", Words(255)),  # the provider's own word
    **TABLE,
)

# Responses that providers keep: which target made each, so that what is asked of it later goes there, and which call has its tokens.
responses = Table(
    "responses",
    metadata,
    Column("response_id", Words(255), primary_key=True),  # the provider's
    Column("endpoint_id", Id(), nullable=False),
    Column("model_definition_id", Id(), nullable=False),
    Column("call_id", Id(36), nullable=False),  # with the next: the attempt that made it
    Column("attempt_no", Integer, nullable=False),
    Column("made_at", BigInteger, nullable=False),  # ms; the call was received then
    Column("counted_by", Id(36)),  # the call whose attempt has its tokens; null: nobody was told them yet
    Index(None, "made_at"),
    **TABLE,
)

# ---------------------------------------------------------------- traces: the readable form, of tracked calls only

traces = Table(
    "traces",
    metadata,
    Column("trace_id", Id(36), primary_key=True),
    Column("experiment_id", BigInteger, nullable=False),
    Column("call_id", Id(36), nullable=False),
    Column("name", Words(255), nullable=False),
    Column("state", Id(16), nullable=False),
    Column("request_time_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger),
    Column("request_preview", Words(1000)),
    Column("response_preview", Words(1000)),
    Column("endpoint_id", Id()),
    Column("request_type", Id()),
    Column("caller", Words(255)),
    Column("exchange", Bytes(), nullable=False),  # msgpack, see packing.py
    Index(None, "experiment_id", "request_time_ms", "trace_id"),
    **TABLE,
)

trace_tags = Table(
    "trace_tags",
    metadata,
    Column("trace_id", Id(36), primary_key=True),
    Column("key", Words(250), primary_key=True),
    Column("value", Prose(), nullable=False),
    **TABLE,
)

# Only what cannot be derived from the trace's own columns and its exchange.
trace_metadata = Table(
    "trace_metadata",
    metadata,
    Column("trace_id", Id(36), primary_key=True),
    Column("key", Words(250), primary_key=True),
    Column("value", Prose(), nullable=False),
    **TABLE,
)

contents = Table(
    "contents",
    metadata,
    Column("trace_id", Id(36), primary_key=True),
    Column("request", Bytes()),
    Column("response", Bytes()),
    Column("request_truncated", Boolean, nullable=False),
    Column("response_truncated", Boolean, nullable=False),
    **TABLE,
)

# ---------------------------------------------------------------- how far each journal is

journals = Table(
    "journals",
    metadata,
    Column("process_id", Id(), primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("byte_offset", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),  # applied; with the gaps they add up to last_seq
    Column("duplicates", BigInteger, nullable=False),  # of those, calls that were there already: zero, or a fault of ours
    Column("state", Id(16), nullable=False),  # open | closed
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **TABLE,
)

journal_gaps = Table(
    "journal_gaps",
    metadata,
    Column("process_id", Id(), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("noticed_at", BigInteger, nullable=False),
    **TABLE,
)

open_calls = Table(
    "open_calls",
    metadata,
    Column("call_id", Id(36), primary_key=True),
    Column("process_id", Id(), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("exchange", Bytes(), nullable=False),
    Index(None, "process_id"),
    **TABLE,
)
