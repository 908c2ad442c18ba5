"""The few things that we say in ASGI, without a framework in between."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


class Disconnected(Exception):
    """The client left before it had said all."""


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """A whole reply."""
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def body_of_message(message: Message, receive: Receive) -> AsyncIterator[bytes]:
    """The pieces of a body from its first message on."""
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        piece: bytes = message.get("body", b"")
        if piece:
            yield piece
        if not message.get("more_body"):
            return
        message = await receive()
