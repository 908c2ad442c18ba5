"""docs/faults.md, made of what came of the faults: a table of its own for each kind, one line for all calls that ended alike."""

from collections.abc import Sequence

import msgspec

from tests.upstream.faults import TABLE, Expected

SHORT = {
    "openai.chat": "chat",
    "openai.responses": "responses",
    "anthropic.messages": "messages",
    "gemini.generate": "generate",
    "gemini.array": "generate as an array",
    "openai.embeddings": "embeddings",
}
PLAIN = SHORT.keys() - {"gemini.array"}
STREAMED = SHORT.keys() - {"openai.embeddings"}
BYTES = {
    "same": "the provider's",
    "end": "the provider's up to its terminal event",
    "ours": "our problem",
    "event": "the provider's so far, our error event, cut off",
    "torn": "the provider's so far, cut off",
    "part": "the provider's so far",
    "none": "none",
}
CLOSED = {
    "own": "at its own end",
    "at once": "at once",
    "time-out": "at the time-out",
    "after": "a second after the end",
    "unopened": "never opened",
    "drained": "after the drain",
}

HEAD = """\
<!-- Written by tests/e2e/test_faults.py: `make faults`. -->
# Faults

What happens when a provider or a client does what it should not: every fault that the tests know, played by a provider of the test suite
to a real gateway, in every format, plain and streamed. This page is what came of it; the build fails when it no longer does.

- **status**: the HTTP status that the client got. `none`: it left before there was one.
- **bytes**: what the client got. *The provider's*: byte for byte, ending as the provider ended it, be that right or wrong.
  *Our problem*: an error in the format's own shape with a `call_id`. *Cut off*: the connection is closed without HTTP's proper end, so no
  client can take it for a whole answer; our error event comes before that wherever the client is not in the midst of another event.
- **trace**: how the call stands in the ledger and its trace. Only `ok` makes a trace `OK`.
- **usage**: who counted the tokens. `reported` by the provider; `estimated` by us, as nobody else did; `unknown`, as there was no answer.
- **provider's connection closed**: *at once* is within a second. *At its own end*: the provider had said all that it would.
  *After the drain*: the endpoint says `client_gone: drain`, so the rest was read for its usage when the client had left.

Each call is one attempt at one target here. With fallbacks and retries, whatever reached nobody is tried elsewhere
([what follows which fault](guides/routing.md)). Embeddings are never streamed;
Gemini's `generate` streams as server-sent events, and as a JSON array without `alt=sse`.
"""


class Case(msgspec.Struct, frozen=True):
    fault: str
    format: str
    stream: bool
    outcome: Expected


def page(cases: Sequence[Case]) -> str:
    parts = [HEAD, f"{len({case.fault for case in cases})} faults, {len(cases)} calls.\n"]
    for kind, faults in TABLE.items():
        parts.append(f"## {kind}\n")
        parts.append("| fault | calls | status | bytes | trace | usage | provider's connection closed |\n|---|---|---|---|---|---|---|")
        for fault in faults:
            of_it = [case for case in cases if case.fault == fault.name]
            for outcome in dict.fromkeys(case.outcome for case in of_it):
                alike = [case for case in of_it if case.outcome == outcome]
                parts.append(line(fault.name, who(alike), outcome))
        parts.append("")
    return "\n".join(parts)


def line(fault: str, calls: str, outcome: Expected) -> str:
    cells = [
        f"`{fault}`",
        calls,
        "none" if outcome.status is None else str(outcome.status),
        BYTES[outcome.bytes],
        "no call" if outcome.call is None else f"`{outcome.call}`",
        "none" if outcome.provenance is None else f"`{outcome.provenance}`",
        CLOSED[outcome.closed],
    ]
    return f"| {' | '.join(cells)} |"


def who(alike: Sequence[Case]) -> str:
    """The shortest words for some of the calls."""
    plain = {case.format for case in alike if not case.stream}
    streamed = {case.format for case in alike if case.stream}
    if plain == PLAIN and streamed == STREAMED:
        return "all"
    return "; ".join(
        kind if formats == whole else f"{kind} {', '.join(SHORT[format] for format in SHORT if format in formats)}"
        for kind, formats, whole in (("plain", plain, PLAIN), ("streamed", streamed, STREAMED))
        if formats
    )
