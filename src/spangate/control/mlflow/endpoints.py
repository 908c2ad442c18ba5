"""Endpoints over MLflow's REST. What stands in a message and what does not is decided here; the experiment rules are the store's."""

from collections.abc import Sequence

from ...providers import canonical
from ...store import endpoints as store
from ...store.faults import Invalid, NotFound
from ..desk import Desk
from ..policy import Policy
from . import models
from .messages import (
    AttachModel,
    BindingInfo,
    BindingReply,
    BindingsReply,
    CreateBinding,
    CreateEndpoint,
    DeleteBinding,
    DeleteEndpoint,
    DeleteEndpointTag,
    DetachModel,
    EndpointInfo,
    EndpointReply,
    EndpointsReply,
    FallbackConfig,
    FallbackStrategy,
    GetEndpoint,
    ListBindings,
    ListEndpoints,
    MappingInfo,
    MappingReply,
    ModelConfig,
    Nothing,
    SetEndpointTag,
    Tag,
    UpdateEndpoint,
)
from .operations import Operation


def create(desk: Desk, ask: CreateEndpoint) -> EndpointReply:
    with desk.write() as connection:
        endpoint = store.create(
            connection,
            name=ask.name,
            models=_models(ask.model_configs),
            routing_strategy=ask.routing_strategy,
            fallback=_fallback(ask.fallback_config),
            usage_tracking=ask.usage_tracking,
            experiment_id=ask.experiment_id or None,
            by=ask.created_by or desk.by,
            now=desk.now(),
        )
    return EndpointReply(endpoint=info(endpoint))


def get(desk: Desk, ask: GetEndpoint) -> EndpointReply:
    if bool(ask.endpoint_id) == bool(ask.name):
        raise Invalid("Exactly one of endpoint_id or name must be provided")
    with desk.read() as connection:
        endpoint = store.get(connection, endpoint_id=ask.endpoint_id or None, name=ask.name or None)
    if not desk.caller.may_read(endpoint.endpoint_id):
        asked = f"endpoint_id='{ask.endpoint_id}'" if ask.endpoint_id else f"name='{ask.name}'"
        raise NotFound(f"GatewayEndpoint not found ({asked})")
    return EndpointReply(endpoint=info(endpoint))


def list_(desk: Desk, ask: ListEndpoints) -> EndpointsReply:
    with desk.read() as connection:
        endpoints = store.list_(connection, provider=canonical(ask.provider) if ask.provider else None, secret_id=ask.secret_id or None)
    return EndpointsReply(endpoints=[info(endpoint) for endpoint in endpoints if desk.caller.may_read(endpoint.endpoint_id)])


def update(desk: Desk, ask: UpdateEndpoint) -> EndpointReply:
    """Only what stands in the message changes: absent is not false, and an empty list of models is no list of models."""
    with desk.write() as connection:
        endpoint = store.update(
            connection,
            ask.endpoint_id,
            name=store.UNSET if ask.name is None else ask.name,
            models=_models(ask.model_configs) if ask.model_configs else store.UNSET,
            routing_strategy=store.UNSET if ask.routing_strategy is None else ask.routing_strategy,
            fallback=store.UNSET if ask.fallback_config is None else _fallback(ask.fallback_config),
            usage_tracking=store.UNSET if ask.usage_tracking is None else ask.usage_tracking,
            experiment_id=ask.experiment_id or store.UNSET,
            by=ask.updated_by or desk.by,
            now=desk.now(),
        )
    return EndpointReply(endpoint=info(endpoint))


def delete(desk: Desk, ask: DeleteEndpoint) -> Nothing:
    with desk.write() as connection:
        store.delete(connection, ask.endpoint_id)
    return Nothing()


def attach(desk: Desk, ask: AttachModel) -> MappingReply:
    with desk.write() as connection:
        mapping = store.attach(connection, ask.endpoint_id, _model(ask.model_config), by=ask.created_by or desk.by, now=desk.now())
    return MappingReply(mapping=mapping_info(mapping))


def detach(desk: Desk, ask: DetachModel) -> Nothing:
    with desk.write() as connection:
        store.detach(connection, ask.endpoint_id, ask.model_definition_id, now=desk.now())
    return Nothing()


def set_tag(desk: Desk, ask: SetEndpointTag) -> Nothing:
    with desk.write() as connection:
        store.set_tag(connection, ask.endpoint_id, ask.key, ask.value or "", now=desk.now())
    return Nothing()


def delete_tag(desk: Desk, ask: DeleteEndpointTag) -> Nothing:
    with desk.write() as connection:
        store.delete_tag(connection, ask.endpoint_id, ask.key, now=desk.now())
    return Nothing()


