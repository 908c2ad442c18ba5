-- Written by `python -m spangate.store.ddl --write`; do not edit. Dialect: mssql

-- ---------------------------------------------------------------- the schema

CREATE TABLE server_state (
	name VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	number BIGINT NULL,
	text NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_server_state PRIMARY KEY (name)
);

CREATE TABLE experiments (
	experiment_id BIGINT NOT NULL,
	name NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NOT NULL,
	artifact_location NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
	lifecycle_stage VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_experiments PRIMARY KEY (experiment_id),
	CONSTRAINT uq_experiments_name UNIQUE (name)
);

CREATE TABLE secrets (
	secret_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	sealed IMAGE NOT NULL,
	masked_values NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	auth_config NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	created_at BIGINT NOT NULL,
	created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	updated_at BIGINT NOT NULL,
	updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_secrets PRIMARY KEY (secret_id),
	CONSTRAINT uq_secrets_name UNIQUE (name)
);

CREATE TABLE endpoints (
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	routing_strategy VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	fallback_strategy VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	fallback_max_attempts INTEGER NULL,
	created_at BIGINT NOT NULL,
	created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	updated_at BIGINT NOT NULL,
	updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	usage_tracking BIT NOT NULL DEFAULT 0,
	experiment_id BIGINT NULL,
	settings NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_endpoints PRIMARY KEY (endpoint_id),
	CONSTRAINT uq_endpoints_name UNIQUE (name)
);

CREATE TABLE api_keys (
	key_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	digest VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	hint VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	role VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	scopes NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	endpoints NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
	experiments NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
	owner NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	team NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	expires_at BIGINT NULL,
	revoked_at BIGINT NULL,
	last_used_at BIGINT NULL,
	created_at BIGINT NOT NULL,
	created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	updated_at BIGINT NOT NULL,
	updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_api_keys PRIMARY KEY (key_id),
	CONSTRAINT uq_api_keys_name UNIQUE (name),
	CONSTRAINT uq_api_keys_digest UNIQUE (digest)
);

CREATE TABLE prices (
	price_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
	effective_from BIGINT NULL,
	effective_to BIGINT NULL,
	source VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	retrieved_at BIGINT NOT NULL,
	document NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	CONSTRAINT pk_prices PRIMARY KEY (price_id)
);

CREATE INDEX ix_prices_provider_model ON prices (provider, model);

CREATE TABLE price_overrides (
	override_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	effective_from BIGINT NULL,
	effective_to BIGINT NULL,
	document NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	created_at BIGINT NOT NULL,
	created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	updated_at BIGINT NOT NULL,
	updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_price_overrides PRIMARY KEY (override_id),
	CONSTRAINT uq_price_overrides_name UNIQUE (name)
);

CREATE TABLE closed_months (
	month VARCHAR(7) COLLATE Latin1_General_100_BIN2 NOT NULL,
	closed_at BIGINT NOT NULL,
	closed_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	reopened_at BIGINT NULL,
	document NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	CONSTRAINT pk_closed_months PRIMARY KEY (month)
);

CREATE TABLE calibrations (
	provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
	input_characters BIGINT NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_characters BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	samples BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_calibrations PRIMARY KEY (provider, model)
);

CREATE TABLE calls (
	call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	received_ns BIGINT NOT NULL,
	duration_ns BIGINT NULL,
	first_token_ns BIGINT NULL,
	format VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	request_type VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	endpoint NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	experiment_id BIGINT NULL,
	model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NULL,
	stream BIT NOT NULL,
	caller_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	caller NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	agent NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	request_bytes BIGINT NOT NULL,
	status VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	http_status INTEGER NULL,
	fault_kind VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	fault_message NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
	attempts INTEGER NOT NULL,
	owner NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	team NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	input_tokens BIGINT NULL,
	output_tokens BIGINT NULL,
	cost_pico BIGINT NULL,
	unpriced INTEGER NULL,
	estimated INTEGER NULL,
	CONSTRAINT pk_calls PRIMARY KEY (call_id)
);

CREATE INDEX ix_calls_received_ns_call_id ON calls (received_ns, call_id);

