"""The numbers of one process, in a file that outlives it. To count is to store into mapped memory, so a kill -9 loses no count;
a reader adds up the files of all processes, and what the dead ones had counted is kept: what counts up never goes down.

    file  = magic (8) | capacity u64 | capacity doubles | names
    names = one line of JSON each: [first slot, metric, [label values]]

Little-endian, as is every machine that this runs on. The file is locked (flock) as long as its process lives.
"""

import contextlib
import fcntl
import json
import logging
import mmap
import os
import struct
import uuid
from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)

MAGIC = b"SPANSRS1"
HEAD = struct.Struct("<8sQ")
CAPACITY = 1 << 15  # slots, 256 KiB; a histogram of 14 bounds takes 16
SUFFIX = ".series"
PAST = "past.json"  # what the dead had counted
LOCK = "lock"
OTHER = "other"
DISTINCT = 200  # values that a label may take which people or providers make up; past it they count as `other`

Labels = tuple[str, ...]


class Kind(StrEnum):
    counter = "counter"
    gauge = "gauge"  # of living processes: added up where it has no label that tells them apart
    histogram = "histogram"


class Metric(NamedTuple):
    """What a number is called and means. `bounds`: of a histogram, upper and inclusive, without +Inf."""

    name: str
    kind: Kind
    about: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """Slots: a histogram has one a bound, one for +Inf, and the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.histogram else 1


class Numbers:
    """Counts for this process. For one thread. `who` names the kind of process; the file is made at the first count.

    Where no file can be made, what is counted is not told: a full disk must not keep a worker from its work.
    """

    def __init__(self, directory: Path, who: str, *, capacity: int = CAPACITY) -> None:
        self._directory, self._who, self._capacity = directory, who, capacity
        self._values: memoryview[float] | array[float] | None = None
        self._file: tuple[int, mmap.mmap, memoryview] | None = None
        self._slots: dict[tuple[str, Labels], int] = {}
        self._next = 0

    def add(self, metric: Metric, labels: Labels = (), amount: float = 1.0) -> None:
        slot = self._slots.get((metric.name, labels))
        if slot is None:
            slot = self._slot(metric, labels)
        if slot >= 0:
            assert self._values is not None
            self._values[slot] += amount

    def set(self, metric: Metric, value: float, labels: Labels = ()) -> None:
        slot = self._slot(metric, labels)
        if slot >= 0:
            assert self._values is not None
            self._values[slot] = value

    def observe(self, metric: Metric, value: float, labels: Labels = ()) -> None:
        slot = self._slots.get((metric.name, labels))
        if slot is None:
            slot = self._slot(metric, labels)
        if slot >= 0:
            assert self._values is not None
            self._values[slot + bisect_left(metric.bounds, value)] += 1.0
            self._values[slot + len(metric.bounds) + 1] += value

    def close(self) -> None:
        """The file stays, and counts as a dead process's."""
        if self._file is not None:
            fd, mapped, view = self._file
            assert isinstance(self._values, memoryview)
            self._values.release()
            view.release()
            mapped.close()
            os.close(fd)
            self._file = self._values = None

    def _slot(self, metric: Metric, labels: Labels) -> int:
        """The first slot of a series; -1 if there is room for no more: what is not counted harms less than a call that fails."""
        known = self._slots.get((metric.name, labels))
        if known is not None:
            return known
        if self._values is None:
            self._values = self._made()
        slot = self._next
        if slot + metric.width > self._capacity:
            return -1
        if self._file is not None:
            line = json.dumps([slot, metric.name, labels]).encode() + b"\n"
            try:
                if os.write(self._file[0], line) != len(line):
                    return -1
            except OSError:
                return -1
        self._next += metric.width
        self._slots[metric.name, labels] = slot
        return slot

    def _made(self) -> "memoryview[float] | array[float]":
        path = self._directory / f"{self._who}-{os.getpid()}-{uuid.uuid4().hex[:8]}{SUFFIX}"
        temporary = path.with_suffix(".tmp")
        fd = -1
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Written, not only as long: a store into a page for which a full disk has no room would kill us.
            blank = HEAD.pack(MAGIC, self._capacity) + bytes(8 * self._capacity)
            if os.write(fd, blank) != len(blank):
                raise OSError("the disk is full")
            mapped = mmap.mmap(fd, len(blank))
            os.rename(temporary, path)  # named when it is whole and locked
        except OSError as error:
            logger.warning("No file for metrics: %s. This process is missing in GET /metrics.", error.strerror or error)
            if fd >= 0:
                os.close(fd)
                temporary.unlink(missing_ok=True)
            return array("d", bytes(8 * self._capacity))
        view = memoryview(mapped)
        self._file = (fd, mapped, view)
        return view[HEAD.size :].cast("d")


