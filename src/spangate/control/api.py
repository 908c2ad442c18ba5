"""The management API, composed here from top to bottom: what is served first, then what is not, then the check of the policies."""

from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from .. import __version__
from ..config import Settings
from . import problems, static
from .admin import (
    aliases,
    catalogue,
    keys,
    ledger,
    metrics,
    months,
    prices,
    providers,
    reconcile,
    reference,
    reprice,
    responses,
    retention,
    server,
    session,
    sessions,
    status,
    usage,
)
from .admin import endpoints as documents
from .admin import experiments as experiment_lists
from .admin import secrets as secret_lists
from .admin import settings as endpoint_settings
from .admin import traces as trace_lists
from .desk import Desk
from .links import Links
from .mlflow import endpoints, experiments, models, operations, provider_config, secrets, traces, unserved
from .policy import Guarded, Identity, Policy, allows, check
from .pricing import Pricing

# mlflow's client writes spans over REST only to a server of 3.4 or later, and parses this text as a version.
MLFLOW_VERSION = "3.17.2"


def application(desk: Desk, identity: Identity, progress: status.Progress, pricing: Pricing, settings: Settings) -> FastAPI:
    app = FastAPI(
        title="Spangate",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        responses={"default": {"model": problems.Problem, "description": "Why it was not done."}},
    )
    app.router.route_class = Guarded
    app.state.identity = identity
    app.state.body_limit = int(settings.body_limit)
    problems.install(app)

    @app.get("/version", include_in_schema=False)
    @allows(Policy.open)
    def version() -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse(MLFLOW_VERSION)

    @app.get("/health", include_in_schema=False)
    @allows(Policy.open)
    def health() -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse("OK")

    session.mount(app, identity, Links(now=desk.now))
    mlflow = [operation for noun in (provider_config, secrets, models, endpoints, experiments, traces) for operation in noun.OPERATIONS]
    operations.mount(app, desk, mlflow)
    status.mount(app, desk, progress)
    metrics.mount(app, progress, settings.metrics_dir)
    ledger.mount(app, desk, progress)
    responses.mount(app, desk, progress)
    trace_lists.mount(app, desk)
    sessions.mount(app, desk)
    experiment_lists.mount(app, desk)
    usage.mount(app, desk)
    months.mount(app, desk, progress)
    retention.mount(app, desk, progress)
    prices.mount(app, desk, pricing)
    reprice.mount(app, desk, pricing)
    providers.mount(app)
    catalogue.mount(app, desk, pricing)
    secret_lists.mount(app, desk)
    documents.mount(app, desk, progress)
    endpoint_settings.mount(app, desk)
    server.mount(app, desk, progress, settings)
    aliases.mount(app, desk)
    keys.mount(app, desk)
    reconcile.mount(app, desk)
    reference.mount(app, mlflow)
    unserved.mount(app)
    static.mount(app, static.BUILT)
    check(app)
    return app
