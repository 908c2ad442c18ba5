"""Which call a method and a path mean: a table, and for what cannot be listed a few patterns. Pure."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, unquote, urlencode

import msgspec

from spangate.relay.peek_gemini import METHODS
from spangate.wire.problems import Refusal


class Operation(msgspec.Struct, frozen=True):
    format: str
    request_type: str  # MLflow's word for it
    suffix: str = ""  # what it adds to the URL of its format
    method: str = "POST"
    names_model: bool = True  # the body has a `model`
    query: frozenset[str] | None = frozenset()  # what of the client's query goes up, as name or name=value; None: it is looked at later
    stream: bool | None = None  # where the operation itself says it


class Place(msgspec.Struct, frozen=True):
    """What a path means: by method the operation, and what the path names."""

    operations: Mapping[str, Operation]
    endpoint: str | None = None
    response_id: str | None = None

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
ANTHROPIC_COUNT_TOKENS = Operation("anthropic.count_tokens", "passthrough/model/anthropic-count-tokens")


def _of_gemini(method: str, format: str, stream: bool) -> Operation:
    """Without alt=sse a stream is a JSON array. MLflow has one word for answers and their streams, and none for the rest."""
    query = {"alt=sse"} if format == "gemini.generate" else ()
    word = "generateContent" if format == "gemini.generate" else method
    return Operation(format, f"passthrough/model/gemini-{word}", f":{method}", query=frozenset(query), stream=stream)


GEMINI: Mapping[str, Operation] = {method: _of_gemini(method, *said) for method, said in METHODS.items()}
UNIFIED_CHAT = Operation("mlflow.chat", "unified/chat")
UNIFIED_EMBEDDINGS = Operation("mlflow.embeddings", "unified/embeddings")


def _of_a_response(what: str, suffix: str = "", method: str = "GET", *query: str) -> Operation:
    said = frozenset(query)
    return Operation("openai.responses.stored", f"passthrough/model/openai-responses-{what}", suffix, method, names_model=False, query=said)


# What is done with a response that was made, by what stands behind its id in the path.
OF_A_RESPONSE: Mapping[str, Sequence[Operation]] = {
    "": (
        _of_a_response("get", "", "GET", "include", "include[]", "include_obfuscation", "starting_after", "stream"),
        _of_a_response("delete", "", "DELETE"),
    ),
    "/cancel": (_of_a_response("cancel", "/cancel", "POST"),),
    "/input_items": (_of_a_response("input-items", "/input_items", "GET", "after", "before", "include", "include[]", "limit", "order"),),
}
RAW_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_RAW = {method: Operation("raw", "proxy/raw", method=method, names_model=False, query=None) for method in RAW_METHODS}


def _at(operation: Operation) -> Place:
    return Place({operation.method: operation})


_PLACES: Mapping[str, Place] = {
    "/v1/chat/completions": _at(OPENAI_CHAT),
    "/v1/completions": _at(OPENAI_COMPLETIONS),
    "/v1/embeddings": _at(OPENAI_EMBEDDINGS),
    "/v1/responses": _at(OPENAI_RESPONSES),
    "/v1/responses/compact": _at(OPENAI_COMPACTION),
    "/v1/messages": _at(ANTHROPIC_MESSAGES),
    "/v1/messages/count_tokens": _at(ANTHROPIC_COUNT_TOKENS),
    "/gateway/openai/v1/chat/completions": _at(OPENAI_CHAT),
    "/gateway/openai/v1/completions": _at(OPENAI_COMPLETIONS),
    "/gateway/openai/v1/embeddings": _at(OPENAI_EMBEDDINGS),
    "/gateway/openai/v1/responses": _at(OPENAI_RESPONSES),
    "/gateway/openai/v1/responses/compact": _at(OPENAI_COMPACTION),
    "/gateway/anthropic/v1/messages": _at(ANTHROPIC_MESSAGES),
    "/gateway/anthropic/v1/messages/count_tokens": _at(ANTHROPIC_COUNT_TOKENS),
    "/gateway/mlflow/v1/chat/completions": _at(UNIFIED_CHAT),
}
# The lists of models, each in its own clients' shape.
MODELS, UNIFIED_MODELS = "/v1/models", "/gateway/mlflow/v1/models"
GEMINI_MODELS = ("/v1beta/models", "/gateway/gemini/v1beta/models", "/gateway/gemini/v1/models")

# Where clients of a format look for what is not served: they are told so in that format. MLflow's own paths are a 501, as all of MLflow's.
_ABOUT: Sequence[tuple[str, str, int]] = (
    ("/v1/messages/", "anthropic.messages", 404),
    ("/v1beta/", "gemini.generate", 404),
    ("/v1/", "openai.chat", 404),
    ("/gateway/openai/", "openai.chat", 501),
    ("/gateway/anthropic/", "anthropic.messages", 501),
    ("/gateway/gemini/", "gemini.generate", 501),
    ("/gateway/mlflow/", "mlflow.chat", 501),
)
# What providers have under these goes through the raw proxy at best.
_RAW_AT_BEST = re.compile(
    r"/(?:gateway/(?:openai|anthropic)/)?v1"
    r"(?P<path>/(?:audio|batches|files|fine_tuning|images|messages/batches|moderations|uploads|vector_stores)(?:/.*)?)"
)
_OTLP = ("/v1/traces", "/v1/metrics", "/v1/logs")  # these are control's

_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])


def place(path: str, sent: bytes) -> Place | None:
    """None: no call is meant. `path` is decoded, `sent` as it came over the wire."""
    return _PLACES.get(path) or _gemini(path) or _invocations(path) or _response(path) or _proxied(path, sent)


def listed(path: str) -> tuple[str | None, str | None] | None:
    """For the lists of models: in which format, None where the client's own tells; and the one model that is meant, None for all."""
    if path == UNIFIED_MODELS:
        return "mlflow.chat", None
    for root, format in ((MODELS, None), *((root, "gemini.generate") for root in GEMINI_MODELS)):
        if path == root or path.startswith(root + "/"):
            return format, path[len(root) + 1 :] or None
    return None


