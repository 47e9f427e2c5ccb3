"""Whether a process that left something behind still runs on this machine."""

import os
from pathlib import Path


def process_start(pid: int) -> str | None:
    """Start of a process in clock ticks since boot: tells a reused pid from its former owner.

    None where the system has no `/proc`, and for a process that does not run.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is a command name in brackets that may hold blanks: count from its end.
    state, *fields = text.rpartition(")")[2].split()
    return None if state == "Z" else fields[18]


def process_is_alive(pid: int) -> bool:
    """Whether a process with this id exists on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
