"""`make scale`: the full size, and its times. `python -m tests.scale [pytest arguments]`; SCALE_CALLS=… is another size, without limits."""

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    os.environ.setdefault("SCALE_CALLS", "1000000")
    os.environ.setdefault("SCALE_LIMITS", "1" if os.environ["SCALE_CALLS"] == "1000000" else "")
    os.environ.setdefault("SCALE_RUNS", "9")
    os.environ.setdefault("SCALE_LOAD", "4000")
    os.environ.setdefault("SCALE_WINDOWS", "3")
    given = sys.argv[1:]
    where = [] if any(Path(argument.partition("::")[0]).exists() for argument in given) else ["tests/scale"]
    sys.exit(pytest.main([*where, "-v", "-s", "-p", "no:randomly", "-o", "timeout=3600", *given]))
