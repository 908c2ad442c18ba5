"""How many connections a process has descriptors for: two each, the client's and its provider's."""

import contextlib
import resource

SPARE = 64  # descriptors for journal, listener, control and the event loop itself


def connections(wanted: int) -> int:
    """How many of them a process that starts now could serve at once."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _fitting(wanted, hard)


def take(wanted: int) -> int:
    """The same for this process, which takes as many descriptors as it needs and may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 2 * wanted + SPARE
    if soft != resource.RLIM_INFINITY and soft < need:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (need if hard == resource.RLIM_INFINITY else min(need, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _fitting(wanted, soft)


def _fitting(wanted: int, descriptors: int) -> int:
    return wanted if descriptors == resource.RLIM_INFINITY else min(wanted, max(1, (descriptors - SPARE) // 2))
