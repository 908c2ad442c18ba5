"""May this caller make this call. So far: whoever shows a key may; budgets and limits come in here."""

from spangate.exchange import Caller, Route
from spangate.wire.problems import Refusal


def admit(caller: Caller | None, route: Route) -> None:
    """Raises Refusal, or all is well."""
    if caller is None:
        raise Refusal(401, "invalid_key", f"A key is needed to call '{route.name}'.")
