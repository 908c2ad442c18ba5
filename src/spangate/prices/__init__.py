"""What tokens cost: a book of dated prices, and the sum that a usage comes to under one of them. Pure; money is whole picodollars."""

from .cost import PICO, Billed, Cost, usd

__all__ = ["PICO", "Billed", "Cost", "usd"]
