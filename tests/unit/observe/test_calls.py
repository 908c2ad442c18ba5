"""What is counted and said of a call when its record is settled."""

import logging
from pathlib import Path

import pytest

from spangate.exchange import OF_A_RESPONSE, AttemptRecord, Content, Exchange, Fault, Status
from spangate.observe import calls
from spangate.observe.calls import CallNumbers, ObservedJournal
from spangate.observe.metrics import ATTEMPT_SECONDS, METRICS
from spangate.observe.series import Numbers, gather
from spangate.wire.usage import Provenance, Usage

MS = 1_000_000


class Notes:
    """A journal that notes what it is given. `full`: the disk takes nothing."""

    def __init__(self) -> None:
        self.noted: list[tuple[object, ...]] = []
        self.full = False

    def begin(self, exchange: Exchange) -> None:
        self._note("begin", exchange.call_id)

    def resume(self, exchange: Exchange) -> None:
        self._note("resume", exchange.call_id)

    def settle(self, exchange: Exchange, content: Content | None) -> None:
        self._note("settle", exchange.call_id, content)

    async def durable(self) -> None:
        self._note("durable")

    def _note(self, *what: object) -> None:
        if self.full:
            raise OSError("full")
        self.noted.append(what)


def attempt(no: int, **more: object) -> AttemptRecord:
    given = {"provider": "openai", "model": "gpt", "format": "openai.chat", "model_definition_id": "d-1", "started": 0, "ended": 50 * MS}
    return AttemptRecord(**{"no": no, **given, **more})  # type: ignore[arg-type]


def exchange(**more: object) -> Exchange:
    given = {
        "call_id": "c-1", "format": "openai.chat", "request_type": "unified/chat", "path": "/v1/chat/completions", "server": "gw",
        "received_at": 1, "status": Status.ok, "http_status": 200, "endpoint": "chat", "duration": 100 * MS, "caller": "admin",
    }  # fmt: skip
    return Exchange(**{**given, **more})  # type: ignore[arg-type]


FAILED = attempt(1, status=Status.error, fault=Fault("overloaded", "busy", 503))
ELSEWHERE = attempt(
    3,
    provider="anthropic",
    model="claude",
    model_definition_id="d-2",
    status=Status.ok,
    usage=Usage(input=10, output=0, cache_read=4),
    provenance=Provenance.reported,
)
CALL = exchange(
    stream=True,
    first_token=30 * MS,
    attempts=(FAILED, attempt(2, status=Status.timeout, fault=Fault("upstream_timeout", "slow", 504)), ELSEWHERE),
)


@pytest.fixture
def numbers(tmp_path: Path) -> Numbers:
    return Numbers(tmp_path, "worker")


def counted(folder: Path) -> dict[str, float]:
    """All that is not zero; of a histogram the count."""
    sums, _ = gather(folder, METRICS)
    shown = {f"{name}{list(labels)}": sum(values[:-1]) if len(values) > 1 else values[0] for (name, labels), values in sums.items()}
    return {name: value for name, value in shown.items() if value}


def test_counts_a_call_with_all_that_was_tried(numbers: Numbers, tmp_path: Path) -> None:
    CallNumbers(numbers)(CALL)
    assert counted(tmp_path) == {
        "spangate_calls_total['chat', 'openai.chat', 'ok']": 1,
        "spangate_call_duration_seconds['chat', 'openai.chat']": 1,
        "spangate_call_time_to_first_token_seconds['chat', 'openai.chat']": 1,
        "spangate_attempts_total['openai', 'gpt', 'error', 'overloaded']": 1,
        "spangate_attempts_total['openai', 'gpt', 'timeout', 'upstream_timeout']": 1,
        "spangate_attempts_total['anthropic', 'claude', 'ok', '']": 1,
        "gen_ai_client_operation_duration_seconds['chat', 'openai', 'gpt', 'overloaded']": 1,
        "gen_ai_client_operation_duration_seconds['chat', 'openai', 'gpt', 'upstream_timeout']": 1,
        "gen_ai_client_operation_duration_seconds['chat', 'anthropic', 'claude', '']": 1,
        "spangate_retries_total['chat']": 1,
        "spangate_fallbacks_total['chat']": 1,
        "spangate_tokens_total['chat', 'anthropic', 'input', 'reported']": 10,
        "spangate_tokens_total['chat', 'anthropic', 'cache_read', 'reported']": 4,
    }


def test_counts_a_refusal_by_its_reason_and_not_how_long_it_took(numbers: Numbers, tmp_path: Path) -> None:
    CallNumbers(numbers)(exchange(status=Status.refused, http_status=404, endpoint=None, fault=Fault("unknown_model", "no")))
    assert counted(tmp_path) == {"spangate_calls_total['', 'openai.chat', 'refused']": 1, "spangate_refusals_total['unknown_model']": 1}


