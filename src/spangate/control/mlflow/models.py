"""Model definitions over MLflow's REST."""

from collections.abc import Sequence

from sqlalchemy import Connection

from ...providers import canonical
from ...store import models as store
from ...store.faults import NotFound
from ..credentials import known
from ..desk import Desk
from ..policy import Policy
from .messages import CreateModel, DeleteModel, GetModel, ListModels, ModelInfo, ModelReply, ModelsReply, Nothing, UpdateModel
from .operations import Operation


def create(desk: Desk, ask: CreateModel) -> ModelReply:
    with desk.write() as connection:
        model = store.create(
            connection,
            name=ask.name,
            secret_id=ask.secret_id or None,
            provider=known(ask.provider),
            model_name=ask.model_name,
            by=ask.created_by or desk.by,
            now=desk.now(),
        )
    return ModelReply(model_definition=info(model))


def get(desk: Desk, ask: GetModel) -> ModelReply:
    with desk.read() as connection:
        model = store.get(connection, ask.model_definition_id)
        if not _readable(desk, connection, [model]):
            raise NotFound(f"GatewayModelDefinition not found (model_definition_id='{ask.model_definition_id}')")
    return ModelReply(model_definition=info(model))


def list_(desk: Desk, ask: ListModels) -> ModelsReply:
    with desk.read() as connection:
        models = store.list_(connection, provider=canonical(ask.provider) if ask.provider else None, secret_id=ask.secret_id or None)
        readable = _readable(desk, connection, models)
    return ModelsReply(model_definitions=[info(model) for model in readable])


def update(desk: Desk, ask: UpdateModel) -> ModelReply:
    with desk.write() as connection:
        model = store.update(
            connection,
            ask.model_definition_id,
            name=ask.name,
            secret_id=ask.secret_id,
            model_name=ask.model_name,
            provider=None if ask.provider is None else known(ask.provider),
            by=ask.updated_by or desk.by,
            now=desk.now(),
        )
    return ModelReply(model_definition=info(model))


def delete(desk: Desk, ask: DeleteModel) -> Nothing:
    with desk.write() as connection:
        store.delete(connection, ask.model_definition_id)
    return Nothing()


def info(model: store.ModelDefinition) -> ModelInfo:
    return ModelInfo(
        model_definition_id=model.model_definition_id,
        name=model.name,
        secret_id=model.secret_id,
        secret_name=model.secret_name,
        provider=model.provider,
        model_name=model.model_name,
        created_at=model.created_at,
        last_updated_at=model.updated_at,
        created_by=model.created_by,
        last_updated_by=model.updated_by,
    )


def _readable(desk: Desk, connection: Connection, models: Sequence[store.ModelDefinition]) -> Sequence[store.ModelDefinition]:
    """Those that stand behind an endpoint which the key may read of."""
    if desk.caller.endpoints is None:
        return models
    used = store.behind(connection, desk.caller.endpoints)
    return [model for model in models if model.model_definition_id in used]


BASE = "/3.0/mlflow/gateway/model-definitions"
OPERATIONS = (
    Operation("POST", f"{BASE}/create", CreateModel, create, Policy.admin),
    Operation("GET", f"{BASE}/get", GetModel, get, Policy.viewer),
    Operation("GET", f"{BASE}/list", ListModels, list_, Policy.viewer),
    Operation("POST", f"{BASE}/update", UpdateModel, update, Policy.admin),
    Operation("DELETE", f"{BASE}/delete", DeleteModel, delete, Policy.admin),
)
