"""The door: ASGI in, Inbound to the relay, Reply out. It knows the paths, and nothing of what happens behind them.

A client that hangs up is told to the relay by cancelling the request's task; what is no data plane goes to control.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec
import uuid_utils

from spangate import session
from spangate.envelope import Pepper
from spangate.exchange import EXPIRED, SHOW_A_KEY, Caller, Inbound, Reply, SealedKey
from spangate.observe import logs
from spangate.relay.route import Routes
from spangate.relay.streaming import GONE, CutOff, StreamBody, left
from spangate.wire.formats import FORMATS, Format, openai_stored, raw
from spangate.wire.problems import Problem, Refusal

from .asgi import JSON, Disconnected, Headers, Receive, Scope, Send, respond
from .bodies import ACCEPTED, BodyLimits, Bounded, unreadable, whole_body
from .hosts import Hosts
from .identity import Nobody, caller
from .operations import UNIFIED_CHAT, Place, about, invoked, listed, passed_raw, place, query_up, streams

logger = logging.getLogger(__name__)

NO_KEY = f"No valid key was shown. {SHOW_A_KEY}"
NO_SNAPSHOT = "The gateway cannot tell keys yet: it has no snapshot of its database. GET /ready says what is amiss."

_NOBODY: Mapping[Nobody, Refusal] = {
    Nobody.unknown: Refusal(401, "invalid_key", NO_KEY),
    Nobody.expired: Refusal(401, "expired_key", EXPIRED),
    Nobody.signed_out: Refusal(401, "expired_key", session.ENDED),
    Nobody.elsewhere: Refusal(403, "foreign_page", session.ELSEWHERE),
}

PROBED = ("/health", "/ready")  # load balancers ask for these, by any name


class Knowledge(Protocol):
    """What is in force now."""

    @property
    def routes(self) -> Routes: ...

    @property
    def keys(self) -> Mapping[bytes, SealedKey]: ...


class Relaying(Protocol):
    async def __call__(self, inbound: Inbound) -> Reply: ...

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Reply: ...


class Ingress:
    """An ASGI application. `forward` takes what is not ours, `ready` says whether we serve and what is degraded.

    `answered` is told method, path and status of what is answered here and is no call, `unidentified` the call id of who showed no key.
    """

    def __init__(
        self,
        *,
        relay: Relaying,
        knowledge: Knowledge,
        pepper: Pepper,
        forward: Callable[[Scope, Receive, Send, Headers], Awaitable[None]],
        ready: Callable[[], Awaitable[tuple[bool, list[str]]]],
        bodies: BodyLimits,
        hosts: Hosts,
        unidentified: Callable[[str], None] = lambda call_id: None,
        answered: Callable[[str, str, int], None] = lambda method, path, status: None,
        new_id: Callable[[], str] = lambda: str(uuid_utils.uuid7()),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._relay = relay
        self._knowledge = knowledge
        self._pepper = pepper
        self._forward = forward
        self._ready = ready
        self._bodies = bodies
        self._hosts = hosts
        self._unidentified = unidentified
        self._answered = answered
        self._new_id = new_id
        self._clock = clock
        self._wall = wall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        host = _host(scope["headers"])
        if host is not None and (wrong := self._hosts.refusal(host, known=path not in PROBED)) is not None:
            await self._turn_away(scope, send, wrong)
            return
        found = place(path, scope.get("raw_path") or path.encode())
        if found is not None:
            await self._call(scope, receive, send, found)
        elif (models := listed(path)) is not None:
            await self._models(scope, send, *models)
        elif (unserved := about(path)) is not None:
            await self._unserved(scope, send, *unserved)
        elif path == "/health":
            await respond(send, 200, [(b"content-type", b"text/plain; charset=utf-8"), self._named()], b"OK")
        elif path == "/ready":
            await self._readiness(send)
        else:
            await self._manage(scope, receive, send)

    # ------------------------------------------------------------ calls

    async def _call(self, scope: Scope, receive: Receive, send: Send, place: Place) -> None:
        started, received_at, call_id = self._clock(), self._wall(), self._begun()
        headers: Headers = scope["headers"]
        method: str = scope["method"]
        allowed = place.operation(method)
        operation = allowed or place.shown
        who = self._who(headers, received_at)
        if isinstance(who, Nobody):
            await self._refuse_nobody(who, scope, send, FORMATS[operation.format], call_id)
            return
        refusal: Refusal | None = None
        body = b""
        try:
            if allowed is None:
                refusal = Refusal(405, "method_not_allowed", f"{scope['path']} takes {place.allow}, not {method}.")
            else:
                body, headers = await whole_body(receive, headers, self._bodies)
                if operation is UNIFIED_CHAT and place.endpoint is not None:
                    operation, refusal = invoked(body)
        except Refusal as problem:
            refusal = problem
        except Disconnected:
            return  # there never was a request
        query = query_up(operation, scope.get("query_string", b""))
        inbound = Inbound(
            call_id=call_id,
            format=operation.format,
            request_type=operation.request_type,
            path=scope["path"],
            headers=headers,
            body=body,
            received_at=received_at,
            started=started,
            server=(_host(headers) or b"").decode("latin-1"),
            endpoint=place.endpoint,
            method=operation.method,
            suffix=operation.suffix,
            query=query,
            stream=streams(operation, query),
            names_model=operation.names_model,
            response_id=place.response_id,
            opaque=operation.format in _UNSEEN and not raw.readable(_content_type(headers)),
            caller=who,
        )
        if refusal is not None:
            reply = await self._relay.refuse(inbound, refusal)
            if refusal.status == 405:
                reply.headers.append((b"allow", place.allow.encode()))
            elif refusal.status == 415:
                reply.headers.append((b"accept-encoding", ACCEPTED))
            await send_reply(send, reply)
            return
        await self._serve(inbound, receive, send)

    async def _serve(self, inbound: Inbound, receive: Receive, send: Send) -> None:
        watch = Watch(receive)
        try:
            await send_reply(send, await self._relay(inbound))
        except asyncio.CancelledError as error:
            if not left(error):
                raise
        except CutOff:
            pass  # the reply stays without its end, so the server closes the connection without the last chunk
        finally:
            watch.over = True

    def _who(self, headers: Headers, at: int, *, reads: bool = False) -> Caller | Nobody:
        """`at`: wall clock, ns."""
        return caller(headers, self._knowledge.keys, self._pepper, at // 1_000_000, reads=reads)

    async def _refuse_nobody(self, nobody: Nobody, scope: Scope, send: Send, format: Format, call_id: str) -> None:
        if not self._knowledge.keys:  # nor does anybody else's key say anything
            self._answered(scope["method"], scope["path"], 503)
            problem = Refusal(503, "not_ready", NO_SNAPSHOT)
            headers = [JSON, (b"retry-after", b"1"), (b"x-spangate-call-id", call_id.encode())]
            await respond(send, 503, headers, format.render_problem(problem, call_id))
            return
        self._unidentified(call_id)
        problem = _NOBODY[nobody]
        headers = [JSON, (b"x-spangate-call-id", call_id.encode())]
        if problem.status == 401:
            headers.insert(1, (b"www-authenticate", b"Bearer"))
        await respond(send, problem.status, headers, format.render_problem(problem, call_id))

    # ------------------------------------------------------------ the rest

    async def _models(self, scope: Scope, send: Send, spoken: str | None, name: str | None) -> None:
        headers: Headers = scope["headers"]
        call_id = self._begun()
        format = FORMATS[spoken or _spoken(headers)]
        who = self._who(headers, self._wall(), reads=scope["method"] in ("GET", "HEAD"))
        if isinstance(who, Nobody):
            await self._refuse_nobody(who, scope, send, format, call_id)
            return
        named = [JSON, (b"x-spangate-call-id", call_id.encode())]
        problem: Problem | None = None
        body = b""
        if scope["method"] not in ("GET", "HEAD"):
            problem = Refusal(405, "method_not_allowed", f"{scope['path']} takes GET, not {scope['method']}.")
            named.append((b"allow", b"GET"))
        elif name is not None:
            route = self._knowledge.routes.find(name)
            if route is None or not who.may_call(route.endpoint_id):
                problem = Refusal(404, "unknown_model", f"There is no endpoint named '{name[:200]}'.", param="model")
            else:
                body = format.render_model(name, route.created_at)
        else:
            known = sorted(self._knowledge.routes.names.items())
            body = format.render_models([(name, route.created_at) for name, route in known if who.may_call(route.endpoint_id)])
        if problem is not None:
            body = format.render_problem(problem, call_id)
        status = 200 if problem is None else problem.status
        self._answered(scope["method"], scope["path"], status)
        await respond(send, status, named, body)

    async def _unserved(self, scope: Scope, send: Send, said: str, status: int) -> None:
        headers: Headers = scope["headers"]
        call_id = self._begun()
        format = FORMATS[_spoken(headers) if said == "openai.chat" else said]
        who = self._who(headers, self._wall())
        if isinstance(who, Nobody):
            await self._refuse_nobody(who, scope, send, format, call_id)
            return
        method, path = scope["method"], scope["path"]
        words = f"This gateway does not serve {method} {path[:200]}."
        if (raw_path := passed_raw(path)) is not None:
            words += f" Where an endpoint allows it, the raw proxy passes it on: {method} {raw_path[:200]}."
        problem = Refusal(status, "unsupported_operation", words)
        self._answered(method, path, status)
        await respond(send, status, [JSON, (b"x-spangate-call-id", call_id.encode())], format.render_problem(problem, call_id))

    async def _turn_away(self, scope: Scope, send: Send, refusal: Refusal) -> None:
        """Who came under a name that is not ours: said to whoever reads that path, before a key is looked at."""
        path: str = scope["path"]
        call_id = self._begun()
        self._answered(scope["method"], path, refusal.status)
        found, unserved = place(path, scope.get("raw_path") or path.encode()), about(path)
        if found is None and unserved is None:
            await self._refuse_management(send, refusal, [_naming(call_id)])
            return
        format = FORMATS[found.shown.format if found is not None else unserved[0] if unserved is not None else "openai.chat"]
        await respond(send, refusal.status, [JSON, (b"x-spangate-call-id", call_id.encode())], format.render_problem(refusal, call_id))

    async def _manage(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = [_naming(self._begun())]
        try:
            unreadable(scope["headers"], self._bodies.size, packed=True)
            await self._forward(scope, Bounded(receive, self._bodies), send, named)
        except Refusal as refusal:
            self._answered(scope["method"], scope["path"], refusal.status)
            await self._refuse_management(send, refusal, named)

    async def _refuse_management(self, send: Send, refusal: Refusal, named: Headers) -> None:
        """In the shape of MLflow's API."""
        body = msgspec.json.encode({"error_code": "BAD_REQUEST", "message": refusal.message})
        await respond(send, refusal.status, [JSON, *named], body)

    async def _readiness(self, send: Send) -> None:
        ready, degraded = await self._ready()
        body = msgspec.json.encode({"status": "ready" if ready else "not ready", "degraded": degraded})
        await respond(send, 200 if ready else 503, [JSON, self._named()], body)

    def _begun(self) -> str:
        """The call id of the request that this task serves, and it alone: what is logged from here on has it."""
        call_id = self._new_id()
        logs.call_id.set(call_id)
        return call_id

    def _named(self) -> tuple[bytes, bytes]:
        return _naming(self._new_id())


