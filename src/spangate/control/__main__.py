"""Started by `spangate serve`, which gives the settings as one line of JSON on stdin."""

from ..config import receive
from .app import main

if __name__ == "__main__":
    main(receive())