def create_binding(desk: Desk, ask: CreateBinding) -> BindingReply:
    with desk.write() as connection:
        binding = store.create_binding(
            connection,
            ask.endpoint_id,
            resource_type=ask.resource_type,
            resource_id=ask.resource_id,
            by=ask.created_by or desk.by,
            now=desk.now(),
        )
    return BindingReply(binding=binding_info(binding))


def list_bindings(desk: Desk, ask: ListBindings) -> BindingsReply:
    with desk.read() as connection:
        bindings = store.list_bindings(
            connection,
            endpoint_id=ask.endpoint_id or None,
            resource_type=ask.resource_type or None,
            resource_id=ask.resource_id or None,
        )
    return BindingsReply(bindings=[binding_info(binding) for binding in bindings if desk.caller.may_read(binding.endpoint_id)])


def delete_binding(desk: Desk, ask: DeleteBinding) -> Nothing:
    with desk.write() as connection:
        store.delete_binding(connection, ask.endpoint_id, resource_type=ask.resource_type, resource_id=ask.resource_id)
    return Nothing()


def info(endpoint: store.Endpoint) -> EndpointInfo:
    return EndpointInfo(
        endpoint_id=endpoint.endpoint_id,
        name=endpoint.name,
        created_at=endpoint.created_at,
        last_updated_at=endpoint.updated_at,
        model_mappings=[mapping_info(mapping) for mapping in endpoint.mappings],
        created_by=endpoint.created_by,
        last_updated_by=endpoint.updated_by,
        tags=[Tag(key=key, value=value) for key, value in endpoint.tags.items()],
        routing_strategy=endpoint.routing_strategy,
        fallback_config=_fallback_config(endpoint.fallback),
        experiment_id=endpoint.experiment_id,
        usage_tracking=endpoint.usage_tracking,
    )


def mapping_info(mapping: store.Mapping) -> MappingInfo:
    return MappingInfo(
        mapping_id=mapping.mapping_id,
        endpoint_id=mapping.endpoint_id,
        model_definition_id=mapping.model_definition_id,
        model_definition=models.info(mapping.model_definition),
        weight=mapping.weight,
        created_at=mapping.created_at,
        created_by=mapping.created_by,
        linkage_type=mapping.linkage_type,
        fallback_order=mapping.fallback_order,
    )


def binding_info(binding: store.Binding) -> BindingInfo:
    return BindingInfo(
        endpoint_id=binding.endpoint_id,
        resource_type=binding.resource_type,
        resource_id=binding.resource_id,
        created_at=binding.created_at,
        last_updated_at=binding.updated_at,
        created_by=binding.created_by,
        last_updated_by=binding.updated_by,
        display_name=binding.display_name,
    )


def _models(configs: Sequence[ModelConfig]) -> list[store.EndpointModel]:
    return [_model(config) for config in configs]


def _model(config: ModelConfig) -> store.EndpointModel:
    return store.EndpointModel(
        model_definition_id=config.model_definition_id,
        linkage_type=config.linkage_type.value,
        weight=1.0 if config.weight is None else config.weight,
        fallback_order=config.fallback_order,
    )


def _fallback(config: FallbackConfig | None) -> store.Fallback | None:
    if config is None:
        return None
    return store.Fallback(strategy=config.strategy.value if config.strategy else None, max_attempts=config.max_attempts)


def _fallback_config(fallback: store.Fallback | None) -> FallbackConfig | None:
    if fallback is None:
        return None
    return FallbackConfig(strategy=FallbackStrategy(fallback.strategy) if fallback.strategy else None, max_attempts=fallback.max_attempts)


BASE = "/3.0/mlflow/gateway/endpoints"
OPERATIONS = (
    Operation("POST", f"{BASE}/create", CreateEndpoint, create, Policy.admin),
    Operation("GET", f"{BASE}/get", GetEndpoint, get, Policy.viewer),
    Operation("GET", f"{BASE}/list", ListEndpoints, list_, Policy.viewer),
    Operation("POST", f"{BASE}/update", UpdateEndpoint, update, Policy.admin),
    Operation("DELETE", f"{BASE}/delete", DeleteEndpoint, delete, Policy.admin),
    Operation("POST", f"{BASE}/models/attach", AttachModel, attach, Policy.admin),
    Operation("POST", f"{BASE}/models/detach", DetachModel, detach, Policy.admin),
    Operation("POST", f"{BASE}/set-tag", SetEndpointTag, set_tag, Policy.admin),
    Operation("DELETE", f"{BASE}/delete-tag", DeleteEndpointTag, delete_tag, Policy.admin),
    Operation("POST", f"{BASE}/bindings/create", CreateBinding, create_binding, Policy.admin),
    Operation("GET", f"{BASE}/bindings/list", ListBindings, list_bindings, Policy.viewer),
    Operation("DELETE", f"{BASE}/bindings/delete", DeleteBinding, delete_binding, Policy.admin),
)
