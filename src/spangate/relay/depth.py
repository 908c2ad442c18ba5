"""How deep a JSON text nests, told at the speed of C and without parsing it: parsers that recurse meet nothing that they could drown in."""

from itertools import accumulate

from spangate.wire.problems import Refusal

DEPTH = 128  # levels; tool schemas, the deepest that clients send, stay under twenty
SIGNS = 2 << 20  # brackets, and the quotes around some: more of them fill no context window, and would keep other calls waiting
PEELED = 16  # levels that are taken off as pairs, which is quickest; what is left is walked through
WALKED = 1 << 17  # brackets in there: what has so many of them so deep is meant to hurt

# What may follow a backslash stays for a while, so that an escaped quote is told from a line end before a string's own.
_WORDS = bytes(byte for byte in range(256) if byte not in b'[]{}"\\/bfnrtu')
_WORDS_AND_ESCAPES = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_ALIKE = bytes.maketrans(b"{}", b"[]")
_STEPS = [{"[": 1, "]": -1}.get(chr(byte), 0) for byte in range(256)]


def refuse_deep(body: bytes) -> None:
    """Raises Refusal(400, too_deep). Of what is no JSON it says anything."""
    if deep(body):
        raise too_deep()


def too_deep() -> Refusal:
    return Refusal(400, "too_deep", f"The request body is nested too deeply: more than {DEPTH} levels.")


def deep(text: bytes, levels: int = DEPTH) -> bool:
    """Whether the JSON text nests deeper than so many levels. ~0.5 us/KB; twice that if it is full of brackets and escaped quotes."""
    signs = text.translate(None, _WORDS)
    if signs.count(b"[") + signs.count(b"{") <= levels:
        return False
    signs = signs.replace(b"\\\\", b"--").replace(b'\\"', b"--").translate(_ALIKE, _WORDS_AND_ESCAPES)
    # Quotes that stand side by side now enclose nothing of interest, or end one string and begin the next.
    signs = signs.replace(b'""', b"")
    if len(signs) > SIGNS:
        return True
    brackets = b"".join(signs.split(b'"')[::2])
    for _ in range(min(PEELED, levels)):
        if not brackets:
            return False
        brackets, levels = brackets.replace(b"[]", b""), levels - 1
    if len(brackets) > WALKED:
        return True
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > levels
