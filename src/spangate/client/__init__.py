"""A gateway's management API as Python calls: MLflow's REST nouns, and ours under /api/v1. The CLI has no other way in.

    with Client("http://127.0.0.1:4000", key) as gateway:
        secret = gateway.create_secret("openai", provider="openai", values={"api_key": "sk-..."})
        model = gateway.create_model("gpt", secret_id=secret.secret_id, provider="openai", model_name="gpt-5-mini")
        gateway.create_endpoint("chat", [ModelConfig(model.model_definition_id)])

A field that the server left out has its default. What the server refused is `Refused`; that it could not be reached, `Unreachable`.
"""

import email.utils
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec
from msgspec import UNSET, UnsetType

from .calling import OWN, Known
from .calling import ClientError as ClientError
from .calling import Refused as Refused
from .calling import Unreachable as Unreachable
from .keys import Keys
from .prices import Prices
from .reconcile import Reconcile
from .reprice import Repricing
from .retention import Keeping, Periods
from .session import Sessions
from .usage import Usage

GATEWAY = "/api/3.0/mlflow/gateway"
EXPERIMENTS = "/api/2.0/mlflow/experiments"
TRACES = "/api/3.0/mlflow/traces"

T = TypeVar("T")


class Secret(Known, frozen=True, kw_only=True):
    secret_id: str
    secret_name: str
    masked_values: dict[str, str] = {}
    provider: str | None = None
    auth_config: dict[str, str] = {}
    created_at: int = 0
    last_updated_at: int = 0
    created_by: str | None = None
    last_updated_by: str | None = None


class ModelDefinition(Known, frozen=True, kw_only=True):
    model_definition_id: str
    name: str
    provider: str
    model_name: str
    secret_id: str | None = None
    secret_name: str | None = None
    created_at: int = 0
    last_updated_at: int = 0
    created_by: str | None = None
    last_updated_by: str | None = None


class ModelConfig(msgspec.Struct, frozen=True):
    """One model in what is asked of an endpoint."""

    model_definition_id: str
    linkage_type: Literal["PRIMARY", "FALLBACK"] = "PRIMARY"
    weight: float = 1.0
    fallback_order: int | UnsetType = UNSET


class ModelMapping(Known, frozen=True, kw_only=True):
    """One model in what an endpoint has."""

    mapping_id: str
    model_definition_id: str
    linkage_type: str = "PRIMARY"
    weight: float = 1.0
    fallback_order: int | None = None
    model_definition: ModelDefinition | None = None


class Fallback(msgspec.Struct, frozen=True, omit_defaults=True):
    strategy: str | None = None
    max_attempts: int | None = None


class Tag(msgspec.Struct, frozen=True):
    key: str
    value: str = ""


class Endpoint(Known, frozen=True, kw_only=True):
    endpoint_id: str
    name: str
    model_mappings: tuple[ModelMapping, ...] = ()
    tags: tuple[Tag, ...] = ()
    routing_strategy: str | None = None
    fallback_config: Fallback | None = None
    usage_tracking: bool = False
    experiment_id: str | None = None
    created_at: int = 0
    last_updated_at: int = 0
    created_by: str | None = None
    last_updated_by: str | None = None


class ProxyRules(Known, frozen=True, kw_only=True):
    """What the raw proxy may pass on for an endpoint."""

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class EndpointSettings(Known, frozen=True, kw_only=True):
    """None: the server's setting is in force, or what the provider's row says. Timeouts in s."""

    connect_timeout: float | None = None
    first_byte_timeout: float | None = None
    idle_timeout: float | None = None
    total_timeout: float | None = None
    client_gone: Literal["close", "drain"] | None = None
    proxy: ProxyRules | None = None  # None: the raw proxy is off
    retention: Periods | None = None  # None here and in it: the server's
    content: Literal["full", "metadata"] | None = None  # None: full


class Alias(Known, frozen=True, kw_only=True):
    pattern: str
    endpoint: str  # its name
    endpoint_id: str
    created_at: str  # RFC 3339
    updated_at: str
    created_by: str | None = None
    updated_by: str | None = None


