"""Traces found by what people ask of a list: whose they are, where they went, how they ended, what was said. Newest first.

What the traces themselves have is found by their indexes (`traces.searches`). Where a call went and how it ended, the ledger says: it is
asked of each trace in turn, and only in the hours in which there was any such call (`occurrences`).
"""

import itertools
import re
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..exchange import Status
from . import arrivals, limits, occurrences, paging, schema, traces
from .arrivals import Head
from .experiments import ACTIVE
from .faults import Invalid
from .filters import Comparison
from .schema import attempts, calls, experiments
from .schema import traces as table
from .schema import usage_dimensions as dimensions

PAGE = 50
PAGE_LIMIT = 200
VALUES = 100  # of all filters of one question
WORDS = 8  # of one search
LOOKED = 5_000  # traces that came, of which one answer looks for those that are wanted


class Scope(Struct, frozen=True, kw_only=True):
    """Which traces a question is about at all."""

    experiment_ids: tuple[str, ...] = ()  # empty: all that are active
    among: Collection[str] | None = None  # ids of the experiments that may be seen; None: all
    endpoint_ids: Collection[str] | None = None  # of those that may be seen; None: all


class Question(Scope, frozen=True, kw_only=True):
    """Of each noun any of the values; empty: whatever it is. All of them hold."""

    endpoints: tuple[str, ...] = ()  # ids or names
    providers: tuple[str, ...] = ()  # of the last attempt: it answered, if any did
    models: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # ids or names
    owners: tuple[str, ...] = ()  # of the key, as they were when it called
    teams: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    text: str = ""  # words, all of which were said, in any case; what is in quotes is one
    min_ms: int | None = None
    max_ms: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    tags: tuple[tuple[str, str], ...] = ()  # all of them


def find(
    connection: Connection, question: Question, *, max_results: int = PAGE, page_token: str | None = None
) -> tuple[list[traces.TraceRow], str | None]:
    if not 1 <= max_results <= PAGE_LIMIT:
        raise Invalid(f"Invalid value for max_results: {max_results}. It must be at least 1 and at most {PAGE_LIMIT}.")
    _check(question)
    page = paging.Page(NEWEST_FIRST, ("found", msgspec.structs.replace(question, among=None, endpoint_ids=None)))
    until = question.until_ms
    if page_token:
        moment, trace_id = page.place(page_token)
        last = moment + 1 if trace_id else moment  # of that moment there may be others, but not before all of it
        until = last if until is None else min(last, until)
    rows, token = _page(connection, page, _searches(connection, question, until, max_results + 1), max_results, page_token)
    return traces.batch(connection, [row.trace_id for row in rows]), token


def _page(
    connection: Connection, page: paging.Page, searches: "Iterator[_Search]", size: int, token: str | None
) -> tuple[Sequence[sa.Row[Any]], str | None]:
    """One search after the other, until the page is full or has taken its time: it may be short then, and yet have a token."""
    began = time.monotonic()
    found: list[sa.Row[Any]] = []
    for search in searches:
        end: str | None = None
        while True:
            if search.ways:
                end = page.stretch(connection, search.ways, traces.STRETCH, token)
            found += page.first(connection, search.queries, size + 1 - len(found), token, end)
            late = time.monotonic() - began >= traces.PATIENCE
            if len(found) > size or end is None:
                break
            token = end
            if late:
                return found, token
        if len(found) > size:
            break
        if late and search.since is not None:
            return found, page.token_at(search.since, "")  # before all of that moment
    return page.cut(found, size)


