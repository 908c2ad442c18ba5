"""Figures as a person reads them, worked out apart from the pages: what web/src/shared/format/numbers.ts should say."""

import re
from decimal import ROUND_HALF_UP, Decimal
from math import floor

NONE = "\N{EN DASH}"


def money(usd: str) -> str:
    """At least cents, and below a dollar two digits that say something."""
    dollars = Decimal(usd)
    if not dollars:
        return "$0"
    digits = 2 if dollars >= 1 else max(2, 1 - dollars.adjusted())
    said = f"{dollars.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,}"
    return "$" + re.sub(r"(\.\d\d\d*?)0+$", r"\1", said)


def price(usd: str) -> str:
    """All of its digits."""
    dollars, _, part = usd.partition(".")
    return f"${int(dollars):,}.{part:0<2}"


def duration(ms: float) -> str:
    if ms < 10:
        return f"{float(f'{ms:.2g}'):g} ms"
    if ms < 1000:
        return f"{floor(ms + 0.5)} ms"
    if ms < 60_000:
        return f"{ms / 1000:.2f} s" if ms < 10_000 else f"{ms / 1000:.1f} s"
    return "{} min {} s".format(*divmod(floor(ms / 1000 + 0.5), 60))


def change(share: float) -> str:
    """Two digits, and which way."""
    return ("+" if share > 0 else "\N{MINUS SIGN}") + f"{float(f'{abs(share) * 100:.2g}'):g}%"
