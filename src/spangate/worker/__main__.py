"""`python -m spangate.worker --listen-fd N`, started by the supervisor with its settings on stdin."""

import argparse

from ..config import receive
from .app import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="spangate.worker", description="A relay worker. Started by `spangate serve`, not by hand.")
    parser.add_argument("--listen-fd", type=int, required=True, help="the inherited listening socket")
    parser.add_argument("--ready-fd", type=int, help="the pipe that takes a byte when calls can be served")
    given = parser.parse_args()
    main(receive(), given.listen_fd, given.ready_fd)