class Watch:
    """Cancels the task that made it when the client hangs up before `over` is set. Costs one task a call, and ends by itself."""

    def __init__(self, receive: Receive) -> None:
        self.over = False
        self._receive = receive
        self._serving = asyncio.current_task()
        self._task = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.over and self._serving is not None:
            self._serving.cancel(GONE)


async def send_reply(send: Send, reply: Reply) -> None:
    body = reply.body
    if isinstance(body, bytes):
        await respond(send, reply.status, reply.headers, body)
        return
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except BaseException as error:
        if isinstance(body, StreamBody):
            body.leave(error)
        raise


def _spoken(headers: Headers) -> str:
    """What a client speaks that uses a path of several formats: Anthropic's and Google's SDKs always say who they are, others never do."""
    for name, _ in headers:
        if name == b"anthropic-version":
            return "anthropic.messages"
        if name in (b"x-goog-api-client", b"x-goog-api-key"):
            return "gemini.generate"
    return "openai.chat"


# Formats whose requests have any body, or none.
_UNSEEN = frozenset({raw.NAME, openai_stored.NAME})


def _naming(call_id: str) -> tuple[bytes, bytes]:
    return (b"x-spangate-call-id", call_id.encode())


def _content_type(headers: Headers) -> bytes:
    return next((value for name, value in headers if name == b"content-type"), b"")


def _host(headers: Headers) -> bytes | None:
    return next((value for name, value in headers if name == b"host"), None)
