"""The same facts in the same order make the same Exchange. Facts are only ever added: nothing that was recorded is forgotten.

Takes any fact at any time without fail, as it is called from the stream that it watches.
"""

from functools import lru_cache
from typing import assert_never

import msgspec

from spangate.exchange import (
    METADATA,
    Answered,
    Asked,
    Attempted,
    AttemptEnded,
    AttemptRecord,
    Content,
    Counted,
    Exchange,
    Fact,
    Fault,
    Faulted,
    Finished,
    FirstToken,
    Gave,
    Headed,
    Identified,
    Inbound,
    Received,
    Route,
    Routed,
    Status,
)
from spangate.record.origin import NOWHERE, Origin, of_body, of_headers
from spangate.record.redact import LOOKAHEAD, MASK, keep, redact_text
from spangate.wire.lenient import document, mend
from spangate.wire.usage import Provenance, Usage

CONTENT_LIMIT = 1 << 20
MESSAGE_LIMIT = 4000  # characters of what a provider said; some answer with a whole page
NAME_LIMIT = 500  # of names that the client or the provider makes up: model, agent, ids
CLIP = NAME_LIMIT + LOOKAHEAD
UNTRACKED = "The provider's words are not kept, as usage tracking is off."
UNSAID = "The provider's words are not kept: they may repeat what was said, and the endpoint keeps metadata alone."
_NOBODY = Inbound(call_id="", format="", request_type="", path="", headers=(), body=b"", received_at=0, started=0.0, server="")


