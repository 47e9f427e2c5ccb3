"""Progress of a long run on stderr: how much is done, how fast, how long it will take."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from tfgen.errors import UsageError

MODES = ("auto", "bar", "lines", "none")
_REFRESH_S = 0.1  # how often a terminal line is rewritten at most


def format_duration(seconds: float) -> str:
    """Hours, minutes and seconds as `0:07`, `12:30` or `3:05:00`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def format_rate(rate: float) -> str:
    """Units per second with about three digits: `0.0213`, `4.5`, `12,345`."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"  # noqa: PLR2004


class Progress:
    """Reports `done/total`, rate and remaining time while a loop runs.

    On a terminal one line is rewritten; elsewhere a line is written every `interval_s` seconds and
    at the end, so that the log of a batch job stays short. A stream that breaks is given up
    quietly: a closed terminal must not end a run of hours. Characters that the stream cannot show
    are written as escapes.

    Args:
        total: Number of units in all, or None if unknown.
        label: What is going on, for example `scoring`.
        unit: What is counted, in the plural, for example `variants`.
        stream: Where to write; stderr by default.
        mode: `bar` (rewrite one line), `lines`, `none`, or `auto` (`bar` on a terminal).
        interval_s: Seconds between two lines in mode `lines`.
        initial: Units that an earlier run has done; they count as done but not in the rate.
        clock: Seconds that only grow; tests give their own.

    Raises:
        UsageError: `mode` is none of the above.
    """

    def __init__(
        self,
        total: int | None,
        label: str,
        unit: str,
        stream: TextIO | None = None,
        mode: str = "auto",
        interval_s: float = 60.0,
        *,
        initial: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if mode not in MODES:
            raise UsageError(f"progress mode is {mode!r}; use one of {', '.join(MODES)}")
        self.total = total
        self.done = initial
        self._label = label
        self._unit = unit
        self._initial = initial
        self._clock = clock
        self._stream = sys.stderr if stream is None else stream
        self._mode = _mode_for(self._stream) if mode == "auto" else mode
        self._pause = _REFRESH_S if self._mode == "bar" else interval_s
        self._started = clock()
        self._shown = self._started
        self._closed = False

    def __enter__(self) -> Self:
        """Starts nothing: the clock runs since the object was made."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Writes the last line, also when the run was cut short."""
        self.close()

    def update(self, n: int = 1) -> None:
        """Counts `n` more units as done."""
        self.done += n
        now = self._clock()
        if now - self._shown >= self._pause:
            self._shown = now
            self._show(self._line(now - self._started))

    def note(self, text: str) -> None:
        """Writes a line of its own, for example that the batch size was halved."""
        if self._mode == "bar":
            self._write(f"\r\x1b[K{text}\n")
        else:
            # Also without progress: a note is worth more than that.
            self._write(f"{text}\n")

    def close(self) -> None:
        """Writes how much was done in what time. Further calls do nothing."""
        if self._closed:
            return
        self._closed = True
        elapsed = self._clock() - self._started
        rate = f", {format_rate(self._rate(elapsed))} {self._unit}/s" if self._rate(elapsed) else ""
        self._show(f"{self._label}: {self._count()} in {format_duration(elapsed)}{rate}")
        if self._mode == "bar":
            self._write("\n")

    def _rate(self, elapsed: float) -> float:
        """Units of this run per second; 0 while nothing can be said."""
        return (self.done - self._initial) / elapsed if elapsed > 0 else 0.0

    def _count(self) -> str:
        if self.total is None:
            return f"{self.done:,} {self._unit}"
        return f"{self.done:,}/{self.total:,} {self._unit}"

    def _line(self, elapsed: float) -> str:
        rate = self._rate(elapsed)
        parts = [f"{self._label}: {self._count()}"]
        if self.total:
            parts.append(f"{100 * self.done / self.total:.0f}%")
        if rate:
            parts.append(f"{format_rate(rate)} {self._unit}/s")
            if self.total is not None and self.total > self.done:
                parts.append(f"ETA {format_duration((self.total - self.done) / rate)}")
        return ", ".join(parts)

    def _show(self, text: str) -> None:
        if self._mode == "bar":
            width = shutil.get_terminal_size().columns
            self._write(f"\r\x1b[K{text[: width - 1]}")
        elif self._mode == "lines":
            self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        # The error of a character that the stream cannot show is a ValueError too.
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._mode = "none"


def _mode_for(stream: TextIO | None) -> str:
    """`bar` for a terminal that can rewrite a line, else `lines`; `none` without any stream."""
    if stream is None:
        return "none"
    return "bar" if stream.isatty() and os.environ.get("TERM") != "dumb" else "lines"
