"""Conversations over HTTP: those that clients gave an id, and what was said in one of them."""

import datetime
from typing import Annotated

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, Field

from ...exchange import Content
from ...prices.cost import usd
from ...store import finding, traces
from ...store import sessions as store
from ..desk import Desk
from ..moments import moment
from ..policy import Policy, allows, caller_of
from .conversation import Conversation, read
from .ledger import FUTURE
from .traces import ContentState, TraceRow, content_state, rows


class Session(BaseModel):
    """Counts, tokens and cost are of its newest 500 traces; `more` says whether there are others."""

    session_id: str
    first_at: datetime.datetime
    last_at: datetime.datetime
    traces: int
    more: bool
    errors: int = Field(description="Traces of calls that ended otherwise than ok.")
    users: list[str] = Field(description="Whom its calls were made for, the latest first.")
    endpoints: list[str] = Field(description="By the names of then, the latest first.")
    experiments: list[str] = Field(description="Names, the latest first.")
    input_tokens: int | None = Field(description="null: no provider said, and nobody counted.")
    output_tokens: int | None
    cost: str | None = Field(description="US dollars, exactly, of what has a price; null: nothing has.")
    unpriced_attempts: int = Field(description="With tokens, and no price: their cost is unknown, and not in `cost`.")
    estimated_attempts: int = Field(description="Whose tokens we counted, as no provider did.")
    last: TraceRow = Field(description="The newest of its traces that the filters hold for.")


class Sessions(BaseModel):
    sessions: list[Session]
    next_page_token: str | None = Field(description="null: this is the last page.")


class Turn(TraceRow):
    """A trace of a conversation with what was said."""

    content: ContentState = Field(description="As with one trace.")
    conversation: Conversation | None
    conversation_missing: str | None = Field(description="Why there is no conversation, for a person.")


class Turns(BaseModel):
    session_id: str
    turns: list[Turn] = Field(description="The oldest first.")
    next_page_token: str | None = Field(description="null: this is the last page.")


def mount(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/v1/sessions", tags=["sessions"], response_model=Sessions)
    @allows(Policy.viewer)
    def list_sessions(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        experiment_id: Annotated[list[str] | None, Query(description="Any of these. Default: all experiments that are active.")] = None,
        session_id: Annotated[str | None, Query(description="The one of this id, as it is written.")] = None,
        user: str | None = None,
        q: Annotated[str, Query(description="A part of the id, as it is written.")] = "",
        since_ms: Annotated[int | None, Query(ge=0, le=FUTURE, description="Spoken in at or after this Unix time.")] = None,
        until_ms: Annotated[int | None, Query(ge=0, le=FUTURE, description="Spoken in before this Unix time.")] = None,
        max_results: Annotated[int, Query(ge=1, le=store.PAGE_LIMIT)] = store.PAGE,
        page_token: str | None = None,
    ) -> Sessions:
        """Conversations, the one that was spoken in last first. In a range of time each counts as last spoken in within it."""
        caller = caller_of(request)
        question = store.Question(
            experiment_ids=tuple(experiment_id or ()),
            among=caller.experiments,
            endpoint_ids=caller.endpoints,
            session_id=session_id,
            user=user or None,
            text=q,
            since_ms=since_ms,
            until_ms=until_ms,
        )
        with desk.read() as connection:
            found, token = store.find(connection, question, max_results=max_results, page_token=page_token or None)
            last = rows(connection, [session.last for session in found])
            names = finding.experiment_names(connection, {each for session in found for each in session.experiment_ids})
        return Sessions(sessions=[_session(session, row, names) for session, row in zip(found, last, strict=True)], next_page_token=token)

    @app.get("/api/v1/sessions/{session_id:path}", tags=["sessions"], response_model=Turns)
    @allows(Policy.viewer)
    def get_session(  # pyright: ignore[reportUnusedFunction]
        session_id: str,
        request: Request,
        max_results: Annotated[int, Query(ge=1, le=store.TURNS_LIMIT)] = store.TURNS,
        page_token: str | None = None,
    ) -> Turns:
        """What was said in one conversation, the oldest first."""
        caller = caller_of(request)
        question = store.Question(among=caller.experiments, endpoint_ids=caller.endpoints)
        with desk.read() as connection:
            found, token = store.turns(connection, question, session_id, max_results=max_results, page_token=page_token or None)
            contents = traces.content(connection, [row.trace_id for row in found])
            shown = rows(connection, found)
        turns = [_turn(row, contents.get(row.trace_id)) for row in shown]
        return Turns(session_id=session_id, turns=turns, next_page_token=token)


def _session(session: store.Session, last: TraceRow, names: dict[str, str]) -> Session:
    return Session(
        session_id=session.session_id,
        first_at=moment(session.first_ms),
        last_at=moment(session.last_ms),
        traces=session.traces,
        more=session.more,
        errors=session.errors,
        users=list(session.users),
        endpoints=list(session.endpoints),
        experiments=[names[each] for each in session.experiment_ids if each in names],
        input_tokens=session.input_tokens,
        output_tokens=session.output_tokens,
        cost=None if session.cost_pico is None else usd(session.cost_pico),
        unpriced_attempts=session.unpriced,
        estimated_attempts=session.estimated,
        last=last,
    )


def _turn(row: TraceRow, content: Content | None) -> Turn:
    said = content or Content()
    conversation = read(row.format, said.request, said.response)
    return Turn(
        **dict(row),
        content=content_state(content),
        conversation=None if isinstance(conversation, str) else conversation,
        conversation_missing=conversation if isinstance(conversation, str) else None,
    )
