"""The one home of MLflow's messages: their fields and what may stand in them, nothing of what they do. `notation` makes them JSON.

None in a request is "not said". In a reply a field with its default stays off the wire.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

INT32_MAX = 2**31 - 1
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
Words = Annotated[str, Meta(max_length=255)]
TagKey = Annotated[str, Meta(min_length=1, max_length=250)]
TagValue = Annotated[str, Meta(max_length=5000)]
Int32 = Annotated[int, Meta(ge=0, le=INT32_MAX)]
Weight = Annotated[float, Meta(ge=0)]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer, or a part of one. A field with its default stays off the wire."""


class Nothing(Reply, frozen=True, kw_only=True):
    """`{}`: it is done, and there is no more to say."""


# ---------------------------------------------------------------- enums


class LinkageType(StrEnum):
    PRIMARY = "PRIMARY"
    FALLBACK = "FALLBACK"


class RoutingStrategy(StrEnum):
    REQUEST_BASED_TRAFFIC_SPLIT = "REQUEST_BASED_TRAFFIC_SPLIT"


class FallbackStrategy(StrEnum):
    SEQUENTIAL = "SEQUENTIAL"


class ViewType(StrEnum):
    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


class LocationType(StrEnum):
    MLFLOW_EXPERIMENT = "MLFLOW_EXPERIMENT"
    INFERENCE_TABLE = "INFERENCE_TABLE"


# ---------------------------------------------------------------- secrets


class CreateSecret(Ask, frozen=True, kw_only=True):
    secret_name: Name
    secret_value: dict[str, str] | None = None
    provider: Annotated[str, Meta(max_length=64)] | None = None
    auth_config: dict[str, str] | None = None
    created_by: Words | None = None


class GetSecret(Ask, frozen=True, kw_only=True):
    secret_id: str | None = None
    secret_name: str | None = None


class ListSecrets(Ask, frozen=True, kw_only=True):
    provider: str | None = None


class UpdateSecret(Ask, frozen=True, kw_only=True):
    secret_id: Identifier
    secret_value: dict[str, str] | None = None
    auth_config: dict[str, str] | None = None
    updated_by: Words | None = None


class DeleteSecret(Ask, frozen=True, kw_only=True):
    secret_id: Identifier


class SecretInfo(Reply, frozen=True, kw_only=True):
    secret_id: str
    secret_name: str
    masked_values: dict[str, str] = {}
    created_at: int
    last_updated_at: int
    provider: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None
    auth_config: dict[str, str] = {}


class SecretReply(Reply, frozen=True, kw_only=True):
    secret: SecretInfo


class SecretsReply(Reply, frozen=True, kw_only=True):
    secrets: list[SecretInfo] = []


# ---------------------------------------------------------------- providers


class ListProviders(Ask, frozen=True, kw_only=True):
    pass


class ProvidersReply(Reply, frozen=True, kw_only=True):
    providers: list[str]


class GetProviderConfig(Ask, frozen=True, kw_only=True):
    provider: Annotated[str, Meta(min_length=1, max_length=64)]


class FieldInfo(Reply, frozen=True, kw_only=True):
    name: str
    type: str
    description: str
    required: bool
    default: str | None = None


class AuthModeInfo(Reply, frozen=True, kw_only=True):
    mode: str
    display_name: str
    description: str
    secret_fields: list[FieldInfo]
    config_fields: list[FieldInfo]


class ProviderConfigReply(Reply, frozen=True, kw_only=True):
    auth_modes: list[AuthModeInfo]
    default_mode: str


# ---------------------------------------------------------------- model definitions


class CreateModel(Ask, frozen=True, kw_only=True):
    name: Name
    secret_id: str | None = None  # some providers need no credential
    provider: Annotated[str, Meta(min_length=1, max_length=64)]
    model_name: Annotated[str, Meta(min_length=1, max_length=256)]
    created_by: Words | None = None


class GetModel(Ask, frozen=True, kw_only=True):
    model_definition_id: Identifier


class ListModels(Ask, frozen=True, kw_only=True):
    provider: str | None = None
    secret_id: str | None = None


class UpdateModel(Ask, frozen=True, kw_only=True):
    model_definition_id: Identifier
    name: Name | None = None
    secret_id: Identifier | None = None
    model_name: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    provider: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    updated_by: Words | None = None


class DeleteModel(Ask, frozen=True, kw_only=True):
    model_definition_id: Identifier


class ModelInfo(Reply, frozen=True, kw_only=True):
    model_definition_id: str
    name: str
    secret_id: str | None = None
    secret_name: str | None = None
    provider: str
    model_name: str
    created_at: int
    last_updated_at: int
    created_by: str | None = None
    last_updated_by: str | None = None


class ModelReply(Reply, frozen=True, kw_only=True):
    model_definition: ModelInfo


