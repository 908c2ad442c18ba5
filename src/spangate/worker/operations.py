"""Which call a method and a path mean: a table, and for what cannot be listed a few patterns. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from spangate.wire.problems import Refusal


class Operation(msgspec.Struct, frozen=True):
    format: str
    request_type: str  # MLflow's word for it
    suffix: str = ""  # what it adds to the URL of its format
    method: str = "POST"


class Place(msgspec.Struct, frozen=True):
    """What a path means: by method the operation, and what the path names."""

    operations: Mapping[str, Operation]
    endpoint: str | None = None

    def operation(self, method: str) -> Operation | None:
        return self.operations.get(method)

    @property
    def shown(self) -> Operation:
        """The operation in whose format the client is told of a wrong method."""
        return next(iter(self.operations.values()))

    @property
    def allow(self) -> str:
        return ", ".join(self.operations)


OPENAI_CHAT = Operation("openai.chat", "passthrough/model/openai-chat")
OPENAI_COMPLETIONS = Operation("openai.completions", "passthrough/model/openai-completions")  # MLflow has none, so no word for it
OPENAI_EMBEDDINGS = Operation("openai.embeddings", "passthrough/model/openai-embeddings")
OPENAI_RESPONSES = Operation("openai.responses", "passthrough/model/openai-responses")
OPENAI_COMPACTION = Operation("openai.responses", "passthrough/model/openai-responses", "/compact")
ANTHROPIC_MESSAGES = Operation("anthropic.messages", "passthrough/model/anthropic-messages")
UNIFIED_CHAT = Operation("mlflow.chat", "unified/chat")
UNIFIED_EMBEDDINGS = Operation("mlflow.embeddings", "unified/embeddings")


def _at(operation: Operation) -> Place:
    return Place({operation.method: operation})


_PLACES: Mapping[str, Place] = {
    "/v1/chat/completions": _at(OPENAI_CHAT),
    "/v1/completions": _at(OPENAI_COMPLETIONS),
    "/v1/embeddings": _at(OPENAI_EMBEDDINGS),
    "/v1/responses": _at(OPENAI_RESPONSES),
    "/v1/responses/compact": _at(OPENAI_COMPACTION),
    "/v1/messages": _at(ANTHROPIC_MESSAGES),
    "/gateway/openai/v1/chat/completions": _at(OPENAI_CHAT),
    "/gateway/openai/v1/completions": _at(OPENAI_COMPLETIONS),
    "/gateway/openai/v1/embeddings": _at(OPENAI_EMBEDDINGS),
    "/gateway/openai/v1/responses": _at(OPENAI_RESPONSES),
    "/gateway/openai/v1/responses/compact": _at(OPENAI_COMPACTION),
    "/gateway/anthropic/v1/messages": _at(ANTHROPIC_MESSAGES),
    "/gateway/mlflow/v1/chat/completions": _at(UNIFIED_CHAT),
}
# The lists of models, each in its own clients' shape.
MODELS, UNIFIED_MODELS = "/v1/models", "/gateway/mlflow/v1/models"

# Where clients of a format look for what is not served: they are told so in that format. MLflow's own paths are a 501, as all of MLflow's.
_ABOUT: Sequence[tuple[str, str, int]] = (
    ("/v1/messages/", "anthropic.messages", 404),
    ("/v1/", "openai.chat", 404),
    ("/gateway/openai/", "openai.chat", 501),
    ("/gateway/anthropic/", "anthropic.messages", 501),
    ("/gateway/mlflow/", "mlflow.chat", 501),
)
_OTLP = ("/v1/traces", "/v1/metrics", "/v1/logs")  # these are control's

_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])


def place(path: str) -> Place | None:
    """None: no call is meant."""
    return _PLACES.get(path) or _invocations(path)


def about(path: str) -> tuple[str, int] | None:
    """For a path that nothing serves and where clients of a format may look: their format, and the status to say so with."""
    if path in _OTLP:
        return None
    return next(((format, status) for prefix, format, status in _ABOUT if path.startswith(prefix)), None)


def _invocations(path: str) -> Place | None:
    """/gateway/{endpoint}/mlflow/invocations"""
    before, after = "/gateway/", "/mlflow/invocations"
    if not (path.startswith(before) and path.endswith(after)):
        return None
    name = path[len(before) : -len(after)]
    return Place({"POST": UNIFIED_CHAT}, name) if name and "/" not in name else None


def invoked(body: bytes) -> tuple[Operation, Refusal | None]:
    """MLflow's invocations route tells chat from embeddings by what is in the body. What cannot be read is the relay's to refuse."""
    try:
        keys = _keys.decode(body)
    except (ValueError, RecursionError):
        return UNIFIED_CHAT, None
    if "messages" in keys:
        return UNIFIED_CHAT, None
    if "input" in keys:
        return UNIFIED_EMBEDDINGS, None
    return UNIFIED_CHAT, Refusal(400, "missing_messages", "The request has no `messages` and no `input`.", param="messages")
