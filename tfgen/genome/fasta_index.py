"""The `.fai` index of a FASTA file: found, compared with the file, or made anew.

An index that does not belong to its FASTA yields wrong bases without any error, and file times say
little after a copy or a checkout. So an index is used only when it describes the file that is
there: one header with the right name directly before every record, lines that end where the index
says, and nothing left over.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pysam

from tfgen.errors import InputFormatError, OutputError
from tfgen.genome.bgzf import BgzfBytes, PlainBytes
from tfgen.genome.compression import compression
from tfgen.genome.fasta_faults import find_fault
from tfgen.genome.htslib import quiet_htslib
from tfgen.io.atomic import publish

IndexOrigin = Literal["existing", "built", "rebuilt"]

_FAI_LINE: Final = re.compile(rb"([^\t]+)" + rb"\t(\d{1,18})" * 4)
_LONGEST_HEADER: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One record of a `.fai` index.

    Attributes:
        name: Contig name.
        length: Number of bases.
        offset: Byte of the first base in the uncompressed file.
        line_bases: Bases per full line.
        line_bytes: Bytes per full line, its end included.
    """

    name: str
    length: int
    offset: int
    line_bases: int
    line_bytes: int

    def byte_of(self, position: int) -> int:
        """Byte of the base at a 0-based position of the contig."""
        lines, rest = divmod(position, self.line_bases)
        return self.offset + lines * self.line_bytes + rest


@dataclass(frozen=True, slots=True)
class FastaIndex:
    """An index that fits its FASTA.

    Attributes:
        fai: The `.fai` file.
        gzi: The `.gzi` file of a bgzip FASTA, None for a plain one.
        contigs: Length of each contig in bases, in file order.
        origin: Whether the index was there, was missing, or did not fit.
    """

    fai: Path
    gzi: Path | None
    contigs: dict[str, int]
    origin: IndexOrigin


@contextmanager
def fitting_index(path: Path) -> Iterator[FastaIndex]:
    """Yields an index of a FASTA file; its files may be gone when the block ends.

    The index beside the FASTA is used when it fits. Otherwise one is made, and kept beside the
    FASTA where that folder may be written.

    Args:
        path: Plain or bgzip FASTA.

    Raises:
        InputFormatError: The FASTA cannot be indexed; the message says why.
    """
    has_blocks = compression(path) == "bgzf"
    fai, gzi = Path(f"{path}.fai"), Path(f"{path}.gzi") if has_blocks else None
    contigs = _existing(path, fai, gzi)
    if contigs is not None:
        yield FastaIndex(fai, gzi, contigs, "existing")
        return
    origin: IndexOrigin = "rebuilt" if fai.exists() else "built"
    with tempfile.TemporaryDirectory(prefix="tfgen-fai-") as folder:
        new_fai, new_gzi = Path(folder, "fai"), Path(folder, "gzi") if has_blocks else None
        contigs = _build(path, new_fai, new_gzi)
        if _may_write(path.parent):
            for new, final in ((new_gzi, gzi), (new_fai, fai)):
                if new is not None and final is not None:
                    _keep(new, final)
        yield FastaIndex(new_fai, new_gzi, contigs, origin)


def _existing(path: Path, fai: Path, gzi: Path | None) -> dict[str, int] | None:
    """The contigs of an index that is there and fits, else None."""
    if not fai.is_file() or (gzi is not None and not gzi.is_file()):
        return None
    try:
        return _contigs_if_fitting(path, fai, gzi)
    except (InputFormatError, OSError):
        return None


def _build(path: Path, fai: Path, gzi: Path | None) -> dict[str, int]:
    """Writes an index with htslib and checks it as any other."""
    arguments = ["--fai-idx", str(fai)]
    if gzi is not None:
        arguments += ["--gzi-idx", str(gzi)]
    try:
        with quiet_htslib():
            pysam.faidx(str(path), *arguments)
        return _contigs_if_fitting(path, fai, gzi)
    except (pysam.SamtoolsError, InputFormatError) as error:
        raise InputFormatError(f"{path}: cannot be indexed: {find_fault(path)}") from error


