"""Secrets over HTTP: masked, with whom they serve; new ones, and new values for those that there are. A value is never told again."""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from pydantic import Field

from ...providers import catalog, mode_of
from ...store import models
from ...store import secrets as store
from ...store.faults import Misfilled
from ...store.models import ModelDefinition, User
from .. import credentials
from ..desk import Desk
from ..moments import moment
from ..policy import Policy, allows, caller_of
from ..problems import Problem
from . import composing
from .documents import Asked, EndpointRef, NewSecret, Secret, SecretDefinition, Secrets

PATH = "/api/v1/secrets"


class SecretAsked(NewSecret):
    """A credential to be kept."""

    provider: str | None = Field(default=None, description="The catalogue's name. null: of any, and whoever uses it says where it goes.")


class NewValues(Asked):
    """What takes the place of what a secret held."""

    values: dict[str, str] = Field(description="All of its sealed values: one that is left out is gone.")
    auth_config: dict[str, str] | None = Field(default=None, description="All that it says in the open; null: as before.")


def mount(app: FastAPI, desk: Desk) -> None:
    @app.get(PATH, tags=["secrets"], response_model=Secrets)
    @allows(Policy.admin)
    def list_secrets() -> Secrets:  # pyright: ignore[reportUnusedFunction]
        """All secrets, oldest first, masked, with the models and endpoints that use them."""
        with desk.read() as connection:
            return Secrets(secrets=_told(store.list_(connection), models.list_(connection), models.users(connection)))

    @app.post(PATH, tags=["secrets"], response_model=Secret, responses={400: {"model": Problem}})
    @allows(Policy.admin)
    def create_secret(wanted: SecretAsked, request: Request) -> Secret:  # pyright: ignore[reportUnusedFunction]
        """Keeps a credential that has all that its provider asks for."""
        with composing.form("provider"):
            provider = credentials.known(wanted.provider) if wanted.provider else None
        with desk.write() as connection:
            made = composing.new_secret(connection, desk, provider, wanted, by=caller_of(request).name)
            return _told([store.get(connection, secret_id=made)], [], {})[0]

    @app.post(PATH + "/{secret_id}/rotate", tags=["secrets"], response_model=Secret, responses={400: {"model": Problem}})
    @allows(Policy.admin)
    def rotate_secret(secret_id: str, wanted: NewValues, request: Request) -> Secret:  # pyright: ignore[reportUnusedFunction]
        """New values for a secret: whatever uses it calls with them within a second. Calls under way end as they began."""
        with desk.write() as connection:
            before = store.get(connection, secret_id=secret_id)
            faults = list(
                credentials.faults(
                    catalog().get(before.provider or ""),
                    sealed=wanted.values,
                    open=before.auth_config if wanted.auth_config is None else wanted.auth_config,
                    allow_private=desk.allow_private or wanted.auth_config is None,  # what it says already was permitted then
                    whole=True,
                )
            )
            if faults:
                raise Misfilled(faults)
            after = store.update(
                connection,
                desk.keyring,
                secret_id,
                values=wanted.values,
                auth_config=wanted.auth_config,
                by=caller_of(request).name,
                now=desk.now(),
            )
            return _told([after], models.list_(connection, secret_id=secret_id), models.users(connection))[0]


def _told(found: Sequence[store.Secret], definitions: Sequence[ModelDefinition], users: Mapping[str, Sequence[User]]) -> list[Secret]:
    by_secret: dict[str, list[SecretDefinition]] = {}
    for definition in sorted(definitions, key=lambda definition: definition.name):
        if definition.secret_id is not None:
            row = SecretDefinition(
                model_definition_id=definition.model_definition_id,
                name=definition.name,
                provider=definition.provider,
                model=definition.model_name,
                endpoints=[
                    EndpointRef(endpoint_id=user.endpoint_id, name=user.name) for user in users.get(definition.model_definition_id, ())
                ],
            )
            by_secret.setdefault(definition.secret_id, []).append(row)
    return [_secret(secret, by_secret.get(secret.secret_id, [])) for secret in found]


def _secret(secret: store.Secret, definitions: list[SecretDefinition]) -> Secret:
    row = catalog().get(secret.provider or "")
    mode = None if row is None else mode_of(row, secret.auth_config, secret.masked_values)
    endpoints = {endpoint.endpoint_id: endpoint for definition in definitions for endpoint in definition.endpoints}
    return Secret(
        secret_id=secret.secret_id,
        name=secret.name,
        provider=secret.provider,
        auth_mode=None if mode is None or isinstance(mode, str) else mode.mode,
        masked_values=secret.masked_values,
        auth_config=secret.auth_config,
        model_definitions=definitions,
        endpoints=sorted(endpoints.values(), key=lambda endpoint: endpoint.name),
        created_at=moment(secret.created_at),
        updated_at=moment(secret.updated_at),
        created_by=secret.created_by,
        updated_by=secret.updated_by,
    )
