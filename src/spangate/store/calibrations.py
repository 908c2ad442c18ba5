"""Characters a token, model by model, as calls had them whose provider reported their tokens and whose words were kept.

Estimates are made with these where nobody reports (`wire.estimate`). They follow a model: what is old weighs less and less.
"""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import Connection

from ..exchange import Calibration, Status
from ..wire.estimate import read_characters, written_characters
from ..wire.usage import Provenance
from . import paging
from .engine import bump
from .packing import unpacked
from .schema import attempts, calls, contents, server_state, traces
from .schema import calibrations as table

POSITION = "calibrated"  # in server_state: received_ns of the newest call that was looked at
ENOUGH = 20  # calls of a model; fewer say too little of it
MOST = 2_000  # calls that weigh in full: beyond them all that there is counts half
MOVED = 0.05  # of a ratio: workers are told of no smaller change
LARGEST = 64 << 10  # bytes of a request: a calibration need not read longer ones
PLAUSIBLE = (0.2, 40.0)  # characters a token; what is outside was counted of something else than the words


class Sums(Struct):
    input_characters: int = 0
    input_tokens: int = 0
    output_characters: int = 0
    output_tokens: int = 0
    samples: int = 0

    def add(self, other: "Sums") -> None:
        for name in Sums.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def halve(self) -> None:
        for name in Sums.__struct_fields__:
            setattr(self, name, getattr(self, name) // 2)

    def calibration(self, provider: str, model: str) -> Calibration | None:
        """None: it was looked at too few calls yet. A side of which nothing is known has the rule of thumb."""
        if self.samples < ENOUGH:
            return None
        default = Calibration(provider=provider, model=model)
        return Calibration(
            provider=provider,
            model=model,
            input=self.input_characters / self.input_tokens if self.input_tokens else default.input,
            output=self.output_characters / self.output_tokens if self.output_tokens else default.output,
        )


Model = tuple[str, str]  # provider, model


def calibrations(connection: Connection) -> tuple[Calibration, ...]:
    """Of each model of which enough is known."""
    found = (_sums(row).calibration(row.provider, row.model) for row in connection.execute(sa.select(table).order_by(*table.primary_key)))
    return tuple(known for known in found if known is not None)


def unseen(connection: Connection, limit: int) -> tuple[int, dict[Model, Sums]]:
    """What the newest calls say that came since the last look, at most `limit` of them; and when the newest of them was received, in ns."""
    position = connection.execute(sa.select(server_state.c.number).where(server_state.c.name == POSITION)).scalar_one_or_none() or 0
    query = (
        sa.select(calls.c.received_ns, calls.c.call_id, calls.c.format, calls.c.attempts, traces.c.trace_id)
        .join(traces, traces.c.call_id == calls.c.call_id)
        .where(calls.c.received_ns > position, calls.c.status == Status.ok, calls.c.request_bytes <= LARGEST)
        .order_by(calls.c.received_ns.desc(), calls.c.call_id.desc())
        .limit(limit)
    )
    rows = {row.call_id: row for row in connection.execute(query)}
    newest = max((row.received_ns for row in rows.values()), default=position)
    said = _contents(connection, [row.trace_id for row in rows.values()])
    found: dict[Model, Sums] = {}
    for some in paging.chunks(list(rows)):
        tried = sa.select(attempts).where(attempts.c.call_id.in_(some), attempts.c.provenance == Provenance.reported)
        for attempt in connection.execute(tried):
            call = rows[attempt.call_id]
            # The words that were kept are of the last attempt; and only where nothing was translated are they its own.
            if attempt.attempt_no == call.attempts and attempt.format == call.format and call.trace_id in said:
                sums = _counted(attempt, *said[call.trace_id])
                if sums is not None:
                    found.setdefault((attempt.provider, attempt.model), Sums()).add(sums)
    return newest, found


def keep(connection: Connection, newest: int, found: Mapping[Model, Sums], now: int) -> bool:
    """Adds what was found. Returns whether some model's ratio moved so far that the workers should know; then they will."""
    moved = False
    for (provider, model), sums in found.items():
        here = (table.c.provider == provider) & (table.c.model == model)
        row = connection.execute(sa.select(table).where(here)).first()
        whole = Sums() if row is None else _sums(row)
        before = whole.calibration(provider, model)
        whole.add(sums)
        if whole.samples > MOST:
            whole.halve()
        moved = _moved(before, whole.calibration(provider, model)) or moved
        values = {name: getattr(whole, name) for name in Sums.__struct_fields__} | {"updated_at": now}
        if row is None:
            connection.execute(table.insert().values(provider=provider, model=model, **values))
        else:
            connection.execute(table.update().where(here).values(**values))
    if connection.execute(server_state.update().where(server_state.c.name == POSITION).values(number=newest)).rowcount == 0:
        connection.execute(server_state.insert().values(name=POSITION, number=newest))
    if moved:
        bump(connection)
    return moved


def _counted(attempt: sa.Row[tuple[object, ...]], request: bytes | None, response: bytes | None) -> Sums | None:
    read = None if request is None else read_characters(attempt.format, request)
    written = None if response is None else written_characters(attempt.format, response)
    # Sound has tokens and no characters.
    heard = attempt.audio_input_tokens or attempt.audio_output_tokens or attempt.image_input_tokens or attempt.image_output_tokens
    if read is None or heard:
        return None
    sums = Sums(samples=1)
    if _plausible(read, attempt.input_tokens):
        sums.input_characters, sums.input_tokens = read, attempt.input_tokens
    if written is not None and _plausible(written, attempt.output_tokens):
        sums.output_characters, sums.output_tokens = written, attempt.output_tokens
    return sums if sums.input_tokens or sums.output_tokens else None


def _plausible(characters: int, tokens: int | None) -> bool:
    least, most = PLAUSIBLE
    return bool(tokens) and least <= characters / tokens <= most


def _contents(connection: Connection, trace_ids: Iterable[str]) -> dict[str, tuple[bytes | None, bytes | None]]:
    found: dict[str, tuple[bytes | None, bytes | None]] = {}
    for some in paging.chunks(list(trace_ids)):
        query = sa.select(contents).where(
            contents.c.trace_id.in_(some),
            contents.c.request_truncated == sa.false(),
            contents.c.response_truncated == sa.false(),
        )
        for row in connection.execute(query):
            found[row.trace_id] = (
                None if row.request is None else unpacked(row.request),
                None if row.response is None else unpacked(row.response),
            )
    return found


def _sums(row: sa.Row[tuple[object, ...]]) -> Sums:
    return Sums(**{name: getattr(row, name) for name in Sums.__struct_fields__})


def _moved(before: Calibration | None, after: Calibration | None) -> bool:
    if before is None or after is None:
        return before is not after
    return any(abs(new - old) > MOVED * old for old, new in ((before.input, after.input), (before.output, after.output)))