class Bounded:
    """Lets through the first values that it sees, and calls the rest `other`: no client can make series without end."""

    def __init__(self, limit: int = DISTINCT) -> None:
        self._limit = limit
        self._seen: dict[str | None, str] = {None: ""}

    def __call__(self, value: str | None) -> str:
        known = self._seen.get(value)
        if known is not None:
            return known
        if len(self._seen) > self._limit or value is None:
            return OTHER
        self._seen[value] = value
        return value


# ---------------------------------------------------------------- reading

Sums = dict[tuple[str, Labels], list[float]]


class Living(NamedTuple):
    """A process that runs, by its file."""

    who: str
    pid: int


def gather(directory: Path, metrics: Iterable[Metric]) -> tuple[Sums, list[Living]]:
    """The sums over all processes that ever counted in the folder since it was emptied, and which of them live.

    The files of the dead are added to PAST, which takes their place in one step; two readers at once take turns.
    """
    known = {metric.name: metric for metric in metrics}
    if not directory.is_dir():
        return {}, []
    with _locked(directory):
        past, folded = _past(directory, known)
        sums: Sums = {}
        living: list[Living] = []
        dead: list[Path] = []
        for path in sorted(directory.glob(f"*{SUFFIX}")):
            if path.name in folded:  # we died, or another did, between PAST and its removal
                path.unlink()
                continue
            ended, series = read(path, known)
            if ended:
                dead.append(path)
                _sum(past, {key: values for key, values in series.items() if known[key[0]].kind is not Kind.gauge})
            else:
                who, pid, _ = path.stem.rsplit("-", 2)
                living.append(Living(who, int(pid)))
                _sum(sums, series)
        if dead:
            _keep(directory, past, [path.name for path in dead])
            for path in dead:
                path.unlink()
        _sum(sums, past)
    return sums, living


def read(path: Path, metrics: Mapping[str, Metric]) -> tuple[bool, Sums]:
    """Whether the process is dead, and its numbers. A metric that is not among `metrics` is another version's, and left out."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # before the numbers are read: then they are the last ones
            dead = True
        except BlockingIOError:
            dead = False
        content = file.read()
    if len(content) < HEAD.size:
        return dead, {}
    magic, capacity = HEAD.unpack_from(content)
    names = HEAD.size + 8 * capacity
    if magic != MAGIC or len(content) < names:
        return dead, {}
    values = memoryview(content)[HEAD.size : names].cast("d")
    found: Sums = {}
    for line in content[names:].split(b"\n")[:-1]:
        slot, name, labels = json.loads(line)
        if name in metrics:
            found[name, tuple(labels)] = list(values[slot : slot + metrics[name].width])
    return dead, found


def wipe(directory: Path) -> None:
    """Empties the folder: at the start of a gateway, before any of its processes counts."""
    for path in directory.glob("*") if directory.is_dir() else ():
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(directory: Path) -> Generator[None]:
    with (directory / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _past(directory: Path, metrics: Mapping[str, Metric]) -> tuple[Sums, frozenset[str]]:
    try:
        kept = json.loads((directory / PAST).read_bytes())
    except FileNotFoundError:
        return {}, frozenset()
    sums: Sums = {(name, tuple(labels)): values for name, labels, values in kept["sums"]}
    return {key: values for key, values in sums.items() if key[0] in metrics}, frozenset(kept["folded"])


def _keep(directory: Path, past: Sums, folded: list[str]) -> None:
    temporary = directory / f".{PAST}"
    sums = [[name, labels, values] for (name, labels), values in past.items()]
    temporary.write_text(json.dumps({"folded": folded, "sums": sums}))
    temporary.rename(directory / PAST)


def _sum(into: Sums, more: Sums) -> None:
    for key, values in more.items():
        known = into.get(key)
        into[key] = list(values) if known is None else [a + b for a, b in zip(known, values, strict=True)]
