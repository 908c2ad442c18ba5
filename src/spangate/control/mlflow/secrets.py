"""Secrets over MLflow's REST: written, masked on read, never readable back."""

from collections.abc import Mapping

from ...providers import canonical, catalog
from ...store import secrets as store
from ...store.faults import Invalid
from .. import credentials
from ..desk import Desk
from ..policy import Policy
from .messages import CreateSecret, DeleteSecret, GetSecret, ListSecrets, Nothing, SecretInfo, SecretReply, SecretsReply, UpdateSecret
from .operations import Operation


def create(desk: Desk, ask: CreateSecret) -> SecretReply:
    provider = canonical(ask.provider) if ask.provider else None
    auth_config = _checked(desk, provider, ask.secret_value or {}, ask.auth_config or {})
    with desk.write() as connection:
        secret = store.create(
            connection,
            desk.keyring,
            name=ask.secret_name,
            values=ask.secret_value or {},
            provider=provider,
            auth_config=auth_config,
            by=ask.created_by or desk.by,
            now=desk.now(),
        )
    return SecretReply(secret=info(secret))


def get(desk: Desk, ask: GetSecret) -> SecretReply:
    # MLflow's server refuses the name although its client offers it; there is no reason to.
    if bool(ask.secret_id) == bool(ask.secret_name):
        raise Invalid("Exactly one of secret_id or secret_name must be provided")
    with desk.read() as connection:
        return SecretReply(secret=info(store.get(connection, secret_id=ask.secret_id or None, name=ask.secret_name or None)))


def list_(desk: Desk, ask: ListSecrets) -> SecretsReply:
    provider = canonical(ask.provider) if ask.provider else None
    with desk.read() as connection:
        return SecretsReply(secrets=[info(secret) for secret in store.list_(connection, provider=provider)])


def update(desk: Desk, ask: UpdateSecret) -> SecretReply:
    # The client sends nothing or {} for what stays as it is: protobuf maps have no presence.
    with desk.write() as connection:
        before = store.get(connection, secret_id=ask.secret_id)
        auth_config = _checked(desk, before.provider, ask.secret_value or {}, ask.auth_config or {})
        secret = store.update(
            connection,
            desk.keyring,
            ask.secret_id,
            values=ask.secret_value or None,
            auth_config=auth_config or None,
            by=ask.updated_by or desk.by,
            now=desk.now(),
        )
    return SecretReply(secret=info(secret))


def delete(desk: Desk, ask: DeleteSecret) -> Nothing:
    with desk.write() as connection:
        store.delete(connection, ask.secret_id)
    return Nothing()


def info(secret: store.Secret) -> SecretInfo:
    return SecretInfo(
        secret_id=secret.secret_id,
        secret_name=secret.name,
        masked_values=dict(secret.masked_values),
        created_at=secret.created_at,
        last_updated_at=secret.updated_at,
        provider=secret.provider,
        created_by=secret.created_by,
        last_updated_by=secret.updated_by,
        auth_config=dict(secret.auth_config),
    )


def _checked(desk: Desk, provider: str | None, values: Mapping[str, str], auth_config: Mapping[str, str]) -> dict[str, str]:
    row = catalog().get(provider or "")
    for fault in credentials.faults(row, sealed=values, open=auth_config, allow_private=desk.allow_private):
        raise Invalid(fault.message)
    return dict(auth_config)


BASE = "/3.0/mlflow/gateway/secrets"
OPERATIONS = (
    Operation("POST", f"{BASE}/create", CreateSecret, create, Policy.admin),
    Operation("GET", f"{BASE}/get", GetSecret, get, Policy.admin),
    Operation("GET", f"{BASE}/list", ListSecrets, list_, Policy.admin),
    Operation("POST", f"{BASE}/update", UpdateSecret, update, Policy.admin),
    Operation("DELETE", f"{BASE}/delete", DeleteSecret, delete, Policy.admin),
)
