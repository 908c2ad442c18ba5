"""One gateway for a test: the real `spangate serve` on a free port, with a data folder and a database of its own."""

import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import psutil

from .rest import Rest, RestError, parsed

ROOT = Path(__file__).resolve().parents[2]
ADMIN_KEY = "e2e-admin-key-0123456789abcdef"
PROVIDER_SECRET = "sk-canary-7f3a9c1e5b2d8046-never-to-be-read"
MLFLOW = "/api/3.0/mlflow"
MLFLOW2 = "/api/2.0/mlflow"


LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """In the child: a test run that is itself killed leaves no gateway behind. Linux only; elsewhere a person cleans up."""
    assert LIBC is not None
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


# Below what systems give to outgoing connections, so that none of those takes a port between its choice and its use; each process
# of a parallel run has some of its own.
PORTS = count(12_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) + os.getpid() % 900)


def free_port() -> int:
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError


def until(true: Callable[[], Any], seconds: float, what: str, step: float = 0.02) -> Any:
    """The first true value, or a failure that says what did not come."""
    end = time.monotonic() + seconds
    last: BaseException | None = None
    while True:
        try:
            if value := true():
                return value
            last = None
        except (OSError, RestError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}" + (f" (last: {last!r})" if last else ""))
        time.sleep(step)


def listed(status: int, body: Any) -> list[str] | None:
    """The endpoints that an answer to GET /v1/models names; None: the key is not known there."""
    assert status in (200, 401, 503), (status, body)
    return [row["id"] for row in body["data"]] if status == 200 else None if status == 401 else []


class Attempt(msgspec.Struct, frozen=True):
    """An attempt's row as /api/v1/calls shows it."""

    attempt_no: int
    status: str
    provider: str
    model: str
    provenance: str
    http_status: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    upstream_request_id: str | None = None
    fault_kind: str | None = None
    price_id: str | None = None
    cost: str | None = None


class Call(msgspec.Struct, frozen=True):
    """A ledger row with its attempts."""

    call_id: str
    status: str
    format: str
    stream: bool
    attempts: list[Attempt] = []
    http_status: int | None = None
    agent: str | None = None
    endpoint: str | None = None
    endpoint_id: str | None = None
    experiment_id: str | int | None = None
    fault_kind: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: str | None = None
    unpriced_attempts: int | None = None
    estimated_attempts: int | None = None