def newer(
    connection: Connection, question: Question, seen: Head, *, now: int, max_results: int = PAGE
) -> tuple[list[traces.TraceRow], Head, bool]:
    """What came into the database since, in the order in which it came; what has been seen with it; whether there may be more."""
    _check(question)
    endpoints = _endpoints(connection, question.endpoints) if question.endpoints else None
    keys = _keys(connection, question.keys) if question.keys else None
    asked = traces.conditions(connection, _asked(question, question.until_ms, keys))
    asked += [*visible(table, question), *_of_ledger(question, keys)]
    if endpoints is not None:
        asked.append(table.c.endpoint_id.in_(endpoints))
    places = dict(seen.seen)
    found: list[str] = []
    looked, full = 0, False
    coming = itertools.islice(arrivals.since(connection, seen, now), LOOKED)
    while not full and (some := list(itertools.islice(coming, paging.CHUNK))):
        ids = [arrival.trace_id for arrival in some]
        wanted = set(connection.execute(sa.select(table.c.trace_id).where(table.c.trace_id.in_(ids), *asked)).scalars())
        for arrival in some:
            if full := len(found) == max_results:
                break
            looked += 1
            places[arrival.process_id] = arrival.place
            if arrival.trace_id in wanted:
                found.append(arrival.trace_id)
    more = full or looked == LOOKED
    # Whoever is behind is told so once it is too long ago, as what it has not seen goes with time.
    return traces.batch(connection, found), Head(seen.at if more else now, places), more


