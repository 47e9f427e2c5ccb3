"""One writer per output: a lock file that names its holder and is refreshed while it lives."""

import json
import os
import re
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from tfgen.errors import OutputError
from tfgen.io.processes import process_is_alive, process_start

REFRESH_S = 30.0
"""Seconds between two signs of life of a lock."""

STALE_S = 600.0
"""Seconds without a sign of life after which a lock may be taken over."""

_TAKEN_OVER = f"taken over after {STALE_S / 60:.0f} minutes without a sign of life"


@dataclass(frozen=True)
class _Found:
    """A lock file as it was found.

    Attributes:
        text: Its content.
        refreshed: When it was made or refreshed, in seconds, by the clock of its file system.
        host: Machine of its holder; None if the file names no process.
        pid: Process of its holder.
        start: When that process was started (see `process_start`).
    """

    text: str
    refreshed: float
    host: str | None = None
    pid: int = 0
    start: str | None = None


class OutputLock:
    """Holds `OUTPUT.lock` while an output is written; a second run stops at once.

    The lock is a JSON file with `host`, `pid`, `process_start`, `time` (UTC) and a random `token`.
    It is written under another name and linked to its own, so that it is whole whenever it is
    there; a file system without links gets an exclusive create. Neither needs lock calls. While
    the lock is held, a thread sets its modification time every 30 s as a sign of life.

    The lock of a process that has died on this machine is taken over at once. A lock of another
    machine, or one that names no process, is taken over after 10 minutes without a sign of life,
    counted from the modification time of a file just made in the same folder: the clocks of the
    machines need not agree. So a run that stands still for that long loses its lock to another
    machine, but not to another run on its own.

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
        self._token = ""
        self._now = 0.0
        self._ended: threading.Event
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        """Takes the lock.

        Raises:
            OutputError: Another run holds it, or the folder cannot be written.
        """
        self._token = os.urandom(8).hex()
        self._text = json.dumps(
            {
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "process_start": process_start(os.getpid()),
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "token": self._token,
            }
        )
        draft = self._aside(self.path)
        self._write(draft)
        try:
            self._now = draft.stat().st_mtime
            self._remove_left_overs()
            if not self._create(self.path):
                self._take_over()
        finally:
            with suppress(OSError):
                draft.unlink()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, args=(self._ended,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Removes the lock if it is still ours."""
        self._ended.set()
        self._thread.join()
        with suppress(OSError):
            if self._is_ours(self.path):
                self.path.unlink()

    def _keep_fresh(self, ended: threading.Event) -> None:
        while not ended.wait(REFRESH_S):
            self._refresh()

    def _refresh(self) -> None:
        """Gives a sign of life if the lock is still ours."""
        # What cannot be reached now, as on a network that is down, may be there the next time.
        with suppress(OSError):
            if self._is_ours(self.path):
                os.utime(self.path)

    def _aside(self, path: Path) -> Path:
        """A name beside `path` that nobody else uses."""
        return path.with_name(f"{path.name}.{self._token}")

    def _is_ours(self, path: Path) -> bool:
        found = _find(path)
        return found is not None and found.text == self._text

    def _write(self, path: Path) -> bool:
        """Writes our lock to a new file; False if the file exists."""
        try:
            handle = path.open("x", encoding="utf-8")
        except FileExistsError:
            return False
        except OSError as error:
            raise self._cannot_create(error) from error
        try:
            with handle:
                handle.write(self._text)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise self._cannot_create(error) from error
        return True

    def _create(self, path: Path) -> bool:
        """Gives our lock the name `path`; False if that is taken."""
        try:
            os.link(self._aside(self.path), path)
        except FileExistsError:
            # When the answer of a file server gets lost, the repeated request meets its own link.
            return self._is_ours(path)
        except OSError:
            return self._write(path)
        return True

    def _take_over(self) -> None:
        """Replaces the lock of a dead process.

        The guard makes sure that of two processes that see the same dead lock only one removes it:
        without it the slower one would remove the new lock of the faster.
        """
        self._refuse_if_held()
        guard = self.path.with_name(self.path.name + ".takeover")
        left_over = _find(guard)
        if left_over is not None and self._is_dead(left_over):
            self._remove(guard, left_over)
        if not self._create(guard):
            raise OutputError(
                f"{self.output}: another run is taking over a left-over lock; try again; {guard} "
                f"itself is {_TAKEN_OVER}"
            )
        try:
            dead = self._refuse_if_held()
            if dead is not None:
                self._remove(self.path, dead)
            if not self._create(self.path):
                raise OutputError(f"{self.output}: another run has just locked it; wait for it")
        finally:
            if self._is_ours(guard):
                guard.unlink(missing_ok=True)

    def _refuse_if_held(self) -> _Found | None:
        """The lock if it is dead, None if it is gone; raises OutputError if it is held."""
        found = _find(self.path)
        if found is None or self._is_dead(found):
            return found
        age = f"{max(0.0, self._now - found.refreshed):.0f} s ago"
        if found.host is None:
            raise OutputError(
                f"{self.path}: a lock file that names no process, refreshed {age}; it is "
                f"{_TAKEN_OVER}; remove it if no other run is writing {self.output.name}"
            )
        held = f"{self.output}: being written by process {found.pid} on {found.host}"
        if found.host == socket.gethostname():
            raise OutputError(f"{held}; wait for it, or stop it")
        raise OutputError(
            f"{held}, which refreshed its lock {age}; wait for it; if that run is over, start "
            f"again later, because the lock is {_TAKEN_OVER}, or remove {self.path}"
        )

    def _is_dead(self, found: _Found) -> bool:
        if found.host == socket.gethostname():
            return not process_is_alive(found.pid) or process_start(found.pid) != found.start
        return self._now - found.refreshed > STALE_S

    def _remove(self, path: Path, dead: _Found) -> None:
        """Removes the file that was found dead, but not one that has taken its name since."""
        aside = path.with_name(f"{path.name}.{self._token}-dead")
        try:
            path.rename(aside)
        except FileNotFoundError:
            return
        moved = _find(aside)
        if moved is not None and moved.text != dead.text and not path.exists():
            aside.rename(path)
        aside.unlink(missing_ok=True)

    def _remove_left_overs(self) -> None:
        """Removes what runs that were killed while they locked or unlocked left behind."""
        name = re.compile(re.escape(self.path.name) + r"(\.takeover)?\.[0-9a-f]{16}(-dead)?")
        for path in self.path.parent.iterdir():
            # Another user's file may not be ours to remove, and another run may be faster.
            with suppress(OSError):
                if name.fullmatch(path.name) and self._now - path.stat().st_mtime > STALE_S:
                    path.unlink()

    def _cannot_create(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.path}: cannot create the lock file: {error.strerror}; "
            "check that the folder exists and can be written"
        )


def _find(path: Path) -> _Found | None:
    """The lock file of this name, None if there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as handle:
            text, refreshed = handle.read(), os.fstat(handle.fileno()).st_mtime
    except FileNotFoundError:
        return None
    try:
        holder = json.loads(text)
        host, pid, start = str(holder["host"]), int(holder["pid"]), holder["process_start"]
    except (ValueError, KeyError, TypeError, OverflowError):
        return _Found(text, refreshed)
    return _Found(text, refreshed, host, pid, start)
