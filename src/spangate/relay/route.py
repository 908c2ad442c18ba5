"""Which endpoint a request means, and which of its targets may be asked. The snapshot decides what there is.

Endpoints' own names come first, then exact aliases, then patterns: the one with the most literal characters that fits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from spangate.exchange import Alias, Inbound, Maker, Route, Target
from spangate.wire.formats import openai_stored
from spangate.wire.problems import Refusal

# What the provider must speak for each thing that clients speak. MLflow's unified routes are OpenAI's requests, the answers normalised.
UPSTREAM_FORMAT: Mapping[str, str] = {
    "openai.chat": "openai.chat",
    "openai.completions": "openai.completions",
    "openai.embeddings": "openai.embeddings",
    "openai.responses": "openai.responses",
    "openai.responses.stored": "openai.responses.stored",
    "anthropic.messages": "anthropic.messages",
    "anthropic.count_tokens": "anthropic.count_tokens",
    "gemini.generate": "gemini.generate",
    "gemini.embeddings": "gemini.embeddings",
    "gemini.count_tokens": "gemini.count_tokens",
    "raw": "raw",
    "mlflow.chat": "openai.chat",
    "mlflow.embeddings": "openai.embeddings",
}


FITTED = 1000  # names that are remembered: clients make them up, so there is an end to it


class Routes(Mapping[str, Route]):
    """All endpoints in force by name, and what else clients may call them. Made once a snapshot; finding is a dictionary's look-up,
    and a walk through the patterns only for a name that nobody has or sent before."""

    def __init__(self, routes: Mapping[str, Route], aliases: Iterable[Alias] = ()) -> None:
        self._routes = routes
        self._ids = {route.endpoint_id: route for route in routes.values()}
        self._aliases: dict[str, Route] = {}
        patterns: list[tuple[str, Route]] = []
        for alias in aliases:
            meant = routes.get(alias.endpoint)
            if meant is None:
                continue  # its endpoint is gone: the name means nothing, and may fit a pattern
            if "*" in alias.pattern:
                patterns.append((alias.pattern, meant))
            elif alias.pattern not in routes:
                self._aliases[alias.pattern] = meant
        # Of two that are equally literal the alphabet decides, so that every worker says the same.
        patterns.sort(key=lambda each: (each[0].count("*") - len(each[0]), each[0]))
        self._patterns = tuple((tuple(pattern.split("*")), meant) for pattern, meant in patterns)
        self._fitted: dict[str, Route] = {}  # names that fitted a pattern before

    def __getitem__(self, name: str) -> Route:
        return self._routes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._routes)

    def __len__(self) -> int:
        return len(self._routes)

    @property
    def names(self) -> Mapping[str, Route]:
        """What a client may list: endpoints, and exact aliases."""
        return {**self._aliases, **self._routes}

    def find(self, name: str) -> Route | None:
        """The endpoint that a client means by the name."""
        found = self._routes.get(name) or self._aliases.get(name) or self._fitted.get(name)
        if found is None and self._patterns:
            found = next((meant for pieces, meant in self._patterns if fits(pieces, name)), None)
            if found is not None and len(self._fitted) < FITTED:
                self._fitted[name] = found
        return found

    def of(self, endpoint_id: str) -> Route | None:
        return self._ids.get(endpoint_id)


def fits(pieces: Sequence[str], name: str) -> bool:
    """Whether the name is these pieces in their order, with anything between two of them. `pieces`: a pattern, split at its stars.

    Linear in the name: no pattern can be made that takes long.
    """
    first, *middle, last = pieces
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for piece in middle:
        at = name.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def route(routes: Routes, inbound: Inbound, model: str | None) -> Route:
    """The endpoint that the path names, or else the body's `model`."""
    name = inbound.endpoint or model
    if not name:
        raise Refusal(400, "missing_model", "The request names no model: set `model` to the name of an endpoint.", param="model")
    found = routes.find(name)
    if found is None:
        raise Refusal(404, "unknown_model", f"There is no endpoint named '{_short(name)}'.", param=None if inbound.endpoint else "model")
    return found


# ---------------------------------------------------------------- responses that a provider keeps


def made_by(routes: Routes, response_id: str, maker: Maker | None) -> Route:
    """The endpoint that made the response, with the one target that did: nobody else knows it."""
    if maker is None:
        raise _unknown(response_id, "this gateway knows of none")
    found = routes.of(maker.endpoint_id)
    if found is None:
        raise _unknown(response_id, "the endpoint that made it was deleted")
    target = _target(found, maker)
    if target is None:
        raise _unknown(response_id, f"the model that made it does not belong to endpoint '{found.name}' any more")
    url = target.formats.get(openai_stored.MADE_AS)
    formats = {} if url is None else {openai_stored.NAME: url}
    return msgspec.structs.replace(found, targets=(msgspec.structs.replace(target, formats=formats, fallback_order=None),))


def continued(found: Route, maker: Maker | None) -> Route:
    """The endpoint for a response that goes on from another one: the target that made that one, then those of its fallbacks that use the
    same account there, as only they know it. As it was, if that is not known or not one of its targets."""
    first = None if maker is None or maker.endpoint_id != found.endpoint_id else _target(found, maker)
    if first is None:
        return found
    others = [target for target in found.targets if target.fallback_order is not None and target is not first and _account(target, first)]
    return msgspec.structs.replace(found, targets=(msgspec.structs.replace(first, fallback_order=None), *others))


def _target(found: Route, maker: Maker) -> Target | None:
    return next((target for target in found.targets if target.model_definition_id == maker.model_definition_id), None)


def _account(one: Target, other: Target) -> bool:
    return (one.provider, one.secret_id, one.base_url) == (other.provider, other.secret_id, other.base_url)


def _unknown(response_id: str, why: str) -> Refusal:
    return Refusal(404, "unknown_response", f"There is no response with id '{_short(response_id)}': {why}.")


def _short(name: str) -> str:
    return name if len(name) <= 200 else name[:200] + "…"
