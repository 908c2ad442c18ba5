"""From a request to the endpoint that serves it, with the targets that may: by name, by the response that it is about, or as it is."""

from typing import Protocol

from spangate.exchange import Maker, Route, Scope, Target
from spangate.wire.formats import openai_responses, raw
from spangate.wire.problems import Refusal

from .admit import admit, admit_on
from .asked import asked
from .call import Call
from .peek import Peek
from .proxy import proxied
from .route import Routes, continued, made_by, route


class Responses(Protocol):
    """Who made which response that a provider keeps."""

    async def maker(self, response_id: str) -> Maker | None:
        """None: nobody that is known. Raises Refusal(503) if that cannot be said now."""
        ...

    def made(self, response_id: str, maker: Maker) -> None: ...


async def destination(call: Call, routes: Routes, responses: Responses) -> tuple[Route, Peek]:
    """What the call asks for, and of whom. The call knows its endpoint before the caller is admitted. Raises Refusal."""
    inbound = call.inbound
    peeked = asked(inbound)
    if inbound.response_id is not None:
        found = made_by(routes, inbound.response_id, await responses.maker(inbound.response_id))
    else:
        call.asked(stream=peeked.stream, model=peeked.model)
        found = route(routes, inbound, peeked.model)
    call.routed(found, stream=peeked.stream, model=peeked.model)
    if inbound.format == raw.NAME:
        admit(inbound.caller, found, scope=Scope.proxy)
        seen, found = proxied(inbound, found)
        call.understood(seen)
        peeked = asked(seen)
        call.routed(found, stream=peeked.stream, model=None)
        return found, peeked
    admit(inbound.caller, found)
    if peeked.previous is not None and inbound.format == openai_responses.NAME:
        limited = inbound.caller is not None and inbound.caller.endpoints is not None
        maker = await _known(responses, peeked.previous) if limited or len(found.targets) > 1 else None
        admit_on(inbound.caller, maker)
        return continued(found, maker), peeked
    return found, peeked


def remembering(call: Call, responses: Responses, found: Route, target: Target) -> None:
    """From here on the id that the target gives to a response is known with its maker, before the client can read it."""
    if call.inbound.format == openai_responses.NAME:
        maker = Maker(found.endpoint_id, target.model_definition_id)
        call.made = lambda response_id: responses.made(response_id, maker)


async def _known(responses: Responses, response_id: str) -> Maker | None:
    """Calls do not wait for a database that is away: then the response goes on wherever the endpoint sends it."""
    try:
        return await responses.maker(response_id)
    except Refusal:
        return None
