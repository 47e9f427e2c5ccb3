"""One writer per output: a lock file that names its holder."""

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tfgen.errors import OutputError


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


class OutputLock:
    """Holds `OUTPUT.lock` while an output is written; a second run stops at once.

    The lock is a JSON file with `host`, `pid`, `process_start` and `time` (UTC). It is made with
    an exclusive create, which also works on file systems without lock calls. The lock of a process
    that has died on this machine is taken over. About another machine nothing can be known, so the
    message says how to remove the lock.

    Example:
        >>> with OutputLock(Path("scores.h5")):
        ...     score()

    Args:
        output: The file or directory to be written; its folder must exist.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.path = output.with_name(output.name + ".lock")
        self._text = ""

    def __enter__(self) -> Self:
        """Takes the lock.

        Raises:
            OutputError: Another run holds it, or the folder cannot be written.
        """
        self._text = json.dumps(
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "process_start": process_start(os.getpid()),
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        )
        if not self._create(self.path):
            self._take_over()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Removes the lock if it is still ours."""
        with suppress(OSError):
            if self.path.read_text(encoding="utf-8") == self._text:
                self.path.unlink()

    def _create(self, path: Path) -> bool:
        """Writes our lock to `path`; False if the file exists."""
        try:
            with path.open("x", encoding="utf-8") as handle:
                handle.write(self._text)
        except FileExistsError:
            return False
        except OSError as error:
            raise OutputError(
                f"{path}: cannot create the lock file: {error.strerror}; "
                "check that the folder exists and can be written"
            ) from error
        return True

    def _take_over(self) -> None:
        """Replaces the lock of a dead process.

        The guard makes sure that of two processes that see the same dead lock only one removes it:
        without it the slower one would remove the new lock of the faster.
        """
        guard = self.path.with_name(self.path.name + ".takeover")
        self._refuse_if_held()
        if not self._create(guard):
            raise OutputError(
                f"{self.output}: another run is taking over a left-over lock; try again, "
                f"and if that repeats remove {guard}"
            )
        try:
            self._refuse_if_held()
            self.path.unlink(missing_ok=True)
            if not self._create(self.path):
                raise OutputError(f"{self.output}: another run has just locked it; wait for it")
        finally:
            guard.unlink()

    def _refuse_if_held(self) -> None:
        """Raises OutputError unless the lock is gone or its process has died on this machine."""
        try:
            holder = json.loads(self.path.read_text(encoding="utf-8"))
            host, pid, start = holder["host"], int(holder["pid"]), holder["process_start"]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            raise OutputError(
                f"{self.path}: a lock file that names no process; "
                f"remove it if no other run is writing {self.output.name}"
            ) from None
        advice = f"wait for it, or remove {self.path} if that run is over"
        if host == socket.gethostname():
            if not process_is_alive(pid) or process_start(pid) != start:
                return
            advice = "wait for it, or stop it"
        raise OutputError(f"{self.output}: being written by process {pid} on {host}; {advice}")
