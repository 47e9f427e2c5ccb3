"""Variants in text files: VCF with any number of columns from five on, and site tables.

htslib refuses VCFs without INFO, FORMAT or `#CHROM` lines, repairs what it reads, and guesses where
it cannot parse. This reader takes the first five columns as they are and names the line of whatever
it cannot read.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tfgen.errors import InputFormatError
from tfgen.genome.compression import decompressed, require_whole
from tfgen.genome.variant_sites import Site, contig_length, upper_alleles

_N_COLUMNS: Final = 5
_POSITION: Final = re.compile(rb"-?[0-9]{1,18}")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class VariantText:
    """The records of a VCF or of a table of sites, plain, gzip or bgzip.

    Attributes:
        contig_lengths: Lengths of the `##contig` lines, in bases. Complete once the first record
            has been read.
    """

    def __init__(self, path: Path, is_table: bool = False) -> None:
        """Prepares to read.

        Args:
            path: The file.
            is_table: A table of chrom, pos, id, ref, alt, with or without a line of column names,
                instead of a VCF, which must begin with a header line.
        """
        self.path = path
        self.contig_lengths: dict[str, int] = {}
        self._is_table = is_table
        self._has_header = False

    def sites(self) -> Iterator[Site]:
        """Reads the records in file order.

        Raises:
            InputFormatError: The file cannot be read, is empty, truncated, or has a line that
                cannot be parsed; the message has the line.
        """
        require_whole(self.path)
        with decompressed(self.path) as handle:
            yield from self._parse(handle)

    def _parse(self, lines: Iterable[bytes]) -> Iterator[Site]:
        in_header = True
        for number, line in self._filled_lines(lines):
            if in_header:
                in_header = self._read_header(number, line)
            if not in_header:
                yield self._site(number, line)

    def _filled_lines(self, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
        """Numbers the lines and refuses blank ones, except at the end of the file."""
        blank = 0
        is_empty = True
        for number, line in enumerate(lines, 1):
            if line.isspace():
                blank = blank or number
            elif blank:
                raise self._error(blank, "blank line; remove it")
            else:
                is_empty = False
                yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if is_empty:
            raise InputFormatError(f"{self.path}: is empty; expected variants")

    def _read_header(self, number: int, line: bytes) -> bool:
        """Takes what is needed from a header line; False when the line is a record."""
        text = line.rstrip(b"\r\n")
        if b"\r" in text:
            raise self._error(number, "carriage returns within the line; convert the line ends")
        if not text.startswith(b"##"):
            return self._read_column_names(number, text)
        contig = contig_length(text.decode("utf-8", "replace"))
        if contig is not None:
            self.contig_lengths[contig[0]] = contig[1]
        self._has_header = True
        return True

    def _read_column_names(self, number: int, text: bytes) -> bool:
        """Checks the line of column names; False when the line is a record."""
        names = [name.lower() for name in text.split(b"\t", _N_COLUMNS)[:_N_COLUMNS]]
        if names[1:2] == [b"pos"] and names[3:] != [b"ref", b"alt"]:
            raise self._error(number, f"columns are {names}; expected chrom, pos, id, ref, alt")
        if text.startswith(b"#") or (self._is_table and names[1:2] == [b"pos"]):
            self._has_header = True
            return True
        if not self._has_header and not self._is_table:
            raise self._error(
                number,
                "no VCF header before the first record; begin a VCF with ##fileformat, and read a "
                "table of chrom, pos, id, ref, alt with the format 'tsv'",
            )
        return False

    def _site(self, number: int, line: bytes) -> Site:
        """Parses one record."""
        text = line.rstrip(b"\r\n")
        fields = text.split(b"\t", _N_COLUMNS)
        if len(fields) < _N_COLUMNS or b"\r" in text or text.startswith(b"#"):
            raise self._error(number, _line_fault(text))
        if _POSITION.fullmatch(fields[1]) is None:
            raise self._error(number, f"POS {_show(fields[1])} is not an integer of 64 bits")
        chrom = self._decoded(number, fields[0])
        name = self._decoded(number, fields[2])
        ref = self._decoded(number, fields[3].upper())
        alts = self._decoded(number, fields[4]).split(",")
        if not chrom:
            raise self._error(number, "the contig name is empty")
        return Site(number, chrom, int(fields[1]), name or ".", ref, upper_alleles(alts))

    def _decoded(self, number: int, field: bytes) -> str:
        try:
            text = field.decode()
        except UnicodeDecodeError:
            raise self._error(number, f"{_show(field)} is not UTF-8") from None
        if not text.isprintable():
            raise self._error(number, f"{_show(field)} has a character that cannot be printed")
        return text

    def _error(self, number: int, message: str) -> InputFormatError:
        return InputFormatError(f"{self.path}:{number}: {message}")


def _line_fault(text: bytes) -> str:
    """Why a line is no record."""
    if text.startswith(b"#"):
        return "header line after the first record; were several files concatenated?"
    if b"\r" in text:
        return "carriage returns within the line; convert the line ends"
    n_columns = text.count(b"\t") + 1
    if len(text.split()) >= _N_COLUMNS:
        return f"spaces instead of tabs: {n_columns} tab-separated columns; expected at least 5"
    return f"{n_columns} tab-separated columns; expected at least 5: chrom, pos, id, ref, alt"


def _show(field: bytes) -> str:
    """A field for a message, cut to a readable length."""
    return repr(field[:40])[1:]
