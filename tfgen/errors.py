"""Every error that tfgen raises on purpose, with the exit code a binary ends with.

A user fault is one line: what, where, what was expected, how to fix it. Anything that is not a
`TfgenError` is a bug and keeps its traceback.
"""


class TfgenError(Exception):
    """Base of all deliberate errors; `exit_code` is what a binary returns."""

    exit_code = 1


class UsageError(TfgenError):
    """Flags or arguments that contradict each other or have no meaning."""

    exit_code = 2


class InputFormatError(TfgenError):
    """A file that cannot be parsed as what it claims to be."""

    exit_code = 3


class UnsupportedInputError(TfgenError):
    """A well-formed file that needs something tfgen does not do."""

    exit_code = 3


class InputMismatchError(TfgenError):
    """Files that are fine alone but contradict each other."""

    exit_code = 4


class UntrustedModelError(TfgenError):
    """A model that could run foreign code and was not allowed to."""

    exit_code = 4


class OutputError(TfgenError):
    """An output that cannot be written: it exists, is locked, or the disk is full."""

    exit_code = 5


class NumericalError(TfgenError):
    """A computation that gave no finite or no converged result."""

    exit_code = 6


class TooManyRejectsError(TfgenError):
    """More records were rejected than the run allows. The output is complete nevertheless."""

    exit_code = 7


class InterruptedRunError(TfgenError):
    """SIGINT (130) or SIGTERM (143) arrived; what was done is on disk and resumes."""

    exit_code = 130

    def __init__(self, message: str, signal_number: int = 2) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
