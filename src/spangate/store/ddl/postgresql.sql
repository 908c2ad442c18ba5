-- Written by `python -m spangate.store.ddl --write`; do not edit. Dialect: postgresql

-- ---------------------------------------------------------------- the schema

CREATE TABLE server_state (
	name VARCHAR(64) NOT NULL,
	number BIGINT,
	text VARCHAR(255),
	CONSTRAINT pk_server_state PRIMARY KEY (name)
);

CREATE TABLE experiments (
	experiment_id BIGINT NOT NULL,
	name VARCHAR(500) NOT NULL,
	artifact_location TEXT,
	lifecycle_stage VARCHAR(16) NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_experiments PRIMARY KEY (experiment_id),
	CONSTRAINT uq_experiments_name UNIQUE (name)
);

CREATE TABLE secrets (
	secret_id VARCHAR(64) NOT NULL,
	name VARCHAR(255) NOT NULL,
	sealed BYTEA NOT NULL,
	masked_values TEXT NOT NULL,
	provider VARCHAR(64),
	auth_config TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(255),
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(255),
	CONSTRAINT pk_secrets PRIMARY KEY (secret_id),
	CONSTRAINT uq_secrets_name UNIQUE (name)
);

CREATE TABLE endpoints (
	endpoint_id VARCHAR(64) NOT NULL,
	name VARCHAR(255) NOT NULL,
	routing_strategy VARCHAR(64),
	fallback_strategy VARCHAR(64),
	fallback_max_attempts INTEGER,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(255),
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(255),
	usage_tracking BOOLEAN DEFAULT false NOT NULL,
	experiment_id BIGINT,
	settings TEXT,
	CONSTRAINT pk_endpoints PRIMARY KEY (endpoint_id),
	CONSTRAINT uq_endpoints_name UNIQUE (name)
);

CREATE TABLE api_keys (
	key_id VARCHAR(64) NOT NULL,
	name VARCHAR(255) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	hint VARCHAR(16) NOT NULL,
	role VARCHAR(16) NOT NULL,
	scopes TEXT NOT NULL,
	endpoints TEXT,
	experiments TEXT,
	owner VARCHAR(255),
	team VARCHAR(255),
	expires_at BIGINT,
	revoked_at BIGINT,
	last_used_at BIGINT,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(255),
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(255),
	CONSTRAINT pk_api_keys PRIMARY KEY (key_id),
	CONSTRAINT uq_api_keys_name UNIQUE (name),
	CONSTRAINT uq_api_keys_digest UNIQUE (digest)
);

CREATE TABLE prices (
	price_id VARCHAR(64) NOT NULL,
	provider VARCHAR(64) NOT NULL,
	model VARCHAR(256) NOT NULL,
	effective_from BIGINT,
	effective_to BIGINT,
	source VARCHAR(64) NOT NULL,
	retrieved_at BIGINT NOT NULL,
	document TEXT NOT NULL,
	CONSTRAINT pk_prices PRIMARY KEY (price_id)
);

CREATE INDEX ix_prices_provider_model ON prices (provider, model);

CREATE TABLE price_overrides (
	override_id VARCHAR(64) NOT NULL,
	name VARCHAR(255) NOT NULL,
	effective_from BIGINT,
	effective_to BIGINT,
	document TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(255),
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(255),
	CONSTRAINT pk_price_overrides PRIMARY KEY (override_id),
	CONSTRAINT uq_price_overrides_name UNIQUE (name)
);

CREATE TABLE closed_months (
	month VARCHAR(7) NOT NULL,
	closed_at BIGINT NOT NULL,
	closed_by VARCHAR(255),
	reopened_at BIGINT,
	document TEXT NOT NULL,
	CONSTRAINT pk_closed_months PRIMARY KEY (month)
);

CREATE TABLE calibrations (
	provider VARCHAR(64) NOT NULL,
	model VARCHAR(256) NOT NULL,
	input_characters BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_characters BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	samples BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_calibrations PRIMARY KEY (provider, model)
);