def _may_write(folder: Path) -> bool:
    """Whether a folder is meant to be written; its mode bits bind the superuser too."""
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)


def _keep(new: Path, final: Path) -> None:
    """Copies an index file to its place. Without success the next run makes it again."""
    partial = final.with_name(f"{final.name}.partial-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        shutil.copyfile(new, partial)
        publish(partial, final)
    except (OSError, OutputError):
        partial.unlink(missing_ok=True)


def _contigs_if_fitting(path: Path, fai: Path, gzi: Path | None) -> dict[str, int]:
    """Length of each contig, if the index describes the FASTA.

    Raises:
        InputFormatError: It does not; the message says where.
    """
    entries = _read_fai(fai)
    source = PlainBytes(path) if gzi is None else BgzfBytes(path, gzi)
    try:
        behind = 0
        for entry in sorted(entries, key=lambda entry: entry.offset):
            header = source.read(behind, min(max(entry.offset - behind, 0), _LONGEST_HEADER))
            _require_header(entry, header, is_first=behind == 0)
            _require_line_ends(entry, source)
            behind = entry.byte_of(entry.length - 1) + 1
        rest = source.read(behind, _LONGEST_HEADER)
    finally:
        source.close()
    if rest.strip():
        raise InputFormatError(f"{fai}: the FASTA goes on behind the last record")
    return {entry.name: entry.length for entry in entries}


def _require_header(entry: IndexEntry, header: bytes, is_first: bool) -> None:
    """Checks the bytes between the last base of a record and the first base of the next."""
    starts_line = is_first or header.startswith((b"\n", b"\r\n"))
    text = header.strip()
    name = text[1:].split(maxsplit=1)[:1]
    fits = (
        starts_line
        and text.startswith(b">")
        and header.endswith(b"\n")
        and b"\n" not in text
        and name == [entry.name.encode()]
    )
    if not fits:
        raise InputFormatError(f"no header of {entry.name!r} directly before its first base")


def _require_line_ends(entry: IndexEntry, source: PlainBytes | BgzfBytes) -> None:
    """Checks the line ends of the first, a middle and the last full line of a record."""
    n_full = (entry.length - 1) // entry.line_bases
    for line in {0, n_full // 2, n_full - 1} if n_full else set():
        last = entry.byte_of(line * entry.line_bases + entry.line_bases - 1)
        around = source.read(last, entry.line_bytes - entry.line_bases + 2)
        if around[:1].isspace() or around[1:-1] not in (b"\n", b"\r\n") or around[-1:].isspace():
            raise InputFormatError(f"a line of {entry.name!r} does not end at byte {last}")


def _read_fai(path: Path) -> list[IndexEntry]:
    """The records of a `.fai` file.

    Raises:
        InputFormatError: A line is none of an index of FASTA, or a name occurs twice.
    """
    entries: dict[str, IndexEntry] = {}
    for line in path.read_bytes().splitlines():
        match = _FAI_LINE.fullmatch(line)
        if match is None:
            raise InputFormatError(f"{path}: {line!r} is no line of a FASTA index")
        name = match.group(1)
        length, offset, line_bases, line_bytes = map(int, match.groups()[1:])
        if min(length, offset, line_bases) < 1 or line_bytes < line_bases:
            raise InputFormatError(f"{path}: {line!r} has impossible numbers")
        try:
            entry = IndexEntry(name.decode(), length, offset, line_bases, line_bytes)
        except UnicodeDecodeError as error:
            raise InputFormatError(f"{path}: contig name {name!r} is not UTF-8") from error
        if entry.name in entries:
            raise InputFormatError(f"{path}: contig name {entry.name!r} occurs twice")
        entries[entry.name] = entry
    return list(entries.values())
