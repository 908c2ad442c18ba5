"""A real server's habits: usage in a frame that also has choices, stream_options ignored, no [DONE], ids of its own."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from tests.e2e.client import CALLER
from tests.e2e.gateway import ADMIN_KEY, Attempt, Call, Gateway, free_port, until

from . import environment

pytestmark = [
    pytest.mark.skipif(not environment.ready(), reason="no inference server in .real: run `make real`"),
    pytest.mark.timeout(180),
]


class Server:
    """`transformers serve` on the tiny model."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        command = [
            str(environment.SERVE),
            "serve",
            str(environment.MODEL),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--device",
            "cpu",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | environment.OFFLINE, start_new_session=True
            )

        def up() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return answer.status == 200

        until(up, 90, "transformers serve", step=0.2)

    def kill(self) -> None:
        """kill -9, with all that it started."""
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        for process in [*top.children(recursive=True), top]:
            process.kill()
        self.process.wait(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("transformers") / "serve.log")
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.kill()


@pytest.fixture(scope="module")
def gateway(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("real") / "data") as running:
        running.endpoint("tiny", server.base, provider="openai-compatible", model_name=str(environment.MODEL))
        yield running


@pytest.fixture
def client(gateway: Gateway, call: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=60, default_headers={CALLER: call}
    ) as running:
        yield running


@pytest.fixture
def direct(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base, api_key="none", max_retries=0, timeout=60) as running:
        yield running


@pytest.fixture
def call(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)[5:]


def say(text: str = "hello tell me a story about bridges") -> list[Any]:
    return [{"role": "user", "content": text}]


def row(gateway: Gateway, call: str) -> Call:
    (found,) = until(lambda: [r for r in gateway.calls() if r.agent == call], 10, f"the ledger row of {call}")
    return found


def tokens(attempt: Attempt) -> tuple[int | None, int | None, str]:
    return attempt.input_tokens, attempt.output_tokens, attempt.provenance


def complete(gateway: Gateway, calls: dict[str, str]) -> None:
    """No gap, no open call; and each call has one row and one finished trace that says the same."""
    until(lambda: gateway.completeness()["complete"], 10, "completeness")
    rows = {r.agent: r for r in gateway.calls()}
    infos = {info["trace_id"]: info for info in gateway.traces(str(next(iter(rows.values())).experiment_id))}
    for call, status in calls.items():
        found = rows[call]
        assert found.status == status
        assert infos["tr-" + found.call_id.replace("-", "")]["state"] == ("OK" if status == "ok" else "ERROR")


def test_plain(gateway: Gateway, client: openai.OpenAI, call: str) -> None:
    answer = client.chat.completions.create(model="tiny", messages=say(), max_tokens=17)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 17
    assert answer.choices[0].finish_reason == "length"
    found = row(gateway, call)
    assert tokens(found.attempts[0]) == (answer.usage.prompt_tokens, 17, "reported")
    complete(gateway, {call: "ok"})


@pytest.mark.parametrize("ask", [True, False], ids=["asked", "unasked"])
def test_streamed(gateway: Gateway, client: openai.OpenAI, direct: openai.OpenAI, call: str, ask: bool) -> None:
    """The client gets each frame that the server sends, the one with usage and choices too; no [DONE] is made up, and the call is whole."""
    options: Any = {"stream_options": {"include_usage": True}} if ask else {}
    chunks = list(client.chat.completions.create(model="tiny", messages=say(), max_tokens=23, stream=True, **options))
    alone = list(direct.chat.completions.create(model=str(environment.MODEL), messages=say(), max_tokens=23, stream=True, **options))
    assert [len(c.choices) for c in chunks] == [1] * len(chunks)
    last = chunks[-1]
    assert last.choices[0].finish_reason == "length"
    assert last.usage is not None
    assert alone[-1].usage == last.usage
    found = row(gateway, call)
    assert found.status == "ok"
    assert tokens(found.attempts[0]) == (last.usage.prompt_tokens, 23, "reported")
    complete(gateway, {call: "ok"})


def test_no_done_is_made_up(gateway: Gateway, call: str) -> None:
    body = json.dumps({"model": "tiny", "messages": say(), "max_tokens": 9, "stream": True}).encode()
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json", CALLER: call}
    with urllib.request.urlopen(urllib.request.Request(f"{gateway.url}/v1/chat/completions", body, headers), timeout=60) as answer:
        text = answer.read()
    assert b"[DONE]" not in text
    assert b'"usage":{"completion_tokens":9,' in text
    assert row(gateway, call).status == "ok"


def test_the_servers_refusal_keeps_its_status_and_words(gateway: Gateway, server: Server, client: openai.OpenAI, call: str) -> None:
    gateway.endpoint("wrong-model", server.base, provider="openai-compatible", model_name="nope")
    with pytest.raises(openai.BadRequestError, match=r"requested .nope."):
        client.chat.completions.create(model="wrong-model", messages=say(), stream=True)
    assert row(gateway, call).attempts[0].http_status == 400


def test_hanging_up_midway(gateway: Gateway, client: openai.OpenAI, call: str) -> None:
    stream = client.chat.completions.create(model="tiny", messages=say(), max_tokens=1500, stream=True)
    for _, _chunk in zip(range(5), stream, strict=False):
        pass
    stream.close()
    found = row(gateway, call)
    assert (found.status, found.attempts[0].status) == ("client_gone", "client_gone")
    assert found.attempts[0].provenance in ("unknown", "estimated")
    complete(gateway, {call: "client_gone"})


def test_the_server_is_killed_midway(gateway: Gateway, server: Server, client: openai.OpenAI, call: str) -> None:
    stream = client.chat.completions.create(model="tiny", messages=say(), max_tokens=1500, stream=True)
    got: list[Any] = [next(stream), next(stream)]
    server.kill()
    try:
        with pytest.raises((openai.APIError, openai.APIConnectionError)):
            got.extend(stream)
        assert not [c for c in got if c.choices and c.choices[0].finish_reason]
        assert row(gateway, call).status == "provider_gone"
        # Nobody is there: a clear status, before the first byte.
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="tiny", messages=say(), stream=True, extra_headers={CALLER: f"{call}-after"})
        assert caught.value.status_code == 502
        assert row(gateway, f"{call}-after").status == "provider_gone"
        complete(gateway, {call: "provider_gone", f"{call}-after": "provider_gone"})
    finally:
        server.start()
    answer = client.chat.completions.create(model="tiny", messages=say(), max_tokens=5, extra_headers={CALLER: f"{call}-again"})
    assert answer.usage is not None
    assert tokens(row(gateway, f"{call}-again").attempts[0]) == (answer.usage.prompt_tokens, 5, "reported")
