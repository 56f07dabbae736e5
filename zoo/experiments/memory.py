"""How much memory a process has left, where the system says so."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
_SYSTEM = Path("/proc/meminfo")


def memory_left() -> int | None:
    """Bytes that can still be taken, of the machine's and of a container's; None if unknown."""
    found = []
    if _SYSTEM.is_file():
        kilobytes = re.search(r"MemAvailable:\s+(\d+) kB", _SYSTEM.read_text(encoding="ascii"))
        found += [int(kilobytes[1]) * 1024] if kilobytes else []
    if _LIMIT.is_file() and _USED.is_file():
        limit = _LIMIT.read_text(encoding="ascii").strip()
        used = int(_USED.read_text(encoding="ascii"))
        found += [int(limit) - used] if limit.isdecimal() else []
    return min(found, default=None)


def memory_peak() -> int:
    """Bytes that this process has held at most; 0 if unknown."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
