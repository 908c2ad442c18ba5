"""An endpoint that keeps metadata alone: what is said there is nowhere, and all that is counted is where it always is."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest
import sqlalchemy as sa

from spangate.store.engine import Database
from spangate.store.schema import contents
from tests.upstream.knobs import mark
from tests.upstream.process import Upstream

from .client import CALLER
from .gateway import ADMIN_KEY, Gateway, until
from .invariant import check

ASKED = "the vault opens at midnight"


@pytest.fixture
def running(own: Callable[..., Gateway], alone: Upstream, db: str | None) -> Iterator[Gateway]:
    """Endpoints `quiet` and `hushed` that keep metadata, and `loud` that keeps all."""
    with own(workers=2, log_level="debug") as gateway:
        gateway.price()
        openai_, claude = gateway.secret("one", alone.base), gateway.secret("two", alone.base, "anthropic")
        for name, target in {
            "quiet": {"provider": "openai", "model": "gpt-replay", "secret_id": openai_},
            "hushed": {"provider": "anthropic", "model": "claude-replay", "secret_id": claude},
            "loud": {"provider": "openai", "model": "gpt-replay", "secret_id": openai_},
        }.items():
            settings = {} if name == "loud" else {"content": "metadata"}
            gateway.rest.post("/api/v1/endpoints", name=name, primaries=[target], settings=settings)
            gateway.known(name)
        yield gateway


def ask(gateway: Gateway, call: str, endpoint: str, words: str, *, stream: bool = False, **knobs: Any) -> tuple[str, str]:
    """What was answered, or what was wrong; and the trace's id."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=ADMIN_KEY, max_retries=0, timeout=30) as client:
        try:
            raw = client.chat.completions.with_raw_response.create(
                model=endpoint,
                messages=[{"role": "user", "content": f"{words} {mark(call, **knobs)}"}],
                stream=stream,
                user="ann",
                extra_headers={CALLER: call, "x-spangate-session": "s-1"},
            )
        except openai.APIStatusError as error:
            return error.message, error.response.headers["x-spangate-trace-id"]
        answer: Any = raw.parse()
        trace_id = raw.headers["x-spangate-trace-id"]
        if not stream:
            return answer.choices[0].message.content or "", trace_id
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices), trace_id


def written(gateway: Gateway) -> bytes:
    """All that stands in files of the gateway's: journals, database, logs."""
    files = [path for path in gateway.data_dir.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in (*files, gateway.log))


def test_what_is_said_where_metadata_alone_is_kept_is_nowhere(running: Gateway, alone: Upstream, db: str | None) -> None:
    # With control held nothing is drained: what the workers wrote is still there to be looked at.
    (control,) = running.processes("control")
    os.kill(control.pid, signal.SIGSTOP)
    try:
        said = [
            ask(running, "plain", "quiet", ASKED),
            ask(running, "streamed", "quiet", ASKED, stream=True),
            ask(running, "refused", "quiet", ASKED, status=400),
            ask(running, "failed", "quiet", ASKED, status=500),
        ]
        with anthropic.Anthropic(base_url=running.url, api_key=ADMIN_KEY, max_retries=0, timeout=30) as client:
            messages: Any = [{"role": "user", "content": f"{ASKED} {mark('claude')}"}]
            raw = client.messages.with_raw_response.create(
                model="hushed", max_tokens=64, messages=messages, extra_headers={CALLER: "claude"}
            )
            told: Any = raw.parse()
            said.append((told.content[0].text, raw.headers["x-spangate-trace-id"]))
        in_journals = written(running)
        kept, loud = ask(running, "loud", "loud", "it is said aloud")
        assert b"it is said aloud" in written(running)
    finally:
        os.kill(control.pid, signal.SIGCONT)
    answers = [answer for answer, _ in said]
    assert all(answers)
    assert "replayed fault 400" in answers[2]
    assert "replayed fault 500" in answers[3]
    check(running, alone)  # each is in the ledger with its tokens and cost, and has a trace
    for words in (ASKED, "replayed fault", *{answers[0], answers[1], answers[4]}):
        assert words.encode() not in in_journals, words
    for words in (ASKED, "replayed fault"):
        assert words.encode() not in written(running), words

    with_content = Database(db or f"sqlite:///{running.data_dir}/spangate.db")
    with with_content.read() as connection:
        assert connection.execute(sa.select(contents.c.trace_id)).scalars().all() == [loud]
    with_content.close()
    for (_, trace_id), failed in zip(said, (False, False, True, True, False), strict=True):
        trace = until(lambda trace_id=trace_id: running.rest.get(f"/api/v1/traces/{trace_id}"), 10, "the trace")
        assert (trace["request"], trace["response"], trace["request_preview"], trace["response_preview"]) == (None, None, None, None)
        assert (trace["metadata_only"], trace["content"], trace["conversation"]) == (True, "not_kept", None)
        assert failed or (trace["tokens"]["input"] > 0 and trace["tokens"]["output"] > 0)
        attributes = [span["attributes"] for span in trace["spans"]]
        assert [found for found in attributes if {"mlflow.spanInputs", "mlflow.spanOutputs"} & found.keys()] == []
        assert attributes[0]["spangate.content"] == '"not kept: endpoint"'
    whole = running.rest.get(f"/api/v1/traces/{loud}")
    assert (whole["content"], kept in whole["response"]["text"]) == ("kept", True)


def test_whose_calls_they_are_and_what_they_cost_is_known_all_the_same(running: Gateway, alone: Upstream) -> None:
    _, trace_id = ask(running, "priced", "quiet", ASKED)
    check(running, alone)
    trace = running.rest.get(f"/api/v1/traces/{trace_id}")
    assert (trace["session"], trace["user"]) == ("s-1", "ann")
    assert float(trace["cost"]) > 0


def test_a_change_is_in_force_for_the_next_calls(running: Gateway, alone: Upstream) -> None:
    _, before = ask(running, "before", "quiet", ASKED)
    assert running.cli("endpoints", "set", "quiet", "--content", "full")["settings"]["content"] == "full"

    def kept() -> bool:
        _, trace_id = ask(running, f"after-{len(running.calls())}", "quiet", ASKED)
        return until(lambda: running.rest.get(f"/api/v1/traces/{trace_id}"), 10, "the trace")["content"] == "kept"

    until(lambda: all(kept() for _ in range(4)), 10, "both workers keep what is said")
    check(running, alone)
    assert running.rest.get(f"/api/v1/traces/{before}")["metadata_only"]
