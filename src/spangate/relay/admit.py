"""May this caller make this call: by the key's role, by the endpoints that it is for, by a scope where one is asked. Budgets and limits
come in here."""

from spangate.exchange import Caller, Maker, Role, Route, Scope
from spangate.wire.problems import Refusal


def admit(caller: Caller | None, route: Route, *, scope: Scope | None = None) -> None:
    """`scope`: what the operation asks for beyond calling. Raises Refusal, or all is well."""
    if caller is None:
        raise Refusal(401, "invalid_key", f"A key is needed to call '{route.name}'.")
    if not caller.may_call(route.endpoint_id):
        if caller.may_read(route.endpoint_id):
            raise Refusal(403, "role_reads_only", f"The key '{caller.name}' has the role `{caller.role}`, which calls no endpoints.")
        raise Refusal(403, "endpoint_not_allowed", f"The key '{caller.name}' is not for endpoint '{route.name}'.")
    if scope is not None and caller.role != Role.admin and scope not in caller.scopes:
        raise Refusal(403, "missing_scope", f"The key '{caller.name}' has not the scope `{scope}`, which this call needs.")


def admit_on(caller: Caller | None, maker: Maker | None) -> None:
    """A response that goes on from another one is told all that was said there. Raises Refusal if that is not the key's to read."""
    if caller is not None and maker is not None and not caller.may_read(maker.endpoint_id):
        raise Refusal(
            403, "endpoint_not_allowed", f"The key '{caller.name}' is not for the endpoint that made the response before this one."
        )
