"""Where control listens: a Unix socket that only its owner can open, and that replaces a dead one in one step."""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

LONGEST_PATH = 100  # bytes; the kernels allow 104 (macOS) and 108 (Linux), zero byte included
BACKLOG = 512


@contextmanager
def listening(path: Path, address_file: Path) -> Generator[tuple[socket.socket, Callable[[], None]]]:
    """A socket that listens at `path`, or, if that is too long for a Unix socket, at a short one that `address_file` names; and what to
    call when it is to be found there.

    Where another control answers yet, it is found until then. Where none does, those who come now may as well wait here: then it is
    found at once.
    """
    with contextlib.ExitStack() as stack:
        short = path
        if len(os.fsencode(path)) > LONGEST_PATH - 8:  # eight for the temporary name below
            folder = tempfile.mkdtemp(prefix="spangate-")  # mode 0700
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            short = Path(folder) / "control.sock"
        unready = short.with_name(f".{os.getpid()}"[:8])
        sock = stack.enter_context(_listener(unready))
        stack.callback(unready.unlink, missing_ok=True)
        done = False

        def opened() -> None:
            nonlocal done
            if done:
                return
            done = True
            os.rename(unready, short)
            if short is path:
                address_file.unlink(missing_ok=True)
            else:
                _replace(address_file, os.fsencode(short))

        if not _answers(path, address_file):
            opened()
        yield sock, opened


@contextmanager
def _listener(unready: Path) -> Generator[socket.socket]:
    # Bound under another name and then renamed: nobody finds a socket that does not listen yet, or is not ours alone.
    with socket.socket(socket.AF_UNIX) as sock:
        unready.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            sock.bind(str(unready))
        finally:
            os.umask(mask)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        yield sock


def _answers(path: Path, address_file: Path) -> bool:
    """Whether a control listens now."""
    with contextlib.suppress(OSError):
        path = Path(os.fsdecode(address_file.read_bytes().strip()))
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _replace(file: Path, content: bytes) -> None:
    fd, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(fd, "wb") as handle:
        handle.write(content)
    os.replace(temporary, file)