CREATE TABLE calls (
	call_id VARCHAR(36) NOT NULL,
	process_id VARCHAR(64) NOT NULL,
	received_ns BIGINT NOT NULL,
	duration_ns BIGINT,
	first_token_ns BIGINT,
	format VARCHAR(64) NOT NULL,
	request_type VARCHAR(64) NOT NULL,
	endpoint_id VARCHAR(64),
	endpoint VARCHAR(255),
	experiment_id BIGINT,
	model VARCHAR(256),
	stream BOOLEAN NOT NULL,
	caller_id VARCHAR(64),
	caller VARCHAR(255),
	agent VARCHAR(255),
	request_bytes BIGINT NOT NULL,
	status VARCHAR(16) NOT NULL,
	http_status INTEGER,
	fault_kind VARCHAR(64),
	fault_message VARCHAR(1000),
	attempts INTEGER NOT NULL,
	owner VARCHAR(255),
	team VARCHAR(255),
	input_tokens BIGINT,
	output_tokens BIGINT,
	cost_pico BIGINT,
	unpriced INTEGER,
	estimated INTEGER,
	CONSTRAINT pk_calls PRIMARY KEY (call_id)
);

CREATE INDEX ix_calls_received_ns_call_id ON calls (received_ns, call_id);

CREATE TABLE attempts (
	call_id VARCHAR(36) NOT NULL,
	attempt_no INTEGER NOT NULL,
	provider VARCHAR(64) NOT NULL,
	model VARCHAR(256) NOT NULL,
	format VARCHAR(64) NOT NULL,
	model_definition_id VARCHAR(64),
	secret_id VARCHAR(64),
	started_ns BIGINT NOT NULL,
	headed_ns BIGINT,
	first_token_ns BIGINT,
	ended_ns BIGINT,
	status VARCHAR(16) NOT NULL,
	http_status INTEGER,
	upstream_request_id VARCHAR(255),
	response_id VARCHAR(255),
	response_model VARCHAR(256),
	stop_reason VARCHAR(255),
	input_tokens BIGINT,
	output_tokens BIGINT,
	cache_read_tokens BIGINT,
	cache_write_tokens BIGINT,
	cache_write_5m_tokens BIGINT,
	cache_write_1h_tokens BIGINT,
	reasoning_tokens BIGINT,
	audio_input_tokens BIGINT,
	audio_output_tokens BIGINT,
	usage_invalid VARCHAR(255),
	provenance VARCHAR(16) NOT NULL,
	fault_kind VARCHAR(64),
	fault_message VARCHAR(1000),
	image_input_tokens BIGINT,
	image_output_tokens BIGINT,
	service_tier VARCHAR(255),
	price_id VARCHAR(64),
	input_cost_pico BIGINT,
	output_cost_pico BIGINT,
	cost_pico BIGINT,
	CONSTRAINT pk_attempts PRIMARY KEY (call_id, attempt_no)
);

CREATE TABLE responses (
	response_id VARCHAR(255) NOT NULL,
	endpoint_id VARCHAR(64) NOT NULL,
	model_definition_id VARCHAR(64) NOT NULL,
	call_id VARCHAR(36) NOT NULL,
	attempt_no INTEGER NOT NULL,
	made_at BIGINT NOT NULL,
	counted_by VARCHAR(36),
	CONSTRAINT pk_responses PRIMARY KEY (response_id)
);

CREATE INDEX ix_responses_made_at ON responses (made_at);

CREATE TABLE traces (
	trace_id VARCHAR(36) NOT NULL,
	experiment_id BIGINT NOT NULL,
	call_id VARCHAR(36) NOT NULL,
	name VARCHAR(255) NOT NULL,
	state VARCHAR(16) NOT NULL,
	request_time_ms BIGINT NOT NULL,
	duration_ms BIGINT,
	request_preview VARCHAR(1000),
	response_preview VARCHAR(1000),
	endpoint_id VARCHAR(64),
	request_type VARCHAR(64),
	caller VARCHAR(255),
	exchange BYTEA NOT NULL,
	session_id VARCHAR(255),
	user_id VARCHAR(255),
	username VARCHAR(255),
	CONSTRAINT pk_traces PRIMARY KEY (trace_id)
);

CREATE INDEX ix_traces_experiment_id_duration_ms_request_time_ms_trace_id ON traces (experiment_id, duration_ms, request_time_ms, trace_id);

CREATE INDEX ix_traces_experiment_id_endpoint_id_request_time_ms ON traces (experiment_id, endpoint_id, request_time_ms);

CREATE INDEX ix_traces_experiment_id_name_request_time_ms ON traces (experiment_id, name, request_time_ms);

CREATE INDEX ix_traces_experiment_id_request_time_ms_trace_id ON traces (experiment_id, request_time_ms, trace_id);

CREATE INDEX ix_traces_experiment_id_request_type_request_time_ms ON traces (experiment_id, request_type, request_time_ms);

