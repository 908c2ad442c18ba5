"""The management API, composed here from top to bottom: what is served first, then what is not, then the check of the policies."""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from .. import __version__
from . import problems
from .admin import (
    aliases,
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
    settings,
    status,
    usage,
)
from .desk import Desk
from .mlflow import endpoints, experiments, models, operations, provider_config, secrets, traces, unserved
from .policy import Guarded, Identity, Policy, allows, check
from .pricing import Pricing

# mlflow's client writes spans over REST only to a server of 3.4 or later, and parses this text as a version.
MLFLOW_VERSION = "3.17.2"


def application(
    desk: Desk, identity: Identity, progress: status.Progress, pricing: Pricing, *, metrics_dir: Path, body_limit: int
) -> FastAPI:
    app = FastAPI(title="Spangate", version=__version__, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.router.route_class = Guarded
    app.state.identity = identity
    app.state.body_limit = body_limit
    problems.install(app)

    @app.get("/version", include_in_schema=False)
    @allows(Policy.open)
    def version() -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse(MLFLOW_VERSION)

    @app.get("/health", include_in_schema=False)
    @allows(Policy.open)
    def health() -> PlainTextResponse:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse("OK")

    for noun in (provider_config, secrets, models, endpoints, experiments, traces):
        operations.mount(app, desk, noun.OPERATIONS)
    status.mount(app, desk, progress)
    metrics.mount(app, progress, metrics_dir)
    ledger.mount(app, desk, progress)
    responses.mount(app, desk, progress)
    usage.mount(app, desk)
    months.mount(app, desk, progress)
    retention.mount(app, desk, progress)
    prices.mount(app, desk, pricing)
    reprice.mount(app, desk, pricing)
    providers.mount(app)
    settings.mount(app, desk)
    aliases.mount(app, desk)
    keys.mount(app, desk)
    reconcile.mount(app, desk)
    reference.mount(app)
    unserved.mount(app)
    check(app)
    return app
