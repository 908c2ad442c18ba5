"""Model definitions over MLflow's REST."""

from ...providers import canonical, catalog
from ...store import models as store
from ...store.faults import Invalid
from ..desk import Desk
from .messages import CreateModel, DeleteModel, GetModel, ListModels, ModelInfo, ModelReply, ModelsReply, Nothing, UpdateModel
from .operations import Operation


def create(desk: Desk, ask: CreateModel) -> ModelReply:
    with desk.write() as connection:
        model = store.create(
            connection,
            name=ask.name,
            secret_id=ask.secret_id or None,
            provider=_known(ask.provider),
            model_name=ask.model_name,
            by=ask.created_by or desk.caller,
            now=desk.now(),
        )
    return ModelReply(model_definition=info(model))


def get(desk: Desk, ask: GetModel) -> ModelReply:
    with desk.read() as connection:
        return ModelReply(model_definition=info(store.get(connection, ask.model_definition_id)))


def list_(desk: Desk, ask: ListModels) -> ModelsReply:
    with desk.read() as connection:
        models = store.list_(connection, provider=canonical(ask.provider) if ask.provider else None, secret_id=ask.secret_id or None)
        return ModelsReply(model_definitions=[info(model) for model in models])


def update(desk: Desk, ask: UpdateModel) -> ModelReply:
    with desk.write() as connection:
        model = store.update(
            connection,
            ask.model_definition_id,
            name=ask.name,
            secret_id=ask.secret_id,
            model_name=ask.model_name,
            provider=None if ask.provider is None else _known(ask.provider),
            by=ask.updated_by or desk.caller,
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


def _known(provider: str) -> str:
    if canonical(provider) not in catalog():
        raise Invalid(f"Provider '{provider}' is not one that this version can call. Those are: {', '.join(sorted(catalog()))}.")
    return canonical(provider)


BASE = "/3.0/mlflow/gateway/model-definitions"
OPERATIONS = (
    Operation("POST", f"{BASE}/create", CreateModel, create),
    Operation("GET", f"{BASE}/get", GetModel, get),
    Operation("GET", f"{BASE}/list", ListModels, list_),
    Operation("POST", f"{BASE}/update", UpdateModel, update),
    Operation("DELETE", f"{BASE}/delete", DeleteModel, delete),
)
