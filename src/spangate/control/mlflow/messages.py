"""The one home of MLflow's wire: what its messages look like as JSON, and nothing of what they do.

An absent field and a null one are the same in a request (protobuf's JSON rule) and stand for "not said"; a reply leaves
the field out. Integers are JSON numbers, also the 64-bit ones; weights come back as they were sent, not rounded to
32 bits; bytes are base64; enums are their names. Unknown fields are ignored, wrong types are refused.
"""

import base64
import datetime
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

INT64 = range(-(2**63), 2**63)
INT32_MAX = 2**31 - 1
# protobuf's JSON parser in the client refuses messages nested more than 100 deep; an object costs three levels a step.
NESTED = 28

REPEATED = frozenset({"trace_ids", "order_by"})  # fields that a query string may give more than once

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
Words = Annotated[str, Meta(max_length=255)]
TagKey = Annotated[str, Meta(min_length=1, max_length=250)]
TagValue = Annotated[str, Meta(max_length=5000)]
Int32 = Annotated[int, Meta(ge=0, le=INT32_MAX)]
Weight = Annotated[float, Meta(ge=0)]


class Malformed(Exception):
    """A request that is not the message it should be; `message` says which field and why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer, or a part of one. A field with its default stays off the wire."""


class Nothing(Reply, kw_only=True):
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


ENUMS: Mapping[str, type[StrEnum]] = {
    "linkage_type": LinkageType,
    "routing_strategy": RoutingStrategy,
    "strategy": FallbackStrategy,
    "view_type": ViewType,
    "type": LocationType,
}


# ---------------------------------------------------------------- secrets


class CreateSecret(Ask, kw_only=True):
    secret_name: Name
    secret_value: dict[str, str] | None = None
    provider: Annotated[str, Meta(max_length=64)] | None = None
    auth_config: dict[str, str] | None = None
    created_by: Words | None = None


class GetSecret(Ask, kw_only=True):
    secret_id: str | None = None
    secret_name: str | None = None


class ListSecrets(Ask, kw_only=True):
    provider: str | None = None


class UpdateSecret(Ask, kw_only=True):
    secret_id: Identifier
    secret_value: dict[str, str] | None = None
    auth_config: dict[str, str] | None = None
    updated_by: Words | None = None


class DeleteSecret(Ask, kw_only=True):
    secret_id: Identifier


class SecretInfo(Reply, kw_only=True):
    secret_id: str
    secret_name: str
    masked_values: dict[str, str] = {}
    created_at: int
    last_updated_at: int
    provider: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None
    auth_config: dict[str, str] = {}


class SecretReply(Reply, kw_only=True):
    secret: SecretInfo


class SecretsReply(Reply, kw_only=True):
    secrets: list[SecretInfo] = []


# ---------------------------------------------------------------- model definitions


class CreateModel(Ask, kw_only=True):
    name: Name
    secret_id: str | None = None  # some providers need no credential
    provider: Annotated[str, Meta(min_length=1, max_length=64)]
    model_name: Annotated[str, Meta(min_length=1, max_length=256)]
    created_by: Words | None = None


class GetModel(Ask, kw_only=True):
    model_definition_id: Identifier


class ListModels(Ask, kw_only=True):
    provider: str | None = None
    secret_id: str | None = None


class UpdateModel(Ask, kw_only=True):
    model_definition_id: Identifier
    name: Name | None = None
    secret_id: Identifier | None = None
    model_name: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    provider: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    updated_by: Words | None = None


class DeleteModel(Ask, kw_only=True):
    model_definition_id: Identifier


class ModelInfo(Reply, kw_only=True):
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


class ModelReply(Reply, kw_only=True):
    model_definition: ModelInfo


class ModelsReply(Reply, kw_only=True):
    model_definitions: list[ModelInfo] = []


# ---------------------------------------------------------------- endpoints


class ModelConfig(Ask, kw_only=True):
    model_definition_id: Identifier
    linkage_type: LinkageType
    weight: Weight | None = None
    fallback_order: Int32 | None = None


