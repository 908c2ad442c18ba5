"""What the ledger adds up to, kept with it."""

from collections.abc import Callable

from ..prices.cost import Billed, Cost

CostOf = Callable[[Billed], Cost | None]


def unpriced(_: Billed) -> Cost | None:
    """For a house without a price book: what everything costs is unknown."""
    return None