class Gateway:
    """A running gateway. `with Gateway(...) as gateway` ends it, and every process of it, with the block."""

    def __init__(
        self,
        data_dir: Path,
        *,
        db: str | None = None,
        workers: int = 1,
        port: int | None = None,
        cpus: set[int] | None = None,
        command: str = "serve",
        **settings: object,
    ) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.db = db
        self.command = command  # serve | up
        self.workers = workers
        self.cpus = cpus  # all processes of the gateway are pinned to these
        self.settings = {"allow_private_upstreams": "true", "log_level": "info"} | {k: str(v) for k, v in settings.items()}
        self.log = data_dir.parent / f"{data_dir.name}.log"
        self.rest = Rest(self.url, ADMIN_KEY)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # ------------------------------------------------------------ life and death

    def start(self, ready: bool = True) -> "Gateway":
        command = [sys.executable, "-m", "spangate.cli.app", self.command, "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--data-dir", str(self.data_dir), "--workers", str(self.workers)]
        if self.db is not None:
            command += ["--db", self.db]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SPANGATE_", "OPENAI_", "ANTHROPIC_", "MLFLOW_"))}
        environment = clean | {"SPANGATE_ADMIN_KEY": ADMIN_KEY} | {f"SPANGATE_{k.upper()}": v for k, v in self.settings.items()}
        with self.log.open("ab") as log:
            # A group of its own: a signal meant for the gateway never reaches the test.
            self.process = subprocess.Popen(
                command,
                cwd=self.data_dir.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent if LIBC else None,
            )
        if self.cpus:
            # Right away: what it starts later takes it over.
            os.sched_setaffinity(self.process.pid, self.cpus)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, seconds: float = 60) -> None:
        """Serving, and nothing degraded."""
        assert self.process is not None
        process = self.process

        def ready() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"the gateway ended with {process.returncode}:\n{self.log_text()[-4000:]}")
            self.rest.call("GET", "/ready", timeout=5)
            self.rest.call("GET", "/version", timeout=5)
            return True

        try:
            until(ready, seconds, "GET /ready and /version", step=0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_text()[-4000:]}") from None

    def processes(self, kind: str | None = None) -> list[psutil.Process]:
        """`worker`, `control` or `supervisor`; all of them without."""
        assert self.process is not None
        try:
            top = psutil.Process(self.process.pid)
            found = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        if kind is None:
            return found
        return [process for process in found if self.kind(process) == kind]

    def kind(self, process: psutil.Process) -> str:
        assert self.process is not None
        if process.pid == self.process.pid:
            return "supervisor"
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            line = process.cmdline()
            for kind in ("worker", "control"):
                if any(f"spangate.{kind}" in word for word in line):
                    return kind
        return "other"

    def kill(self, kind: str | None = None) -> int:
        """kill -9: of one process of a kind, or of all of them at once. Returns how many died."""
        victims = self.processes(kind)
        if kind is not None:
            victims = victims[:1]
        else:
            # The supervisor first and stopped, or it would start anew what dies.
            for victim in victims:
                with contextlib.suppress(psutil.NoSuchProcess):
                    victim.suspend()
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)
        if kind is None and self.process is not None:
            self.process.wait(10)
            psutil.wait_procs(victims, timeout=10)
        return len(victims)

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        left = self.processes()
        if self.process.poll() is None:
            self.terminate()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway was still there {seconds} s after SIGTERM:\n{self.log_text()[-4000:]}") from None
        _, alive = psutil.wait_procs(left, timeout=10)
        for process in alive:
            process.kill()
        assert not alive, f"left behind: {alive}\n{self.log_text()[-4000:]}"
        return status

    def cli(self, *words: str, check: bool = True) -> Any:
        """What `spangate … --json` says: parsed if it is JSON, else its text. Without `check`, the exit status may be other than 0."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SPANGATE_")}
        run = subprocess.run(
            [sys.executable, "-m", "spangate.cli.app", *words, "--url", self.url, "--key", self.rest.key or "", "--json"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert run.returncode == 0 or not check, f"spangate {' '.join(words)}: {run.returncode}\n{run.stdout}\n{run.stderr}"
        return parsed(run.stdout.encode()) if run.returncode == 0 else run.stderr + run.stdout

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def __enter__(self) -> "Gateway":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                self.stop()
            except AssertionError:
                if exc is None:
                    raise

    # ------------------------------------------------------------ management

    def secret(self, name: str, base: str, provider: str = "openai", value: str = PROVIDER_SECRET) -> str:
        reply = self.rest.post(
            f"{MLFLOW}/gateway/secrets/create",
            secret_name=name,
            secret_value={"api_key": value},
            provider=provider,
            auth_config={"api_base": base},
        )
        return reply["secret"]["secret_id"]

    def model(self, name: str, secret_id: str, provider: str = "openai", model_name: str = "gpt-replay") -> str:
        reply = self.rest.post(
            f"{MLFLOW}/gateway/model-definitions/create", name=name, secret_id=secret_id, provider=provider, model_name=model_name
        )
        return reply["model_definition"]["model_definition_id"]

    def endpoint(
        self, name: str, base: str, provider: str = "openai", model_name: str = "gpt-replay", wait: bool = True, **more: Any
    ) -> dict[str, Any]:
        """A secret, a model definition and an endpoint of that name; returns the endpoint once every worker knows it."""
        self.price()
        definition = self.model(f"{name}-model", self.secret(f"{name}-secret", base, provider), provider, model_name)
        endpoint = self.create_endpoint(name, definition, **more)
        if wait:
            self.known(name)
        return endpoint

    def price(self) -> None:
        """One of the upstream's models is for sale, so that what is tested has known prices and unknown ones."""
        rates = {"input": {"usd": "1.25"}, "cache_read": {"usd": "0.125"}, "output": {"usd": "10"}}
        there = self.rest.get("/api/v1/prices/overrides")["overrides"]
        if not any(override["name"] == "replay" for override in there):
            self.rest.post("/api/v1/prices/overrides", name="replay", model="gpt-replay", rates=rates)

    def known(self, name: str) -> None:
        """Returns when every worker knows an endpoint."""
        until(lambda: all(name in (listed(*said) or []) for said in self.of_each_worker()), 20, f"the workers know {name}")

    def of_each_worker(self, key: str | None = ADMIN_KEY, path: str = "/v1/models", **headers: str) -> list[tuple[int, Any]]:
        """Status and body of GET `path` from each worker. Connections are made until each of them has taken one: it is the kernel that
        hands them out, and the busier of two may be given none for long."""
        said: dict[int, tuple[int, Any]] = {}
        given = headers if key is None else {"authorization": f"Bearer {key}"} | headers
        until_then = time.monotonic() + 30
        with contextlib.ExitStack() as lines:
            while len(said) < self.workers:
                assert time.monotonic() < until_then, f"{len(said)} of {self.workers} workers took a connection"
                line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                lines.callback(line.close)
                line.request("GET", path, headers=given)
                port = line.sock.getsockname()[1]
                answer = line.getresponse()
                body = parsed(answer.read())
                # The worker keeps the connection, so that it is among its own.
                for worker in self.processes("worker"):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        if any(theirs.raddr and theirs.raddr.port == port for theirs in worker.net_connections("tcp")):
                            said[worker.pid] = (answer.status, body)
        return list(said.values())

    def create_endpoint(self, name: str, definition: str, **more: Any) -> dict[str, Any]:
        config = {"model_definition_id": definition, "linkage_type": "PRIMARY", "weight": 1.0}
        return self.rest.post(f"{MLFLOW}/gateway/endpoints/create", name=name, model_configs=[config], **more)["endpoint"]

    def update_endpoint(self, endpoint_id: str, **more: Any) -> dict[str, Any]:
        return self.rest.post(f"{MLFLOW}/gateway/endpoints/update", endpoint_id=endpoint_id, **more)["endpoint"]

    def get_endpoint(self, endpoint_id: str) -> dict[str, Any]:
        return self.rest.get(f"{MLFLOW}/gateway/endpoints/get", endpoint_id=endpoint_id)["endpoint"]

    def models(self) -> list[str]:
        return [row["id"] for row in self.rest.get("/v1/models")["data"]]

    def experiment(self, experiment_id: str) -> dict[str, Any]:
        return self.rest.get(f"{MLFLOW2}/experiments/get", experiment_id=experiment_id)["experiment"]

    # ------------------------------------------------------------ the record

    def pages(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            page = self.rest.get(path, **query, **({"page_token": token} if token else {}))
            yield from page.get(key, [])
            token = page.get("next_page_token")
            if not token:
                return

    def calls(self) -> list[Call]:
        return [msgspec.convert(row, Call) for row in self.pages("/api/v1/calls", "calls", max_results=500)]

    def usage(self) -> dict[str, Any]:
        """What all calls come to, by the sums that are kept beside them."""
        return self.rest.get("/api/v1/usage", since="1970-01-02")["total"]["measures"]

    def call_row(self, call_id: str, seconds: float = 5) -> Call:
        """The ledger row of one call, once it is drained."""
        return until(lambda: next((c for c in self.calls() if c.call_id == call_id), None), seconds, f"ledger row of {call_id}")

    def completeness(self) -> dict[str, Any]:
        return self.rest.get("/api/v1/completeness")

    def traces(self, *experiment_ids: str) -> list[dict[str, Any]]:
        """The infos of all traces of these experiments."""
        found: list[dict[str, Any]] = []
        token: str | None = None
        while experiment_ids:
            body: dict[str, Any] = {
                "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": e}} for e in experiment_ids],
                "max_results": 500,
            }
            page = self.rest.post(f"{MLFLOW}/traces/search", **body, **({"page_token": token} if token else {}))
            found += page.get("traces", [])
            token = page.get("next_page_token")
            if not token:
                break
        return found

    def trace(self, trace_id: str, seconds: float = 5) -> dict[str, Any]:
        """One trace with its spans, once it is there."""

        def get() -> dict[str, Any] | None:
            found = self.rest.get(f"{MLFLOW}/traces/batchGet", trace_ids=trace_id).get("traces", [])
            return found[0] if found else None

        return until(get, seconds, f"trace {trace_id}")
