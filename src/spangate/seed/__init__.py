"""A plausible history, to look at and to measure with: what a company's gateway would hold after some weeks.

It goes through the writer that drains journals, so that its books agree by construction. The same seed gives the same history.
"""

from .history import history
from .house import House, build
from .load import load, occupied

VERSION = 1  # one more whenever another history comes of the same seed: who keeps seeded databases throws them away then

__all__ = ["VERSION", "House", "build", "history", "load", "occupied"]
