"""Where control listens: a Unix socket that only its owner can open, and that replaces a dead one in one step."""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

LONGEST_PATH = 100  # bytes; the kernels allow 104 (macOS) and 108 (Linux), zero byte included
BACKLOG = 512


@contextmanager
def listening(path: Path, address_file: Path) -> Generator[socket.socket]:
    """A socket that listens at `path`, or, if that is too long for a Unix socket, at a short one that `address_file` names."""
    with contextlib.ExitStack() as stack:
        if len(os.fsencode(path)) > LONGEST_PATH - 8:  # eight for the temporary name below
            folder = tempfile.mkdtemp(prefix="spangate-")  # mode 0700
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            path = Path(folder) / "control.sock"
            stack.enter_context(_listener(path, sock := socket.socket(socket.AF_UNIX)))
            _replace(address_file, os.fsencode(path))
        else:
            address_file.unlink(missing_ok=True)
            stack.enter_context(_listener(path, sock := socket.socket(socket.AF_UNIX)))
        yield sock


@contextmanager
def _listener(path: Path, sock: socket.socket) -> Generator[None]:
    # Bound under another name and then renamed: nobody finds a socket that does not listen yet, or is not ours alone.
    unready = path.with_name(f".{os.getpid()}"[:8])
    with sock:
        unready.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            sock.bind(str(unready))
        finally:
            os.umask(mask)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        os.rename(unready, path)
        yield


def _replace(file: Path, content: bytes) -> None:
    fd, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(fd, "wb") as handle:
        handle.write(content)
    os.replace(temporary, file)
