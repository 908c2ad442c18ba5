"""The invariant can fail: each book, falsified in each way, is caught."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.upstream.server import Served

from .client import Seen
from .gateway import Attempt, Call
from .invariant import Books, bill, chains, clients, journals, ledger, trace_id, traces

CALL_ID = "01a20322-2280-70ba-90b4-e54cf7acd787"


def books() -> Books:
    served = Served(1, "a", "openai.chat", "m", True, 200, 11, 7, 0.0, reported=True, events=5, outcome="whole", request_id="req_1")
    attempt = Attempt(1, "ok", "openai", "m", "reported", 200, 11, 7, upstream_request_id="req_1", price_id="p-1", cost="0.0000025")
    sums = {"input_tokens": 11, "output_tokens": 7, "cost": "0.0000025", "unpriced_attempts": 0, "estimated_attempts": 0}
    call = Call(CALL_ID, "ok", "openai.chat", True, [attempt], 200, "a", "chat", "e-1", "3", **sums)  # type: ignore[arg-type]
    process = {"process_id": "p", "gaps": [], "duplicates": 0, "records": 2, "last_seq": 2, "open_calls": 0}
    info = {
        "trace_id": trace_id(call),
        "state": "OK",
        "trace_metadata": {
            "mlflow.trace.tokenUsage": '{"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}',
            "mlflow.trace.cost": '{"input_cost": 1.1e-6, "output_cost": 1.4e-6, "total_cost": 2.5e-6}',
        },
    }
    seen = Seen(id="a", stream=True, status=200, call_id=CALL_ID, trace_id=trace_id(call), whole=True, input=11, output=7)
    return Books([served], [call], {"processes": [process]}, [info], [seen], {"calls": 1, "attempts": 1, **sums})


def faults(kept: Books, killed: bool = False) -> list[str]:
    return [*journals(kept), *ledger(kept, killed), *chains(kept), *clients(kept, killed), *traces(kept), *bill(kept)]


def test_true_books_have_no_fault() -> None:
    assert faults(books()) == []


def call(kept: Books, **changes: Any) -> None:
    kept.calls[0] = msgspec.structs.replace(kept.calls[0], **changes)


def attempt(kept: Books, **changes: Any) -> None:
    call(kept, attempts=[msgspec.structs.replace(kept.calls[0].attempts[0], **changes)])


def attempts(kept: Books, *statuses: str) -> None:
    """Attempts that the provider never saw, before the one that is there."""
    (last,) = kept.calls[0].attempts
    more = [
        msgspec.structs.replace(
            last,
            attempt_no=no,
            status=status,
            input_tokens=None,
            output_tokens=None,
            upstream_request_id=None,
            provenance="unknown",
            price_id=None,
            cost=None,
        )
        for no, status in enumerate(statuses, 1)
    ]
    call(kept, attempts=[*more, msgspec.structs.replace(last, attempt_no=len(more) + 1)])
    kept.usage["attempts"] += len(more)


def test_true_books_may_have_attempts_that_failed() -> None:
    kept = books()
    attempts(kept, "timeout", "provider_gone", "refused")
    assert faults(kept) == []


WAYS: dict[str, Callable[[Books], Any]] = {
    "a call is missing": lambda kept: kept.calls.clear(),
    "a call is there twice": lambda kept: kept.calls.append(kept.calls[0]),
    "an attempt is missing": lambda kept: call(kept, attempts=[]),
    "an attempt is there twice": lambda kept: call(kept, attempts=kept.calls[0].attempts * 2),
    "the first attempt is missing": lambda kept: attempt(kept, attempt_no=2),
    "tried again after an attempt of which nothing is known": lambda kept: attempts(kept, "unknown"),
    "tried again for a client that had left": lambda kept: attempts(kept, "client_gone"),
    "an attempt was never served": lambda kept: kept.served.clear(),
    "input differs": lambda kept: attempt(kept, input_tokens=12),
    "output differs": lambda kept: attempt(kept, output_tokens=None),
    "tokens are only guessed": lambda kept: attempt(kept, provenance="estimated"),
    "the answer was cut": lambda kept: setattr(kept.served[0], "outcome", "cut"),
    "the attempt is unknown": lambda kept: attempt(kept, status="unknown"),
    "the attempt failed": lambda kept: attempt(kept, status="provider_gone"),
    "the call is not ok": lambda kept: call(kept, status="client_gone"),
    "another status": lambda kept: call(kept, http_status=500),
    "another client's": lambda kept: call(kept, agent="b"),
    "another format": lambda kept: call(kept, format="anthropic.messages"),
    "the client was told other tokens": lambda kept: setattr(kept.seen[0], "output", 8),
    "the client was not answered": lambda kept: setattr(kept.seen[0], "status", None),
    "the reply has no call id": lambda kept: setattr(kept.seen[0], "call_id", None),
    "the client's answer is not whole": lambda kept: setattr(kept.seen[0], "whole", False),
    "another trace id": lambda kept: setattr(kept.seen[0], "trace_id", None),
    "the trace is missing": lambda kept: kept.traces.clear(),
    "the trace is there twice": lambda kept: kept.traces.append(kept.traces[0]),
    "a trace of an untracked call": lambda kept: call(kept, experiment_id=None),
    "a trace in progress": lambda kept: kept.traces[0].update(state="IN_PROGRESS"),
    "a trace with other tokens": lambda kept: kept.traces[0].update(trace_metadata={}),
    "a gap": lambda kept: kept.completeness["processes"][0].update(gaps=[{"first_seq": 1, "last_seq": 1}]),
    "a record is missing": lambda kept: kept.completeness["processes"][0].update(last_seq=3),
    "a record came twice": lambda kept: kept.completeness["processes"][0].update(duplicates=1),
    "an attempt has another cost": lambda kept: attempt(kept, cost="0.0000024"),
    "a price is lost": lambda kept: attempt(kept, cost=None),
    "a call has another cost": lambda kept: call(kept, cost="0.0000024"),
    "a call has no cost": lambda kept: call(kept, cost=None),
    "a call has other tokens": lambda kept: call(kept, output_tokens=8),
    "a call says that something is unpriced": lambda kept: call(kept, unpriced_attempts=1),
    "a call was never accounted for": lambda kept: call(kept, unpriced_attempts=None),
    "a call says that something is estimated": lambda kept: call(kept, estimated_attempts=1),
    "a trace with another cost": lambda kept: kept.traces[0]["trace_metadata"].update({"mlflow.trace.cost": '{"total_cost": 2.4e-6}'}),
    "a trace without its cost": lambda kept: kept.traces[0]["trace_metadata"].pop("mlflow.trace.cost"),
    "a trace with a guess": lambda kept: kept.traces[0]["trace_metadata"].update({"spangate.cost.estimated": '{"total_cost": 1e-6}'}),
    "a trace says that something is unpriced": lambda kept: kept.traces[0]["trace_metadata"].update({"spangate.cost.unpriced": "1"}),
    "usage has a call too many": lambda kept: kept.usage.update(calls=2),
    "usage has other tokens": lambda kept: kept.usage.update(input_tokens=10),
    "usage has another cost": lambda kept: kept.usage.update(cost="0.0000024"),
    "usage has no cost": lambda kept: kept.usage.update(cost=None),
    "usage says that something is unpriced": lambda kept: kept.usage.update(unpriced_attempts=1),
    "a call is open": lambda kept: kept.completeness["processes"][0].update(open_calls=1),
}


@pytest.mark.parametrize("name", WAYS)
def test_false_books_are_caught(name: str) -> None:
    kept = books()
    WAYS[name](kept)
    assert faults(kept)


def test_a_call_that_was_killed_is_unknown_once() -> None:
    kept = books()
    kept.served[0].outcome = "client_gone"
    kept.served[0].reported = False
    nothing = {"input_tokens": None, "output_tokens": None, "cost": None}
    attempt(kept, status="unknown", provenance="unknown", upstream_request_id=None, **nothing)
    call(kept, status="unknown", http_status=None, **nothing)
    kept.usage.update(input_tokens=0, output_tokens=0, cost="0")
    kept.seen[0].whole, kept.seen[0].status = False, None
    kept.traces[0].update(state="ERROR", trace_metadata={})
    assert faults(kept, killed=True) == []
    assert faults(kept, killed=False)
    lost = kept.calls[0].attempts[0]
    failed = msgspec.structs.replace(lost, status="provider_gone")
    call(kept, attempts=[failed, msgspec.structs.replace(lost, attempt_no=2)])
    kept.usage["attempts"] += 1
    assert not faults(kept, killed=True), "a second open attempt that the provider never saw is no fault"
    kept.served.append(msgspec.structs.replace(kept.served[0], request_id="req_2"))
    assert faults(kept, killed=True) == []
    kept.served.append(msgspec.structs.replace(kept.served[0], request_id="req_3"))
    assert faults(kept, killed=True)