class ModelsReply(Reply, frozen=True, kw_only=True):
    model_definitions: list[ModelInfo] = []


# ---------------------------------------------------------------- endpoints


class ModelConfig(Ask, frozen=True, kw_only=True):
    model_definition_id: Identifier
    linkage_type: LinkageType
    weight: Weight | None = None
    fallback_order: Int32 | None = None


class FallbackConfig(Reply, frozen=True, kw_only=True):
    """Both ways: a request's and a reply's."""

    strategy: FallbackStrategy | None = None
    max_attempts: Int32 | None = None


class CreateEndpoint(Ask, frozen=True, kw_only=True):
    name: Name
    model_configs: Annotated[tuple[ModelConfig, ...], Meta(min_length=1, max_length=256)]
    created_by: Words | None = None
    routing_strategy: RoutingStrategy | None = None
    fallback_config: FallbackConfig | None = None
    experiment_id: str | None = None
    usage_tracking: bool | None = None


class GetEndpoint(Ask, frozen=True, kw_only=True):
    endpoint_id: str | None = None
    name: str | None = None


class ListEndpoints(Ask, frozen=True, kw_only=True):
    provider: str | None = None
    secret_id: str | None = None


class UpdateEndpoint(Ask, frozen=True, kw_only=True):
    endpoint_id: Identifier
    name: Name | None = None
    updated_by: Words | None = None
    model_configs: Annotated[tuple[ModelConfig, ...], Meta(max_length=256)] | None = None
    routing_strategy: RoutingStrategy | None = None
    fallback_config: FallbackConfig | None = None
    experiment_id: str | None = None
    usage_tracking: bool | None = None


class DeleteEndpoint(Ask, frozen=True, kw_only=True):
    endpoint_id: Identifier


class AttachModel(Ask, frozen=True, kw_only=True):
    endpoint_id: Identifier
    model_config: ModelConfig
    created_by: Words | None = None


class DetachModel(Ask, frozen=True, kw_only=True):
    endpoint_id: Identifier
    model_definition_id: Identifier


class SetEndpointTag(Ask, frozen=True, kw_only=True):
    endpoint_id: Identifier
    key: TagKey
    value: TagValue | None = None


class DeleteEndpointTag(Ask, frozen=True, kw_only=True):
    endpoint_id: Identifier
    key: TagKey


class CreateBinding(Ask, frozen=True, kw_only=True):
    endpoint_id: Identifier
    resource_type: Annotated[str, Meta(min_length=1, max_length=50)]
    resource_id: Name
    created_by: Words | None = None


class ListBindings(Ask, frozen=True, kw_only=True):
    endpoint_id: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None


class DeleteBinding(Ask, frozen=True, kw_only=True):
    endpoint_id: Identifier
    resource_type: Annotated[str, Meta(min_length=1, max_length=50)]
    resource_id: Name


class Tag(Reply, frozen=True, kw_only=True):
    key: str
    value: str = ""


class MappingInfo(Reply, frozen=True, kw_only=True):
    mapping_id: str
    endpoint_id: str
    model_definition_id: str
    model_definition: ModelInfo | None = None
    weight: float
    created_at: int
    created_by: str | None = None
    linkage_type: str
    fallback_order: int | None = None


class EndpointInfo(Reply, frozen=True, kw_only=True):
    endpoint_id: str
    name: str
    created_at: int
    last_updated_at: int
    model_mappings: list[MappingInfo] = []
    created_by: str | None = None
    last_updated_by: str | None = None
    tags: list[Tag] = []
    routing_strategy: str | None = None
    fallback_config: FallbackConfig | None = None
    experiment_id: str | None = None
    usage_tracking: bool


class EndpointReply(Reply, frozen=True, kw_only=True):
    endpoint: EndpointInfo


class EndpointsReply(Reply, frozen=True, kw_only=True):
    endpoints: list[EndpointInfo] = []


class MappingReply(Reply, frozen=True, kw_only=True):
    mapping: MappingInfo


class BindingInfo(Reply, frozen=True, kw_only=True):
    endpoint_id: str
    resource_type: str
    resource_id: str
    created_at: int
    last_updated_at: int
    created_by: str | None = None
    last_updated_by: str | None = None
    display_name: str | None = None


class BindingReply(Reply, frozen=True, kw_only=True):
    binding: BindingInfo


class BindingsReply(Reply, frozen=True, kw_only=True):
    bindings: list[BindingInfo] = []


# ---------------------------------------------------------------- experiments

ExperimentName = Annotated[str, Meta(min_length=1, max_length=500)]
# int64 in MLflow's proto: protobuf's own JSON writes those as strings, the mlflow client as numbers.
Int64 = int | Annotated[str, Meta(pattern=r"^-?[0-9]{1,19}$")]


class ExperimentTag(Ask, frozen=True, kw_only=True):
    key: TagKey
    value: TagValue | None = None


