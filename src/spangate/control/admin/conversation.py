"""What was said, as the web page and other programs are told it: `wire.conversation`'s words."""

from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, Field

from ...wire import conversation as wire
from ...wire import lenient


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ThinkingPart(BaseModel):
    type: Literal["thinking"]
    text: str = Field(description='"": its provider keeps it to itself.')


class RefusalPart(BaseModel):
    type: Literal["refusal"]
    text: str


class ImagePart(BaseModel):
    type: Literal["image"]
    url: str | None = Field(
        description="A `data:` URL where the bytes were sent; else the URL or id that was sent instead, which the gateway never fetches."
    )
    media_type: str | None


class AudioPart(BaseModel):
    type: Literal["audio"]
    url: str | None = Field(description="As with images.")
    transcript: str | None


class FilePart(BaseModel):
    type: Literal["file"]
    url: str | None = Field(description="As with images.")
    name: str | None
    media_type: str | None


class ToolCallPart(BaseModel):
    type: Literal["tool_call"]
    call_id: str | None
    name: str
    arguments: str = Field(description="JSON as the model wrote it, which may be none.")


class EmbeddingsPart(BaseModel):
    type: Literal["embeddings"]
    count: int
    dimensions: int | None = Field(description="null: they were not sent as numbers.")


class OtherPart(BaseModel):
    type: Literal["other"]
    kind: str = Field(description="The provider's own word.")
    value: str = Field(description="JSON, as it came.")


PlainPart = TextPart | ThinkingPart | RefusalPart | ImagePart | AudioPart | FilePart | ToolCallPart | EmbeddingsPart | OtherPart


class ToolResultPart(BaseModel):
    type: Literal["tool_result"]
    call_id: str | None
    name: str | None
    failed: bool
    parts: list[Annotated[PlainPart, Field(discriminator="type")]]


class Message(BaseModel):
    role: str = Field(description="system, developer, user, assistant or tool; what else a client says stays as it is.")
    name: str | None
    parts: list[Annotated[PlainPart | ToolResultPart, Field(discriminator="type")]]
    finish_reason: str | None = Field(description="Of an answer, in the provider's own word.")


class Tool(BaseModel):
    """What the model was offered."""

    name: str
    kind: str = Field(description="`function`, or the provider's word for a tool of its own.")
    description: str | None
    parameters: str | None = Field(description="JSON schema, as JSON.")


class Conversation(BaseModel):
    """A request and its answer, in whichever format, read for people."""

    messages: list[Message] = Field(description="What was asked, in the order in which it was sent.")
    answers: list[Message] = Field(description="Several, if several choices were asked for. None: there was no answer.")
    tools: list[Tool]
    parameters: dict[str, str] = Field(description="What else was in the request, by the client's own names: JSON of each.")
    error: str | None = Field(description="That came instead of an answer, or in it.")
    missing: list[str] = Field(description="Sentences that say what of it is not here: what was cut off, or could not be read.")


def read(format: str, request: bytes | None, answer: bytes | None) -> Conversation | str:
    """The text says why there is none."""
    found = wire.conversation(format, request, answer)
    # By way of JSON: halves of surrogate pairs, which it may hold, are mended there.
    return found if isinstance(found, str) else Conversation.model_validate_json(lenient.render(found, msgspec.to_builtins))
