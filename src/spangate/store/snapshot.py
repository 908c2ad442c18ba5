"""All that the workers need of the database, read in one moment."""

import json
import time
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from ..exchange import Alias, SealedKey, SealedRoute, SealedTarget, Snapshot
from . import aliases, calibrations, keys, settings
from .endpoints import FALLBACK
from .engine import version as version
from .schema import endpoint_models, endpoints, model_definitions, secrets


def snapshot(connection: Connection, fixed: Sequence[SealedKey], *, pepper: str | None = None, now: int | None = None) -> Snapshot:
    """The routes as they are, and the keys that are not revoked after those that are `fixed`. `pepper`: fingerprint.

    `version` is read first: what commits meanwhile has a higher number and is published next."""
    number = version(connection)
    query = (
        sa.select(
            endpoint_models.c.endpoint_id,
            endpoint_models.c.linkage_type,
            endpoint_models.c.weight,
            endpoint_models.c.fallback_order,
            model_definitions.c.model_definition_id,
            model_definitions.c.provider,
            model_definitions.c.model_name,
            secrets.c.secret_id,
            secrets.c.sealed,
            secrets.c.auth_config,
        )
        .join(model_definitions, model_definitions.c.model_definition_id == endpoint_models.c.model_definition_id)
        .outerjoin(secrets, secrets.c.secret_id == model_definitions.c.secret_id)
        .order_by(endpoint_models.c.endpoint_id, endpoint_models.c.ordinal)
    )
    targets: dict[str, list[SealedTarget]] = {}
    for row in connection.execute(query):
        target = SealedTarget(
            model_definition_id=row.model_definition_id,
            provider=row.provider,
            model=row.model_name,
            weight=row.weight,
            fallback_order=(row.fallback_order or 0) if row.linkage_type == FALLBACK else None,
            secret_id=row.secret_id,
            sealed=row.sealed or b"",
            auth_config=json.loads(row.auth_config) if row.auth_config else {},
        )
        targets.setdefault(row.endpoint_id, []).append(target)
    routes = tuple(
        SealedRoute(
            endpoint_id=row.endpoint_id,
            name=row.name,
            targets=tuple(targets.get(row.endpoint_id, ())),
            max_attempts=row.fallback_max_attempts,
            experiment_id=str(row.experiment_id) if row.usage_tracking and row.experiment_id is not None else None,
            created_at=row.created_at,
            settings=settings.read(row.settings),
        )
        for row in connection.execute(sa.select(endpoints).order_by(endpoints.c.name))
    )
    return Snapshot(
        version=number,
        published_at=time.time_ns() // 1_000_000 if now is None else now,
        routes=routes,
        keys=(*fixed, *keys.sealed(connection)),
        pepper=pepper,
        aliases=tuple(Alias(pattern=alias.pattern, endpoint=alias.endpoint) for alias in aliases.list_(connection)),
        calibrations=calibrations.calibrations(connection),
    )
