"""The one invariant, checked from outside after every run: five books say the same, the first four of them call by call.

The upstream's (what it served), the ledger's (calls and attempts), the traces', the clients', and usage. Nothing is lost,
nothing is doubled, nothing is in progress, no journal has a gap. Calls are matched by their mark, which the client gives to the
upstream in the message and to the gateway as its caller's name, and by the call id that the gateway gave to the client.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from tests.upstream.knobs import Knobs
from tests.upstream.server import Served

from .client import Seen
from .gateway import Attempt, Call, Gateway, until

# An attempt that the upstream never saw, or whose answer it never finished, ends in one of these. Refused: we did not send it.
NOT_SERVED = {"unknown", "provider_gone", "timeout", "client_gone", "refused"}
LOOK = "openai.responses.stored"  # at a response that was made before


class Book(Protocol):
    """What a provider served: the replay upstream's, or another one's."""

    def served(self) -> list[Served]: ...


class Books(msgspec.Struct):
    """All that was written down, in one place."""

    served: list[Served]
    calls: list[Call]
    completeness: dict[str, Any]
    traces: list[dict[str, Any]]
    seen: Sequence[Seen]
    usage: dict[str, Any]  # of all calls


class Violation(AssertionError):
    pass


def check(
    gateway: Gateway,
    upstreams: Book | Iterable[Book],
    seen: Sequence[Seen] = (),
    *,
    killed: bool = False,
    seconds: float = 30,
) -> Books:
    """Waits until all is drained, then compares. `killed`: processes died, so calls may have been cut off and settled as `unknown`."""
    upstreams = list(upstreams) if isinstance(upstreams, Iterable) else [upstreams]
    settled(gateway, seen, seconds)
    served = [row for upstream in upstreams for row in upstream.served()]
    calls = gateway.calls()
    experiments = sorted({str(call.experiment_id) for call in calls if call.experiment_id is not None})
    books = Books(served, calls, gateway.completeness(), gateway.traces(*experiments), seen, gateway.usage())
    faults = [*journals(books), *ledger(books, killed), *chains(books), *clients(books, killed), *traces(books), *bill(books)]
    if faults:
        shown = "\n".join(f"  {fault}" for fault in faults[:40])
        raise Violation(f"{len(faults)} violation(s), {len(served)} served, {len(calls)} calls, {len(seen)} seen:\n{shown}")
    return books


def settled(gateway: Gateway, seen: Sequence[Seen], seconds: float) -> None:
    """Returns when the drain has nothing left to do."""
    expected = {row.call_id for row in seen if row.call_id is not None}
    state: dict[str, Any] = {}

    def done() -> bool:
        state.clear()
        state.update(gateway.completeness())
        return state["complete"] and expected <= {call.call_id for call in gateway.calls()}

    try:
        until(done, seconds, "all journals drained and no call open", step=0.1)
    except AssertionError as error:
        missing = sorted(expected - {call.call_id for call in gateway.calls()})
        raise Violation(f"{error}; {len(missing)} answered calls are not in the ledger: {missing[:5]}; {state}") from None


def journals(books: Books) -> Iterable[str]:
    for row in books.completeness["processes"]:
        who = row["process_id"]
        if row.get("gaps"):
            yield f"journal {who} has gaps: {row['gaps']}"
        if row.get("duplicates"):
            yield f"journal {who} was applied twice: {row['duplicates']} duplicates"
        if row["records"] != row["last_seq"]:
            yield f"journal {who}: {row['records']} records up to sequence number {row['last_seq']}"
        if row.get("open_calls"):
            yield f"journal {who} has open calls: {row['open_calls']}"


def ledger(books: Books, killed: bool) -> Iterable[str]:
    """The upstream's book against the attempts."""
    by_mark: dict[str | None, list[Call]] = defaultdict(list)
    for call in books.calls:
        by_mark[call.agent].append(call)
    ids = [call.call_id for call in books.calls]
    if len(ids) != len(set(ids)):
        yield "a call is in the ledger twice"
    open_attempts: dict[str | None, list[tuple[Call, Attempt]]] = {
        mark: [(call, attempt) for call in calls for attempt in call.attempts] for mark, calls in by_mark.items()
    }
    for served in books.served:
        candidates = open_attempts.get(served.id, [])
        exact = [pair for pair in candidates if pair[1].upstream_request_id == served.request_id]
        found = exact or [pair for pair in candidates if pair[1].upstream_request_id is None]
        if not found:
            yield f"served but not in the ledger: {served}"
            continue
        if len(exact) > 1:
            yield f"served once, in the ledger {len(exact)} times: {served}"
        call, attempt = found[0]
        candidates.remove(found[0])
        yield from same(served, call, attempt, killed)
    yield from told_once(books, by_mark)
    for pairs in open_attempts.values():
        for call, attempt in pairs:
            if attempt.status not in NOT_SERVED:
                yield f"in the ledger but never served: {call.call_id} {call.agent} {attempt}"


