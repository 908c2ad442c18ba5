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

from spangate.exchange import Inbound, Reply, Route, SealedKey
from spangate.relay.streaming import GONE, CutOff, StreamBody, left
from spangate.wire.formats import FORMATS, Format
from spangate.wire.problems import Problem, Refusal

from .asgi import JSON, Disconnected, Headers, Receive, Scope, Send, TooLarge, respond, whole_body
from .identity import caller
from .operations import MODELS, UNIFIED_CHAT, UNIFIED_MODELS, Place, about, invoked, place

logger = logging.getLogger(__name__)

NO_KEY = "No valid key was shown. Send one as `Authorization: Bearer <key>` or `x-api-key`; it is never read from the URL."
NO_SNAPSHOT = "The gateway cannot tell keys yet: it has no snapshot of its database. GET /ready says what is amiss."


PATIENCE = 60.0  # s that a client may take nothing of its answer


class Knowledge(Protocol):
    """What is in force now."""

    @property
    def routes(self) -> Mapping[str, Route]: ...

    @property
    def keys(self) -> Mapping[bytes, SealedKey]: ...


class Relaying(Protocol):
    async def __call__(self, inbound: Inbound) -> Reply: ...

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Reply: ...


class Ingress:
    """An ASGI application. `forward` takes what is not ours, `ready` says whether we serve and what is degraded."""

    def __init__(
        self,
        *,
        relay: Relaying,
        knowledge: Knowledge,
        forward: Callable[[Scope, Receive, Send, Headers], Awaitable[None]],
        ready: Callable[[], Awaitable[tuple[bool, list[str]]]],
        body_limit: int,
        patience: float = PATIENCE,
        new_id: Callable[[], str] = lambda: str(uuid_utils.uuid7()),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        self._relay = relay
        self._knowledge = knowledge
        self._forward = forward
        self._ready = ready
        self._body_limit = body_limit
        self._patience = patience
        self._new_id = new_id
        self._clock = clock
        self._wall = wall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        found = place(path)
        if found is not None:
            await self._call(scope, receive, send, found)
        elif path in (MODELS, UNIFIED_MODELS) or path.startswith(MODELS + "/"):
            await self._models(scope, send, path)
        elif (unserved := about(path)) is not None:
            await self._unserved(scope, send, *unserved)
        elif path == "/health":
            await respond(send, 200, [(b"content-type", b"text/plain; charset=utf-8"), self._named()], b"OK")
        elif path == "/ready":
            await self._readiness(send)
        else:
            await self._forward(scope, receive, send, [self._named()])

    # ------------------------------------------------------------ calls

    async def _call(self, scope: Scope, receive: Receive, send: Send, place: Place) -> None:
        started, received_at, call_id = self._clock(), self._wall(), self._new_id()
        headers: Headers = scope["headers"]
        method: str = scope["method"]
        allowed = place.operation(method)
        operation = allowed or place.shown
        who = caller(headers, self._knowledge.keys)
        if who is None:
            await self._refuse_unknown(send, FORMATS[operation.format], call_id)
            return
        refusal: Refusal | None = None
        body = b""
        try:
            if allowed is None:
                refusal = Refusal(405, "method_not_allowed", f"{scope['path']} takes {place.allow}, not {method}.")
            else:
                refusal = unreadable(headers, self._body_limit)
                if refusal is None:
                    body = await whole_body(receive, self._body_limit)
                    if operation is UNIFIED_CHAT and place.endpoint is not None:
                        operation, refusal = invoked(body)
        except TooLarge:
            refusal = too_large(self._body_limit)
        except Disconnected:
            return  # there never was a request
        inbound = Inbound(
            call_id=call_id,
            format=operation.format,
            request_type=operation.request_type,
            path=scope["path"],
            headers=headers,
            body=body,
            received_at=received_at,
            started=started,
            server=_host(headers),
            endpoint=place.endpoint,
            method=operation.method,
            suffix=operation.suffix,
            caller=who,
        )
        if refusal is not None:
            reply = await self._relay.refuse(inbound, refusal)
            if refusal.status == 405:
                reply.headers.append((b"allow", place.allow.encode()))
            await send_reply(send, reply)
            return
        await self._serve(inbound, receive, send)

    async def _serve(self, inbound: Inbound, receive: Receive, send: Send) -> None:
        watch = Watch(receive)
        try:
            await send_reply(send, await self._relay(inbound), self._patience)
        except asyncio.CancelledError as error:
            if not left(error):
                raise
        except CutOff:
            pass  # the reply stays without its end, so the server closes the connection without the last chunk
        finally:
            watch.over = True

    async def _refuse_unknown(self, send: Send, format: Format, call_id: str) -> None:
        if not self._knowledge.keys:  # nor does anybody else's key say anything
            problem = Refusal(503, "not_ready", NO_SNAPSHOT)
            headers = [JSON, (b"retry-after", b"1"), (b"x-spangate-call-id", call_id.encode())]
            await respond(send, 503, headers, format.render_problem(problem, call_id))
            return
        problem = Refusal(401, "invalid_key", NO_KEY)
        headers = [JSON, (b"www-authenticate", b"Bearer"), (b"x-spangate-call-id", call_id.encode())]
        await respond(send, 401, headers, format.render_problem(problem, call_id))

    # ------------------------------------------------------------ the rest

    async def _models(self, scope: Scope, send: Send, path: str) -> None:
        headers: Headers = scope["headers"]
        call_id = self._new_id()
        if path == UNIFIED_MODELS:
            format = FORMATS["mlflow.chat"]
        else:
            format = FORMATS["anthropic.messages" if _anthropics(headers) else "openai.chat"]
        if caller(headers, self._knowledge.keys) is None:
            await self._refuse_unknown(send, format, call_id)
            return
        named = [JSON, (b"x-spangate-call-id", call_id.encode())]
        problem: Problem | None = None
        body = b""
        if scope["method"] not in ("GET", "HEAD"):
            problem = Refusal(405, "method_not_allowed", f"{path} takes GET, not {scope['method']}.")
            named.append((b"allow", b"GET"))
        elif path.startswith(MODELS + "/"):
            name = path[len(MODELS) + 1 :]
            route = self._knowledge.routes.get(name)
            if route is None:
                problem = Refusal(404, "unknown_model", f"There is no endpoint named '{name[:200]}'.", param="model")
            else:
                body = format.render_model(route.name, route.created_at)
        else:
            body = format.render_models([(name, route.created_at) for name, route in sorted(self._knowledge.routes.items())])
        if problem is not None:
            body = format.render_problem(problem, call_id)
        await respond(send, 200 if problem is None else problem.status, named, body)

    async def _unserved(self, scope: Scope, send: Send, said: str, status: int) -> None:
        headers: Headers = scope["headers"]
        call_id = self._new_id()
        format = FORMATS["anthropic.messages" if said == "openai.chat" and _anthropics(headers) else said]
        if caller(headers, self._knowledge.keys) is None:
            await self._refuse_unknown(send, format, call_id)
            return
        problem = Refusal(status, "unsupported_operation", f"This gateway does not serve {scope['method']} {scope['path'][:200]}.")
        await respond(send, status, [JSON, (b"x-spangate-call-id", call_id.encode())], format.render_problem(problem, call_id))

    async def _readiness(self, send: Send) -> None:
        ready, degraded = await self._ready()
        body = msgspec.json.encode({"status": "ready" if ready else "not ready", "degraded": degraded})
        await respond(send, 200 if ready else 503, [JSON, self._named()], body)

    def _named(self) -> tuple[bytes, bytes]:
        return (b"x-spangate-call-id", self._new_id().encode())


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


class Stall:
    """Cancels the task that made it when the client takes nothing of its stream for `patience` to twice as many seconds: it has left, its
    connection has not. Without this the call would stay open, and its provider's connection with it. Costs one timer a stream."""

    def __init__(self, patience: float) -> None:
        self.sending = False
        self.sent = 0
        self._seen = -1
        self._patience = patience
        self._serving = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(patience, self._look)

    def _look(self) -> None:
        if self.sending and self.sent == self._seen and self._serving is not None:
            self._serving.cancel(GONE)
            return
        self._seen = self.sent if self.sending else -1
        self._timer = self._loop.call_later(self._patience, self._look)

    def over(self) -> None:
        self._timer.cancel()


async def send_reply(send: Send, reply: Reply, patience: float = PATIENCE) -> None:
    body = reply.body
    if isinstance(body, bytes):
        await respond(send, reply.status, reply.headers, body)
        return
    stall = Stall(patience)
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        async for piece in body:
            stall.sending = True
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            stall.sending = False
            stall.sent += 1
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except BaseException as error:
        if isinstance(body, StreamBody):
            body.leave(error)
        raise
    finally:
        stall.over()


def unreadable(headers: Headers, limit: int) -> Refusal | None:
    """What the head of a request says already against reading its body."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            return too_large(limit)
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return Refusal(
                415, "unsupported_encoding", "The request body is compressed, which this gateway does not read: send it as it is."
            )
    return None


def too_large(limit: int) -> Refusal:
    return Refusal(413, "body_too_large", f"The request body is larger than the limit of {limit} bytes.")


def _anthropics(headers: Headers) -> bool:
    """Anthropic's SDK always says which version it speaks, others never do."""
    return any(name == b"anthropic-version" for name, _ in headers)


def _host(headers: Headers) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
