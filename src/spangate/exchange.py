"""One client request, from its first byte to its last record: the words that every other part speaks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from .providers import ClientCredentials
from .wire.usage import Provenance, Usage


class Status(StrEnum):
    """How a call or an attempt ended."""

    ok = "ok"
    error = "error"  # the provider answered with an error
    client_gone = "client_gone"
    provider_gone = "provider_gone"  # unreachable, dropped, or cut short
    timeout = "timeout"
    refused = "refused"  # we said no
    unknown = "unknown"  # our process died with the call open


# ---------------------------------------------------------------- routes: what relaying knows of the database


class SealedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A model definition as the snapshot file keeps it: the credential is still encrypted (`envelope.py`)."""

    model_definition_id: str
    provider: str  # MLflow's name of the catalogue row
    model: str  # the provider's own name of the model
    weight: float = 1.0
    fallback_order: int | None = None  # None: a primary
    secret_id: str | None = None
    sealed: bytes = b""  # envelope of the JSON object {"api_key": ..., ...}
    auth_config: dict[str, str] = {}


class ProxyRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the raw proxy may pass on for an endpoint. Empty rules let nothing through."""

    methods: tuple[str, ...] = ()  # upper case
    paths: tuple[str, ...] = ()  # under the provider's base URL, from their slash on: exact, or a prefix that ends in `/*`


class Retention(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Days after which something is deleted. None: the server's period is in force, or where the server says so, it is kept for good."""

    content_days: int | None = None  # requests and answers
    trace_days: int | None = None  # the rest of a trace
    ledger_days: int | None = None  # calls and attempts; the rollups stay


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an endpoint says beyond MLflow's words. None: the server's setting, or the provider's row, is in force. Timeouts in s."""

    connect_timeout: float | None = None
    first_byte_timeout: float | None = None
    idle_timeout: float | None = None
    total_timeout: float | None = None
    client_gone: str | None = None  # close | drain
    proxy: ProxyRules | None = None  # None: the raw proxy is off
    retention: Retention | None = None  # None: the server's periods
    content: str | None = None  # full | metadata: nothing of what was said is kept. None: full


METADATA = "metadata"


class SealedRoute(msgspec.Struct, frozen=True, kw_only=True):
    endpoint_id: str
    name: str
    targets: tuple[SealedTarget, ...]
    max_attempts: int | None = None
    experiment_id: str | None = None  # None: usage tracking is off; no trace, no content
    created_at: int = 0  # ms
    settings: EndpointSettings = EndpointSettings()


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A model name that clients already send, or a pattern with `*` in it, and the endpoint that is meant. Endpoints' names come first."""

    pattern: str
    endpoint: str  # name


class Role(StrEnum):
    """What a key is for. Each may do what those below it may."""

    admin = "admin"  # all: endpoints, credentials, keys, prices
    developer = "developer"  # calls endpoints, and adds to traces
    viewer = "viewer"  # reads; calls nothing


class Scope(StrEnum):
    """What a key may be given beyond calling endpoints. Role `admin` has them all."""

    proxy = "proxy"  # the raw proxy, where an endpoint allows it


class SealedKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key that may call: `digest` is HMAC-SHA-256 of the key's UTF-8 bytes under the pepper (`envelope.Pepper`)."""

    key_id: str
    digest: bytes
    name: str
    role: str = "admin"
    scopes: tuple[str, ...] = ()  # what it may do beyond calling endpoints: `proxy`. Role `admin` needs none
    endpoints: frozenset[str] | None = None  # ids of those that it may call and read of; None: all
    experiments: frozenset[str] | None = None  # ids of those whose traces it may read; None: all
    owner: str | None = None
    team: str | None = None
    expires_at: int | None = None  # ms

    def expired(self, now: int) -> bool:
        """`now`: wall clock, ms."""
        return self.expires_at is not None and now >= self.expires_at

    def caller(self, agent: str = "") -> "Caller":
        return Caller(
            key_id=self.key_id,
            name=self.name,
            role=self.role,
            scopes=self.scopes,
            endpoints=self.endpoints,
            experiments=self.experiments,
            owner=self.owner,
            team=self.team,
            agent=agent,
        )


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Characters a token that a model's reported calls had. What nobody reported is estimated with these."""

    provider: str
    model: str
    input: float = 4.0
    output: float = 4.0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that the workers need of the database, as one immutable value. Written as msgpack, mode 0600."""

    version: int
    published_at: int  # ms
    routes: tuple[SealedRoute, ...] = ()
    keys: tuple[SealedKey, ...] = ()
    pepper: str | None = None  # fingerprint of the one that the keys' digests are under
    aliases: tuple[Alias, ...] = ()
    calibrations: tuple[Calibration, ...] = ()


CREDENTIAL_HEADERS = (
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-portkey-api-key",
    "x-portkey-config",
    "x-portkey-virtual-key",
)
SHORTEST_CREDENTIAL = 12  # characters; what local servers are given as a key (`not-needed`) is shorter


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One resolved model definition of a route, ready to call. Lives in memory only."""

    model_definition_id: str
    provider: str
    model: str
    formats: Mapping[str, str]  # wire format -> full URL, to which an operation adds its suffix
    headers: Mapping[str, str]  # authentication and fixed headers, lower-case names
    grant: ClientCredentials | None = None  # its authorization is a token that is fetched with this
    base_url: str = ""  # without a slash at its end; the raw proxy adds its path
    usage_in_stream: str = "always"  # always | ask | rejects
    weight: float = 1.0
    fallback_order: int | None = None
    secret_id: str | None = None
    allow_private: bool = False
    in_process: bool = False  # the simulated provider
    client_gone: str = "close"  # close | drain: what to do with a stream whose client has left
    problem: str | None = None  # why it cannot be called (no credential, unknown provider)

    @property
    def credentials(self) -> tuple[str, ...]:
        """Our keys as they stand in the headers: providers echo them, and nobody may read them. A short one (`ollama`) is a word."""
        shown = (self.headers[name].removeprefix("Bearer ") for name in CREDENTIAL_HEADERS if name in self.headers)
        return tuple(key for key in shown if len(key) >= SHORTEST_CREDENTIAL)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint resolved for run time."""

    endpoint_id: str
    name: str
    targets: tuple[Target, ...]
    max_attempts: int | None = None
    experiment_id: str | None = None
    created_at: int = 0
    settings: EndpointSettings = EndpointSettings()

    @property
    def keeps_content(self) -> bool:
        """Whether what is said may be written down."""
        return self.experiment_id is not None and self.settings.content != METADATA


# ---------------------------------------------------------------- in and out

_CALLING = (Role.admin, Role.developer)

# For whoever showed none that is known: where it is looked for, by calls and by management alike.
SHOW_A_KEY = (
    "Send one as `Authorization: Bearer <key>`, `x-api-key`, `x-goog-api-key`, `api-key` or the password of Basic; it is never read from "
    "the URL."
)
# Said apart from a key that is unknown: its owner would look for a slip of the hand.
EXPIRED = "The key that was shown has expired: ask whoever made it for another one."


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls: the key that was shown, never the key itself. Role `admin` has every scope."""

    key_id: str
    name: str
    role: str = "admin"
    scopes: tuple[str, ...] = ()
    endpoints: frozenset[str] | None = None  # ids; what is in the ledger of others is as if it were not there. None: all
    experiments: frozenset[str] | None = None  # ids, as above
    owner: str | None = None
    team: str | None = None
    agent: str = ""  # product part of the User-Agent, or what X-MLflow-Gateway-Caller says

    def may_call(self, endpoint_id: str) -> bool:
        return self.role in _CALLING and self.may_read(endpoint_id)

    def may_read(self, endpoint_id: str | None) -> bool:
        """Whether it may know of that endpoint, and of what was called there. None: a call that was for no endpoint."""
        return self.endpoints is None or endpoint_id in self.endpoints

    def may_see(self, experiment_id: str) -> bool:
        """Whether it may know of that experiment and its traces."""
        return self.experiments is None or experiment_id in self.experiments


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A client's request as the ingress hands it on."""

    call_id: str  # UUIDv7, canonical form with dashes
    format: str  # what the client speaks: a name in wire.formats, mlflow.* on the unified routes
    request_type: str  # MLflow's word: unified/chat, passthrough/model/openai-chat, ...
    path: str
    headers: Sequence[tuple[bytes, bytes]]  # lower-case names, as received
    body: bytes
    received_at: int  # wall clock, ns
    started: float  # monotonic clock, s
    server: str  # the Host that the client used
    endpoint: str | None = None  # the name, where the path says it; else the body's `model` does
    method: str = "POST"
    suffix: str = ""  # what the operation adds to the URL of its format: /compact, :generateContent
    query: str = ""  # what of the client's query goes up, already chosen by the operation
    stream: bool | None = None  # where the path says it; None: the body does
    names_model: bool = True  # the body has a `model` to be replaced; False: the URL alone names it, or there is no body
    response_id: str | None = None  # the stored response that the call is about: it goes to the target that made it
    opaque: bool = False  # the body is neither JSON nor text: it is passed on, and not kept
    caller: Caller | None = None