def told_once(books: Books, by_mark: Mapping[str | None, Sequence[Call]]) -> Iterable[str]:
    """Of the looks at a response that tell its tokens one is billed: whichever journal is drained first, so not always the first look."""
    told: dict[str | None, list[tuple[int | None, int | None]]] = defaultdict(list)
    for served in books.served:
        if served.format == LOOK:
            told[served.id] += [(served.input, served.output)] if served.reported else []
    for mark, expected in told.items():
        attempts = [attempt for call in by_mark[mark] if call.format == LOOK for attempt in call.attempts]
        billed = [(at.input_tokens, at.output_tokens) for at in attempts if at.provenance in ("reported", "drained")]
        if sorted(map(str, billed)) != sorted(map(str, expected)):
            yield f"looks at {mark} told {expected}, the ledger has {billed}"


def chains(books: Books) -> Iterable[str]:
    """The attempts of a call follow each other: each further one because the one before it failed."""
    for call in books.calls:
        statuses = [attempt.status for attempt in call.attempts]
        if [attempt.attempt_no for attempt in call.attempts] != [*range(1, len(statuses) + 1)]:
            yield f"attempts are missing: {call}"
        if {"ok", "unknown", "client_gone"} & {*statuses[:-1]}:
            yield f"tried again after an attempt that did not fail: {call}"
        if call.status == "ok" and statuses[-1:] != ["ok"]:
            yield f"ok, but its last attempt is not: {call}"


def same(served: Served, call: Call, attempt: Attempt, killed: bool) -> Iterable[str]:
    what = f"{call.call_id} {served.id}: upstream {served}, ledger {call.status}/{attempt}"
    counted = (attempt.input_tokens, attempt.output_tokens)
    if attempt.status == "ok":
        if served.outcome != "whole":
            yield f"ok, but the upstream did not answer whole: {what}"
        if served.format == LOOK:
            pass  # `told_once` compares them
        elif served.reported and (counted != (served.input, served.output) or attempt.provenance not in ("reported", "drained")):
            yield f"tokens differ: {what}"
        elif not served.reported and attempt.provenance in ("reported", "drained") and counted != (None, None):
            yield f"tokens that nobody reported: {what}"
    elif attempt.status == "unknown" and not killed:
        yield f"unknown, though nothing was killed: {what}"
    elif served.outcome == "refused" and (attempt.status, attempt.http_status) != ("error", served.status) and not killed:
        yield f"the upstream refused, the ledger says otherwise: {what}"
    elif served.outcome == "whole" and attempt.status not in ("client_gone", "unknown", "timeout"):
        yield f"the upstream answered whole, the ledger says otherwise: {what}"
    elif served.outcome == "open":
        yield f"still open at the upstream: {what}"
    if attempt.provenance in ("reported", "drained") and attempt.status != "ok" and None not in counted and counted[1] > served.output:  # type: ignore[operator]
        yield f"more tokens reported than served: {what}"
    if served.format != attempt_format(call):
        yield f"formats differ: {what}"


def attempt_format(call: Call) -> str:
    return call.format.replace("mlflow.", "openai.")


def clients(books: Books, killed: bool) -> Iterable[str]:
    """The clients' book against the calls."""
    by_id = {call.call_id: call for call in books.calls}
    served = {row.id: row for row in books.served}
    for seen in books.seen:
        short = msgspec.structs.replace(seen, body=seen.body[-200:])
        if seen.status is None:
            if not (seen.left or killed):
                yield f"a call was not answered: {short}"
            continue
        if seen.call_id is None:
            # A refusal by the server itself, before any of our code: only while it is going down.
            yield f"an answer without a call id: {short}"
            continue
        call = by_id.get(seen.call_id)
        if call is None:
            yield f"answered but not in the ledger: {short}"
            continue
        what = f"client {short}, ledger {call}"
        if call.agent != seen.id or (call.stream != seen.stream and call.status != "refused"):
            yield f"another call: {what}"
        if seen.whole:
            # Settled before the last frame leaves: who has the end of the answer has an ok in the ledger, whatever came after.
            if (call.status, call.http_status) != ("ok", seen.status):
                yield f"the client has the whole answer, the ledger says otherwise: {what}"
            last = call.attempts[-1] if call.attempts else None
            told = None not in (seen.input, seen.output) and seen.id in served and served[seen.id].reported
            if told and last and call.status == "ok" and (last.input_tokens, last.output_tokens) != (seen.input, seen.output):
                yield f"the client was told other tokens: {what}"
        elif seen.status == 200 and call.status == "ok" and not seen.left and not killed:
            yield f"the client's answer is not whole, the ledger says ok: {what}"
        elif seen.status != 200 and (call.http_status != seen.status or call.status == "ok"):
            yield f"the client got {seen.status}, the ledger says otherwise: {what}"
        if seen.trace_id != (trace_id(call) if call.experiment_id is not None else None):
            yield f"the trace id in the reply is another: {what}"