class Recorder:
    """The record of one call. `content_limit`: bytes kept of each body."""

    def __init__(self, *, content_limit: int = CONTENT_LIMIT) -> None:
        self._limit = content_limit
        self._inbound: Inbound = _NOBODY
        self._route: Route | None = None
        self._origin: Origin = NOWHERE
        self._read = False  # whether the body was asked too
        self._stream = False
        self._model: str | None = None
        self._attempts: list[AttemptRecord] = []
        self._fault: Fault | None = None
        self._answered: Answered | None = None
        self._finished: Finished | None = None
        self._credentials: tuple[str, ...] = ()  # of the last attempt

    def __call__(self, fact: Fact) -> None:
        match fact:
            case Received(inbound):
                self._inbound = inbound
            case Asked(model, stream):
                self._model, self._stream = model, stream
            case Routed(route, stream, model):
                self._route, self._stream, self._model = route, stream, model
                self._origin = of_headers(self._inbound.headers) if route.experiment_id else NOWHERE
            case Attempted(no, target, format, at):
                self._credentials = target.credentials
                self._answered = None  # what an attempt before said is not the call's answer
                self._attempts.append(
                    AttemptRecord(
                        no=no,
                        provider=target.provider,
                        model=target.model,
                        format=format,
                        started=self._after(at),
                        model_definition_id=target.model_definition_id,
                        secret_id=target.secret_id,
                    )
                )
            case Headed(status, request_id, at):
                self._note(http_status=status, upstream_request_id=_clipped(request_id), headed=self._after(at))
            case FirstToken(at):
                if self._attempts and self._attempts[-1].first_token is None:
                    self._note(first_token=self._after(at))
            case Identified(response_id, model, service_tier):
                if response_id is not None:
                    self._note(response_id=_clipped(response_id))
                if model is not None:
                    self._note(response_model=_clipped(model))
                if service_tier is not None:
                    self._note(service_tier=_clipped(service_tier))
            case Counted(usage, provenance):
                if provenance is Provenance.estimated:
                    self._estimated(usage)
                else:
                    self._note(usage=usage, provenance=provenance)
            case Gave(reason):
                self._note(stop_reason=_clipped(reason))
            case Faulted():
                self._blame(fact)
            case AttemptEnded(at):
                if self._open:
                    last = self._attempts[-1]
                    status = Status.ok if last.fault is None else last.status
                    self._note(ended=self._after(at), status=status)
            case Answered():
                self._answered = fact
            case Finished(status, _, at):
                if self._finished is None:
                    self._finished = fact
                    if self._open:  # the attempt shares the fate of its call
                        own = self._attempts[-1].status
                        self._note(ended=self._after(at), status=status if own is Status.unknown else own)
            case _:
                assert_never(fact)

    @property
    def _open(self) -> bool:
        return bool(self._attempts) and self._attempts[-1].ended is None

    def _after(self, at: float) -> int:
        return max(0, round((at - self._inbound.started) * 1e9))

    def _note(self, **changes: object) -> None:
        """Adds to the last attempt, whether it has ended or not; before the first there is nothing to add to."""
        if self._attempts:
            self._attempts[-1] = msgspec.structs.replace(self._attempts[-1], **changes)

    def _estimated(self, guess: Usage) -> None:
        """Only where the provider said nothing; then the whole is no fact any more."""
        said = self._attempts[-1].usage if self._attempts else Usage()
        filled = msgspec.structs.replace(
            said, input=guess.input if said.input is None else said.input, output=guess.output if said.output is None else said.output
        )
        if filled != said:
            self._note(usage=filled, provenance=Provenance.estimated)

    def _blame(self, fact: Faulted) -> None:
        """The first fault is the cause, what follows from it is not kept."""
        message = fact.message
        if fact.status is Status.error and self._attempts and self._route is not None and not self._route.keeps_content:
            message = UNSAID if self._route.experiment_id else UNTRACKED  # a provider that finds fault with a prompt quotes it
        for credential in self._credentials:
            message = message.replace(credential, MASK.decode())
        fault = Fault(kind=_clipped(fact.kind) or "", message=redact_text(message, MESSAGE_LIMIT), http_status=fact.http_status)
        if self._open:
            if self._attempts[-1].fault is None:
                self._note(fault=fault, status=fact.status)
        elif self._fault is None:
            self._fault = fault

    def exchange(self) -> Exchange:
        """What is known so far; its status is `unknown` until the call has finished."""
        inbound, route, finished = self._inbound, self._route, self._finished
        bare = route is not None and route.experiment_id is not None and not route.keeps_content
        if bare and finished is not None:
            self._ask_body()
        last = self._attempts[-1] if self._attempts else None
        fault = self._fault
        if fault is None and last is not None and finished is not None and finished.status is not Status.ok:
            fault = last.fault
        return Exchange(
            call_id=inbound.call_id,
            format=inbound.format,
            request_type=inbound.request_type,
            path=_masked(inbound.path[:CLIP]),
            server=_masked(inbound.server[:CLIP]),
            received_at=inbound.received_at,
            status=Status.unknown if finished is None else finished.status,
            http_status=None if finished is None else finished.http_status,
            duration=None if finished is None else self._after(finished.at),
            first_token=last.first_token if last is not None else None,
            endpoint_id=route.endpoint_id if route is not None else None,
            endpoint=route.name if route is not None else None,
            experiment_id=route.experiment_id if route is not None else None,
            model=_named(self._model if route is not None else inbound.endpoint or self._model),  # what is asked for may be no endpoint
            stream=self._stream,
            caller_id=inbound.caller.key_id if inbound.caller is not None else None,
            caller=inbound.caller.name if inbound.caller is not None else None,
            agent=_named(inbound.caller.agent) or None if inbound.caller is not None else None,
            session_id=self._origin.session_id,
            user_id=self._origin.user_id,
            owner=inbound.caller.owner if inbound.caller is not None else None,
            team=inbound.caller.team if inbound.caller is not None else None,
            request_bytes=len(inbound.body),
            content=METADATA if bare else None,
            fault=fault,
            attempts=tuple(self._attempts),
        )

    def _ask_body(self) -> None:
        """Whose call it is may be said in the body alone, which nobody can read later where it is not kept."""
        if self._read or self._inbound.opaque or len(self._inbound.body) > self._limit:
            return
        self._read = True
        said = of_body(document(self._inbound.body) or {})
        self._origin = Origin(self._origin.session_id or said.session_id, self._origin.user_id or said.user_id)

    def content(self) -> Content | None:
        """What was said, masked and capped; None if it may not be kept."""
        if self._route is None or not self._route.keeps_content:
            return None
        unsaid = self._inbound.opaque or not self._inbound.body
        request, request_truncated = (None, False) if unsaid else keep(self._inbound.body, self._limit)
        response, response_truncated = (None, False) if self._answered is None else keep(self._hushed(self._answered.body), self._limit)
        return Content(
            request=request,
            response=response,
            request_truncated=request_truncated,
            response_truncated=response_truncated or (self._answered is not None and self._answered.truncated),
        )

    def _hushed(self, body: bytes) -> bytes:
        """Providers echo their key; one without a known shape is known to us."""
        for credential in self._credentials:
            body = body.replace(credential.encode(), MASK)
        return body


def _clipped(text: str | None) -> str | None:
    """A word of the provider, who may have put anything there."""
    if text is None:
        return None
    if len(text) > NAME_LIMIT:
        text = text[: NAME_LIMIT - 1] + "…"
    return text if text.isascii() else mend(text)


def _named(text: str | None) -> str | None:
    """A word of the client, who may have put its key there."""
    return None if text is None else _masked(text[:CLIP])


@lru_cache(1024)  # few clients say anything new here, and each call says it twice
def _masked(text: str) -> str:
    return redact_text(text, NAME_LIMIT)