class Maker(msgspec.Struct, frozen=True):
    """Who made a response that its provider keeps."""

    endpoint_id: str
    model_definition_id: str


class Reply(msgspec.Struct, kw_only=True):
    """What goes back. `body` is whole, or yields chunks; a reply that ends by an exception was cut off: close without the last chunk."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | AsyncIterator[bytes]


# Request types of the calls that read, stop or delete a response that an earlier call made. They make none, and what such a call
# is told of its tokens goes on the bill once.
OF_A_RESPONSE = frozenset(f"passthrough/model/openai-responses-{what}" for what in ("get", "delete", "cancel", "input-items"))

# ---------------------------------------------------------------- facts, and their fold


class Received(msgspec.Struct, frozen=True):
    inbound: Inbound


class Asked(msgspec.Struct, frozen=True):
    """What the client asks for, which may be no endpoint."""

    model: str | None
    stream: bool


class Routed(msgspec.Struct, frozen=True):
    """The endpoint is known, and so is whether content may be kept."""

    route: Route
    stream: bool
    model: str | None  # the name that the client sent


class Attempted(msgspec.Struct, frozen=True):
    no: int  # 1, 2, ...
    target: Target
    format: str
    at: float


class Headed(msgspec.Struct, frozen=True):
    """The provider's status line and headers are here."""

    status: int
    request_id: str | None  # the provider's own id of the request
    at: float


class FirstToken(msgspec.Struct, frozen=True):
    at: float


class Identified(msgspec.Struct, frozen=True):
    """What the provider says of its answer. None: nothing, or nothing new."""

    response_id: str | None = None
    model: str | None = None
    service_tier: str | None = None


class Counted(msgspec.Struct, frozen=True):
    usage: Usage
    provenance: Provenance


class Gave(msgspec.Struct, frozen=True):
    """The model's reason to stop."""

    reason: str


class Faulted(msgspec.Struct, frozen=True):
    """The attempt, or before any attempt the call, went wrong."""

    status: Status
    kind: str
    message: str
    http_status: int | None = None


class AttemptEnded(msgspec.Struct, frozen=True):
    at: float


class Answered(msgspec.Struct, frozen=True):
    """The plain answer for the trace: the body, or the fold of the stream (partial if it was cut)."""

    body: bytes
    truncated: bool = False


class Finished(msgspec.Struct, frozen=True):
    """Nothing more will happen. `http_status` is what the client got; 499 if it left before a status was sent."""

    status: Status
    http_status: int
    at: float


