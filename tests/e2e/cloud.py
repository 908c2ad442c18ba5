"""A provider in somebody's cloud: it hands out tokens that expire or are revoked, and answers who shows one. Keeps a book of both."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote_plus

CLIENT, SECRET = "client-1", "canary-client/secret+4f9a1c7e"
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-cloud",
    "object": "chat.completion",
    "created": 1,
    "model": "cloud-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


class Cloud:
    """`key` is what it takes without asking for a token. Plain chat completions only."""

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.asked: list[tuple[str, dict[str, str], bool]] = []  # path, form, whether the client proved itself in a header
        self.served: list[tuple[str, str]] = []  # path, model
        self.refused = 0
        self.tokens: list[str] = []  # that are good
        self._lock = threading.Lock()
        cloud = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with cloud._lock:
                    give = cloud._token if self.path.endswith("/token") else cloud._chat
                    status, said = give(self.path, dict(self.headers.items()), body)
                content = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def revoke(self) -> None:
        with self._lock:
            self.tokens.clear()

    def _token(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        shown = headers.get("authorization", "").removeprefix("Basic ")
        if shown:
            client, _, secret = base64.b64decode(shown).decode().partition(":")
            proof = unquote_plus(client), unquote_plus(secret)
        else:
            proof = form.pop("client_id", ""), form.pop("client_secret", "")
        self.asked.append((path, form, bool(shown)))
        if proof != (CLIENT, SECRET):
            return 401, {"error": "invalid_client", "error_description": f"{proof[1]} is wrong", "error_codes": [7000215]}
        token = f"canary-token-{len(self.asked)}-{'x' * 20}"
        self.tokens.append(token)
        return 200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token}

    def _chat(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        shown = {headers.get("authorization", "").removeprefix("Bearer "), headers.get("api-key", "")} - {""}
        if not shown & {*self.tokens, self.key} - {""}:
            self.refused += 1
            return 401, {"error": {"message": f"{', '.join(shown)} is no good", "type": "auth", "param": None, "code": "unauthorized"}}
        self.served.append((path, json.loads(body)["model"]))
        return 200, ANSWER

    def __enter__(self) -> "Cloud":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
