"""What is no data plane goes to control over its Unix socket, as it came, and streams both ways. Control down: 503, at once."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from spangate.wire.problems import Refusal

from .asgi import Receive, Scope, Send, body_of_message, respond
from .responses import Unanswered

logger = logging.getLogger(__name__)

CONNECT = 2.0  # s; a Unix socket answers at once or nobody is there
SILENCE = 300.0  # s; the slowest management request is a search over many traces
PROBE = 1.0  # s that /ready waits
LOOKUP = 3.0  # s that a call waits to hear who made a response; a drain and a look into the database

# RFC 9110 7.6.1: these speak of one connection only. `Host` is kept: control builds links with it.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

_OURS = frozenset({b"date", b"server"})  # the worker's own server says them


class Forward:
    def __init__(self, socket: Path, address_file: Path) -> None:
        self._socket = socket
        self._address_file = address_file
        self._session: aiohttp.ClientSession | None = None
        self._path = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, extra: list[tuple[bytes, bytes]]) -> None:
        """`extra`: headers of ours on the reply. Raises what reading the request raises, if nothing was answered yet."""
        first = await receive()
        if first["type"] == "http.disconnect":
            return
        body: bytes | AsyncIterator[bytes] | None = first.get("body") or None
        if first.get("more_body"):
            body = body_of_message(first, receive)
        path = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string") or b""
        target = path.decode("latin-1") + ("?" + query.decode("latin-1") if query else "")
        try:
            response = await self._control().request(
                scope["method"],
                URL("http://control" + target, encoded=True),
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in [*headers_in(scope["headers"]), *extra]],
                data=body,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error.__cause__, Refusal):  # the body was out of bounds
                raise error.__cause__ from None
            # As it came over the wire: decoded, it could hold line ends and write what it likes into the log.
            logger.warning("Control did not answer %s %r: %s", scope["method"], path, type(error).__name__)
            await respond(send, 503, _DOWN_HEADERS + extra, _DOWN)
            return
        try:
            headers = end_to_end([(name.lower(), value) for name, value in response.raw_headers if name.lower() not in _OURS])
            await send({"type": "http.response.start", "status": response.status, "headers": headers + extra})
            if scope["method"] != "HEAD":
                while piece := await response.content.readany():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (aiohttp.ClientError, OSError):
            return  # the reply stays without its end, and the connection is closed
        finally:
            response.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def degraded(self, key: str | None) -> list[str]:
        """What control says is amiss with it; or that it does not answer."""
        try:
            async with asyncio.timeout(PROBE):
                headers = {"authorization": f"Bearer {key}"} if key else {}
                async with self._control().get("http://control/api/v1/status", headers=headers) as response:
                    if response.status != 200:
                        return [f"control: answered {response.status}"]
                    status = msgspec.json.decode(await response.read(), type=_Status)
        except (aiohttp.ClientError, OSError):
            return ["control: does not answer"]
        except msgspec.MsgspecError:
            return []
        return list(status.degraded)

    async def maker(self, response_id: str, key: str | None) -> tuple[int, bytes]:
        """What control says of who made a response: status and body. Raises Unanswered."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            async with asyncio.timeout(LOOKUP):
                url = URL("http://control/api/v1/responses/" + quote(response_id, safe=""), encoded=True)
                async with self._control().get(url, headers=headers) as response:
                    return response.status, await response.read()
        except (aiohttp.ClientError, OSError) as error:
            logger.warning("Control did not say who made a response: %s", type(error).__name__)
            raise Unanswered from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _control(self) -> aiohttp.ClientSession:
        """The session to where control listens now: after a restart that may be elsewhere."""
        try:
            path = self._address_file.read_text().strip()
        except OSError:
            path = os.fspath(self._socket)
        if self._session is None or path != self._path:
            if self._session is not None:
                asyncio.get_running_loop().create_task(self._session.close())
            self._path = path
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path, limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT, sock_read=SILENCE),
            )
        return self._session


class _Status(msgspec.Struct):
    degraded: tuple[str, ...] = ()


_DOWN = msgspec.json.encode(
    {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Management is not available right now; calls to models are served. Try again."}
)
_DOWN_HEADERS = [(b"content-type", b"application/json"), (b"retry-after", b"1")]


def headers_in(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What of a client's headers goes to control: nothing that only we may say, such as the call id."""
    return [(name, value) for name, value in end_to_end(headers) if not name.startswith(b"x-spangate-")]


def end_to_end(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without the headers of one hop, those that `Connection` names included."""
    named = {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP and name not in named]