Fact = (
    Received | Asked | Routed | Attempted | Headed | FirstToken | Identified | Counted | Gave | Faulted | AttemptEnded | Answered | Finished
)


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    message: str
    http_status: int | None = None


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one target. Times are ns after the call was received."""

    no: int
    provider: str
    model: str
    format: str
    started: int
    model_definition_id: str | None = None
    secret_id: str | None = None
    headed: int | None = None
    first_token: int | None = None
    ended: int | None = None
    status: Status = Status.unknown
    http_status: int | None = None
    upstream_request_id: str | None = None
    response_id: str | None = None
    response_model: str | None = None
    service_tier: str | None = None  # the provider's own word; it may price by it
    stop_reason: str | None = None
    usage: Usage = Usage()
    provenance: Provenance = Provenance.unknown
    fault: Fault | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fold of all facts of one client request: what we price, keep and show. Holds no content."""

    call_id: str
    format: str
    request_type: str
    path: str
    server: str
    received_at: int  # wall clock, ns
    status: Status
    http_status: int | None = None
    duration: int | None = None  # ns
    first_token: int | None = None  # ns after received_at, of the attempt that answered
    endpoint_id: str | None = None
    endpoint: str | None = None
    experiment_id: str | None = None  # None: untracked
    model: str | None = None  # the name that the client sent
    stream: bool = False
    caller_id: str | None = None
    caller: str | None = None
    agent: str | None = None
    owner: str | None = None  # of the caller's key
    team: str | None = None
    session_id: str | None = None  # the conversation, if a header says; a trace's metadata, so of tracked calls only
    user_id: str | None = None  # whom the client calls for, if a header says; as above
    request_bytes: int = 0
    content: str | None = None  # metadata: its endpoint was set to keep nothing of what was said
    fault: Fault | None = None
    attempts: tuple[AttemptRecord, ...] = ()

    @property
    def trace_id(self) -> str | None:
        """`tr-` and the OpenTelemetry trace id: the call id's own 128 bits, so one call has one trace by construction."""
        return trace_id(self.call_id) if self.experiment_id else None


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was said. Bodies are JSON as it went over the wire, or its fold; None: not kept or never there."""

    request: bytes | None = None
    response: bytes | None = None
    request_truncated: bool = False
    response_truncated: bool = False


LEFT_OUT = Content(request_truncated=True, response_truncated=True)  # there was no room for it on the journal's disk


class TraceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of traces shows and cannot derive from the exchange without the content.

    `tags` and `metadata` hold only what cannot be derived again from the exchange when the trace is read.
    """

    name: str
    state: str  # OK | ERROR
    request_preview: str | None = None
    response_preview: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tags: Mapping[str, str] = {}
    metadata: Mapping[str, str] = {}


def trace_id(call_id: str) -> str:
    return "tr-" + call_id.replace("-", "")


# ---------------------------------------------------------------- the journal's records


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="b"):
    """Written before any byte goes to a provider: who calls what. `exchange` has status unknown and its first attempt open."""

    seq: int
    exchange: Exchange


class Resumed(msgspec.Struct, frozen=True, kw_only=True, tag="r"):
    """Written before each further attempt is sent. `exchange` has the attempts that ended, and its last one open. Takes Begun's place."""

    seq: int
    exchange: Exchange


class Settled(msgspec.Struct, frozen=True, kw_only=True, tag="s"):
    """Written before the client sees the end of its answer."""

    seq: int
    exchange: Exchange
    content: Content | None = None


JournalRecord = Begun | Resumed | Settled


# ---------------------------------------------------------------- protocols


class Journal(Protocol):
    """The local, durable, per-process spool. Raises OSError when a record could not be written."""

    def begin(self, exchange: Exchange) -> None: ...

    def resume(self, exchange: Exchange) -> None: ...

    def settle(self, exchange: Exchange, content: Content | None) -> None: ...

    async def durable(self) -> None:
        """Returns at once, or in strict mode when all that was written so far is on the disk."""
        ...


class ProcessPosition(msgspec.Struct, frozen=True):
    """How far the database is with one process's journal."""

    process_id: str
    segment: int
    offset: int
    last_seq: int


class Sink(Protocol):
    """Where drained records go, each batch at once and exactly once with its position.

    `before` is the position that the batch was read from; returns False, and writes nothing, if the
    stored position is another (some other drain was quicker).
    """

    def positions(self) -> Mapping[str, ProcessPosition]: ...

    def prepare(self, records: Sequence[JournalRecord]) -> object:
        """What can be made of records before there is a transaction, for `keep`. In any thread, while others are kept."""
        ...

    def keep(
        self,
        before: ProcessPosition | None,
        after: ProcessPosition,
        records: Sequence[JournalRecord],
        *,
        gaps: Sequence[tuple[int, int]],
        prepared: object = None,
    ) -> bool:
        """`prepared`: what `prepare` made of these records, or None."""
        ...

    def close(self, process_id: str) -> int:
        """The process is dead and all of its journal is kept: its open calls are settled as `unknown`. Returns how many."""
        ...
