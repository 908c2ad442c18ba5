"""Which endpoint a request means. Names are exact; the snapshot decides what there is."""

from collections.abc import Mapping

from spangate.exchange import Inbound, Route
from spangate.wire.problems import Refusal

# What the provider must speak for each thing that clients speak. MLflow's unified routes are OpenAI's requests, the answers normalised.
UPSTREAM_FORMAT: Mapping[str, str] = {
    "openai.chat": "openai.chat",
    "openai.completions": "openai.completions",
    "openai.embeddings": "openai.embeddings",
    "openai.responses": "openai.responses",
    "anthropic.messages": "anthropic.messages",
    "mlflow.chat": "openai.chat",
    "mlflow.embeddings": "openai.embeddings",
}


def route(routes: Mapping[str, Route], inbound: Inbound, model: str | None) -> Route:
    """The endpoint that the path names, or else the body's `model`."""
    name = inbound.endpoint or model
    if not name:
        raise Refusal(400, "missing_model", "The request names no model: set `model` to the name of an endpoint.", param="model")
    found = routes.get(name)
    if found is None:
        raise Refusal(404, "unknown_model", f"There is no endpoint named '{_short(name)}'.", param=None if inbound.endpoint else "model")
    return found


def _short(name: str) -> str:
    return name if len(name) <= 200 else name[:200] + "…"
