"""What may happen while a model answers. If it is not in this union, it did not happen."""

import msgspec

from .usage import Usage


class Started(msgspec.Struct, frozen=True):
    """The provider began to answer: its id of the answer and the model that it says it used."""

    response_id: str | None
    model: str | None


class Tiered(msgspec.Struct, frozen=True):
    """The class of service that the provider says it gave, in its own word; it may price by it. A later one replaces it."""

    tier: str


class Progressed(msgspec.Struct, frozen=True):
    """The first content arrived (text, reasoning, a tool call's arguments, audio). Emitted once a stream."""


class UsageReported(msgspec.Struct, frozen=True):
    """The provider's count so far; a later one replaces it."""

    usage: Usage


class Stopped(msgspec.Struct, frozen=True):
    """The model gave its reason to stop, in the format's own word. The answer is whole from here on."""

    reason: str


class Ended(msgspec.Struct, frozen=True):
    """The format's terminal event (`[DONE]`, `message_stop`) was seen. SDKs stop reading here."""


class Failed(msgspec.Struct, frozen=True):
    """The provider sent an error event, or a frame that is not what the format says (`kind` = "malformed")."""

    kind: str
    message: str


Event = Started | Tiered | Progressed | UsageReported | Stopped | Ended | Failed
