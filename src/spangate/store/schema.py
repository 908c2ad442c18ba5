"""The tables as they are at the newest revision. `ddl.py` fails the build where the migrations say otherwise.

Management rows (secrets to calibrations) hold times in milliseconds, as MLflow does; ledger rows in
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

# Named numbers and texts: `version` (each management write adds one), `experiments` (the last id given out), `kek` and `pepper`
# (fingerprints).
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

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Id(), primary_key=True),
    Column("name", Words(255), nullable=False),
    Column("digest", Id(), nullable=False),  # HMAC-SHA-256 of the key under the pepper, in hex
    Column("hint", Id(16), nullable=False),  # how the key begins and ends: enough for its owner to tell it from others
    Column("role", Id(16), nullable=False),
    Column("scopes", Prose(), nullable=False),  # JSON list: what it may do beyond calling
    Column("endpoints", Prose()),  # JSON list of endpoint ids; null: all
    Column("experiments", Prose()),  # JSON list of experiment ids; null: all
    Column("owner", Words(255)),
    Column("team", Words(255)),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),  # ms; moved by the drain
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Words(255)),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Words(255)),
    UniqueConstraint("name"),
    UniqueConstraint("digest"),
    **TABLE,
)

api_key_tags = Table(
    "api_key_tags",
    metadata,
    Column("key_id", Id(), ForeignKey("api_keys.key_id", ondelete="CASCADE"), primary_key=True),
    Column("key", Words(250), primary_key=True),
    Column("value", Words(255), nullable=False),
    **TABLE,
)

# ---------------------------------------------------------------- the price book

# One row a price that was in force for a time. Of a row only its time changes, and in the document the names that it is meant by.
prices = Table(
    "prices",
    metadata,
    Column("price_id", Id(), primary_key=True),
    Column("provider", Id(), nullable=False),  # the price book's own id of it: names.prices of a catalogue row
    Column("model", Words(256), nullable=False),  # the book's name of it; which names a provider uses for it, the document says
    Column("effective_from", BigInteger),  # ms; null: since ever
    Column("effective_to", BigInteger),  # ms, the first moment that it is not in force any more; null: it is
    Column("source", Id(), nullable=False),
    Column("retrieved_at", BigInteger, nullable=False),
    Column("document", Prose(), nullable=False),  # JSON of prices.book.Price
    Index(None, "provider", "model"),
    **TABLE,
)

price_overrides = Table(
    "price_overrides",
    metadata,
    Column("override_id", Id(), primary_key=True),
    Column("name", Words(255), nullable=False),
    Column("effective_from", BigInteger),
    Column("effective_to", BigInteger),
    Column("document", Prose(), nullable=False),  # JSON of prices.book.Override
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Words(255)),
    Column("updated_at", BigInteger, nullable=False),
    Column("updated_by", Words(255)),
    UniqueConstraint("name"),
    **TABLE,
)

# Months that were closed. While one is, its bill stands: nothing in it is priced anew.
closed_months = Table(
    "closed_months",
    metadata,
    Column("month", Id(7), primary_key=True),  # 2026-11, in UTC
    Column("closed_at", BigInteger, nullable=False),
    Column("closed_by", Words(255)),
    Column("reopened_at", BigInteger),  # ms; null: it is closed
    Column("document", Prose(), nullable=False),  # JSON of store.months.Statement: what it came to, and who closed and reopened it
    **TABLE,
)

# Characters a token, as reported calls had them. What nobody reported is estimated with these.
calibrations = Table(
    "calibrations",
    metadata,
    Column("provider", Id(), primary_key=True),
    Column("model", Words(256), primary_key=True),
    Column("input_characters", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_characters", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("samples", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
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
    Column("owner", Words(255)),  # of the key, as it was then
    Column("team", Words(255)),
    Column("input_tokens", BigInteger),  # sums over the attempts; null: none of them says
    Column("output_tokens", BigInteger),
    Column("cost_pico", BigInteger),  # picodollars, over the attempts that have a price; null: none has
    Column("unpriced", Integer),  # attempts with tokens and no price. null: written before there were prices, and not accounted yet
    Column("estimated", Integer),  # attempts whose tokens we estimated
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
    Column("price_id", Id()),  # null: no price is known
    Column("input_cost_pico", BigInteger),  # picodollars
    Column("output_cost_pico", BigInteger),
    Column("cost_pico", BigInteger),  # the two together
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
    Column("session_id", Words(255)),  # the conversation that it is a part of, if its client says
    Column("user_id", Words(255)),  # whom the client calls for, if it says
    Column("username", Words(255)),  # the caller's key, by the name of then
    Index(None, "experiment_id", "request_time_ms", "trace_id"),
    # Filters, in the order in which traces are listed; the few of one moment are sorted.
    Index(None, "experiment_id", "state", "request_time_ms"),
    Index(None, "experiment_id", "name", "request_time_ms"),
    Index(None, "experiment_id", "endpoint_id", "request_time_ms"),
    Index(None, "experiment_id", "request_type", "request_time_ms"),
    Index(None, "experiment_id", "username", "request_time_ms"),
    Index(None, "experiment_id", "user_id", "request_time_ms"),
    Index(None, "experiment_id", "duration_ms", "request_time_ms", "trace_id"),
    Index(None, "session_id", "request_time_ms"),
    Index(None, "user_id", "request_time_ms"),
    **TABLE,
)

trace_tags = Table(
    "trace_tags",
    metadata,
    Column("trace_id", Id(36), primary_key=True),
    Column("key", Words(250), primary_key=True),
    Column("value", Prose(), nullable=False),
    Index(None, "key", "trace_id"),
    **TABLE,
)

# Only what cannot be derived from the trace's own columns and its exchange.
trace_metadata = Table(
    "trace_metadata",
    metadata,
    Column("trace_id", Id(36), primary_key=True),
    Column("key", Words(250), primary_key=True),
    Column("value", Prose(), nullable=False),
    Index(None, "key", "trace_id"),
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

# ---------------------------------------------------------------- rollups: what the ledger adds up to, kept with it

# What sums are told apart by. "" where there is none: so that equal ones are equal on every database.
usage_dimensions = Table(
    "usage_dimensions",
    metadata,
    Column("dimension_id", Id(32), primary_key=True),  # a digest of the rest
    Column("endpoint_id", Id(), nullable=False),
    Column("endpoint", Words(255), nullable=False),
    Column("provider", Id(), nullable=False),
    Column("model", Words(256), nullable=False),  # the provider's name of it
    Column("key_id", Id(), nullable=False),
    Column("key_name", Words(255), nullable=False),
    Column("owner", Words(255), nullable=False),
    Column("team", Words(255), nullable=False),
    Column("status", Id(16), nullable=False),  # of the call where calls are counted, of the attempt where attempts are
    Column("price_id", Id(), nullable=False),
    **TABLE,
)

usage_rollups = Table(
    "usage_rollups",
    metadata,
    # s that a bucket lasts: 900, 3600 or 86400; -3600 and -86400 are the same of all keys, owners and teams together.
    Column("width", Integer, primary_key=True, autoincrement=False),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),  # ms at which it begins, a multiple of its width since 1970
    Column("dimension_id", Id(32), primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("cache_write_5m_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("audio_input_tokens", BigInteger, nullable=False),
    Column("audio_output_tokens", BigInteger, nullable=False),
    Column("image_input_tokens", BigInteger, nullable=False),
    Column("image_output_tokens", BigInteger, nullable=False),
    Column("unpriced_attempts", BigInteger, nullable=False),  # with tokens, and no price
    Column("unpriced_input_tokens", BigInteger, nullable=False),
    Column("unpriced_output_tokens", BigInteger, nullable=False),
    Column("estimated_attempts", BigInteger, nullable=False),
    Column("estimated_input_tokens", BigInteger, nullable=False),
    Column("estimated_output_tokens", BigInteger, nullable=False),
    Column("unknown_attempts", BigInteger, nullable=False),  # that reached a provider, and nobody knows their tokens
    # Cost is cut in two, so that no sum of it overflows: whole microdollars, and the picodollars beyond them.
    Column("cost_micro", BigInteger, nullable=False),
    Column("cost_rest", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),  # sums, of the calls that are in the histograms
    Column("first_token_ms", BigInteger, nullable=False),
    Column("durations", Bytes(), nullable=False),  # histograms of the calls: see histogram.py
    Column("first_tokens", Bytes(), nullable=False),
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

# Which traces came into the database with which batch of a journal, for an hour: see arrivals.py.
arrivals = Table(
    "arrivals",
    metadata,
    Column("process_id", Id(), primary_key=True),
    Column("last_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("arrived_at", BigInteger, nullable=False),  # ms
    Column("traces", Bytes(), nullable=False),  # their ids, a line each, in the order in which they were settled; see packing.py
    Index(None, "arrived_at"),
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
