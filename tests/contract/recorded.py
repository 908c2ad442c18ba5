"""Answers in the exact wire shapes of OpenAI, Anthropic and Google, and of servers that differ, byte for byte. Written by us."""

from pathlib import Path

HERE = Path(__file__).parent / "recordings"
FORMATS = {
    "openai": "openai.chat",
    "completions": "openai.completions",
    "responses": "openai.responses",
    "anthropic": "anthropic.messages",
    "gemini": "gemini.generate",
}
EVENTS = sorted(f"{path.parent.name}/{path.name}" for path in HERE.glob("*/*.sse"))  # server-sent
STREAMS = sorted([*EVENTS, *(f"{path.parent.name}/{path.name}" for path in HERE.glob("*/*.array"))])
LINE_ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def recorded(name: str, line_end: bytes = b"\n") -> bytes:
    """No recording holds a line end other than between lines, so they can be replaced."""
    return (HERE / name).read_bytes().replace(b"\n", line_end)


def format_of(name: str) -> str:
    return FORMATS[name.partition("/")[0]]
