"""`make real`: makes the environment if it is not there, then runs the tests. `python -m tests.real [pytest arguments]`."""

import sys

import pytest

from . import environment

if __name__ == "__main__":
    environment.make()
    sys.exit(pytest.main(["tests/real", "-v", *sys.argv[1:]]))
