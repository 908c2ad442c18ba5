"""What tokens can differ by, each cause by itself. Those that come first are certain, those that come last take what is left."""

import datetime
from collections.abc import Mapping, Sequence, Set
from fractions import Fraction

from .case import Case, minus
from .lines import INPUTS, Export
from .report import Cause

MOST_TIMES = 10  # as often may something be counted that happened once
NAMED = 5  # calls or rows that one finding names
ONE_DAY = datetime.timedelta(days=1)


def fees(case: Case) -> None:
    for what, cost in sorted(case.cell.fees.items()):
        if cost:
            # Not a part of `money`, which is for tokens.
            case.money += cost
            case.take(Cause.fee, {}, f"charged as {what!r}; the ledger has tokens only", cost=cost)


def repeated(case: Case, export: Export) -> None:
    """Rows that are there again."""
    if not case.cell.repeats:
        return
    again, cost = dict(case.cell.repeated), case.cell.repeated_cost
    before = _size(case.left) if export.classes else abs(case.money)
    after = _size(minus(case.left, again)) if export.classes else abs(case.money - cost)
    differs = bool(case.significant()) or abs(case.money) > case.allowed
    # Two calls of one size make two equal rows, unless each row has a name; then it must be that they explain what is off.
    if differs and (export.unique or after < before):
        case.repeated(again, cost if export.priced else None, f"the same row again: {_some(case.cell.repeats)}")


def boundaries(cases: Sequence[Case], export: Export) -> None:
    """Runs of days of one model and key that are off each, and not off together: calls near midnight, or days that begin elsewhere."""
    series: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        series.setdefault(case.place[1:], []).append(case)
    for days in series.values():
        off = [case.left if export.classes else {"": case.money} if abs(case.money) > case.allowed else {} for case in days]
        allowed = [_allowed(case, export) for case in days]
        plain = [bool(case.significant()) or not export.classes for case in days]
        start = 0
        while start < len(days):
            end = start
            while end + 1 < len(days) and off[end] and days[end + 1].place[0] - days[end].place[0] == ONE_DAY:
                end += 1
            last = _cancelling(off[start : end + 1], allowed[start : end + 1], plain[start : end + 1])
            if last is None:
                start += 1
                continue
            run = days[start : start + last + 1]
            words = f"{run[0].place[0]} to {run[-1].place[0]} agree together: calls were counted on the day before or after"
            for case in run:
                case.take(Cause.day_boundary, case.left, words, cost=None if export.classes else case.money)
            start += last + 1
    for case in cases:
        case.left = case.significant()


def _cancelling(off: Sequence[Mapping[str, int]], allowed: Sequence[Mapping[str, float]], plain: Sequence[bool]) -> int | None:
    """The last of these neighbouring days that come to nothing together, from the first on; None: they do not.

    Some of them must be plainly off; of the others, what is within their own tolerance counts too.
    """
    together: dict[str, int] = {}
    may: dict[str, float] = {}
    seen = False
    for at, (counts, most) in enumerate(zip(off, allowed, strict=True)):
        if not counts:
            return None
        seen = seen or plain[at]
        for cls, count in counts.items():
            together[cls] = together.get(cls, 0) + count
        for cls, count in most.items():
            may[cls] = may.get(cls, 0) + count
        if at and seen and all(abs(count) <= may[cls] for cls, count in together.items()):
            return at
    return None


def _allowed(case: Case, export: Export) -> dict[str, float]:
    if not export.classes:
        return {"": case.allowed}
    ours = case.cell.ours
    return {cls: case.tolerance * max(case.theirs.get(cls, 0), ours[cls]) for cls in {*case.theirs, *ours}}


