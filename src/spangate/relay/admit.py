"""May this caller make this call. Whoever shows a key may call; what goes beyond that needs a scope. Budgets and limits come in here."""

from spangate.exchange import Caller, Route
from spangate.wire.problems import Refusal

EVERY_SCOPE = "admin"  # the role that has them all


def admit(caller: Caller | None, route: Route, *, scope: str | None = None) -> None:
    """`scope`: what the operation asks for beyond calling. Raises Refusal, or all is well."""
    if caller is None:
        raise Refusal(401, "invalid_key", f"A key is needed to call '{route.name}'.")
    if scope is not None and caller.role != EVERY_SCOPE and scope not in caller.scopes:
        raise Refusal(403, "missing_scope", f"The key '{caller.name}' has not the scope `{scope}`, which this call needs.")
