"""Experiments over MLflow's REST: where the traces of endpoints are kept."""

from sqlalchemy import Connection

from ...store import experiments as store
from ...store.faults import Invalid, NotFound
from ..desk import Desk
from ..policy import Forbidden, Policy
from .messages import (
    CreateExperiment,
    DeleteExperimentTag,
    ExperimentCreated,
    ExperimentInfo,
    ExperimentReply,
    ExperimentsReply,
    GetExperiment,
    GetExperimentByName,
    Nothing,
    SearchExperiments,
    SetExperimentTag,
    Tag,
    UpdateExperiment,
    ViewType,
)
from .notation import integer
from .operations import Operation

PAGE = 1000  # MLflow's default
PAGE_MAX = 50_000  # MLflow's ceiling


def create(desk: Desk, ask: CreateExperiment) -> ExperimentCreated:
    if desk.caller.experiments is not None:
        raise Forbidden(f"The key `{desk.caller.name}` is for the experiments that it names, and makes no others.")
    with desk.write() as connection:
        experiment_id = store.create(
            connection,
            name=ask.name,
            tags={tag.key: tag.value or "" for tag in ask.tags or ()},
            artifact_location=ask.artifact_location or None,
            now=desk.now(),
        )
    return ExperimentCreated(experiment_id=experiment_id)


def get(desk: Desk, ask: GetExperiment) -> ExperimentReply:
    with desk.read() as connection:
        return ExperimentReply(experiment=info(_seen(desk, connection, ask.experiment_id)))


def get_by_name(desk: Desk, ask: GetExperimentByName) -> ExperimentReply:
    with desk.read() as connection:
        experiment = store.get_by_name(connection, ask.experiment_name)
        if not _sees(desk, connection, experiment):
            raise NotFound(f"Could not find experiment with name '{ask.experiment_name}'")
    return ExperimentReply(experiment=info(experiment))


def search(desk: Desk, ask: SearchExperiments) -> ExperimentsReply:
    most = integer(ask.max_results, PAGE)
    if not 0 < most <= PAGE_MAX:
        raise Invalid(f"Invalid value {most} for parameter 'max_results' supplied: It must be between 1 and {PAGE_MAX}.")
    with desk.read() as connection:
        found, token = store.search(
            connection,
            filter=ask.filter or None,
            order_by=list(ask.order_by or ()),
            view=(ask.view_type or ViewType.ACTIVE_ONLY).value,
            max_results=most,
            page_token=ask.page_token or None,
            among=desk.caller.experiments,
            endpoint_ids=desk.caller.endpoints,
        )
    return ExperimentsReply(experiments=[info(experiment) for experiment in found], next_page_token=token)


def update(desk: Desk, ask: UpdateExperiment) -> Nothing:
    if ask.new_name is not None:
        with desk.write() as connection:
            store.rename(connection, ask.experiment_id, ask.new_name, now=desk.now())
    return Nothing()


def delete(desk: Desk, ask: GetExperiment) -> Nothing:
    with desk.write() as connection:
        store.delete(connection, ask.experiment_id, now=desk.now())
    return Nothing()


def restore(desk: Desk, ask: GetExperiment) -> Nothing:
    with desk.write() as connection:
        store.restore(connection, ask.experiment_id, now=desk.now())
    return Nothing()


def set_tag(desk: Desk, ask: SetExperimentTag) -> Nothing:
    with desk.write() as connection:
        _seen(desk, connection, ask.experiment_id)
        store.set_tag(connection, ask.experiment_id, ask.key, ask.value or "")
    return Nothing()


def delete_tag(desk: Desk, ask: DeleteExperimentTag) -> Nothing:
    with desk.write() as connection:
        _seen(desk, connection, ask.experiment_id)
        store.delete_tag(connection, ask.experiment_id, ask.key)
    return Nothing()


def _sees(desk: Desk, connection: Connection, experiment: store.Experiment) -> bool:
    own = desk.caller.endpoints
    return desk.caller.may_see(experiment.experiment_id) and (own is None or not store.of_others(connection, experiment.experiment_id, own))


def _seen(desk: Desk, connection: Connection, experiment_id: str) -> store.Experiment:
    experiment = store.get(connection, experiment_id)
    if not _sees(desk, connection, experiment):
        raise NotFound(f"No Experiment with id={experiment_id} exists")
    return experiment


def info(experiment: store.Experiment) -> ExperimentInfo:
    return ExperimentInfo(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        artifact_location=experiment.artifact_location or "",
        lifecycle_stage=experiment.lifecycle_stage,
        last_update_time=experiment.updated_at,
        creation_time=experiment.created_at,
        tags=[Tag(key=key, value=value) for key, value in experiment.tags.items()],
    )


BASE = "/2.0/mlflow/experiments"
OPERATIONS = (
    Operation("POST", f"{BASE}/create", CreateExperiment, create, Policy.developer),
    Operation("GET", f"{BASE}/get", GetExperiment, get, Policy.viewer),
    Operation("GET", f"{BASE}/get-by-name", GetExperimentByName, get_by_name, Policy.viewer),
    Operation("POST", f"{BASE}/search", SearchExperiments, search, Policy.viewer),
    Operation("GET", f"{BASE}/search", SearchExperiments, search, Policy.viewer),
    Operation("POST", f"{BASE}/update", UpdateExperiment, update, Policy.admin),
    Operation("POST", f"{BASE}/delete", GetExperiment, delete, Policy.admin),
    Operation("POST", f"{BASE}/restore", GetExperiment, restore, Policy.admin),
    Operation("POST", f"{BASE}/set-experiment-tag", SetExperimentTag, set_tag, Policy.developer),
    Operation("POST", f"{BASE}/delete-experiment-tag", DeleteExperimentTag, delete_tag, Policy.developer),
)
