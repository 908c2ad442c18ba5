"""What was said, in words that no provider owns. What has no word here is kept as it came (`Other`)."""

from collections.abc import Mapping

from msgspec import Struct


class Text(Struct, frozen=True, tag="text"):
    text: str


class Thinking(Struct, frozen=True, tag="thinking"):
    text: str  # "": its provider keeps it to itself


class Refusal(Struct, frozen=True, tag="refusal"):
    text: str


class Image(Struct, frozen=True, tag="image"):
    """`url` of this and the next two: a `data:` URL where the bytes were sent, else what was sent in their place. Nobody fetches it."""

    url: str | None
    media_type: str | None = None


class Audio(Struct, frozen=True, tag="audio"):
    url: str | None
    transcript: str | None = None


class File(Struct, frozen=True, tag="file"):
    url: str | None
    name: str | None = None
    media_type: str | None = None


class ToolCall(Struct, frozen=True, tag="tool_call"):
    call_id: str | None
    name: str
    arguments: str  # JSON as the model wrote it, which may be none


class ToolResult(Struct, frozen=True, tag="tool_result"):
    call_id: str | None
    parts: "tuple[Part, ...]"  # none of which is a result again
    name: str | None = None
    failed: bool = False


class Embeddings(Struct, frozen=True, tag="embeddings"):
    count: int
    dimensions: int | None = None  # None: they were not sent as numbers


class Other(Struct, frozen=True, tag="other"):
    kind: str
    value: str  # JSON


Part = Text | Thinking | Refusal | Image | Audio | File | ToolCall | ToolResult | Embeddings | Other


class Message(Struct, frozen=True, kw_only=True):
    """`role`: system, developer, user, assistant or tool; what else a client says stays as it is."""

    role: str
    parts: tuple[Part, ...]
    name: str | None = None
    finish_reason: str | None = None  # of an answer, in the provider's own word


class Tool(Struct, frozen=True, kw_only=True):
    """What the model was offered. Providers' own have a kind, and often nothing else."""

    name: str
    kind: str = "function"
    description: str | None = None
    parameters: str | None = None  # JSON schema


class Asked(Struct, frozen=True, kw_only=True):
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    parameters: Mapping[str, str] = {}  # JSON of each, by the client's own names


class Conversation(Struct, frozen=True, kw_only=True):
    messages: tuple[Message, ...]  # what was asked
    answers: tuple[Message, ...]  # several, if several choices were asked for
    tools: tuple[Tool, ...] = ()
    parameters: Mapping[str, str] = {}
    error: str | None = None  # that came instead of an answer, or in it
    missing: tuple[str, ...] = ()  # sentences: what of it is not here