CREATE INDEX ix_traces_experiment_id_state_request_time_ms ON traces (experiment_id, state, request_time_ms);

CREATE INDEX ix_traces_experiment_id_user_id_request_time_ms ON traces (experiment_id, user_id, request_time_ms);

CREATE INDEX ix_traces_experiment_id_username_request_time_ms ON traces (experiment_id, username, request_time_ms);

CREATE INDEX ix_traces_session_id_request_time_ms ON traces (session_id, request_time_ms);

CREATE INDEX ix_traces_user_id_request_time_ms ON traces (user_id, request_time_ms);

CREATE TABLE trace_tags (
	trace_id VARCHAR(36) NOT NULL,
	key VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_trace_tags PRIMARY KEY (trace_id, key)
);

CREATE INDEX ix_trace_tags_key_trace_id ON trace_tags (key, trace_id);

CREATE TABLE trace_metadata (
	trace_id VARCHAR(36) NOT NULL,
	key VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_trace_metadata PRIMARY KEY (trace_id, key)
);

CREATE INDEX ix_trace_metadata_key_trace_id ON trace_metadata (key, trace_id);

CREATE TABLE contents (
	trace_id VARCHAR(36) NOT NULL,
	request BYTEA,
	response BYTEA,
	request_truncated BOOLEAN NOT NULL,
	response_truncated BOOLEAN NOT NULL,
	CONSTRAINT pk_contents PRIMARY KEY (trace_id)
);

CREATE TABLE usage_dimensions (
	dimension_id VARCHAR(32) NOT NULL,
	endpoint_id VARCHAR(64) NOT NULL,
	endpoint VARCHAR(255) NOT NULL,
	provider VARCHAR(64) NOT NULL,
	model VARCHAR(256) NOT NULL,
	key_id VARCHAR(64) NOT NULL,
	key_name VARCHAR(255) NOT NULL,
	owner VARCHAR(255) NOT NULL,
	team VARCHAR(255) NOT NULL,
	status VARCHAR(16) NOT NULL,
	price_id VARCHAR(64) NOT NULL,
	CONSTRAINT pk_usage_dimensions PRIMARY KEY (dimension_id)
);

CREATE TABLE usage_rollups (
	width INTEGER NOT NULL,
	bucket BIGINT NOT NULL,
	dimension_id VARCHAR(32) NOT NULL,
	calls BIGINT NOT NULL,
	attempts BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cache_read_tokens BIGINT NOT NULL,
	cache_write_tokens BIGINT NOT NULL,
	cache_write_5m_tokens BIGINT NOT NULL,
	cache_write_1h_tokens BIGINT NOT NULL,
	reasoning_tokens BIGINT NOT NULL,
	audio_input_tokens BIGINT NOT NULL,
	audio_output_tokens BIGINT NOT NULL,
	image_input_tokens BIGINT NOT NULL,
	image_output_tokens BIGINT NOT NULL,
	unpriced_attempts BIGINT NOT NULL,
	unpriced_input_tokens BIGINT NOT NULL,
	unpriced_output_tokens BIGINT NOT NULL,
	estimated_attempts BIGINT NOT NULL,
	estimated_input_tokens BIGINT NOT NULL,
	estimated_output_tokens BIGINT NOT NULL,
	unknown_attempts BIGINT NOT NULL,
	cost_micro BIGINT NOT NULL,
	cost_rest BIGINT NOT NULL,
	duration_ms BIGINT NOT NULL,
	first_token_ms BIGINT NOT NULL,
	durations BYTEA NOT NULL,
	first_tokens BYTEA NOT NULL,
	CONSTRAINT pk_usage_rollups PRIMARY KEY (width, bucket, dimension_id)
);

CREATE TABLE journals (
	process_id VARCHAR(64) NOT NULL,
	segment BIGINT NOT NULL,
	byte_offset BIGINT NOT NULL,
	last_seq BIGINT NOT NULL,
	records BIGINT NOT NULL,
	duplicates BIGINT NOT NULL,
	state VARCHAR(16) NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_journals PRIMARY KEY (process_id)
);

CREATE TABLE journal_gaps (
	process_id VARCHAR(64) NOT NULL,
	first_seq BIGINT NOT NULL,
	last_seq BIGINT NOT NULL,
	noticed_at BIGINT NOT NULL,
	CONSTRAINT pk_journal_gaps PRIMARY KEY (process_id, first_seq)
);

