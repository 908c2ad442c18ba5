"""Responses that the replay upstream keeps, as OpenAI does: read, streamed again, listed, stopped, deleted.

One that is made in the background is `queued` when it is made, `in_progress` at the first look, and done at the next.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qs

import msgspec

from .knobs import Knobs
from .script import ID, script

PATH = re.compile(rb"/responses/(?P<id>resp_[^/?]+)(?P<rest>(?:/cancel|/input_items)?)$")
LONG = 5000  # responses kept, newest
BACKGROUND = re.compile(rb'"background"\s*:\s*true')


class Kept(msgspec.Struct):
    asked: Knobs
    model: str
    background: bool
    looks: int = 0
    cancelled: bool = False
    told: bool = False  # somebody was told the tokens


class Answer(msgspec.Struct, frozen=True):
    """A JSON value, or the frames of a stream. `reported`: with it the tokens were told for the first time."""

    id: str
    asked: Knobs
    model: str
    status: int
    value: Any = None
    frames: tuple[bytes, ...] = ()
    reported: bool = False


class Shelf:
    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}

    def keep(self, asked: Knobs, model: str, *, background: bool, told: bool) -> None:
        self.kept[f"resp_{asked.id}"] = Kept(asked, model, background, told=told)
        if len(self.kept) > LONG:
            del self.kept[next(iter(self.kept))]

    def begun(self, asked: Knobs, model: str) -> dict[str, Any]:
        """The answer to who makes one in the background."""
        return self._response(self.kept[f"resp_{asked.id}"], "queued")

    def answer(self, method: bytes, response_id: str, rest: bytes, query: bytes) -> Answer:
        kept = self.kept.get(response_id)
        call = response_id.removeprefix("resp_")
        if kept is None:
            error = {
                "message": f"Response with id '{response_id}' not found.",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
            return Answer(call, Knobs(id=call), "", 404, {"error": error})
        if rest == b"/input_items":
            item = {"id": f"msg_{call}", "type": "message", "status": "completed", "role": "user", "content": []}
            ends = {"first_id": item["id"], "last_id": item["id"], "has_more": False}
            return self._plain(kept, {"object": "list", "data": [item], **ends, "query": query.decode()})
        if method == b"DELETE":
            del self.kept[response_id]
            return self._plain(kept, {"id": response_id, "object": "response", "deleted": True})
        if rest == b"/cancel":
            kept.cancelled = True
            return self._plain(kept, self._response(kept, "cancelled"))
        asked = parse_qs(query.decode())
        if asked.get("stream") == ["true"]:
            after = int(asked.get("starting_after", ["-1"])[0])
            frames = tuple(frame.replace(ID, call.encode()) for frame in _script(kept, stream=True).frames)
            return Answer(call, kept.asked, kept.model, 200, frames=frames[after + 1 :], reported=self._telling(kept))
        kept.looks += 1
        if kept.cancelled:
            return self._plain(kept, self._response(kept, "cancelled"))
        if kept.background and kept.looks == 1:
            return self._plain(kept, self._response(kept, "in_progress"))
        return self._plain(kept, self._response(kept, "completed"), reported=self._telling(kept))

    def _plain(self, kept: Kept, value: object, *, reported: bool = False) -> Answer:
        return Answer(kept.asked.id, kept.asked, kept.model, 200, value, reported=reported)

    def _telling(self, kept: Kept) -> bool:
        first, kept.told = not kept.told, True
        return first

    def _response(self, kept: Kept, status: str) -> dict[str, Any]:
        whole: dict[str, Any] = json.loads(_script(kept, stream=False).body.replace(ID, kept.asked.id.encode()))
        whole |= {"status": status, "background": kept.background}
        return whole if status == "completed" else whole | {"output": [], "usage": None}


def _script(kept: Kept, *, stream: bool) -> Any:
    given_in, given_out = kept.asked.tokens
    return script(
        "openai.responses", msgspec.structs.replace(kept.asked, id="", input=given_in, output=given_out), kept.model, stream, True
    )
