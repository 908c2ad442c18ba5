"""JSON of which the end is missing, closed where it was cut: what came before is there, and a text goes as far as it went.

Bodies are kept up to a limit. Most of a long conversation lies before it.
"""

import re

DEEPEST = 1000  # what is nested deeper nobody reads as JSON either

_SPACE = re.compile(rb"[\s,:]*")
_TOKEN = re.compile(rb'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s{}\[\],:"]+', re.DOTALL)
_OPEN_TEXT = re.compile(rb'"[^"\\]*(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\]*)*')
_CLOSES = {b"{": b"}", b"[": b"]"}


def closed(text: bytes) -> bytes:
    """The longest beginning of it that can be closed, closed. Of what is no JSON, anything."""
    closers: list[bytes] = []
    at = end = 0  # where the last whole value ended, or began to have parts; and the last token
    key_next = False
    while (begin := _begin(text, end)) < len(text):
        if b"," in text[end:begin]:
            key_next = closers[-1:] == [b"}"]
        elif b":" in text[end:begin]:
            key_next = False
        token = _TOKEN.match(text, begin)
        if token is None:  # a text without an end
            opened = _OPEN_TEXT.match(text, begin)
            if opened is None or key_next:
                break
            return opened.string[: opened.end()] + b'"' + _closing(closers)
        end, said = token.end(), token[0]
        if said in _CLOSES:
            if len(closers) == DEEPEST:
                break
            closers.append(_CLOSES[said])
            key_next = said == b"{"
        elif said in (b"}", b"]"):
            if closers[-1:] != [said]:
                break
            closers.pop()
            key_next = False
        elif key_next or (end == len(text) and not said.startswith(b'"')):  # a number may go on
            continue
        at = end
    return text[:at] + _closing(closers)


def _begin(text: bytes, end: int) -> int:
    space = _SPACE.match(text, end)
    return end if space is None else space.end()


def _closing(closers: list[bytes]) -> bytes:
    return b"".join(reversed(closers))
