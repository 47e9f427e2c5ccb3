"""The record of rejected records: one line each, counts per reason."""

import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from tfgen.errors import OutputError
from tfgen.io.atomic import new_file

COLUMNS = ("line", "chrom", "pos", "id", "ref", "alt", "code", "detail")

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


class RejectLog:
    r"""Collects rejected records in constant memory, whatever their number.

    The lines wait in an unnamed temporary file, which vanishes with the process. In the final TSV
    the characters tab, newline, carriage return and backslash of a value are written as `\t`,
    `\n`, `\r` and `\\`.

    Args:
        folder: Where the temporary file lies, best the folder of the output; the system's folder
            for temporary files by default.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lines: TextIO | None = None
        self.counts: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Number of rejected records."""
        return sum(self.counts.values())

    def __enter__(self) -> Self:
        """Returns the log itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Discards the temporary file."""
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Discards the temporary file; the counts stay."""
        if self._lines is not None:
            self._lines.close()

    def add(
        self,
        line: int,
        chrom: str,
        pos: int | str,
        id: str,
        ref: str,
        alt: str,
        code: str,
        detail: str = "",
    ) -> None:
        """Records one rejected record.

        Args:
            line: 1-based line of the input file, or the record number of a binary file.
            chrom: Contig as named in the input.
            pos: 1-based position as given, also if it is no number.
            id: Identifier of the record.
            ref: Reference allele as given.
            alt: Alternative allele as given.
            code: Reason, for example `REF_MISMATCH`.
            detail: What was found and what was expected.

        Raises:
            OutputError: The temporary file cannot be written.
        """
        self.counts[code] = self.counts.get(code, 0) + 1
        values = (line, chrom, pos, id, ref, alt, code, detail)
        text = "\t".join(str(value).translate(_ESCAPES) for value in values)
        try:
            if self._lines is None:
                self._lines = tempfile.TemporaryFile(
                    "w+",
                    encoding="utf-8",
                    errors="backslashreplace",  # bytes that a reader could not decode
                    newline="",
                    dir=self._folder,
                )
            self._lines.write(text + "\n")
        except OSError as error:
            raise OutputError(
                f"{self._folder or tempfile.gettempdir()}: cannot keep rejected records: "
                f"{error.strerror}; free some space there"
            ) from error

    def write(self, path: Path) -> None:
        """Writes the TSV in one step: a header line and the records in the order they came.

        Raises:
            OutputError: The file cannot be written.
        """
        with new_file(path) as stream:
            stream.write("\t".join(COLUMNS) + "\n")
            if self._lines is not None:
                self._lines.seek(0)
                stream.writelines(self._lines)