class Experiment(Known, frozen=True, kw_only=True):
    experiment_id: str
    name: str
    lifecycle_stage: str = "active"
    artifact_location: str = ""
    creation_time: int = 0
    last_update_time: int = 0
    tags: tuple[Tag, ...] = ()


class TraceInfo(Known, frozen=True, kw_only=True):
    trace_id: str
    state: str
    request_time: str
    execution_duration: str | None = None
    trace_location: dict[str, Any] = {}
    trace_metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    request_preview: str | None = None
    response_preview: str | None = None
    client_request_id: str | None = None

    @property
    def experiment_id(self) -> str | None:
        place: dict[str, Any] = self.trace_location.get("mlflow_experiment") or {}
        return place.get("experiment_id")


class SpanStatus(Known, frozen=True, kw_only=True):
    code: str = ""
    message: str = ""


class SpanEvent(Known, frozen=True, kw_only=True):
    name: str
    time_unix_nano: int = 0
    attributes: tuple[dict[str, Any], ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        return plain(self.attributes)


class Span(Known, frozen=True, kw_only=True):
    """OpenTelemetry's JSON; ids are base64, as in MLflow."""

    trace_id: str
    span_id: str
    name: str
    parent_span_id: str = ""
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
    attributes: tuple[dict[str, Any], ...] = ()
    events: tuple[SpanEvent, ...] = ()
    status: SpanStatus = SpanStatus()

    @property
    def values(self) -> dict[str, Any]:
        """The attributes as plain values."""
        return plain(self.attributes)


class Trace(Known, frozen=True, kw_only=True):
    trace_info: TraceInfo
    spans: tuple[Span, ...] = ()


class Health(Known, frozen=True, kw_only=True):
    """What /health or /ready answered: `ok` is the status code's word, `detail` the body, `at` the server's clock (Unix seconds)."""

    ok: bool
    detail: dict[str, Any]
    at: float | None = None


def plain(attributes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """OTLP's key-value list as a dict; a string that holds JSON (MLflow's habit) is decoded."""
    return {item["key"]: _any(item.get("value", {})) for item in attributes}


def _any(value: Mapping[str, Any]) -> Any:
    for kind, held in value.items():
        if kind == "array_value":
            return [_any(item) for item in held.get("values", ())]
        if kind == "kvlist_value":
            return plain(held.get("values", ()))
        if kind == "string_value" and held[:1] in ("{", "[", '"'):
            try:
                return msgspec.json.decode(held)
            except msgspec.DecodeError:
                return held
        return held
    return None


class Client:
    """One gateway, one key. Synchronous; `transport` replaces the network in tests."""

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 30.0, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"user-agent": "spangate-client", **({"authorization": f"Bearer {key}"} if key else {})}
        # To load the world's certificates takes a good part of a short command, and plain HTTP has no use for them.
        verify = urlsplit(url).scheme != "http"
        # trust_env off: a proxy variable must not see the key of a gateway that is usually on loopback.
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, timeout=timeout, transport=transport, verify=verify, trust_env=False
        )
        self.url = url.rstrip("/")
        self.keys = Keys(self)
        self.sessions = Sessions(self)
        self.repricing = Repricing(self)
        self.prices = Prices(self)
        self.reconcile = Reconcile(self)
        self.retention = Keeping(self)
        self.usage = Usage(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, message: Mapping[str, Any] | None = None) -> Any:
        """Any route: `message` is the query of a GET, else the JSON body; None values are left out."""
        response = self._answer(method, path, message or {})
        try:
            return msgspec.json.decode(response.content) if response.content else {}
        except msgspec.DecodeError:
            raise Unreachable(f"{self.url}{path} answered something that is not JSON; is this a Spangate gateway?") from None

    def text(self, path: str, query: Mapping[str, Any]) -> str:
        """A GET's reply as it is."""
        return self._answer("GET", path, query).text

    # ------------------------------------------------------------ secrets

    def create_secret(
        self,
        name: str,
        *,
        provider: str | None = None,
        values: Mapping[str, str] | None = None,
        auth_config: Mapping[str, str] | None = None,
    ) -> Secret:
        message = {"secret_name": name, "provider": provider, "secret_value": values or {}, "auth_config": auth_config}
        return self._one("POST", f"{GATEWAY}/secrets/create", message, "secret", Secret)

    def secret(self, secret_id: str | None = None, *, name: str | None = None) -> Secret:
        return self._one("GET", f"{GATEWAY}/secrets/get", {"secret_id": secret_id, "secret_name": name}, "secret", Secret)

    def secrets(self, *, provider: str | None = None) -> list[Secret]:
        return self._many("GET", f"{GATEWAY}/secrets/list", {"provider": provider}, "secrets", Secret)

    def update_secret(
        self, secret_id: str, *, values: Mapping[str, str] | None = None, auth_config: Mapping[str, str] | None = None
    ) -> Secret:
        message = {"secret_id": secret_id, "secret_value": values, "auth_config": auth_config}
        return self._one("POST", f"{GATEWAY}/secrets/update", message, "secret", Secret)

    def delete_secret(self, secret_id: str) -> None:
        self.call("DELETE", f"{GATEWAY}/secrets/delete", {"secret_id": secret_id})

    # ------------------------------------------------------------ model definitions

    def create_model(self, name: str, *, secret_id: str, provider: str, model_name: str) -> ModelDefinition:
        message = {"name": name, "secret_id": secret_id, "provider": provider, "model_name": model_name}
        return self._one("POST", f"{GATEWAY}/model-definitions/create", message, "model_definition", ModelDefinition)

    def model(self, model_definition_id: str) -> ModelDefinition:
        message = {"model_definition_id": model_definition_id}
        return self._one("GET", f"{GATEWAY}/model-definitions/get", message, "model_definition", ModelDefinition)

    def models(self, *, provider: str | None = None, secret_id: str | None = None) -> list[ModelDefinition]:
        message = {"provider": provider, "secret_id": secret_id}
        return self._many("GET", f"{GATEWAY}/model-definitions/list", message, "model_definitions", ModelDefinition)

    def update_model(
        self,
        model_definition_id: str,
        *,
        name: str | None = None,
        secret_id: str | None = None,
        model_name: str | None = None,
        provider: str | None = None,
    ) -> ModelDefinition:
        message = {"name": name, "secret_id": secret_id, "model_name": model_name, "provider": provider}
        message["model_definition_id"] = model_definition_id
        return self._one("POST", f"{GATEWAY}/model-definitions/update", message, "model_definition", ModelDefinition)

    def delete_model(self, model_definition_id: str) -> None:
        self.call("DELETE", f"{GATEWAY}/model-definitions/delete", {"model_definition_id": model_definition_id})

    # ------------------------------------------------------------ endpoints

    def create_endpoint(
        self,
        name: str,
        models: Sequence[ModelConfig],
        *,
        usage_tracking: bool | None = None,
        experiment_id: str | None = None,
        routing_strategy: str | None = None,
        fallback: Fallback | None = None,
    ) -> Endpoint:
        message = {
            "name": name,
            "model_configs": models,
            "usage_tracking": usage_tracking,
            "experiment_id": experiment_id,
            "routing_strategy": routing_strategy,
            "fallback_config": fallback,
        }
        return self._one("POST", f"{GATEWAY}/endpoints/create", message, "endpoint", Endpoint)

    def endpoint(self, endpoint_id: str | None = None, *, name: str | None = None) -> Endpoint:
        return self._one("GET", f"{GATEWAY}/endpoints/get", {"endpoint_id": endpoint_id, "name": name}, "endpoint", Endpoint)

    def endpoints(self, *, provider: str | None = None, secret_id: str | None = None) -> list[Endpoint]:
        return self._many("GET", f"{GATEWAY}/endpoints/list", {"provider": provider, "secret_id": secret_id}, "endpoints", Endpoint)

    def update_endpoint(
        self,
        endpoint_id: str,
        *,
        name: str | None = None,
        models: Sequence[ModelConfig] | None = None,
        usage_tracking: bool | None = None,
        experiment_id: str | None = None,
        routing_strategy: str | None = None,
        fallback: Fallback | None = None,
    ) -> Endpoint:
        """Changes what is given and leaves the rest: absent is not false."""
        message = {
            "endpoint_id": endpoint_id,
            "name": name,
            "model_configs": models,
            "usage_tracking": usage_tracking,
            "experiment_id": experiment_id,
            "routing_strategy": routing_strategy,
            "fallback_config": fallback,
        }
        return self._one("POST", f"{GATEWAY}/endpoints/update", message, "endpoint", Endpoint)

    def delete_endpoint(self, endpoint_id: str) -> None:
        self.call("DELETE", f"{GATEWAY}/endpoints/delete", {"endpoint_id": endpoint_id})

    def attach_model(self, endpoint_id: str, model: ModelConfig) -> ModelMapping:
        message = {"endpoint_id": endpoint_id, "model_config": model}
        return self._one("POST", f"{GATEWAY}/endpoints/models/attach", message, "mapping", ModelMapping)

    def detach_model(self, endpoint_id: str, model_definition_id: str) -> None:
        message = {"endpoint_id": endpoint_id, "model_definition_id": model_definition_id}
        self.call("POST", f"{GATEWAY}/endpoints/models/detach", message)

    def set_endpoint_tag(self, endpoint_id: str, key: str, value: str) -> None:
        self.call("POST", f"{GATEWAY}/endpoints/set-tag", {"endpoint_id": endpoint_id, "key": key, "value": value})

    def delete_endpoint_tag(self, endpoint_id: str, key: str) -> None:
        self.call("DELETE", f"{GATEWAY}/endpoints/delete-tag", {"endpoint_id": endpoint_id, "key": key})

    # ------------------------------------------------------------ experiments

    def create_experiment(self, name: str, *, tags: Mapping[str, str] | None = None) -> str:
        message = {"name": name, "tags": [Tag(key, value) for key, value in tags.items()] if tags else None}
        return self._one("POST", f"{EXPERIMENTS}/create", message, "experiment_id", str)

    def experiment(self, experiment_id: str | None = None, *, name: str | None = None) -> Experiment:
        if name is not None:
            return self._one("GET", f"{EXPERIMENTS}/get-by-name", {"experiment_name": name}, "experiment", Experiment)
        return self._one("GET", f"{EXPERIMENTS}/get", {"experiment_id": experiment_id}, "experiment", Experiment)

    def experiments(self, *, view: Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"] = "ACTIVE_ONLY") -> Iterator[Experiment]:
        message: dict[str, Any] = {"max_results": 200, "view_type": view, "page_token": None}
        while True:
            page = self.call("POST", f"{EXPERIMENTS}/search", message)
            yield from msgspec.convert(page.get("experiments", []), list[Experiment])
            message["page_token"] = page.get("next_page_token")
            if not message["page_token"]:
                return

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        self.call("POST", f"{EXPERIMENTS}/update", {"experiment_id": experiment_id, "new_name": name})

    def delete_experiment(self, experiment_id: str) -> None:
        self.call("POST", f"{EXPERIMENTS}/delete", {"experiment_id": experiment_id})

    def restore_experiment(self, experiment_id: str) -> None:
        self.call("POST", f"{EXPERIMENTS}/restore", {"experiment_id": experiment_id})

    # ------------------------------------------------------------ traces

    def search_traces(
        self,
        experiment_ids: Sequence[str],
        *,
        filter: str | None = None,
        order_by: Sequence[str] | None = None,
        max_results: int = 100,
        page_token: str | None = None,
    ) -> tuple[list[TraceInfo], str | None]:
        message = {
            "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": one}} for one in experiment_ids],
            "filter": filter,
            "order_by": order_by,
            "max_results": max_results,
            "page_token": page_token,
        }
        page = self.call("POST", f"{TRACES}/search", message)
        return msgspec.convert(page.get("traces", []), list[TraceInfo]), page.get("next_page_token")

    def trace(self, trace_id: str) -> Trace:
        return self._one("GET", f"{TRACES}/get", {"trace_id": trace_id}, "trace", Trace)

    def traces(self, trace_ids: Sequence[str]) -> list[Trace]:
        return self._many("GET", f"{TRACES}/batchGet", {"trace_ids": list(trace_ids)}, "traces", Trace)

    # ------------------------------------------------------------ our own nouns

    def health(self) -> Health:
        return self._probe("/health")

    def ready(self) -> Health:
        return self._probe("/ready")

    def version(self) -> str:
        try:
            return self._http.get("/version").text.strip()
        except httpx.HTTPError as error:
            raise Unreachable(f"No gateway answers at {self.url}: {error or type(error).__name__}") from error

    def served(self) -> list[str]:
        """The endpoints that can be called right now, as the worker that answers knows them."""
        return [model["id"] for model in self.call("GET", "/v1/models").get("data", ())]

    def status(self) -> dict[str, Any]:
        return self.call("GET", f"{OWN}/status")

    def completeness(self) -> dict[str, Any]:
        return self.call("GET", f"{OWN}/completeness")

    def providers(self) -> dict[str, Any]:
        return self.call("GET", f"{OWN}/providers")

    def endpoint_settings(self, name: str) -> EndpointSettings:
        return msgspec.convert(self.call("GET", _settings(name)), EndpointSettings)

    def change_endpoint_settings(self, name: str, changes: Mapping[str, Any]) -> EndpointSettings:
        """Changes what is named and leaves the rest; None takes a setting away. `changes`: fields of EndpointSettings."""
        said = {field: msgspec.Raw(b"null") if value is None else value for field, value in changes.items()}  # absent is not null
        return msgspec.convert(self.call("PATCH", _settings(name), said), EndpointSettings)

    def aliases(self, *, endpoint: str | None = None) -> list[Alias]:
        return self._many("GET", f"{OWN}/aliases", {"endpoint": endpoint}, "aliases", Alias)

    def set_alias(self, pattern: str, endpoint: str) -> Alias:
        """`pattern` means the endpoint of that name from now on."""
        return msgspec.convert(self.call("PUT", f"{OWN}/aliases", {"pattern": pattern, "endpoint": endpoint}), Alias)

    def delete_alias(self, pattern: str) -> None:
        self.call("DELETE", f"{OWN}/aliases?{urlencode({'pattern': pattern})}")

    def calls(self, *, max_results: int = 100, page_token: str | None = None) -> dict[str, Any]:
        return self.call("GET", f"{OWN}/calls", {"max_results": max_results, "page_token": page_token})

    # ------------------------------------------------------------ inside

    def _answer(self, method: str, path: str, message: Mapping[str, Any]) -> httpx.Response:
        said = {name: value for name, value in message.items() if value is not None}
        try:
            if method == "GET":
                response = self._http.request(method, path, params=said)
            else:
                body = msgspec.json.encode(said)
                response = self._http.request(method, path, content=body, headers={"content-type": "application/json"})
        except httpx.HTTPError as error:
            raise Unreachable(f"No gateway answers at {self.url}: {error or type(error).__name__}") from error
        if response.is_success:
            return response
        raise _refusal(response)

    def _one(self, method: str, path: str, message: Mapping[str, Any], noun: str, kind: type[T]) -> T:
        return msgspec.convert(self.call(method, path, message)[noun], kind)

    def _many(self, method: str, path: str, message: Mapping[str, Any], noun: str, kind: type[T]) -> list[T]:
        return msgspec.convert(self.call(method, path, message).get(noun, []), list[kind])

    def _probe(self, path: str) -> Health:
        try:
            response = self._http.get(path)
        except httpx.HTTPError as error:
            raise Unreachable(f"No gateway answers at {self.url}: {error or type(error).__name__}") from error
        try:
            detail = msgspec.json.decode(response.content, type=dict[str, Any])
        except msgspec.DecodeError:
            detail = {"text": response.text}
        date = email.utils.parsedate_to_datetime(said) if (said := response.headers.get("date")) else None
        return Health(ok=response.is_success, detail=detail, at=date.timestamp() if date else None)


def _settings(endpoint: str) -> str:
    return f"{OWN}/endpoints/{quote(endpoint, safe='')}/settings"


def _refusal(response: httpx.Response) -> Refused:
    try:
        said: object = msgspec.json.decode(response.content)
    except msgspec.DecodeError:
        said = None
    body = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    code = str(body.get("error_code") or response.status_code)
    message = str(body.get("message") or body.get("detail") or body.get("error") or response.text[:500] or response.reason_phrase)
    return Refused(response.status_code, code, message)