CREATE TABLE attempts (
	call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	attempt_no INTEGER NOT NULL,
	provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
	format VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	model_definition_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	secret_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	started_ns BIGINT NOT NULL,
	headed_ns BIGINT NULL,
	first_token_ns BIGINT NULL,
	ended_ns BIGINT NULL,
	status VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	http_status INTEGER NULL,
	upstream_request_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	response_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	response_model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NULL,
	stop_reason NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	input_tokens BIGINT NULL,
	output_tokens BIGINT NULL,
	cache_read_tokens BIGINT NULL,
	cache_write_tokens BIGINT NULL,
	cache_write_5m_tokens BIGINT NULL,
	cache_write_1h_tokens BIGINT NULL,
	reasoning_tokens BIGINT NULL,
	audio_input_tokens BIGINT NULL,
	audio_output_tokens BIGINT NULL,
	usage_invalid NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	provenance VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	fault_kind VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	fault_message NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
	image_input_tokens BIGINT NULL,
	image_output_tokens BIGINT NULL,
	service_tier NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	price_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	input_cost_pico BIGINT NULL,
	output_cost_pico BIGINT NULL,
	cost_pico BIGINT NULL,
	CONSTRAINT pk_attempts PRIMARY KEY (call_id, attempt_no)
);

CREATE TABLE responses (
	response_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	model_definition_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	attempt_no INTEGER NOT NULL,
	made_at BIGINT NOT NULL,
	counted_by VARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_responses PRIMARY KEY (response_id)
);

CREATE INDEX ix_responses_made_at ON responses (made_at);

