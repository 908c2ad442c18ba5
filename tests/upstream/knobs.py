"""How a request says what it wants to happen: `[[id=a1 n=20 delay=0.01 drop=7]]` anywhere in its body.

The text travels through the gateway untouched, so one test can ask for one fault while others run beside it.
The model's name may carry the same words (`gpt-replay;status=429;retry_after=7`): for clients whose text is not ours.
Text wins over the name.
"""

import re
from zlib import crc32

import msgspec

MARK = re.compile(rb"\[\[([^\[\]\"\\]{1,400})\]\]")


class Knobs(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one call. `drop`, `end`, `stall` and `err` say after how many content events it happens."""

    id: str = ""
    n: int = 5  # content events
    delay: float = 0.0  # s before each content event but the first
    first: float = 0.0  # s before the head
    input: int | None = None  # tokens; None: made from the id, so that no two calls are alike
    output: int | None = None
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    status: int = 200
    retry_after: str | None = None
    drop: int | None = None  # the connection is reset
    end: int | None = None  # the stream ends as if all were well, but the answer is not whole
    stall: int | None = None  # nothing more comes
    err: int | None = None  # an error event, then the end
    done: bool = True  # openai.chat: the stream ends with [DONE]
    usage: str = "exact"  # exact | choices (in the frame that also has choices) | none | null | negative | absurd
    tool: bool = False
    crlf: bool = False
    comments: bool = False  # comments and unknown fields between the events
    size: int = 0  # bytes of padding in each content event; of embeddings: the width of a vector
    base64: bool = False  # embeddings: as OpenAI's SDK asks for them, set by the server from `encoding_format`
    array: bool = False  # gemini.generate: a stream as a JSON array, set by the server without `alt=sse`
    pace: bool = False  # one write an event, also without a delay
    fault: str = ""  # a name of faults.py; then only the tokens and `n` of these knobs count

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output as the ledger counts them: input includes cached and written tokens, output includes reasoning."""
        seed = crc32(self.id.encode())
        given_in = self.input if self.input is not None else 11 + seed % 997 + self.cached + self.written
        given_out = self.output if self.output is not None else 3 + (seed >> 12) % 499 + self.reasoning
        return given_in, given_out


_KINDS: dict[str, type] = {
    **dict.fromkeys(["n", "input", "output", "cached", "written", "reasoning", "status", "drop", "end", "stall", "err", "size"], int),
    **dict.fromkeys(["delay", "first"], float),
    **dict.fromkeys(["done", "tool", "crlf", "comments", "pace", "base64", "array"], bool),
    **dict.fromkeys(["id", "retry_after", "usage", "fault"], str),
}


def _words(text: str, separator: str | None) -> dict[str, object]:
    values: dict[str, object] = {}
    for word in text.split(separator):
        key, equals, value = word.partition("=")
        kind = _KINDS.get(key)
        if not equals or kind is None:
            continue
        values[key] = value not in ("0", "false", "no") if kind is bool else kind(value)
    return values


def knobs(body: bytes, model: str) -> Knobs:
    """The knobs of a request: the last mark in its text (a conversation's newest turn), over those in the model's name."""
    values = _words(model, ";") if ";" in model else {}
    marks = MARK.findall(body)
    if marks:
        values |= _words(marks[-1].decode(), None)
    return Knobs(**values)  # pyright: ignore[reportArgumentType]


def mark(call: str, **values: object) -> str:
    """The text that asks for all this, to be put into a message."""
    for key in values:
        if key not in _KINDS:
            raise TypeError(f"no such knob: {key}")
    words = [f"id={call}", *(f"{key}={int(value) if isinstance(value, bool) else value}" for key, value in values.items())]
    return f"[[{' '.join(words)}]]"
