"""What Prometheus asks for: the counts of all processes of this gateway, and how control's chores are doing. Never asks the database."""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from ... import __version__
from ...observe import metrics
from ...observe.series import Sums, gather
from ..policy import Policy, allows, unlimited
from .status import Progress


def mount(app: FastAPI, progress: Progress, directory: Path) -> None:
    @app.get("/metrics", include_in_schema=False)
    @allows(Policy.viewer)
    def told(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        unlimited(request)
        sums, living = gather(directory, metrics.METRICS)
        return Response(metrics.exposition({**sums, **metrics.processes(living), **chores(progress)}), media_type=metrics.CONTENT_TYPE)


def chores(progress: Progress) -> Sums:
    """Numbers that are looked up when they are asked for."""
    health, waiting = progress.chores(), progress.backlog()
    publish = health["publish"]
    found: Sums = {
        (metrics.UP.name, ()): [0.0 if health["database"].fault else 1.0],
        (metrics.BACKLOG.name, ()): [float(waiting.bytes)],
        (metrics.LAG.name, ()): [progress.backlog_age() if waiting.bytes else 0.0],
        (metrics.JOURNALS.name, ("live",)): [float(sum(process.live for process in waiting.processes))],
        (metrics.JOURNALS.name, ("orphan",)): [float(sum(not process.live for process in waiting.processes))],
        (metrics.ASIDE.name, ()): [float(len(waiting.aside))],
        (metrics.SNAPSHOT_AGE.name, ()): [publish.silent],
        (metrics.COOLING.name, ()): [float(len(progress.resting()))],
        (metrics.BUILD.name, (__version__,)): [1.0],
    }
    for state, version in (("current", progress.current()), ("published", progress.published())):
        if version is not None:
            found[metrics.SNAPSHOT.name, (state,)] = [float(version)]
    return found