def about(path: str) -> tuple[str, int] | None:
    """For a path that nothing serves and where clients of a format may look: their format, and the status to say so with."""
    if path in _OTLP:
        return None
    return next(((format, status) for prefix, format, status in _ABOUT if path.startswith(prefix)), None)


def passed_raw(path: str) -> str | None:
    """Where the raw proxy would take a path that nothing else serves, as a template; None: it is not known what is meant."""
    found = _RAW_AT_BEST.fullmatch(path)
    return None if found is None else f"{_PROXY}{{endpoint}}{found['path']}"


def _invocations(path: str) -> Place | None:
    """/gateway/{endpoint}/mlflow/invocations"""
    before, after = "/gateway/", "/mlflow/invocations"
    if not (path.startswith(before) and path.endswith(after)):
        return None
    name = path[len(before) : -len(after)]
    return Place({"POST": UNIFIED_CHAT}, name) if name and "/" not in name else None


def _gemini(path: str) -> Place | None:
    """/v1beta/models/{endpoint}:{method}. Of a tuned model the name is `tunedModels/…`, for which there may be an alias."""
    found = _GEMINI.fullmatch(path)
    if found is None:
        return None
    return Place({"POST": GEMINI[found["method"]]}, found["name"] or found["tuned"])


_GEMINI = re.compile(
    r"/(?:gateway/gemini/)?v1(?:beta)?/(?:models/(?P<name>.+)|(?P<tuned>tunedModels/.+)):(?P<method>" + "|".join(GEMINI) + ")"
)


def _response(path: str) -> Place | None:
    """/v1/responses/{id}, and what can be done with it"""
    found = _RESPONSE.fullmatch(path)
    if found is None or found["id"] in _NO_IDS:
        return None
    named = "/" + found["id"]
    operations = {each.method: msgspec.structs.replace(each, suffix=named + each.suffix) for each in OF_A_RESPONSE[found["rest"]]}
    return Place(operations, response_id=found["id"])


# What may stand in an id is sent as it is: nothing of it means anything in a URL.
_RESPONSE = re.compile(r"(?:/gateway/openai)?/v1/responses/(?P<id>[A-Za-z0-9][A-Za-z0-9_=.~-]{0,254})(?P<rest>|/cancel|/input_items)")
_NO_IDS = frozenset({"compact", "input_tokens"})  # OpenAI's other operations at the place of an id


def _proxied(path: str, sent: bytes) -> Place | None:
    """/gateway/proxy/{endpoint}/{path}: the path goes on as it was sent, to be looked at where the endpoint's rules are known."""
    if not path.startswith(_PROXY):
        return None
    named = path.removeprefix(_PROXY).partition("/")[0]
    if not named:
        return None
    # If the part before it was encoded too, no path is left, and that is refused.
    rest = sent.decode("latin-1").removeprefix(_PROXY) if sent.startswith(_PROXY.encode()) else named
    name, slash, behind = rest.partition("/")
    operations = {method: msgspec.structs.replace(operation, suffix=slash + behind) for method, operation in _RAW.items()}
    return Place(operations, unquote(name))


_PROXY = "/gateway/proxy/"


def query_up(operation: Operation, sent: bytes) -> str:
    """What of the query goes up."""
    text = sent.decode("latin-1")
    if operation.query is None or not text:
        return text
    said = parse_qsl(text, keep_blank_values=True)
    return urlencode([(name, value) for name, value in said if name in operation.query or f"{name}={value}" in operation.query])


def streams(operation: Operation, query: str) -> bool | None:
    """Whether the operation is a stream, or the query asks for one; None: the body does."""
    if operation.stream is not None:
        return operation.stream
    return ("stream", "true") in parse_qsl(query) if "stream" in (operation.query or ()) else None


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