CREATE TABLE traces (
	trace_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	experiment_id BIGINT NOT NULL,
	call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	state VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	request_time_ms BIGINT NOT NULL,
	duration_ms BIGINT NULL,
	request_preview NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
	response_preview NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	request_type VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	caller NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	exchange IMAGE NOT NULL,
	session_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	user_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	username NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
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
	trace_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	[key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
	value NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	CONSTRAINT pk_trace_tags PRIMARY KEY (trace_id, [key])
);

CREATE INDEX ix_trace_tags_key_trace_id ON trace_tags ([key], trace_id);

CREATE TABLE trace_metadata (
	trace_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	[key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
	value NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	CONSTRAINT pk_trace_metadata PRIMARY KEY (trace_id, [key])
);

CREATE INDEX ix_trace_metadata_key_trace_id ON trace_metadata ([key], trace_id);

CREATE TABLE contents (
	trace_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	request IMAGE NULL,
	response IMAGE NULL,
	request_truncated BIT NOT NULL,
	response_truncated BIT NOT NULL,
	CONSTRAINT pk_contents PRIMARY KEY (trace_id)
);

CREATE TABLE usage_dimensions (
	dimension_id VARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL,
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	endpoint NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
	key_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	key_name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	owner NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	team NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	status VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	price_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	CONSTRAINT pk_usage_dimensions PRIMARY KEY (dimension_id)
);

CREATE TABLE usage_rollups (
	width INTEGER NOT NULL,
	bucket BIGINT NOT NULL,
	dimension_id VARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL,
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
	durations IMAGE NOT NULL,
	first_tokens IMAGE NOT NULL,
	CONSTRAINT pk_usage_rollups PRIMARY KEY (width, bucket, dimension_id)
);

CREATE TABLE journals (
	process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	segment BIGINT NOT NULL,
	byte_offset BIGINT NOT NULL,
	last_seq BIGINT NOT NULL,
	records BIGINT NOT NULL,
	duplicates BIGINT NOT NULL,
	state VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_journals PRIMARY KEY (process_id)
);

CREATE TABLE journal_gaps (
	process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	first_seq BIGINT NOT NULL,
	last_seq BIGINT NOT NULL,
	noticed_at BIGINT NOT NULL,
	CONSTRAINT pk_journal_gaps PRIMARY KEY (process_id, first_seq)
);

CREATE TABLE arrivals (
	process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	last_seq BIGINT NOT NULL,
	arrived_at BIGINT NOT NULL,
	traces IMAGE NOT NULL,
	CONSTRAINT pk_arrivals PRIMARY KEY (process_id, last_seq)
);

CREATE INDEX ix_arrivals_arrived_at ON arrivals (arrived_at);

CREATE TABLE open_calls (
	call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
	process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	seq BIGINT NOT NULL,
	exchange IMAGE NOT NULL,
	CONSTRAINT pk_open_calls PRIMARY KEY (call_id)
);

CREATE INDEX ix_open_calls_process_id ON open_calls (process_id);

CREATE TABLE experiment_tags (
	experiment_id BIGINT NOT NULL,
	[key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
	value NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	CONSTRAINT pk_experiment_tags PRIMARY KEY (experiment_id, [key]),
	CONSTRAINT fk_experiment_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);

CREATE TABLE model_definitions (
	model_definition_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	secret_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
	provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	model_name NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
	created_at BIGINT NOT NULL,
	created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	updated_at BIGINT NOT NULL,
	updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_model_definitions PRIMARY KEY (model_definition_id),
	CONSTRAINT uq_model_definitions_name UNIQUE (name),
	CONSTRAINT fk_model_definitions_secret_id FOREIGN KEY(secret_id) REFERENCES secrets (secret_id)
);

CREATE TABLE aliases (
	pattern NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	created_at BIGINT NOT NULL,
	created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	updated_at BIGINT NOT NULL,
	updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_aliases PRIMARY KEY (pattern),
	CONSTRAINT fk_aliases_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE INDEX ix_aliases_endpoint_id ON aliases (endpoint_id);

CREATE TABLE endpoint_tags (
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	[key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
	value NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
	CONSTRAINT pk_endpoint_tags PRIMARY KEY (endpoint_id, [key]),
	CONSTRAINT fk_endpoint_tags_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE TABLE endpoint_bindings (
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	resource_type VARCHAR(50) COLLATE Latin1_General_100_BIN2 NOT NULL,
	resource_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	display_name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	created_at BIGINT NOT NULL,
	created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	updated_at BIGINT NOT NULL,
	updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
	CONSTRAINT pk_endpoint_bindings PRIMARY KEY (endpoint_id, resource_type, resource_id),
	CONSTRAINT fk_endpoint_bindings_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

CREATE TABLE api_key_tags (
	key_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	[key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
	value NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
	CONSTRAINT pk_api_key_tags PRIMARY KEY (key_id, [key]),
	CONSTRAINT fk_api_key_tags_key_id FOREIGN KEY(key_id) REFERENCES api_keys (key_id) ON DELETE CASCADE
);

CREATE TABLE endpoint_models (
	mapping_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	model_definition_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
	ordinal INTEGER NOT NULL,
	weight DOUBLE PRECISION NOT NULL,
	linkage_type VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
	fallback_order INTEGER NULL,
	created_at BIGINT NOT NULL,
	created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
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

GO

-- Running upgrade  -> 0001

CREATE TABLE server_state (
    name VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    number BIGINT NULL,
    text NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_server_state PRIMARY KEY (name)
);

GO

CREATE TABLE experiments (
    experiment_id BIGINT NOT NULL,
    name NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NOT NULL,
    artifact_location NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    lifecycle_stage VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_experiments PRIMARY KEY (experiment_id),
    CONSTRAINT uq_experiments_name UNIQUE (name)
);

GO

CREATE TABLE experiment_tags (
    experiment_id BIGINT NOT NULL,
    [key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
    value NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_experiment_tags PRIMARY KEY (experiment_id, [key]),
    CONSTRAINT fk_experiment_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id) ON DELETE CASCADE
);

GO

CREATE TABLE secrets (
    secret_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    sealed IMAGE NOT NULL,
    masked_values NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    auth_config NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at BIGINT NOT NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    updated_at BIGINT NOT NULL,
    updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_secrets PRIMARY KEY (secret_id),
    CONSTRAINT uq_secrets_name UNIQUE (name)
);

GO

CREATE TABLE model_definitions (
    model_definition_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    secret_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    model_name NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at BIGINT NOT NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    updated_at BIGINT NOT NULL,
    updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_model_definitions PRIMARY KEY (model_definition_id),
    CONSTRAINT fk_model_definitions_secret_id FOREIGN KEY(secret_id) REFERENCES secrets (secret_id),
    CONSTRAINT uq_model_definitions_name UNIQUE (name)
);

GO

CREATE TABLE endpoints (
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    routing_strategy VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    fallback_strategy VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    fallback_max_attempts INTEGER NULL,
    created_at BIGINT NOT NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    updated_at BIGINT NOT NULL,
    updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_endpoints PRIMARY KEY (endpoint_id),
    CONSTRAINT uq_endpoints_name UNIQUE (name)
);

GO

CREATE TABLE endpoint_models (
    mapping_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    model_definition_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    ordinal INTEGER NOT NULL,
    weight DOUBLE PRECISION NOT NULL,
    linkage_type VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    fallback_order INTEGER NULL,
    created_at BIGINT NOT NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_endpoint_models PRIMARY KEY (mapping_id),
    CONSTRAINT fk_endpoint_models_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE,
    CONSTRAINT fk_endpoint_models_model_definition_id FOREIGN KEY(model_definition_id) REFERENCES model_definitions (model_definition_id),
    CONSTRAINT uq_endpoint_models_endpoint_id_model_definition_id_linkage_type UNIQUE (endpoint_id, model_definition_id, linkage_type)
);

GO

CREATE TABLE endpoint_tags (
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
    value NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_endpoint_tags PRIMARY KEY (endpoint_id, [key]),
    CONSTRAINT fk_endpoint_tags_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

GO

CREATE TABLE endpoint_bindings (
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    resource_type VARCHAR(50) COLLATE Latin1_General_100_BIN2 NOT NULL,
    resource_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    display_name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    created_at BIGINT NOT NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    updated_at BIGINT NOT NULL,
    updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_endpoint_bindings PRIMARY KEY (endpoint_id, resource_type, resource_id),
    CONSTRAINT fk_endpoint_bindings_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

GO

CREATE TABLE calls (
    call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    received_ns BIGINT NOT NULL,
    duration_ns BIGINT NULL,
    first_token_ns BIGINT NULL,
    format VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    request_type VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    endpoint NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    experiment_id BIGINT NULL,
    model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NULL,
    stream BIT NOT NULL,
    caller_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    caller NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    agent NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    request_bytes BIGINT NOT NULL,
    status VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    http_status INTEGER NULL,
    fault_kind VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    fault_message NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
    attempts INTEGER NOT NULL,
    CONSTRAINT pk_calls PRIMARY KEY (call_id)
);

GO

CREATE INDEX ix_calls_received_ns_call_id ON calls (received_ns, call_id);

GO

CREATE TABLE attempts (
    call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    attempt_no INTEGER NOT NULL,
    provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
    format VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    model_definition_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    secret_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    started_ns BIGINT NOT NULL,
    headed_ns BIGINT NULL,
    first_token_ns BIGINT NULL,
    ended_ns BIGINT NULL,
    status VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    http_status INTEGER NULL,
    upstream_request_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    response_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    response_model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NULL,
    stop_reason NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    input_tokens BIGINT NULL,
    output_tokens BIGINT NULL,
    cache_read_tokens BIGINT NULL,
    cache_write_tokens BIGINT NULL,
    cache_write_5m_tokens BIGINT NULL,
    cache_write_1h_tokens BIGINT NULL,
    reasoning_tokens BIGINT NULL,
    audio_input_tokens BIGINT NULL,
    audio_output_tokens BIGINT NULL,
    usage_invalid NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    provenance VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    fault_kind VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    fault_message NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_attempts PRIMARY KEY (call_id, attempt_no)
);

GO

CREATE TABLE traces (
    trace_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    experiment_id BIGINT NOT NULL,
    call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    state VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    request_time_ms BIGINT NOT NULL,
    duration_ms BIGINT NULL,
    request_preview NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
    response_preview NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    request_type VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL,
    caller NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    exchange IMAGE NOT NULL,
    CONSTRAINT pk_traces PRIMARY KEY (trace_id)
);

GO

CREATE INDEX ix_traces_experiment_id_request_time_ms_trace_id ON traces (experiment_id, request_time_ms, trace_id);

GO

CREATE TABLE trace_tags (
    trace_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
    value NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_trace_tags PRIMARY KEY (trace_id, [key])
);

GO

CREATE TABLE trace_metadata (
    trace_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
    value NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_trace_metadata PRIMARY KEY (trace_id, [key])
);

GO

CREATE TABLE contents (
    trace_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    request IMAGE NULL,
    response IMAGE NULL,
    request_truncated BIT NOT NULL,
    response_truncated BIT NOT NULL,
    CONSTRAINT pk_contents PRIMARY KEY (trace_id)
);

GO

CREATE TABLE journals (
    process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    segment BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    records BIGINT NOT NULL,
    duplicates BIGINT NOT NULL,
    state VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_journals PRIMARY KEY (process_id)
);

GO

CREATE TABLE journal_gaps (
    process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq BIGINT NOT NULL,
    noticed_at BIGINT NOT NULL,
    CONSTRAINT pk_journal_gaps PRIMARY KEY (process_id, first_seq)
);

GO

CREATE TABLE open_calls (
    call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    seq BIGINT NOT NULL,
    exchange IMAGE NOT NULL,
    CONSTRAINT pk_open_calls PRIMARY KEY (call_id)
);

GO

CREATE INDEX ix_open_calls_process_id ON open_calls (process_id);

GO

INSERT INTO alembic_version (version_num) OUTPUT inserted.version_num VALUES ('0001');

GO

-- Running upgrade 0001 -> 0002

ALTER TABLE endpoints ADD usage_tracking BIT NOT NULL DEFAULT 0;

GO

ALTER TABLE endpoints ADD experiment_id BIGINT NULL;

GO

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

GO

-- Running upgrade 0002 -> 0003

ALTER TABLE endpoints ADD settings NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL;

GO

CREATE TABLE aliases (
    pattern NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at BIGINT NOT NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    updated_at BIGINT NOT NULL,
    updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_aliases PRIMARY KEY (pattern),
    CONSTRAINT fk_aliases_endpoint_id FOREIGN KEY(endpoint_id) REFERENCES endpoints (endpoint_id) ON DELETE CASCADE
);

GO

CREATE INDEX ix_aliases_endpoint_id ON aliases (endpoint_id);

GO

ALTER TABLE attempts ADD image_input_tokens BIGINT NULL;

GO

ALTER TABLE attempts ADD image_output_tokens BIGINT NULL;

GO

ALTER TABLE attempts ADD service_tier NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL;

GO

CREATE TABLE responses (
    response_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    model_definition_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    call_id VARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    attempt_no INTEGER NOT NULL,
    made_at BIGINT NOT NULL,
    counted_by VARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_responses PRIMARY KEY (response_id)
);

GO

CREATE INDEX ix_responses_made_at ON responses (made_at);

GO

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

GO

-- Running upgrade 0003 -> 0004

CREATE TABLE api_keys (
    key_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    digest VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    hint VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    role VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    scopes NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoints NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    experiments NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    owner NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    team NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    expires_at BIGINT NULL,
    revoked_at BIGINT NULL,
    last_used_at BIGINT NULL,
    created_at BIGINT NOT NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    updated_at BIGINT NOT NULL,
    updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_api_keys PRIMARY KEY (key_id),
    CONSTRAINT uq_api_keys_name UNIQUE (name),
    CONSTRAINT uq_api_keys_digest UNIQUE (digest)
);

GO

CREATE TABLE api_key_tags (
    key_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [key] NVARCHAR(250) COLLATE Latin1_General_100_BIN2 NOT NULL,
    value NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_api_key_tags PRIMARY KEY (key_id, [key]),
    CONSTRAINT fk_api_key_tags_key_id FOREIGN KEY(key_id) REFERENCES api_keys (key_id) ON DELETE CASCADE
);

GO

CREATE TABLE prices (
    price_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
    effective_from BIGINT NULL,
    effective_to BIGINT NULL,
    source VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    retrieved_at BIGINT NOT NULL,
    document NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_prices PRIMARY KEY (price_id)
);

GO

CREATE INDEX ix_prices_provider_model ON prices (provider, model);

GO

CREATE TABLE price_overrides (
    override_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    effective_from BIGINT NULL,
    effective_to BIGINT NULL,
    document NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at BIGINT NOT NULL,
    created_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    updated_at BIGINT NOT NULL,
    updated_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_price_overrides PRIMARY KEY (override_id),
    CONSTRAINT uq_price_overrides_name UNIQUE (name)
);

GO

CREATE TABLE closed_months (
    month VARCHAR(7) COLLATE Latin1_General_100_BIN2 NOT NULL,
    closed_at BIGINT NOT NULL,
    closed_by NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL,
    reopened_at BIGINT NULL,
    document NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_closed_months PRIMARY KEY (month)
);

GO

CREATE TABLE calibrations (
    provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
    input_characters BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_characters BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    samples BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_calibrations PRIMARY KEY (provider, model)
);

GO

CREATE TABLE usage_dimensions (
    dimension_id VARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoint_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    endpoint NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    provider VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    model NVARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL,
    key_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    key_name NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    owner NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    team NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NOT NULL,
    status VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL,
    price_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_usage_dimensions PRIMARY KEY (dimension_id)
);

GO

CREATE TABLE usage_rollups (
    width INTEGER NOT NULL,
    bucket BIGINT NOT NULL,
    dimension_id VARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL,
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
    durations IMAGE NOT NULL,
    first_tokens IMAGE NOT NULL,
    CONSTRAINT pk_usage_rollups PRIMARY KEY (width, bucket, dimension_id)
);

GO

ALTER TABLE calls ADD owner NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL;

GO

ALTER TABLE calls ADD team NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL;

GO

ALTER TABLE calls ADD input_tokens BIGINT NULL;

GO

ALTER TABLE calls ADD output_tokens BIGINT NULL;

GO

ALTER TABLE calls ADD cost_pico BIGINT NULL;

GO

ALTER TABLE calls ADD unpriced INTEGER NULL;

GO

ALTER TABLE calls ADD estimated INTEGER NULL;

GO

ALTER TABLE attempts ADD price_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL;

GO

ALTER TABLE attempts ADD input_cost_pico BIGINT NULL;

GO

ALTER TABLE attempts ADD output_cost_pico BIGINT NULL;

GO

ALTER TABLE attempts ADD cost_pico BIGINT NULL;

GO

ALTER TABLE traces ADD session_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL;

GO

ALTER TABLE traces ADD user_id NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL;

GO

CREATE INDEX ix_traces_session_id_request_time_ms ON traces (session_id, request_time_ms);

GO

CREATE INDEX ix_traces_user_id_request_time_ms ON traces (user_id, request_time_ms);

GO

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

GO

-- Running upgrade 0004 -> 0005

ALTER TABLE traces ADD username NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL;

GO

UPDATE traces SET username = (SELECT caller FROM calls WHERE calls.call_id = traces.call_id);

GO

CREATE INDEX ix_traces_experiment_id_state_request_time_ms ON traces (experiment_id, state, request_time_ms);

GO

CREATE INDEX ix_traces_experiment_id_name_request_time_ms ON traces (experiment_id, name, request_time_ms);

GO

CREATE INDEX ix_traces_experiment_id_endpoint_id_request_time_ms ON traces (experiment_id, endpoint_id, request_time_ms);

GO

CREATE INDEX ix_traces_experiment_id_request_type_request_time_ms ON traces (experiment_id, request_type, request_time_ms);

GO

CREATE INDEX ix_traces_experiment_id_username_request_time_ms ON traces (experiment_id, username, request_time_ms);

GO

CREATE INDEX ix_traces_experiment_id_user_id_request_time_ms ON traces (experiment_id, user_id, request_time_ms);

GO

CREATE INDEX ix_traces_experiment_id_duration_ms_request_time_ms_trace_id ON traces (experiment_id, duration_ms, request_time_ms, trace_id);

GO

CREATE INDEX ix_trace_tags_key_trace_id ON trace_tags ([key], trace_id);

GO

CREATE INDEX ix_trace_metadata_key_trace_id ON trace_metadata ([key], trace_id);

GO

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';

GO

-- Running upgrade 0005 -> 0006

UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';

GO

-- Running upgrade 0006 -> 0007

CREATE TABLE arrivals (
    process_id VARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    last_seq BIGINT NOT NULL,
    arrived_at BIGINT NOT NULL,
    traces IMAGE NOT NULL,
    CONSTRAINT pk_arrivals PRIMARY KEY (process_id, last_seq)
);

GO

CREATE INDEX ix_arrivals_arrived_at ON arrivals (arrived_at);

GO

UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';

GO

-- Running upgrade 0007 -> 0008

UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';

GO