class FallbackConfig(Reply, kw_only=True):
    """Both ways: a request's and a reply's."""

    strategy: FallbackStrategy | None = None
    max_attempts: Int32 | None = None


class CreateEndpoint(Ask, kw_only=True):
    name: Name
    model_configs: Annotated[tuple[ModelConfig, ...], Meta(min_length=1, max_length=256)]
    created_by: Words | None = None
    routing_strategy: RoutingStrategy | None = None
    fallback_config: FallbackConfig | None = None
    experiment_id: str | None = None
    usage_tracking: bool | None = None


class GetEndpoint(Ask, kw_only=True):
    endpoint_id: str | None = None
    name: str | None = None


class ListEndpoints(Ask, kw_only=True):
    provider: str | None = None
    secret_id: str | None = None


class UpdateEndpoint(Ask, kw_only=True):
    endpoint_id: Identifier
    name: Name | None = None
    updated_by: Words | None = None
    model_configs: Annotated[tuple[ModelConfig, ...], Meta(max_length=256)] | None = None
    routing_strategy: RoutingStrategy | None = None
    fallback_config: FallbackConfig | None = None
    experiment_id: str | None = None
    usage_tracking: bool | None = None


class DeleteEndpoint(Ask, kw_only=True):
    endpoint_id: Identifier


class AttachModel(Ask, kw_only=True):
    endpoint_id: Identifier
    model_config: ModelConfig
    created_by: Words | None = None


class DetachModel(Ask, kw_only=True):
    endpoint_id: Identifier
    model_definition_id: Identifier


class SetEndpointTag(Ask, kw_only=True):
    endpoint_id: Identifier
    key: TagKey
    value: TagValue | None = None


class DeleteEndpointTag(Ask, kw_only=True):
    endpoint_id: Identifier
    key: TagKey


class CreateBinding(Ask, kw_only=True):
    endpoint_id: Identifier
    resource_type: Annotated[str, Meta(min_length=1, max_length=50)]
    resource_id: Name
    created_by: Words | None = None


class ListBindings(Ask, kw_only=True):
    endpoint_id: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None


class DeleteBinding(Ask, kw_only=True):
    endpoint_id: Identifier
    resource_type: Annotated[str, Meta(min_length=1, max_length=50)]
    resource_id: Name


class Tag(Reply, kw_only=True):
    key: str
    value: str = ""


class MappingInfo(Reply, kw_only=True):
    mapping_id: str
    endpoint_id: str
    model_definition_id: str
    model_definition: ModelInfo | None = None
    weight: float
    created_at: int
    created_by: str | None = None
    linkage_type: str
    fallback_order: int | None = None


class EndpointInfo(Reply, kw_only=True):
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


class EndpointReply(Reply, kw_only=True):
    endpoint: EndpointInfo


class EndpointsReply(Reply, kw_only=True):
    endpoints: list[EndpointInfo] = []


class MappingReply(Reply, kw_only=True):
    mapping: MappingInfo


class BindingInfo(Reply, kw_only=True):
    endpoint_id: str
    resource_type: str
    resource_id: str
    created_at: int
    last_updated_at: int
    created_by: str | None = None
    last_updated_by: str | None = None
    display_name: str | None = None


class BindingReply(Reply, kw_only=True):
    binding: BindingInfo


class BindingsReply(Reply, kw_only=True):
    bindings: list[BindingInfo] = []


# ---------------------------------------------------------------- experiments

ExperimentName = Annotated[str, Meta(min_length=1, max_length=500)]
# int64 in MLflow's proto: protobuf's own JSON writes those as strings, the mlflow client as numbers.
Int64 = int | Annotated[str, Meta(pattern=r"^-?[0-9]{1,19}$")]


class ExperimentTag(Ask, kw_only=True):
    key: TagKey
    value: TagValue | None = None


class CreateExperiment(Ask, kw_only=True):
    name: ExperimentName
    artifact_location: Annotated[str, Meta(max_length=256)] | None = None
    tags: Annotated[tuple[ExperimentTag, ...], Meta(max_length=100)] | None = None


