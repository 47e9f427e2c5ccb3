"""How much memory a computation may take."""

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_SHARE = 0.9


def allowed_bytes(max_memory_gb: float, meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Bytes that may be taken: what is asked for, else nine tenths of what is free now.

    Args:
        max_memory_gb: In units of 10^9 bytes; 0 asks the system.
        meminfo: Where Linux tells the free memory.
        cgroup: Where Linux tells the limit of this container.
    """
    if max_memory_gb:
        return int(max_memory_gb * 1e9)
    free = _available(meminfo)
    limit, used = (_number(cgroup / name) for name in ("memory.max", "memory.current"))
    if limit is not None:
        free = min(free, max(0, limit - (used or 0)))
    return int(_SHARE * free)


def _available(meminfo: Path) -> int:
    try:
        for line in meminfo.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _number(path: Path) -> int | None:
    """The whole number in a file, None if there is none."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
