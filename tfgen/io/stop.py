"""A polite end: finish the batch at Ctrl-C or when the scheduler's time is up."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from tfgen.errors import InterruptedRunError

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


class StopRequest:
    """Turns SIGINT and SIGTERM into a request that a loop answers between two batches.

    A second signal acts as if this object were not there, for those who cannot wait. Python allows
    signal handlers in the main thread only; in another thread no request ever comes.

    Example:
        >>> with StopRequest() as stop:
        ...     for batch in batches:
        ...         score_and_store(batch)
        ...         stop.raise_if_requested()
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._former: dict[signal.Signals, _Handler] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._received is not None

    def __enter__(self) -> Self:
        """Installs the handlers."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._former[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restores the former handlers."""
        self._restore()

    def raise_if_requested(self) -> None:
        """Ends the run if a signal has come; call it when everything done is on the disk.

        Raises:
            InterruptedRunError: With exit code 130 (SIGINT) or 143 (SIGTERM).
        """
        if self._received is not None:
            name = signal.Signals(self._received).name
            raise InterruptedRunError(
                f"stopped by {name}; what was done is kept, run the same command to go on",
                self._received,
            )

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._received is None:
            self._received = number
        else:
            self._restore()
            os.kill(os.getpid(), number)

    def _restore(self) -> None:
        while self._former:
            number, handler = self._former.popitem()
            # None: the former handler was not installed by Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
