"""A provider's bill against the ledger, over HTTP. Changes nothing; what both sides come to is read from all endpoints' calls."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, Field

from ...prices.cost import usd
from ...providers import canonical, catalog
from ...reconcile import compare, exports
from ...reconcile.cells import Booked
from ...reconcile.lines import Export
from ...reconcile.reading import BadExport, File
from ...reconcile.report import Cause, Finding, Report
from ...store import reconcile as store
from ...store import secrets
from ...store.faults import Invalid
from ..desk import Desk
from ..policy import Policy, allows, unlimited

PATH = "/api/v1/reconcile"
MOST = 1_000  # findings of one answer: those with the most money
ONE_DAY = datetime.timedelta(days=1)


class Files(msgspec.Struct, forbid_unknown_fields=True):
    """A body of several files. A provider's own JSON has other fields."""

    files: tuple[File, ...]


class Sums(BaseModel):
    tokens: dict[str, int] = Field(description="By class, each token in one: `input` is what is in no other class.")
    cost: str | None = Field(description="USD. null: this side has no money.")


class Explained(BaseModel):
    cause: Cause
    findings: int
    tokens: int = Field(description="That it is about, whichever way.")
    cost: str = Field(description="USD, theirs minus ours.")


class Found(BaseModel):
    """One cause in one day, model and key. Theirs minus ours: above zero they count more."""

    cause: Cause
    day: datetime.date
    model: str
    key: str = Field(description="Our credential, or their key if none of ours is meant by it. Empty: keys were not told apart.")
    tokens: dict[str, int]
    cost: str | None = Field(description="USD: by the bill's money, or at our prices if it has none. null: at no known price.")
    evidence: list[str]


class Alike(BaseModel):
    model: str
    ours: list[str]
    theirs: list[str]


class Reconciliation(BaseModel):
    provider: str
    format: str
    since: datetime.date
    until: datetime.date = Field(description="The first day, in UTC, that is not compared any more.")
    tolerance: float
    agrees: bool = Field(description="Both come to the same, but for calls that were counted a day earlier or later.")
    keyed: bool = Field(description="Keys were told apart.")
    theirs: Sums
    ours: Sums
    drift: str | None = Field(description="USD, theirs minus ours. null: one side has no money.")
    drift_share: float | None = Field(description="Of theirs.")
    attempts: int = Field(description="That the ledger has.")
    unpriced_attempts: int
    estimated_attempts: int
    unknown_attempts: int = Field(description="That may have cost tokens nobody knows of.")
    causes: list[Explained]
    findings: list[Found] = Field(description=f"Most money first, at most {MOST}.")
    findings_left_off: int
    alike: list[Alike] = Field(description="Names that were taken for one model.")
    notes: list[str]


async def _body(request: Request) -> bytes:
    return await request.body()


def mount(app: FastAPI, desk: Desk) -> None:
    @app.post(PATH, tags=["usage"], response_model=Reconciliation)
    @allows(Policy.viewer)
    def reconcile(  # pyright: ignore[reportUnusedFunction]
        request: Request,
        body: Annotated[bytes, Depends(_body)],
        provider: Annotated[str | None, Query(description="Whose bill it is. Default: who writes such files.")] = None,
        format: Annotated[str | None, Query(description="openai, anthropic, openrouter or csv. Default: what the file looks like.")] = None,
        since: Annotated[datetime.date | None, Query(description="First day, in UTC. Default: the file's first.")] = None,
        until: Annotated[datetime.date | None, Query(description="The day after the last. Default: after the file's last.")] = None,
        tolerance: Annotated[float, Query(ge=0, le=1, description="Share that is no difference.")] = compare.TOLERANCE,
        key: Annotated[list[str] | None, Query(description="THEIRS=SECRET: their key's id or name, and our credential's name.")] = None,
    ) -> Reconciliation:
        """Holds an export of a provider's usage or costs against the ledger, and says why they differ."""
        unlimited(request)
        try:
            export = exports.parse(_files(body), format or None)
        except BadExport as error:
            raise Invalid(error.message) from None
        whose = _provider(provider or None, export)
        first, last = _days(export, since, until)
        keys = _keys(key or ())
        with desk.read() as connection:
            _known(keys, {secret.name for secret in secrets.list_(connection)})
            ours = store.booked(connection, whose, since=first, until=last)
            named = any(line.generation is not None for line in export.lines)
            known = store.generations(connection, whose, since=first, until=last) if named else frozenset[str]()
        booked = [Booked(**msgspec.structs.asdict(row)) for row in ours]
        return _shown(whose, compare.compare(export, booked, since=first, until=last, tolerance=tolerance, keys=keys, known=known))


def _files(body: bytes) -> Sequence[File]:
    try:
        return msgspec.json.decode(body, type=Files).files
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return [File("the file", body.decode())]
    except UnicodeDecodeError:
        raise Invalid("The file is not UTF-8 text.") from None


def _provider(named: str | None, export: Export) -> str:
    whose = named or export.provider
    if whose is None:
        raise Invalid(f"A file in the format {export.format} may be anybody's: say whose bill it is with provider.")
    if (whose := canonical(whose)) not in catalog():
        raise Invalid(f"There is no provider '{whose}'; GET /api/v1/providers lists all.")
    return whose


def _days(export: Export, since: datetime.date | None, until: datetime.date | None) -> tuple[datetime.date, datetime.date]:
    days = export.days
    if days is None and (since is None or until is None):
        raise Invalid("The file has no usage and no costs; to compare it all the same say since and until.")
    first, last = days or (datetime.date.max, datetime.date.min)
    return since or first, until or last + ONE_DAY


def _keys(said: Sequence[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for pair in said:
        theirs, equals, ours = pair.rpartition("=")
        if not (theirs and equals and ours):
            raise Invalid(f"Invalid key '{pair[:80]}': THEIRS=SECRET is expected, their key's id or name and our credential's name.")
        keys[theirs] = ours
    return keys


def _known(keys: Mapping[str, str], names: set[str]) -> None:
    if unknown := sorted(set(keys.values()) - names):
        raise Invalid(f"There is no secret named '{unknown[0]}'.")


def _shown(provider: str, report: Report) -> Reconciliation:
    drift, theirs = report.drift, report.theirs.cost
    return Reconciliation(
        provider=provider,
        format=report.format,
        since=report.since,
        until=report.until,
        tolerance=report.tolerance,
        agrees=report.agrees,
        keyed=report.keyed,
        theirs=Sums(tokens=report.theirs.tokens, cost=_usd(theirs)),
        ours=Sums(tokens=report.ours.tokens, cost=_usd(report.ours.cost)),
        drift=_usd(drift),
        drift_share=drift / theirs if drift is not None and theirs else None,
        attempts=report.attempts,
        unpriced_attempts=report.unpriced,
        estimated_attempts=report.estimated,
        unknown_attempts=report.unknown,
        causes=[Explained(cause=one.cause, findings=one.findings, tokens=one.amount, cost=usd(one.cost)) for one in report.causes],
        findings=[_found(finding) for finding in report.findings[:MOST]],
        findings_left_off=max(0, len(report.findings) - MOST),
        alike=[Alike(model=one.model, ours=list(one.ours), theirs=list(one.theirs)) for one in report.alike],
        notes=list(report.notes),
    )


def _found(finding: Finding) -> Found:
    return Found(
        cause=finding.cause,
        day=finding.day,
        model=finding.model,
        key=finding.key,
        tokens=finding.tokens,
        cost=_usd(finding.cost),
        evidence=list(finding.evidence),
    )


def _usd(pico: int | None) -> str | None:
    return None if pico is None else usd(pico)
