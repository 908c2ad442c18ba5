"""How much chaos. Small by default, so that every change sees some; `python -m tests.chaos` sets the full size."""

import os
import random
import time

POINTS = int(os.environ.get("CHAOS_POINTS", "3"))  # kills a case
OUTAGE = float(os.environ.get("CHAOS_OUTAGE", "3"))  # s that a database is away
STREAMS = int(os.environ.get("CHAOS_STREAMS", "100"))  # open at SIGTERM
LOAD = int(os.environ.get("CHAOS_LOAD", "12"))  # calls at once
ABORTS = int(os.environ.get("CHAOS_ABORTS", "100"))  # clients that leave
READERS = int(os.environ.get("CHAOS_READERS", "40"))  # slow ones at once
FLOOD = int(os.environ.get("CHAOS_FLOOD", "16"))  # MiB of the stream that each of them is sent
SEED = int(os.environ.get("CHAOS_SEED") or time.time_ns() % 1_000_000_007)


def dice(case: str) -> random.Random:
    """Dice for one case. The seed is printed, so that a bad day can be had again: CHAOS_SEED=…"""
    print(f"chaos seed {SEED}, case {case}")
    return random.Random(f"{SEED}/{case}")