def trace_id(call: Call) -> str:
    return "tr-" + call.call_id.replace("-", "")


def traces(books: Books) -> Iterable[str]:
    """The traces against the ledger: each tracked call has one, no other call has."""
    by_id = {info["trace_id"]: info for info in books.traces}
    if len(by_id) != len(books.traces):
        yield "a trace came twice in the search"
    expected = {trace_id(call): call for call in books.calls if call.experiment_id is not None}
    for missing in expected.keys() - by_id.keys():
        yield f"no trace of {expected[missing]}"
    for extra in by_id.keys() - expected.keys():
        yield f"a trace of no tracked call: {by_id[extra]}"
    for key in expected.keys() & by_id.keys():
        info, call = by_id[key], expected[key]
        what = f"trace {info}, ledger {call}"
        if info["state"] != ("OK" if call.status == "ok" else "ERROR"):
            yield f"state: {what}"
        said = info.get("trace_metadata", {}).get("mlflow.trace.tokenUsage")
        tokens = msgspec.json.decode(said) if said else {}
        for field, column in (("input_tokens", "input_tokens"), ("output_tokens", "output_tokens")):
            # A guess of ours is in the ledger, and marked there; where clients add up tokens it is not.
            facts = [attempt for attempt in call.attempts if attempt.provenance != "estimated"]
            counts = [n for n in (getattr(attempt, column) for attempt in facts) if n is not None]
            if tokens.get(field) != (sum(counts) if counts else None):
                yield f"{field}: {what}"


def bill(books: Books) -> Iterable[str]:
    """Each call comes to what its attempts do, its trace says so, and usage is the sum of them all."""
    infos = {info["trace_id"]: info.get("trace_metadata", {}) for info in books.traces}
    for call in books.calls:
        what = f"{call}"
        for field, unknown in (("input_tokens", None), ("output_tokens", None), ("cost", None)):
            known = [value for attempt in call.attempts if (value := getattr(attempt, field)) is not None]
            if _number(getattr(call, field)) != (sum(map(Decimal, known)) if known else unknown):
                yield f"the call's {field} is not the sum of its attempts': {what}"
        tokens = [attempt for attempt in call.attempts if (attempt.input_tokens, attempt.output_tokens) != (None, None)]
        unpriced = sum(attempt.cost is None for attempt in tokens)
        if call.unpriced_attempts != unpriced or any(attempt.cost is not None for attempt in call.attempts if attempt not in tokens):
            yield f"unpriced attempts: {what}"
        if call.estimated_attempts != sum(attempt.provenance == "estimated" for attempt in tokens):
            yield f"estimated attempts: {what}"
        metadata = infos.get(trace_id(call))
        if metadata is not None:
            facts = [attempt.cost for attempt in call.attempts if attempt.cost and attempt.provenance != "estimated"]
            guesses = [attempt.cost for attempt in call.attempts if attempt.cost and attempt.provenance == "estimated"]
            for key, costs in (("mlflow.trace.cost", facts), ("spangate.cost.estimated", guesses)):
                if _dollars(metadata.get(key)) != (sum(map(Decimal, costs)) if costs else None):
                    yield f"{key} is {metadata.get(key)}: {what}"
            if metadata.get("spangate.cost.unpriced", "0") != str(unpriced):
                yield f"spangate.cost.unpriced is {metadata.get('spangate.cost.unpriced')}: {what}"
    sums = {
        "calls": len(books.calls),
        "attempts": sum(len(call.attempts) for call in books.calls),
        **{
            field: sum(_number(getattr(call, field)) or 0 for call in books.calls)
            for field in ("input_tokens", "output_tokens", "cost", "unpriced_attempts", "estimated_attempts")
        },
    }
    for field, expected in sums.items():
        if (_number(books.usage[field]) or 0) != expected:
            yield f"usage has {books.usage[field]} {field}, the calls come to {expected}"


def _number(said: str | int | None) -> Decimal | None:
    return None if said is None else Decimal(said)


def _dollars(cost: str | None) -> Decimal | None:
    """MLflow's floats are exact to a picodollar up to some thousand dollars."""
    return None if cost is None else Decimal(round(msgspec.json.decode(cost)["total_cost"] * 10**12)) / 10**12


def expected_tokens(call: str, **knobs: object) -> tuple[int, int]:
    """What the upstream will count for such a call."""
    return Knobs(id=call, **knobs).tokens  # type: ignore[arg-type]