def test_names_what_was_asked_as_the_spans_do(numbers: Numbers, tmp_path: Path) -> None:
    formats = ("openai.embeddings", "gemini.count_tokens", "raw")
    CallNumbers(numbers)(exchange(attempts=tuple(attempt(no, format=format, status=Status.ok) for no, format in enumerate(formats, 1))))
    asked = [labels[0] for name, labels in gather(tmp_path, METRICS)[0] if name == ATTEMPT_SECONDS.name]
    assert sorted(asked) == ["", "count_tokens", "embeddings"]


@pytest.mark.parametrize("request_type", sorted(OF_A_RESPONSE))
def test_looks_at_a_response_count_no_tokens(request_type: str, numbers: Numbers, tmp_path: Path) -> None:
    """Each is told them again, and the ledger books them once."""
    CallNumbers(numbers)(exchange(request_type=request_type, attempts=(ELSEWHERE,)))
    found = counted(tmp_path)
    assert "spangate_attempts_total['anthropic', 'claude', 'ok', '']" in found
    assert [name for name in found if name.startswith("spangate_tokens_total")] == []


def test_tells_zero_of_what_alerts_wait_for(numbers: Numbers, tmp_path: Path) -> None:
    ObservedJournal(Notes(), numbers=numbers)
    assert gather(tmp_path, METRICS)[0] == {("spangate_refusals_total", ("journal_unwritable",)): [0.0]}


async def test_hands_on_to_the_journal_and_tells_once_it_is_written(numbers: Numbers, tmp_path: Path) -> None:
    notes, told = Notes(), list[tuple[str, int]]()
    journal = ObservedJournal(notes, lambda ended: told.append((ended.call_id, len(notes.noted))), numbers=numbers)
    content = Content(request=b"{}")
    journal.begin(CALL)
    assert (journal.open, counted(tmp_path)) == (1, {"spangate_open_calls[]": 1})
    journal.resume(CALL)
    journal.settle(CALL, content)
    await journal.durable()
    assert notes.noted == [("begin", "c-1"), ("resume", "c-1"), ("settle", "c-1", content), ("durable",)]
    assert told == [("c-1", 3)]
    assert (journal.open, counted(tmp_path)) == (0, {})


def test_a_record_that_cannot_be_written_is_no_secret(numbers: Numbers, tmp_path: Path) -> None:
    notes, told = Notes(), list[str]()
    journal = ObservedJournal(notes, lambda ended: told.append(ended.call_id), numbers=numbers)
    journal.begin(CALL)
    notes.full = True
    with pytest.raises(OSError, match="full"):
        journal.settle(CALL, None)
    with pytest.raises(OSError, match="full"):
        journal.begin(exchange(call_id="c-2"))
    assert (told, journal.open) == (["c-1"], 0)
    assert counted(tmp_path) == {"spangate_refusals_total['journal_unwritable']": 1}


def test_a_call_that_never_began_is_not_open(numbers: Numbers, tmp_path: Path) -> None:
    journal = ObservedJournal(Notes(), numbers=numbers)
    journal.settle(exchange(status=Status.refused), None)
    assert (journal.open, counted(tmp_path)) == (0, {})


def test_says_who_called_what_and_what_came_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "spangate.access")
    calls.say(CALL)
    unknown = exchange(
        status=Status.refused, http_status=404, endpoint=None, model="gtp", duration=None, fault=Fault("unknown_model", "no")
    )
    calls.say(unknown)
    calls.say_unidentified("c-9")
    assert [record.__dict__["said"] for record in caplog.records] == [
        {
            "call_id": "c-1", "status": "ok", "http_status": 200, "format": "openai.chat", "endpoint": "chat", "stream": True, "ms": 100.0,
            "first_token_ms": 30.0, "attempts": 3, "provider": "anthropic", "model": "claude", "input": 10, "output": 0, "key": "admin",
        },
        {
            "call_id": "c-1", "status": "refused", "http_status": 404, "format": "openai.chat", "endpoint": None, "model": "gtp",
            "key": "admin", "fault": "unknown_model",
        },
        {"call_id": "c-9", "http_status": 401},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "reads", "level"),
    [
        (200, True, "DEBUG"),
        (200, False, "INFO"),
        (404, True, "INFO"),
        (400, False, "INFO"),
        (503, True, "WARNING"),
        (500, False, "WARNING"),
    ],
)
def test_a_read_that_went_well_is_said_to_who_looks_for_it(status: int, reads: bool, level: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "spangate.access")
    calls.say_request("GET", "/x" * 300, status, reads=reads)
    calls.say_request("GET", "/x", status, ms=1.5, reads=reads)
    assert [(record.levelname, record.getMessage(), record.__dict__["said"]) for record in caplog.records] == [
        (level, "request", {"method": "GET", "path": "/x" * 250, "http_status": status}),
        (level, "request", {"method": "GET", "path": "/x", "http_status": status, "ms": 1.5}),
    ]


def test_says_nothing_where_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "spangate.access")
    calls.say(CALL)
    assert caplog.records == []
