"""Where control is found while one follows another."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from spangate.control.door import LONGEST_PATH, listening


def takes(listener: socket.socket, path: Path, address_file: Path) -> bool:
    """Whether who calls now comes to this listener."""
    at = Path(address_file.read_text()) if address_file.exists() else path
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(at))
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True


@pytest.mark.parametrize("long", [False, True])
def test_a_successor_is_found_when_it_says_so_and_the_old_one_until_then(tmp_path: Path, long: bool) -> None:
    folder = tmp_path / ("x" * LONGEST_PATH if long else "x")
    folder.mkdir()
    path, address = folder / "control.sock", folder / "control.addr"
    with ExitStack() as old, ExitStack() as new:
        first, opened = old.enter_context(listening(path, address))
        assert takes(first, path, address)  # nobody else is there, so it is found at once
        opened()  # and to say so again is nothing
        assert takes(first, path, address)
        second, opened = new.enter_context(listening(path, address))
        assert takes(first, path, address)
        opened()
        assert takes(second, path, address)
        old.close()
        assert takes(second, path, address)
    with ExitStack() as later:
        third, _ = later.enter_context(listening(path, address))  # the dead one's socket is there, but nobody answers
        assert takes(third, path, address)


def test_a_successor_that_gives_up_leaves_no_trace(tmp_path: Path) -> None:
    path, address = tmp_path / "control.sock", tmp_path / "control.addr"
    with listening(path, address) as (first, _):
        with listening(path, address):
            pass
        assert takes(first, path, address)
        assert [file.name for file in tmp_path.iterdir()] == ["control.sock"]