def multiplied(case: Case, export: Export) -> None:
    """Counts that are whole multiples of ours, where ours are sure, and theirs do not name what they count."""
    if case.cell.estimates or case.cell.unknown or case.cell.generations:
        return
    if export.classes:
        if not case.left or (times := _times(case.theirs, case.cell.ours)) is None:
            return
        extra = {cls: count * (times - 1) for cls, count in case.cell.ours.items() if count}
        share = case.their_cost * (times - 1) // times
        # Where only the counts are there twice, the money is not.
        paid = share if abs(case.money - share) < abs(case.money) else 0
        case.repeated(extra, paid if export.priced else None, f"exactly {times} times what the ledger has")
    elif abs(case.money) > case.allowed and case.cell.our_cost > 0:
        times = round(Fraction(case.their_cost, case.cell.our_cost))
        if 2 <= times <= MOST_TIMES and abs(case.their_cost - times * case.cell.our_cost) <= case.cell.slack:
            case.repeated({}, case.their_cost * (times - 1) // times, f"exactly {times} times what the ledger has")


def reclassed(case: Case) -> None:
    """The input is as large as ours, and differs in what was cached."""
    moved = _inputs(case.left)
    if moved and sum(moved.values()) == 0:
        case.take(Cause.cache_class, moved, _move(moved))


def estimates(case: Case) -> None:
    """Our own counts may be wrong by all that they are; more than that, something else must explain."""
    if not case.cell.estimates:
        return
    may = {True: 0, False: 0}
    for cls, count in case.cell.estimated.items():
        may[cls in INPUTS] += count
    explained = {cls: max(-may[cls in INPUTS], min(may[cls in INPUTS], count)) for cls, count in case.left.items()}
    if explained := {cls: count for cls, count in explained.items() if count}:
        total = sum(case.cell.estimated.values())
        words = f"the tokens of {case.cell.estimates} of our {case.cell.attempts} calls are estimates ({total} tokens)"
        case.take(Cause.estimate, explained, words)


def partly_reclassed(case: Case) -> None:
    """Some of the input changed its class, and some is missing besides."""
    off = _inputs(case.left)
    up = {cls: count for cls, count in off.items() if count > 0}
    down = {cls: count for cls, count in off.items() if count < 0}
    most = min(sum(up.values()), -sum(down.values()))
    if most:
        moved = {**_first(up, most), **{cls: -count for cls, count in _first({c: -n for c, n in down.items()}, most).items()}}
        case.take(Cause.cache_class, moved, _move(moved))


def missing(case: Case, export: Export, known: Set[str]) -> None:
    here = {cls: count for cls, count in case.left.items() if count > 0}
    there = {cls: count for cls, count in case.left.items() if count < 0}
    if here:
        case.take(Cause.missing_here, here, *_candidates(case, known))
    if there:
        case.take(Cause.missing_there, there, *_counts(case))
    if not export.classes and abs(case.money) > case.allowed:
        if not case.cell.attempts:
            case.take(Cause.missing_here, {}, *_candidates(case, known), cost=case.money)
        elif not case.cell.their_costs:
            case.take(Cause.missing_there, {}, *_counts(case), cost=case.money)


def _candidates(case: Case, known: Set[str]) -> list[str]:
    """What the calls may be that they have and we do not."""
    day, model, key = case.place
    cell, words = case.cell, list[str]()
    if not cell.attempts:
        words.append(f"the ledger has no call of {model} on {day}" + (f" with the credential {key!r}" if key else ""))
    words += _counts(case)
    if cell.unknown:
        named = f": {_some(cell.calls)}" if cell.calls else ""
        words.append(f"of our calls, {cell.unknown} reached the provider and have no known tokens{named}")
    if known and (strange := [one for one in cell.generations if one not in known]):
        words.append(f"{len(strange)} of their {len(cell.generations)} generations are not in the ledger: {_some(strange)}")
    words += [f"{count} of their tokens are at the terms {tier!r}" for tier, count in sorted(cell.tiers.items())]
    if cell.names and not key:
        words.append(f"their keys: {_some(sorted(cell.names))}; one that is not a credential here is used around the gateway")
    return words


def _counts(case: Case) -> list[str]:
    cell = case.cell
    if not cell.theirs and not cell.their_costs:
        return [f"the file has nothing of {case.place[1]} on {case.place[0]}; the ledger has {cell.attempts} calls"]
    if cell.their_requests is not None and cell.their_requests != cell.attempts and cell.attempts:
        return [f"they count {cell.their_requests} calls, the ledger has {cell.attempts}"]
    return []


def _times(theirs: Mapping[str, int], ours: Mapping[str, int]) -> int | None:
    base = {cls: count for cls, count in ours.items() if count}
    if not base or base.keys() != {cls for cls, count in theirs.items() if count}:
        return None
    times = {Fraction(theirs[cls], count) for cls, count in base.items()}
    one = times.pop()
    return int(one) if not times and one.denominator == 1 and 2 <= one <= MOST_TIMES else None


def _inputs(tokens: Mapping[str, int]) -> dict[str, int]:
    return {cls: count for cls, count in tokens.items() if cls in INPUTS}


def _first(tokens: Mapping[str, int], most: int) -> dict[str, int]:
    """Of counts above zero, the first so many tokens."""
    taken: dict[str, int] = {}
    for cls, count in sorted(tokens.items()):
        if part := min(count, most):
            taken[cls] = part
            most -= part
    return taken


def _move(moved: Mapping[str, int]) -> str:
    less = ", ".join(f"{-count} fewer {cls}" for cls, count in sorted(moved.items()) if count < 0)
    more = ", ".join(f"{count} more {cls}" for cls, count in sorted(moved.items()) if count > 0)
    return f"the input is the same; they count {more} and {less}"


def _size(tokens: Mapping[str, int]) -> int:
    return sum(abs(count) for count in tokens.values())


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest
