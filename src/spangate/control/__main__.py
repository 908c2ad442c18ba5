"""Started by `spangate serve`, which gives the settings as one line of JSON on stdin."""

import argparse

from ..config import receive
from .app import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="spangate.control", description="The control process. Started by `spangate serve`, not by hand.")
    parser.add_argument("--ready-fd", type=int, help="the pipe that takes a byte when the management API answers")
    main(receive(), parser.parse_args().ready_fd)