class CreateExperiment(Ask, frozen=True, kw_only=True):
    name: ExperimentName
    artifact_location: Annotated[str, Meta(max_length=256)] | None = None
    tags: Annotated[tuple[ExperimentTag, ...], Meta(max_length=100)] | None = None


class GetExperiment(Ask, frozen=True, kw_only=True):
    experiment_id: Identifier


class GetExperimentByName(Ask, frozen=True, kw_only=True):
    experiment_name: Annotated[str, Meta(min_length=1)]


class SearchExperiments(Ask, frozen=True, kw_only=True):
    max_results: Int64 | None = None
    page_token: str | None = None
    filter: str | None = None
    order_by: tuple[str, ...] | None = None
    view_type: ViewType | None = None


class UpdateExperiment(Ask, frozen=True, kw_only=True):
    experiment_id: Identifier
    new_name: ExperimentName | None = None


class SetExperimentTag(Ask, frozen=True, kw_only=True):
    experiment_id: Identifier
    key: TagKey
    value: TagValue | None = None


class DeleteExperimentTag(Ask, frozen=True, kw_only=True):
    experiment_id: Identifier
    key: TagKey


class ExperimentInfo(Reply, frozen=True, kw_only=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[Tag] = []


class ExperimentCreated(Reply, frozen=True, kw_only=True):
    experiment_id: str


class ExperimentReply(Reply, frozen=True, kw_only=True):
    experiment: ExperimentInfo


class ExperimentsReply(Reply, frozen=True, kw_only=True):
    experiments: list[ExperimentInfo] = []
    next_page_token: str | None = None


# ---------------------------------------------------------------- traces


class ExperimentLocation(Reply, frozen=True, kw_only=True):
    """Both ways, as is TraceLocation."""

    experiment_id: str


class TraceLocation(Reply, frozen=True, kw_only=True):
    type: LocationType | None = None
    mlflow_experiment: ExperimentLocation | None = None


class SearchTraces(Ask, frozen=True, kw_only=True):
    locations: Annotated[tuple[TraceLocation, ...], Meta(min_length=1, max_length=1000)]
    filter: str | None = None
    max_results: Int32 | None = None
    order_by: tuple[str, ...] | None = None
    page_token: str | None = None


class GetTraceInfo(Ask, frozen=True, kw_only=True):
    trace_id: Identifier


class GetTrace(Ask, frozen=True, kw_only=True):
    trace_id: Identifier
    allow_partial: bool | None = None


class BatchGetTraces(Ask, frozen=True, kw_only=True):
    trace_ids: Annotated[tuple[str, ...], Meta(max_length=500)] | None = None


class SetTraceTag(Ask, frozen=True, kw_only=True):
    trace_id: Identifier
    key: TagKey
    value: Annotated[str, Meta(max_length=8000)] | None = None


class DeleteTraces(Ask, frozen=True, kw_only=True):
    experiment_id: Identifier
    max_timestamp_millis: Int64 | None = None
    max_traces: Int32 | None = None
    request_ids: Annotated[tuple[str, ...], Meta(max_length=500)] | None = None


class DeleteTraceTag(Ask, frozen=True, kw_only=True):
    trace_id: Identifier
    key: TagKey


class TraceInfo(Reply, frozen=True, kw_only=True):
    trace_id: str
    client_request_id: str | None = None
    trace_location: TraceLocation
    request_time: str
    execution_duration: str | None = None
    state: str
    trace_metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    request_preview: str | None = None
    response_preview: str | None = None


class KeyValue(Reply, frozen=True, kw_only=True):
    key: str
    value: Mapping[str, Any]


class SpanEvent(Reply, frozen=True, kw_only=True):
    time_unix_nano: int
    name: str
    attributes: list[KeyValue] = []


class SpanStatus(Reply, frozen=True, kw_only=True):
    code: str
    message: str | None = None


class SpanInfo(Reply, frozen=True, kw_only=True):
    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    name: str
    start_time_unix_nano: int
    end_time_unix_nano: int | None = None
    attributes: list[KeyValue] = []
    events: list[SpanEvent] = []
    status: SpanStatus


class Trace(Reply, frozen=True, kw_only=True):
    trace_info: TraceInfo
    spans: list[SpanInfo] = []


class TraceReply(Reply, frozen=True, kw_only=True):
    trace: Trace


class TracesReply(Reply, frozen=True, kw_only=True):
    """batchGet's."""

    traces: list[Trace] = []


class TraceInfosReply(Reply, frozen=True, kw_only=True):
    """batchGetInfos'."""

    trace_infos: list[TraceInfo] = []


class TracesDeleted(Reply, frozen=True, kw_only=True):
    traces_deleted: int


class TraceSearchReply(Reply, frozen=True, kw_only=True):
    traces: list[TraceInfo] = []
    next_page_token: str | None = None