CREATE TABLE arrivals (
	process_id VARCHAR(64) NOT NULL,
	last_seq BIGINT NOT NULL,
	arrived_at BIGINT NOT NULL,
	traces BYTEA NOT NULL,
	CONSTRAINT pk_arrivals PRIMARY KEY (process_id, last_seq)
);

CREATE INDEX ix_arrivals_arrived_at ON arrivals (arrived_at);

CREATE TABLE open_calls (
	call_id VARCHAR(36) NOT NULL,
	process_id VARCHAR(64) NOT NULL,
	seq BIGINT NOT NULL,
	exchange BYTEA NOT NULL,
	CONSTRAINT pk_open_calls PRIMARY KEY (call_id)
);

CREATE INDEX ix_open_calls_process_id ON open_calls (process_id);

CREATE TABLE experiment_tags (
	experiment_id BIGINT NOT NULL,
	key VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_experiment_tags PRIMARY KEY (experiment_id, key),
	CONSTRAINT fk_experiment_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);

CREATE TABLE model_definitions (
	model_definition_id VARCHAR(64) NOT NULL,
	name VARCHAR(255) NOT NULL,
	secret_id VARCHAR(64),
	provider VARCHAR(64) NOT NULL,
	model_name VARCHAR(256) NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(255),
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(255),
	CONSTRAINT pk_model_definitions PRIMARY KEY (model_definition_id),
	CONSTRAINT uq_model_definitions_name UNIQUE (name),
	CONSTRAINT fk_model_definitions_secret_id FOREIGN KEY(secret_id) REFERENCES secrets (secret_id)
);

