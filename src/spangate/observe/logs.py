"""Each line of the log is one line, holds no key, and says which call it is about. Our own lines and the libraries' go the same way.

Text for people, or a JSON object a line for machines. What a client sent can be part of a line, but never end it: control characters
are written as escapes.
"""

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextvars import ContextVar
from types import TracebackType

import msgspec

from spangate.record.redact import MASK, redact

call_id: ContextVar[str | None] = ContextVar("call_id", default=None)  # of the call that the running task serves

# C0 and C1 controls, DEL, and what some readers take for the end of a line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BARE = re.compile(r"[A-Za-z0-9_./:@+-]+")
_SHORTEST_SECRET = 8
_encode = msgspec.json.Encoder(enc_hook=str).encode

# What they say at info is of use to their makers.
CHATTY = ("alembic", "uvicorn.error", "httpx", "aiohttp.access", "asyncio")


def configure(*, level: str, format: str, process: str, secrets: Sequence[str | None] = ()) -> None:
    """Sends all that is logged in this process to stderr. `format`: text | json. `secrets` are masked wherever they turn up."""
    handler = logging.StreamHandler(sys.stderr)
    hidden = [secret for secret in secrets if secret and len(secret) >= _SHORTEST_SECRET]
    handler.setFormatter(JsonLines(process, hidden) if format == "json" else TextLines(process, hidden))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if level != "debug":
        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda died: _uncaught(died.exc_type, died.exc_value, died.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log = logging.getLogger("spangate")
    log.critical("%s was not caught", kind.__name__, exc_info=(kind, error, trace) if error is not None else None)


class _Lines(logging.Formatter):
    def __init__(self, process: str, secrets: Sequence[str] = ()) -> None:
        super().__init__()
        self._process = process
        self._secrets = tuple(secret.encode() for secret in secrets)

    def _masked(self, line: bytes) -> str:
        for secret in self._secrets:
            if secret in line:
                line = line.replace(secret, MASK)
        return redact(line).decode("utf-8", "replace")

    def _trace(self, record: logging.LogRecord) -> str | None:
        if not record.exc_info or record.exc_info[0] is None:
            return None
        return "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")


class JsonLines(_Lines):
    """One object a line: time, level, logger, process, message, call_id, and what else is known of the call."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "pid": record.process,
            "message": record.getMessage(),
        }
        call = call_id.get()
        if call is not None:
            line["call_id"] = call
        said: dict[str, object] | None = getattr(record, "said", None)
        if said:
            line.update(said)
        trace = self._trace(record)
        if trace is not None:
            line["exception"] = trace
        try:
            encoded = _encode(line)
        except (TypeError, ValueError):  # a lone surrogate, say: no UTF-8
            encoded = _encode({name: ascii(value) for name, value in line.items()})
        return _CONTROL.sub(_json_escape, self._masked(encoded))


class TextLines(_Lines):
    """A line for a person. A traceback follows behind it, each of its lines marked as belonging to it."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = dict(getattr(record, "said", None) or {})
        call = call_id.get()
        if call is not None:
            said.setdefault("call_id", call)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        line = f"{when},{int(record.msecs):03d} {record.levelname} {record.name}: {record.getMessage()}"
        line += "".join(f" {name}={_shown(value)}" for name, value in said.items() if value is not None)
        line = _CONTROL.sub(_text_escape, line)
        trace = self._trace(record)
        if trace is not None:
            line += "".join("\n  | " + _CONTROL.sub(_text_escape, one) for one in trace.split("\n"))
        return self._masked(line.encode("utf-8", "backslashreplace"))


def _shown(value: object) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _json_escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _text_escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return {10: "\\n", 13: "\\r", 9: "\\t"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
