"""JSON over HTTP with nothing in between: what a person with curl sees."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RestError(Exception):
    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Rest:
    def __init__(self, url: str, key: str | None) -> None:
        self.url = url
        self.key = key

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, Any] | None = None,
        timeout: float = 20,
        headers: dict[str, str] | None = None,
    ) -> Any:
        url = self.url + path + ("?" + urllib.parse.urlencode(query, doseq=True) if query else "")
        headers = {"content-type": "application/json"} | (headers or {})
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)
        try:
            with NO_PROXY.open(request, timeout=timeout) as answer:
                return parsed(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise RestError(error.code, parsed(error.read())) from None

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query=query)

    def post(self, path: str, **body: Any) -> Any:
        return self.call("POST", path, body)

    def delete(self, path: str, **body: Any) -> Any:
        return self.call("DELETE", path, body)


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
