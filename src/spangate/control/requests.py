"""Each request to the management API is counted, has a line in the log, and its log lines the call id that the worker gave it."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..observe import calls, logs
from ..observe.metrics import MANAGEMENT
from ..observe.series import Numbers

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

CALL_ID = b"x-spangate-call-id"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
SEARCHES = ("/search", "/batchGetInfos", "/reconcile")  # ends of paths that are read with a POST


class Requests:
    """An ASGI application before another one."""

    def __init__(self, application: Application, numbers: Numbers, *, said: bool) -> None:
        self._application = application
        self._numbers = numbers
        self._said = said
        numbers.add(MANAGEMENT, ("GET", "200"), 0.0)  # who counts has a file, and by that its memory and CPU are told

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        call_id = next((value.decode("latin-1") for name, value in scope["headers"] if name == CALL_ID), None)
        logs.call_id.set(call_id)
        started, status = time.monotonic(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, sending)
        finally:
            method: str = scope["method"] if scope["method"] in METHODS else "other"
            self._numbers.add(MANAGEMENT, (method, str(status)))
            if self._said:
                took = round((time.monotonic() - started) * 1000, 1)
                calls.say_request(method, scope["path"], status, ms=took, reads=reads(method, scope["path"]))


def reads(method: str, path: str) -> bool:
    """Whether it changes nothing: command lines, dashboards and scrapers ask so every second."""
    return method in READING or (method == "POST" and path.endswith(SEARCHES))