def experiment_names(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """By id; of deleted ones too."""
    found: dict[str, str] = {}
    for some in paging.chunks(numbers(ids)):
        query = sa.select(experiments.c.experiment_id, experiments.c.name).where(experiments.c.experiment_id.in_(some))
        found |= {str(number): name for number, name in connection.execute(query)}
    return found


NEWEST_FIRST = (
    paging.Order(table.c.request_time_ms, "timestamp_ms", descending=True),
    paging.Order(table.c.trace_id, "request_id", descending=True),
)
_WORD = re.compile(r'"([^"]+)"|(\S+)')


def _check(question: Question) -> None:
    named = (question.experiment_ids, question.endpoints, question.providers, question.models, question.keys)
    values = [value for some in (*named, question.owners, question.teams, question.users, question.sessions) for value in some]
    if len(values) + len(question.tags) > VALUES:
        raise Invalid(f"That is more than {VALUES} values to filter by.")
    for value in values:
        limits.given(value, "filter", limits.EXPERIMENT_NAME)
    for key, value in question.tags:
        limits.given(key, "tag", limits.TAG_KEY)
        limits.given(value, "tag", limits.TRACE_TAG, empty=True)
    limits.given(question.text, "q", limits.PREVIEW, empty=True)
    if len(_words(question.text)) > WORDS:
        raise Invalid(f"That is more than {WORDS} words to search for. Words that follow one another can be put in quotes.")


def _words(text: str) -> list[str]:
    return [quoted or bare for quoted, bare in _WORD.findall(text)]


class _Search(Struct, frozen=True):
    """Queries for a range of time."""

    queries: Sequence[sa.Select[Any]]
    ways: Sequence[sa.Select[Any]] = ()  # what they go through, where matches may be far between
    since: int | None = None  # there may be more before it


def _searches(connection: Connection, question: Question, until: int | None, most: int) -> Iterator[_Search]:
    """One range of time after the other, the newest first."""
    endpoints = _endpoints(connection, question.endpoints) if question.endpoints else None
    keys = _keys(connection, question.keys) if question.keys else None
    if endpoints == [] or (keys is not None and not keys.names):
        return
    whole = _asked(question, until, keys)
    spans = experiments_between(connection, question.experiment_ids, question.among, question.since_ms, until)
    if question == Question(among=question.among, since_ms=question.since_ms, until_ms=question.until_ms):
        # Each of these has a trace that is newer than all of the others. Those of the last moment may be on the page before.
        spans = spans[: most + sum(until is not None and span.newest == until - 1 for span in spans)]
    if not spans:
        return
    apart = [span.experiment_id for span in spans]
    conditions = _of_ledger(question, keys)
    if question.endpoint_ids is not None:
        conditions.append(table.c.endpoint_id.in_(sorted(question.endpoint_ids)))
    queries: list[sa.Select[Any]] = []
    ways: list[sa.Select[Any]] = []
    few = True
    if endpoints is not None and len(endpoints) * len(apart) > traces.APART:
        conditions.append(table.c.endpoint_id.in_(endpoints))
        endpoints = None
    for endpoint_id in endpoints or [None]:
        of_endpoint = [] if endpoint_id is None else [Comparison("metadata", "mlflow.gateway.endpointId", "=", endpoint_id)]
        some, are_few = traces.searches(connection, apart, [*whole, *of_endpoint], conditions)
        queries += some
        ways += traces.ways(connection, apart, [*whole, *of_endpoint])
        few = few and are_few
    if few:
        yield _Search(queries)
        return
    if not (question.providers or question.models or question.owners or question.teams or _how_it_ended(question)):
        yield _Search(queries, ways if conditions or question.text else ())
        return
    kind = occurrences.Kind(
        endpoint_ids=endpoints,
        providers=question.providers or None,
        models=question.models or None,
        key_ids=None if keys is None else keys.ids,
        owners=question.owners or None,
        teams=question.teams or None,
        statuses=[status.value for status in question.statuses] or None,
    )
    oldest, newest = min(span.oldest for span in spans), max(span.newest for span in spans)
    for since, before in occurrences.ranges(connection, kind, oldest, newest + 1):
        within = (table.c.request_time_ms >= since, table.c.request_time_ms < before)
        yield _Search([query.where(*within) for query in queries], [way.where(*within) for way in ways], since)


class Span(Struct, frozen=True):
    """An experiment that has traces in the range, and when the first and the last of them came."""

    experiment_id: int
    oldest: int
    newest: int


def experiments_between(
    connection: Connection, ids: Collection[str], among: Collection[str] | None, since: int | None, until: int | None
) -> list[Span]:
    """The one with the newest trace first. `ids`: of those that are asked for; none: all that are active. `among`: as in `Question`."""
    when = table.c.request_time_ms
    within = sa.select(when).where(table.c.experiment_id == experiments.c.experiment_id)
    if since is not None:
        within = within.where(when >= since)
    if until is not None:
        within = within.where(when < until)
    # Not min and max: MariaDB goes through all traces of an experiment for these.
    oldest, newest = (within.order_by(order).limit(1).scalar_subquery() for order in (when, when.desc()))
    query = sa.select(experiments.c.experiment_id, oldest.label("oldest"), newest.label("newest"))
    if ids:
        query = query.where(experiments.c.experiment_id.in_(numbers(ids)))
    else:
        query = query.where(experiments.c.lifecycle_stage == ACTIVE)
    if among is not None:
        query = query.where(experiments.c.experiment_id.in_(numbers(among)))
    spans = [Span(*row) for row in connection.execute(query) if row.newest is not None]
    return sorted(spans, key=lambda span: span.newest, reverse=True)


def visible(rows: sa.FromClause, scope: Scope) -> list[sa.ColumnElement[bool]]:
    """That a trace is in the scope. Plus zero: for few traces an index that begins with the experiment is of no use."""
    experiment = rows.c.experiment_id + 0
    active = sa.select(experiments.c.experiment_id).where(experiments.c.lifecycle_stage == ACTIVE)
    seen: list[sa.ColumnElement[bool]] = [experiment.in_(numbers(scope.experiment_ids) if scope.experiment_ids else active)]
    if scope.among is not None:
        seen.append(experiment.in_(numbers(scope.among)))
    if scope.endpoint_ids is not None:
        seen.append(rows.c.endpoint_id.in_(sorted(scope.endpoint_ids)))
    return seen


def numbers(experiment_ids: Collection[str]) -> list[int]:
    """Those that can be ids."""
    return sorted(int(text) for text in experiment_ids if text.isascii() and text.isdigit() and len(text) <= 18)


def _endpoints(connection: Connection, asked: Sequence[str]) -> list[str]:
    """Ids of endpoints of such names or ids: of today, or of when they were called if they are no more."""
    now, then = schema.endpoints.c, dimensions.c
    today = sa.select(now.endpoint_id).where(now.name.in_(asked) | now.endpoint_id.in_(asked))
    gone = sa.select(then.endpoint_id).where(
        then.endpoint.in_(asked) | then.endpoint_id.in_(asked), then.endpoint_id.not_in(sa.select(now.endpoint_id)), then.endpoint_id != ""
    )
    return sorted({*connection.execute(today).scalars(), *connection.execute(gone).scalars()})


class _Keys(Struct, frozen=True):
    ids: list[str]
    names: list[str]  # that they had when they called


def _keys(connection: Connection, asked: Sequence[str]) -> _Keys:
    """Those of such names or ids, as with endpoints, if they ever called."""
    now, then = schema.api_keys.c, dimensions.c
    today = sa.select(now.key_id).where(now.name.in_(asked) | now.key_id.in_(asked))
    gone = sa.select(then.key_id).where(
        then.key_name.in_(asked) | then.key_id.in_(asked), then.key_id.not_in(sa.select(now.key_id)), then.key_id != ""
    )
    ids = sorted({*connection.execute(today).scalars(), *connection.execute(gone).scalars()})
    names = connection.execute(sa.select(then.key_name).where(then.key_id.in_(ids)).distinct()).scalars()
    return _Keys(ids, sorted(names))


def _asked(question: Question, until: int | None, keys: _Keys | None) -> list[Comparison]:
    """What traces have themselves."""
    found: list[Comparison] = []
    for key, values in (
        ("mlflow.trace.session", question.sessions),
        ("mlflow.trace.user", question.users),
        ("mlflow.auth.username", () if keys is None else keys.names),
    ):
        if len(values) == 1:  # an index then gives them in the order of time
            found.append(Comparison("metadata", key, "=", values[0]))
        elif values:
            found.append(Comparison("metadata", key, "IN", tuple(values)))
    states = {"OK" if status is Status.ok else "ERROR" for status in question.statuses}
    if len(states) == 1:
        found.append(Comparison("attribute", "status", "=", states.pop()))
    for key, op, value in (
        ("execution_time", ">=", question.min_ms),
        ("execution_time", "<=", question.max_ms),
        ("timestamp", ">=", question.since_ms),
        ("timestamp", "<", until),
    ):
        if value is not None:
            found.append(Comparison("attribute", key, op, value))
    found += [Comparison("tag", key, "=", value) for key, value in question.tags]
    # Nothing shields a wildcard there: the two of them stand for any one character instead.
    found += [Comparison("attribute", "text", "ILIKE", f"%{word.replace('%', '_')}%") for word in _words(question.text)]
    return found


def _of_ledger(question: Question, keys: _Keys | None) -> list[sa.ColumnElement[bool]]:
    """What only the ledger knows of a trace's call."""
    rows: sa.FromClause = calls
    asked: list[sa.ColumnElement[bool]] = []
    if keys is not None:
        asked.append(calls.c.caller_id.in_(keys.ids))
    if question.owners:
        asked.append(calls.c.owner.in_(question.owners))
    if question.teams:
        asked.append(calls.c.team.in_(question.teams))
    if _how_it_ended(question):
        asked.append(calls.c.status.in_([status.value for status in question.statuses]))
    if question.providers or question.models:
        last = sa.and_(attempts.c.call_id == calls.c.call_id, attempts.c.attempt_no == calls.c.attempts)
        rows = calls.join(attempts, last)
        asked += [
            column.in_(values)
            for column, values in ((attempts.c.provider, question.providers), (attempts.c.model, question.models))
            if values
        ]
    return [sa.exists().select_from(rows).where(calls.c.call_id == table.c.call_id, *asked)] if asked else []


def _how_it_ended(question: Question) -> bool:
    """Whether the ledger must be asked for the status: the traces themselves say whether all was well."""
    return not {Status.ok}.issuperset(question.statuses)
