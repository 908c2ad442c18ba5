"""`make chaos`: the full size. `python -m tests.chaos [pytest arguments]`; CHAOS_SEED=… has a bad day again."""

import os
import sys

import pytest

if __name__ == "__main__":
    for name, value in {
        "CHAOS_POINTS": "50",
        "CHAOS_OUTAGE": "30",
        "CHAOS_LOAD": "16",
        "CHAOS_ABORTS": "1000",
        "CHAOS_READERS": "500",
        "CHAOS_FLOOD": "256",
    }.items():
        os.environ.setdefault(name, value)
    sys.exit(pytest.main(["tests/chaos", "-v", "-s", "-x", "-p", "no:randomly", *sys.argv[1:]]))
