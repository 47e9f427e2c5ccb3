"""Why a file is no FASTA that can be indexed."""

import re
from pathlib import Path
from typing import Final

from tfgen.errors import InputFormatError
from tfgen.genome.compression import compression, decompressed

_BLANK: Final = b" \t\r\n"
_HEAD_BYTES: Final = 1 << 12
_NO_LETTER: Final = re.compile(rb"[^\x21-\x7e]")


def require_fasta(path: Path) -> None:
    """Checks the compression and the first letter of a FASTA file, which costs nothing.

    Raises:
        InputFormatError: The file cannot be read, is empty, is gzip but not bgzip, or does not
            begin with '>'.
    """
    if compression(path) == "gzip":
        raise InputFormatError(
            f"{path}: is gzip, which allows no random access; recompress with bgzip "
            "(gunzip, then bgzip)"
        )
    with decompressed(path) as handle:
        head = handle.read(_HEAD_BYTES).lstrip(_BLANK)
    if not head:
        raise InputFormatError(f"{path}: is empty; expected a FASTA file")
    if not head.startswith(b">"):
        raise InputFormatError(
            f"{path}: begins with {head[:20]!r}; a FASTA file begins with a '>' header"
        )


def find_fault(path: Path) -> str:
    """The first thing that keeps a FASTA file from being indexed, with its line.

    Reads the whole file, so it is meant for one that has already failed.

    Raises:
        InputFormatError: The file is damaged.
    """
    walk = _Walk()
    with decompressed(path) as handle:
        for number, line in enumerate(handle, 1):
            fault = walk.line_fault(number, line)
            if fault:
                return fault
    return walk.record_fault() or "htslib refuses it"


class _Walk:
    """Looks at the lines of a FASTA file one after the other."""

    def __init__(self) -> None:
        self._lines_by_name: dict[bytes, int] = {}
        self._name = b""
        self._full_line = (0, 0)
        self._is_over = False

    def line_fault(self, number: int, line: bytes) -> str:
        """What is wrong with a line, or an empty string."""
        text = line.rstrip(b"\r\n")
        if text.startswith(b">"):
            return self.record_fault() or self._header_fault(number, text)
        if not text:
            self._is_over = True
            return ""
        return self._sequence_fault(number, text, len(line))

    def record_fault(self) -> str:
        """What is wrong with the record that ends here, or an empty string."""
        if self._name and self._full_line == (0, 0):
            return f"contig {_show(self._name)} has no sequence"
        return ""

    def _header_fault(self, number: int, text: bytes) -> str:
        name = b"".join(text[1:].split(maxsplit=1)[:1])
        if not name:
            return f"line {number} is a header without a name"
        try:
            name.decode()
        except UnicodeDecodeError:
            return f"the contig name in line {number} is not UTF-8"
        if name in self._lines_by_name:
            before = self._lines_by_name[name]
            return f"contig {_show(name)} occurs twice (lines {before} and {number})"
        self._lines_by_name[name] = number
        self._name, self._full_line, self._is_over = name, (0, 0), False
        return ""

    def _sequence_fault(self, number: int, text: bytes, n_bytes: int) -> str:
        odd = _NO_LETTER.search(text)
        if odd:
            return f"line {number} has the character {odd.group()!r}"
        if self._full_line == (0, 0):
            self._full_line = (len(text), n_bytes)
        if self._is_over or len(text) > self._full_line[0]:
            return (
                f"line {number} of contig {_show(self._name)} breaks the rule that all lines of a "
                "record but the last have the same length"
            )
        self._is_over = (len(text), n_bytes) != self._full_line
        return ""


def _show(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))
