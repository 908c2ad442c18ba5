"""How much. Small by default, so that every change sees some; `python -m tests.scale` sets the full size."""

import os

CALLS = int(os.environ.get("SCALE_CALLS", "5000"))
DAYS = 30
LIMITS = bool(os.environ.get("SCALE_LIMITS"))  # whether times are asserted
RUNS = int(os.environ.get("SCALE_RUNS", "1"))  # of each query
LOAD = int(os.environ.get("SCALE_LOAD", "100"))  # calls of a window
WINDOWS = int(os.environ.get("SCALE_WINDOWS", "1"))  # with, and as many without
