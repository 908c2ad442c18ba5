"""How all targets fare, for all workers of a host: a small file that each of them maps into its memory.

Nobody locks it. Each slot carries a checksum, so what is torn, or is rubbish, reads as nothing known, which is a target that is well;
two workers that write a slot at once lose one of two failures, or let two probes through. Neither harms a call.
"""

import hashlib
import logging
import math
import mmap
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from spangate.exchange import Target

from . import health
from .health import WELL, State

logger = logging.getLogger(__name__)

SLOTS = 8192  # 320 KiB. Only targets that fail take one; where two fall on one slot, the first keeps it while it fails
KEPT = 1024 * 64  # names whose slot is remembered
_STATE = struct.Struct("<QIIdd")
_SUM = struct.Struct("<I4x")
_SLOT = _STATE.size + _SUM.size
_EMPTY = bytes(_SLOT)
SIZE = SLOTS * _SLOT

Name = tuple[str, str | None]  # model_definition_id, secret_id


class Resting(msgspec.Struct, frozen=True):
    """A target that calls pass over now."""

    model_definition_id: str
    secret_id: str | None
    seconds: float  # until it is tried again
    cooled: int  # cool-downs in a row, this one included


class Cooling:
    """An `attempts.Health`. Without a path, or where the file cannot be had, each process knows what it saw itself."""

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        # The monotonic clock is the host's, not the process's, on Linux and macOS.
        self._clock = clock
        self._memory = mapped(path)
        self._places: dict[Name, tuple[int, int]] = {}

    def rests(self, target: Target) -> bool:
        state = self._state(target.model_definition_id, target.secret_id)
        return state is not WELL and health.rests(state, self._clock())

    def tried(self, target: Target) -> bool:
        before = self._state(target.model_definition_id, target.secret_id)
        if before is WELL or not before.until:
            return False
        after = health.tried(before, self._clock())
        self._change(target, before, after)
        return after != before

    def released(self, target: Target) -> None:
        before = self._state(target.model_definition_id, target.secret_id)
        if before is not WELL:
            self._change(target, before, health.released(before))

    def failed(self, target: Target, asked: float = 0.0) -> None:
        before = self._state(target.model_definition_id, target.secret_id)
        self._change(target, before, health.failed(before, self._clock(), asked))

    def began(self, target: Target) -> None:
        before = self._state(target.model_definition_id, target.secret_id)
        if before is not WELL:
            self._change(target, before, health.began(before))

    def well(self, target: Target) -> None:
        before = self._state(target.model_definition_id, target.secret_id)
        if before is not WELL:
            self._change(target, before, WELL)

    def resting(self, names: Iterable[Name]) -> list[Resting]:
        """Which of these calls pass over now, each once, in the order in which they are named."""
        now = self._clock()
        found: dict[Name, Resting] = {}
        for name in names:
            state = self._state(*name)
            if name not in found and state is not WELL and health.rests(state, now):
                found[name] = Resting(*name, seconds=max(0.0, round(state.until - now, 3)), cooled=state.cooled)
        return list(found.values())

    # ------------------------------------------------------------ slots

    def _place(self, name: Name) -> tuple[int, int]:
        """Where its slot begins, and what marks it as its own."""
        place = self._places.get(name)
        if place is None:
            if len(self._places) >= KEPT:
                self._places.clear()
            mark = int.from_bytes(hashlib.blake2b(f"{name[0]}\0{name[1] or ''}".encode(), digest_size=8).digest(), "little") or 1
            place = self._places[name] = mark % SLOTS * _SLOT, mark
        return place

    def _state(self, model_definition_id: str, secret_id: str | None) -> State:
        at, mark = self._place((model_definition_id, secret_id))
        raw = self._memory[at : at + _SLOT]
        if raw == _EMPTY:
            return WELL
        held = _read(raw)
        return held[1] if held is not None and held[0] == mark else WELL

    def _change(self, target: Target, before: State, after: State) -> None:
        if after == before:
            return
        at, mark = self._place((target.model_definition_id, target.secret_id))
        held = _read(self._memory[at : at + _SLOT])
        if held is not None and held[0] != mark and health.rests(held[1], self._clock()):
            return
        body = _STATE.pack(mark, after.failures, after.cooled, after.until, after.probed)
        self._memory[at : at + _SLOT] = _EMPTY if after == WELL else body + _SUM.pack(zlib.crc32(body))


def _read(raw: bytes) -> tuple[int, State] | None:
    """Whose slot it is and what it says; None: nothing that could be read."""
    mark, failures, cooled, until, probed = _STATE.unpack_from(raw)
    (checksum,) = _SUM.unpack_from(raw, _STATE.size)
    if checksum != zlib.crc32(raw[: _STATE.size]) or not (math.isfinite(until) and math.isfinite(probed)):
        return None
    return mark, State(failures, cooled, until, probed)


def mapped(path: Path | None) -> mmap.mmap:
    """The file's bytes, shared with whoever maps it too; memory of our own if there is no file to be had."""
    if path is None:
        return mmap.mmap(-1, SIZE)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _reserve(file)
            return mmap.mmap(file, SIZE)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be used (%s): cool-downs are not shared between workers", path, error)
        return mmap.mmap(-1, SIZE)


def _reserve(file: int) -> None:
    """Room on the disk for all of it: to write into a page that has none would end the process. Never shrinks what others have mapped."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, SIZE)
        return
    size = os.fstat(file).st_size  # macOS
    if size < SIZE:
        os.pwrite(file, bytes(SIZE - size), size)
