"""A provider that fails a call's first tries and then lets it through to the replay upstream. It keeps a book of what it refused."""

import http.client
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from tests.upstream.knobs import knobs
from tests.upstream.process import Upstream
from tests.upstream.server import Served

REFUSAL = b'{"error": {"message": "slow down", "type": "tokens", "param": null, "code": "rate_limit_exceeded"}}'


class Flaky:
    """`fails` tries of each call are answered with 429, or, without `retry_after`, not at all. Plain calls only."""

    def __init__(self, upstream: Upstream, *, fails: int, retry_after: str | None) -> None:
        rows: list[Served] = []
        tries: Counter[str] = Counter()

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                call = knobs(body, "").id
                tries[call] += 1
                if tries[call] > fails:
                    there = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=10)
                    there.request("POST", self.path, body, {"content-type": "application/json"})
                    answer = there.getresponse()
                    said = answer.read()
                    self.give(answer.status, answer.getheader("x-request-id", ""), said)
                    there.close()
                    return
                number = len(rows) + 1
                row = Served(number, call, "openai.chat", "", False, 429, 0, 0, time.time(), outcome="cut", request_id=f"flaky_{number}")
                rows.append(row)
                if retry_after is None:
                    self.close_connection = True
                    return
                row.outcome = "refused"
                self.give(429, row.request_id, REFUSAL, ("retry-after", retry_after))

            def give(self, status: int, request_id: str, body: bytes, *more: tuple[str, str]) -> None:
                self.send_response(status)
                for name, value in (
                    ("content-type", "application/json"),
                    ("x-request-id", request_id),
                    ("content-length", str(len(body))),
                    *more,
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.rows = rows
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def served(self) -> list[Served]:
        return list(self.rows)

    def __enter__(self) -> "Flaky":
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()