class GetExperiment(Ask, kw_only=True):
    experiment_id: Identifier


class GetExperimentByName(Ask, kw_only=True):
    experiment_name: Annotated[str, Meta(min_length=1)]


class SearchExperiments(Ask, kw_only=True):
    max_results: Int64 | None = None
    page_token: str | None = None
    filter: str | None = None
    order_by: tuple[str, ...] | None = None
    view_type: ViewType | None = None


class UpdateExperiment(Ask, kw_only=True):
    experiment_id: Identifier
    new_name: ExperimentName | None = None


class SetExperimentTag(Ask, kw_only=True):
    experiment_id: Identifier
    key: TagKey
    value: TagValue | None = None


class DeleteExperimentTag(Ask, kw_only=True):
    experiment_id: Identifier
    key: TagKey


class ExperimentInfo(Reply, kw_only=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[Tag] = []


class ExperimentCreated(Reply, kw_only=True):
    experiment_id: str


class ExperimentReply(Reply, kw_only=True):
    experiment: ExperimentInfo


class ExperimentsReply(Reply, kw_only=True):
    experiments: list[ExperimentInfo] = []
    next_page_token: str | None = None


# ---------------------------------------------------------------- traces


class ExperimentLocation(Reply, kw_only=True):
    """Both ways, as is TraceLocation."""

    experiment_id: str


class TraceLocation(Reply, kw_only=True):
    type: LocationType | None = None
    mlflow_experiment: ExperimentLocation | None = None


class SearchTraces(Ask, kw_only=True):
    locations: Annotated[tuple[TraceLocation, ...], Meta(min_length=1, max_length=1000)]
    filter: str | None = None
    max_results: Int32 | None = None
    order_by: tuple[str, ...] | None = None
    page_token: str | None = None


class GetTraceInfo(Ask, kw_only=True):
    trace_id: Identifier


class GetTrace(Ask, kw_only=True):
    trace_id: Identifier
    allow_partial: bool | None = None


class BatchGetTraces(Ask, kw_only=True):
    trace_ids: Annotated[tuple[str, ...], Meta(max_length=500)] | None = None


class SetTraceTag(Ask, kw_only=True):
    trace_id: Identifier
    key: TagKey
    value: Annotated[str, Meta(max_length=8000)] | None = None


class DeleteTraceTag(Ask, kw_only=True):
    trace_id: Identifier
    key: TagKey


class TraceInfo(Reply, kw_only=True):
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


class KeyValue(Reply, kw_only=True):
    key: str
    value: Mapping[str, Any]


class SpanEvent(Reply, kw_only=True):
    time_unix_nano: int
    name: str
    attributes: list[KeyValue] = []


class SpanStatus(Reply, kw_only=True):
    code: str
    message: str | None = None


class SpanInfo(Reply, kw_only=True):
    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    name: str
    start_time_unix_nano: int
    end_time_unix_nano: int | None = None
    attributes: list[KeyValue] = []
    events: list[SpanEvent] = []
    status: SpanStatus


class Trace(Reply, kw_only=True):
    trace_info: TraceInfo
    spans: list[SpanInfo] = []


class TraceReply(Reply, kw_only=True):
    trace: Trace


class TracesReply(Reply, kw_only=True):
    """batchGet's."""

    traces: list[Trace] = []


class TraceInfosReply(Reply, kw_only=True):
    """batchGetInfos'."""

    trace_infos: list[TraceInfo] = []


class TraceSearchReply(Reply, kw_only=True):
    traces: list[TraceInfo] = []
    next_page_token: str | None = None


# ---------------------------------------------------------------- parse

A = TypeVar("A", bound=Ask)

_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`(?: - at `\$?\.?(?P<at>[^`]*)`)?$", re.S)
_WRONG = re.compile(r"(?P<why>.*) - at `\$?\.?(?P<at>[^`]*)`$", re.S)


def parse_body(message: type[A], body: bytes, path: Mapping[str, str]) -> A:
    """The message that a JSON body holds, no body standing for `{}`. A parameter in the path wins over one in the body."""
    try:
        if path:
            fields = msgspec.json.decode(body.strip() or b"{}", type=dict[str, msgspec.Raw])
            fields |= {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in path.items()}
            body = msgspec.json.encode(fields)
        ask = msgspec.json.decode(body.strip() or b"{}", type=message)
    except msgspec.ValidationError as error:
        raise Malformed(_sentence(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Malformed("The request body is not valid JSON.") from None
    except RecursionError:
        raise Malformed("The request body is nested too deep.") from None
    return _storable(ask)


def parse_query(message: type[A], query: Sequence[tuple[str, str]], path: Mapping[str, str]) -> A:
    """The message that a query string and the path's parameters hold."""
    fields: dict[str, Any] = {}
    for name, value in query:
        if name in REPEATED:
            fields.setdefault(name, []).append(value)
        else:
            fields[name] = value
    try:
        ask = msgspec.convert(fields | dict(path), type=message, strict=False)
    except msgspec.ValidationError as error:
        raise Malformed(_sentence(str(error))) from None
    return _storable(ask)


def integer(value: Int64 | None, default: int) -> int:
    return default if value is None else int(value)


def _storable(ask: A) -> A:
    """PostgreSQL cannot keep U+0000 in text, and no driver can send half of a surrogate pair."""
    for text in _texts(msgspec.to_builtins(ask)):
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise Malformed("The request holds a text with a null character or half a surrogate pair.")
    return ask


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _texts(part)]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]  # pyright: ignore[reportUnknownVariableType]
    return []


def _sentence(why: str) -> str:
    """msgspec's words as a sentence that names the parameter."""
    if found := _MISSING.match(why):
        prefix = f"{found['at']}." if found["at"] else ""
        return f"Missing value for required parameter '{prefix}{found['field']}'. See the API docs for more information."
    if found := _WRONG.match(why):
        allowed = ENUMS.get(found["at"].rpartition(".")[2]) if "enum" in found["why"] else None
        hint = f" Must be one of: {', '.join(allowed)}." if allowed else ""
        return f"Invalid value for parameter '{found['at']}': {found['why']}.{hint}"
    return f"Invalid request: {why}."


# ---------------------------------------------------------------- render


def render(reply: msgspec.Struct) -> bytes:
    return msgspec.json.encode(reply)


def render_error(code: str, message: str) -> bytes:
    return msgspec.json.encode({"error_code": code, "message": message})


def instant(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, as google.protobuf.Timestamp is written."""
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(ms: int) -> str:
    """google.protobuf.Duration."""
    return f"{ms // 1000}.{ms % 1000:03d}s"


def base64_of(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def attributes(values: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def any_value(value: object, depth: int = 0) -> dict[str, Any]:
    """OpenTelemetry's AnyValue. What its types or the client's parser cannot hold is written as JSON text, never dropped."""
    match value:
        case None:
            return {}
        case bool():
            return {"bool_value": value}
        case int():
            return {"int_value": value} if value in INT64 else {"string_value": str(value)}
        case float():
            return {"double_value": value}
        case str():
            return {"string_value": value}
        case bytes():
            return {"bytes_value": base64.b64encode(value).decode()}
        case Mapping() | list() | tuple() if depth >= NESTED:
            return {"string_value": msgspec.json.encode(value).decode()}
        case Mapping():
            pairs: Mapping[str, object] = value  # pyright: ignore[reportUnknownVariableType]
            values = [{"key": str(key), "value": any_value(part, depth + 1)} for key, part in pairs.items()]
            return {"kvlist_value": {"values": values} if values else {}}
        case list() | tuple():
            parts: Sequence[object] = value  # pyright: ignore[reportUnknownVariableType]
            values = [any_value(part, depth + 1) for part in parts]
            return {"array_value": {"values": values} if values else {}}
        case _:
            return {"string_value": str(value)}