CREATE TABLE aliases (
	pattern VARCHAR(256) NOT NULL,
	endpoint_id VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(255),
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(255),
	CONSTRAINT pk_aliases PRIMARY KEY (pattern),
	CONSTRAINT fk_aliases_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE INDEX ix_aliases_endpoint_id ON aliases (endpoint_id);

CREATE TABLE endpoint_tags (
	endpoint_id VARCHAR(64) NOT NULL,
	key VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_endpoint_tags PRIMARY KEY (endpoint_id, key),
	CONSTRAINT fk_endpoint_tags_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE TABLE endpoint_bindings (
	endpoint_id VARCHAR(64) NOT NULL,
	resource_type VARCHAR(50) NOT NULL,
	resource_id VARCHAR(255) NOT NULL,
	display_name VARCHAR(255),
	created_at BIGINT NOT NULL,
	created_by VARCHAR(255),
	updated_at BIGINT NOT NULL,
	updated_by VARCHAR(255),
	CONSTRAINT pk_endpoint_bindings PRIMARY KEY (endpoint_id, resource_type, resource_id),
	CONSTRAINT fk_endpoint_bindings_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE TABLE api_key_tags (
	key_id VARCHAR(64) NOT NULL,
	key VARCHAR(250) NOT NULL,
	value VARCHAR(255) NOT NULL,
	CONSTRAINT pk_api_key_tags PRIMARY KEY (key_id, key),
	CONSTRAINT fk_api_key_tags_key_id FOREIGN KEY(key_id) REFERENCES api_keys (key_id) ON DELETE CASCADE
);

CREATE TABLE endpoint_models (
	mapping_id VARCHAR(64) NOT NULL,
	endpoint_id VARCHAR(64) NOT NULL,
	model_definition_id VARCHAR(64) NOT NULL,
	ordinal INTEGER NOT NULL,
	weight DOUBLE PRECISION NOT NULL,
	linkage_type VARCHAR(16) NOT NULL,
	fallback_order INTEGER,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(255),
	CONSTRAINT pk_endpoint_models PRIMARY KEY (mapping_id),
	CONSTRAINT uq_endpoint_models_endpoint_id_model_definition_id_linkage_type UNIQUE (endpoint_id, model_definition_id, linkage_type),
	CONSTRAINT fk_endpoint_models_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE,
	CONSTRAINT fk_endpoint_models_model_definition_id FOREIGN KEY(model_definition_id) REFERENCES model_definitions (model_definition_id)
);

-- ---------------------------------------------------------------- the revisions

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE server_state (
    name VARCHAR(64) NOT NULL,
    number BIGINT,
    text VARCHAR(255),
    CONSTRAINT pk_server_state PRIMARY KEY (name)
);

CREATE TABLE experiments (
    experiment_id BIGINT NOT NULL,
    name VARCHAR(500) NOT NULL,
    artifact_location TEXT,
    lifecycle_stage VARCHAR(16) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_experiments PRIMARY KEY (experiment_id),
    CONSTRAINT uq_experiments_name UNIQUE (name)
);

CREATE TABLE experiment_tags (
    experiment_id BIGINT NOT NULL,
    key VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_experiment_tags PRIMARY KEY (experiment_id, key),
    CONSTRAINT fk_experiment_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);

CREATE TABLE secrets (
    secret_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    sealed BYTEA NOT NULL,
    masked_values TEXT NOT NULL,
    provider VARCHAR(64),
    auth_config TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by VARCHAR(255),
    updated_at BIGINT NOT NULL,
    updated_by VARCHAR(255),
    CONSTRAINT pk_secrets PRIMARY KEY (secret_id),
    CONSTRAINT uq_secrets_name UNIQUE (name)
);

CREATE TABLE model_definitions (
    model_definition_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    secret_id VARCHAR(64),
    provider VARCHAR(64) NOT NULL,
    model_name VARCHAR(256) NOT NULL,
    created_at BIGINT NOT NULL,
    created_by VARCHAR(255),
    updated_at BIGINT NOT NULL,
    updated_by VARCHAR(255),
    CONSTRAINT pk_model_definitions PRIMARY KEY (model_definition_id),
    CONSTRAINT fk_model_definitions_secret_id FOREIGN KEY(secret_id) REFERENCES secrets (secret_id),
    CONSTRAINT uq_model_definitions_name UNIQUE (name)
);

CREATE TABLE endpoints (
    endpoint_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    routing_strategy VARCHAR(64),
    fallback_strategy VARCHAR(64),
    fallback_max_attempts INTEGER,
    created_at BIGINT NOT NULL,
    created_by VARCHAR(255),
    updated_at BIGINT NOT NULL,
    updated_by VARCHAR(255),
    CONSTRAINT pk_endpoints PRIMARY KEY (endpoint_id),
    CONSTRAINT uq_endpoints_name UNIQUE (name)
);

CREATE TABLE endpoint_models (
    mapping_id VARCHAR(64) NOT NULL,
    endpoint_id VARCHAR(64) NOT NULL,
    model_definition_id VARCHAR(64) NOT NULL,
    ordinal INTEGER NOT NULL,
    weight DOUBLE PRECISION NOT NULL,
    linkage_type VARCHAR(16) NOT NULL,
    fallback_order INTEGER,
    created_at BIGINT NOT NULL,
    created_by VARCHAR(255),
    CONSTRAINT pk_endpoint_models PRIMARY KEY (mapping_id),
    CONSTRAINT fk_endpoint_models_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE,
    CONSTRAINT fk_endpoint_models_model_definition_id FOREIGN KEY(model_definition_id) REFERENCES model_definitions (model_definition_id),
    CONSTRAINT uq_endpoint_models_endpoint_id_model_definition_id_linkage_type UNIQUE (endpoint_id, model_definition_id, linkage_type)
);

CREATE TABLE endpoint_tags (
    endpoint_id VARCHAR(64) NOT NULL,
    key VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_endpoint_tags PRIMARY KEY (endpoint_id, key),
    CONSTRAINT fk_endpoint_tags_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE TABLE endpoint_bindings (
    endpoint_id VARCHAR(64) NOT NULL,
    resource_type VARCHAR(50) NOT NULL,
    resource_id VARCHAR(255) NOT NULL,
    display_name VARCHAR(255),
    created_at BIGINT NOT NULL,
    created_by VARCHAR(255),
    updated_at BIGINT NOT NULL,
    updated_by VARCHAR(255),
    CONSTRAINT pk_endpoint_bindings PRIMARY KEY (endpoint_id, resource_type, resource_id),
    CONSTRAINT fk_endpoint_bindings_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE TABLE calls (
    call_id VARCHAR(36) NOT NULL,
    process_id VARCHAR(64) NOT NULL,
    received_ns BIGINT NOT NULL,
    duration_ns BIGINT,
    first_token_ns BIGINT,
    format VARCHAR(64) NOT NULL,
    request_type VARCHAR(64) NOT NULL,
    endpoint_id VARCHAR(64),
    endpoint VARCHAR(255),
    experiment_id BIGINT,
    model VARCHAR(256),
    stream BOOLEAN NOT NULL,
    caller_id VARCHAR(64),
    caller VARCHAR(255),
    agent VARCHAR(255),
    request_bytes BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    http_status INTEGER,
    fault_kind VARCHAR(64),
    fault_message VARCHAR(1000),
    attempts INTEGER NOT NULL,
    CONSTRAINT pk_calls PRIMARY KEY (call_id)
);

CREATE INDEX ix_calls_received_ns_call_id ON calls (received_ns, call_id);

CREATE TABLE attempts (
    call_id VARCHAR(36) NOT NULL,
    attempt_no INTEGER NOT NULL,
    provider VARCHAR(64) NOT NULL,
    model VARCHAR(256) NOT NULL,
    format VARCHAR(64) NOT NULL,
    model_definition_id VARCHAR(64),
    secret_id VARCHAR(64),
    started_ns BIGINT NOT NULL,
    headed_ns BIGINT,
    first_token_ns BIGINT,
    ended_ns BIGINT,
    status VARCHAR(16) NOT NULL,
    http_status INTEGER,
    upstream_request_id VARCHAR(255),
    response_id VARCHAR(255),
    response_model VARCHAR(256),
    stop_reason VARCHAR(255),
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    cache_write_5m_tokens BIGINT,
    cache_write_1h_tokens BIGINT,
    reasoning_tokens BIGINT,
    audio_input_tokens BIGINT,
    audio_output_tokens BIGINT,
    usage_invalid VARCHAR(255),
    provenance VARCHAR(16) NOT NULL,
    fault_kind VARCHAR(64),
    fault_message VARCHAR(1000),
    CONSTRAINT pk_attempts PRIMARY KEY (call_id, attempt_no)
);

CREATE TABLE traces (
    trace_id VARCHAR(36) NOT NULL,
    experiment_id BIGINT NOT NULL,
    call_id VARCHAR(36) NOT NULL,
    name VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL,
    request_time_ms BIGINT NOT NULL,
    duration_ms BIGINT,
    request_preview VARCHAR(1000),
    response_preview VARCHAR(1000),
    endpoint_id VARCHAR(64),
    request_type VARCHAR(64),
    caller VARCHAR(255),
    exchange BYTEA NOT NULL,
    CONSTRAINT pk_traces PRIMARY KEY (trace_id)
);

CREATE INDEX ix_traces_experiment_id_request_time_ms_trace_id ON traces (experiment_id, request_time_ms, trace_id);

CREATE TABLE trace_tags (
    trace_id VARCHAR(36) NOT NULL,
    key VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_trace_tags PRIMARY KEY (trace_id, key)
);

CREATE TABLE trace_metadata (
    trace_id VARCHAR(36) NOT NULL,
    key VARCHAR(250) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_trace_metadata PRIMARY KEY (trace_id, key)
);

CREATE TABLE contents (
    trace_id VARCHAR(36) NOT NULL,
    request BYTEA,
    response BYTEA,
    request_truncated BOOLEAN NOT NULL,
    response_truncated BOOLEAN NOT NULL,
    CONSTRAINT pk_contents PRIMARY KEY (trace_id)
);

CREATE TABLE journals (
    process_id VARCHAR(64) NOT NULL,
    segment BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    records BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,
    state VARCHAR(16) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_journals PRIMARY KEY (process_id)
);

CREATE TABLE journal_gaps (
    process_id VARCHAR(64) NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    noticed_at BIGINT NOT NULL,
    CONSTRAINT pk_journal_gaps PRIMARY KEY (process_id, first_seq)
);

CREATE TABLE open_calls (
    call_id VARCHAR(36) NOT NULL,
    process_id VARCHAR(64) NOT NULL,
    seq BIGINT NOT NULL,
    exchange BYTEA NOT NULL,
    CONSTRAINT pk_open_calls PRIMARY KEY (call_id)
);

CREATE INDEX ix_open_calls_process_id ON open_calls (process_id);

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;

-- Running upgrade 0001 -> 0002

ALTER TABLE endpoints ADD COLUMN usage_tracking BOOLEAN DEFAULT false NOT NULL;

ALTER TABLE endpoints ADD COLUMN experiment_id BIGINT;

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

ALTER TABLE endpoints ADD COLUMN settings TEXT;

CREATE TABLE aliases (
    pattern VARCHAR(256) NOT NULL,
    endpoint_id VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    created_by VARCHAR(255),
    updated_at BIGINT NOT NULL,
    updated_by VARCHAR(255),
    CONSTRAINT pk_aliases PRIMARY KEY (pattern),
    CONSTRAINT fk_aliases_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE INDEX ix_aliases_endpoint_id ON aliases (endpoint_id);

ALTER TABLE attempts ADD COLUMN image_input_tokens BIGINT;

ALTER TABLE attempts ADD COLUMN image_output_tokens BIGINT;

ALTER TABLE attempts ADD COLUMN service_tier VARCHAR(255);

CREATE TABLE responses (
    response_id VARCHAR(255) NOT NULL,
    endpoint_id VARCHAR(64) NOT NULL,
    model_definition_id VARCHAR(64) NOT NULL,
    call_id VARCHAR(36) NOT NULL,
    attempt_no INTEGER NOT NULL,
    made_at BIGINT NOT NULL,
    counted_by VARCHAR(36),
    CONSTRAINT pk_responses PRIMARY KEY (response_id)
);

CREATE INDEX ix_responses_made_at ON responses (made_at);

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

CREATE TABLE api_keys (
    key_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    digest VARCHAR(64) NOT NULL,
    hint VARCHAR(16) NOT NULL,
    role VARCHAR(16) NOT NULL,
    scopes TEXT NOT NULL,
    endpoints TEXT,
    experiments TEXT,
    owner VARCHAR(255),
    team VARCHAR(255),
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL,
    created_by VARCHAR(255),
    updated_at BIGINT NOT NULL,
    updated_by VARCHAR(255),
    CONSTRAINT pk_api_keys PRIMARY KEY (key_id),
    CONSTRAINT uq_api_keys_name UNIQUE (name),
    CONSTRAINT uq_api_keys_digest UNIQUE (digest)
);

CREATE TABLE api_key_tags (
    key_id VARCHAR(64) NOT NULL,
    key VARCHAR(250) NOT NULL,
    value VARCHAR(255) NOT NULL,
    CONSTRAINT pk_api_key_tags PRIMARY KEY (key_id, key),
    CONSTRAINT fk_api_key_tags_key_id FOREIGN KEY(key_id) REFERENCES api_keys (key_id) ON DELETE CASCADE
);

CREATE TABLE prices (
    price_id VARCHAR(64) NOT NULL,
    provider VARCHAR(64) NOT NULL,
    model VARCHAR(256) NOT NULL,
    effective_from BIGINT,
    effective_to BIGINT,
    source VARCHAR(64) NOT NULL,
    retrieved_at BIGINT NOT NULL,
    document TEXT NOT NULL,
    CONSTRAINT pk_prices PRIMARY KEY (price_id)
);

CREATE INDEX ix_prices_provider_model ON prices (provider, model);

CREATE TABLE price_overrides (
    override_id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    effective_from BIGINT,
    effective_to BIGINT,
    document TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by VARCHAR(255),
    updated_at BIGINT NOT NULL,
    updated_by VARCHAR(255),
    CONSTRAINT pk_price_overrides PRIMARY KEY (override_id),
    CONSTRAINT uq_price_overrides_name UNIQUE (name)
);

CREATE TABLE closed_months (
    month VARCHAR(7) NOT NULL,
    closed_at BIGINT NOT NULL,
    closed_by VARCHAR(255),
    reopened_at BIGINT,
    document TEXT NOT NULL,
    CONSTRAINT pk_closed_months PRIMARY KEY (month)
);

CREATE TABLE calibrations (
    provider VARCHAR(64) NOT NULL,
    model VARCHAR(256) NOT NULL,
    input_characters BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_characters BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_calibrations PRIMARY KEY (provider, model)
);

CREATE TABLE usage_dimensions (
    dimension_id VARCHAR(32) NOT NULL,
    endpoint_id VARCHAR(64) NOT NULL,
    endpoint VARCHAR(255) NOT NULL,
    provider VARCHAR(64) NOT NULL,
    model VARCHAR(256) NOT NULL,
    key_id VARCHAR(64) NOT NULL,
    key_name VARCHAR(255) NOT NULL,
    owner VARCHAR(255) NOT NULL,
    team VARCHAR(255) NOT NULL,
    status VARCHAR(16) NOT NULL,
    price_id VARCHAR(64) NOT NULL,
    CONSTRAINT pk_usage_dimensions PRIMARY KEY (dimension_id)
);

CREATE TABLE usage_rollups (
    width INTEGER NOT NULL,
    bucket BIGINT NOT NULL,
    dimension_id VARCHAR(32) NOT NULL,
    calls BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cache_read_tokens BIGINT NOT NULL,
    cache_write_tokens BIGINT NOT NULL,
    cache_write_5m_tokens BIGINT NOT NULL,
    cache_write_1h_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    audio_input_tokens BIGINT NOT NULL,
    audio_output_tokens BIGINT NOT NULL,
    image_input_tokens BIGINT NOT NULL,
    image_output_tokens BIGINT NOT NULL,
    unpriced_attempts BIGINT NOT NULL,
    unpriced_input_tokens BIGINT NOT NULL,
    unpriced_output_tokens BIGINT NOT NULL,
    estimated_attempts BIGINT NOT NULL,
    estimated_input_tokens BIGINT NOT NULL,
    estimated_output_tokens BIGINT NOT NULL,
    unknown_attempts BIGINT NOT NULL,
    cost_micro BIGINT NOT NULL,
    cost_rest BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    first_token_ms BIGINT NOT NULL,
    durations BYTEA NOT NULL,
    first_tokens BYTEA NOT NULL,
    CONSTRAINT pk_usage_rollups PRIMARY KEY (width, bucket, dimension_id)
);

ALTER TABLE calls ADD COLUMN owner VARCHAR(255);

ALTER TABLE calls ADD COLUMN team VARCHAR(255);

ALTER TABLE calls ADD COLUMN input_tokens BIGINT;

ALTER TABLE calls ADD COLUMN output_tokens BIGINT;

ALTER TABLE calls ADD COLUMN cost_pico BIGINT;

ALTER TABLE calls ADD COLUMN unpriced INTEGER;

ALTER TABLE calls ADD COLUMN estimated INTEGER;

ALTER TABLE attempts ADD COLUMN price_id VARCHAR(64);

ALTER TABLE attempts ADD COLUMN input_cost_pico BIGINT;

ALTER TABLE attempts ADD COLUMN output_cost_pico BIGINT;

ALTER TABLE attempts ADD COLUMN cost_pico BIGINT;

ALTER TABLE traces ADD COLUMN session_id VARCHAR(255);

ALTER TABLE traces ADD COLUMN user_id VARCHAR(255);

CREATE INDEX ix_traces_session_id_request_time_ms ON traces (session_id, request_time_ms);

CREATE INDEX ix_traces_user_id_request_time_ms ON traces (user_id, request_time_ms);

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

ALTER TABLE traces ADD COLUMN username VARCHAR(255);

UPDATE traces SET username = (SELECT caller FROM calls WHERE calls.call_id = traces.call_id);

CREATE INDEX ix_traces_experiment_id_state_request_time_ms ON traces (experiment_id, state, request_time_ms);

CREATE INDEX ix_traces_experiment_id_name_request_time_ms ON traces (experiment_id, name, request_time_ms);

CREATE INDEX ix_traces_experiment_id_endpoint_id_request_time_ms ON traces (experiment_id, endpoint_id, request_time_ms);

CREATE INDEX ix_traces_experiment_id_request_type_request_time_ms ON traces (experiment_id, request_type, request_time_ms);

CREATE INDEX ix_traces_experiment_id_username_request_time_ms ON traces (experiment_id, username, request_time_ms);

CREATE INDEX ix_traces_experiment_id_user_id_request_time_ms ON traces (experiment_id, user_id, request_time_ms);

CREATE INDEX ix_traces_experiment_id_duration_ms_request_time_ms_trace_id ON traces (experiment_id, duration_ms, request_time_ms, trace_id);

CREATE INDEX ix_trace_tags_key_trace_id ON trace_tags (key, trace_id);

CREATE INDEX ix_trace_metadata_key_trace_id ON trace_metadata (key, trace_id);

DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX ix_traces_previews ON traces USING gin (request_preview gin_trgm_ops, response_preview gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR undefined_object OR feature_not_supported THEN
    RAISE NOTICE 'pg_trgm cannot be had: previews are searched without an index';
END
$$;

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

CREATE TABLE arrivals (
    process_id VARCHAR(64) NOT NULL,
    last_seq BIGINT NOT NULL,
    arrived_at BIGINT NOT NULL,
    traces BYTEA NOT NULL,
    CONSTRAINT pk_arrivals PRIMARY KEY (process_id, last_seq)
);

CREATE INDEX ix_arrivals_arrived_at ON arrivals (arrived_at);

UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';

-- Running upgrade 0007 -> 0008

UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';
