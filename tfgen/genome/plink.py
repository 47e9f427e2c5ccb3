"""PLINK 1 genotypes: the .bed matrix and its .bim (variants) and .fam (people).

The allele that is counted is A1, column 5 of the .bim; it becomes `alt` of a `VariantTable`, A2
becomes `ref`. Format: https://www.cog-genomics.org/plink/1.9/formats#bed
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.genome.compression import decompressed, require_whole
from tfgen.genome.variant_table import VariantTable

MISSING = -127
"""A genotype that is not known."""

_MAGIC = bytes((0x6C, 0x1B, 0x01))  # the last byte: variant-major, the only order that PLINK writes
_SAMPLE_MAJOR = 0x00
_GENOTYPES_PER_BYTE = 4
_BIM_FIELDS = ("chromosome", "id", "position in cM", "position", "A1", "A2")
_FAM_FIELDS = ("family", "id", "father", "mother", "sex", "phenotype")


@dataclass(frozen=True)
class Sample:
    """One line of a .fam file.

    Attributes:
        family: Family ID.
        id: ID within the family.
        sex: "1" male, "2" female, anything else unknown.
        phenotype: As written; "-9" is missing.
    """

    family: str
    id: str
    sex: str
    phenotype: str


def read_bim(path: Path) -> VariantTable:
    """Reads a .bim or .bim.gz file: one variant per line, six fields, no header.

    Args:
        path: Text, plain, gzip or bgzip; fields are separated by tabs or spaces.

    Returns:
        The variants in file order, `af` NaN: the file has no frequencies.

    Raises:
        InputFormatError: A line has another number of fields, or its position is no number.
    """
    chrom, pos, ref, alt, names = [], [], [], [], []
    for number, fields in _lines(path, _BIM_FIELDS):
        try:
            pos.append(int(fields[3]))
        except ValueError as error:
            raise InputFormatError(
                f"{path}:{number}: position {fields[3]!r}; expected a whole number of bases"
            ) from error
        chrom.append(fields[0])
        names.append(fields[1])
        alt.append(fields[4])
        ref.append(fields[5])
    return VariantTable.of(chrom, pos, ref, alt, names)


def read_fam(path: Path) -> list[Sample]:
    """Reads a .fam file: one person per line, six fields, no header.

    Raises:
        InputFormatError: A line has another number of fields.
        InputMismatchError: A person is there twice.
    """
    samples: list[Sample] = []
    seen: dict[tuple[str, str], int] = {}
    for number, fields in _lines(path, _FAM_FIELDS):
        key = (fields[0], fields[1])
        if key in seen:
            raise InputMismatchError(
                f"{path}:{number}: {fields[0]} {fields[1]} is also in line {seen[key]}; give every "
                "person one line"
            )
        seen[key] = number
        samples.append(Sample(fields[0], fields[1], fields[4], fields[5]))
    return samples


class PlinkGenotypes:
    """Genotypes of a PLINK 1 file; a context manager.

    Args:
        bed: The .bed file, or the name that the three files share without their endings.
        bim: The .bim file; beside the .bed by default, also with the ending .gz.
        fam: The .fam file; beside the .bed by default.

    Attributes:
        bed: The .bed file.
        variants: Its variants, `alt` is the counted allele A1 [M].
        samples: Its people [N].

    Raises:
        InputFormatError: A file cannot be read, or the .bed is no variant-major PLINK 1 file.
        InputMismatchError: The .bed has another size than the other two files imply.
        UsageError: The package bed-reader is missing.
    """

    def __init__(self, bed: Path, bim: Path | None = None, fam: Path | None = None) -> None:
        self.bed, self.bim, self.fam = plink_files(bed, bim, fam)
        self.variants = read_bim(self.bim)
        self.samples = read_fam(self.fam)
        _check_bed(self.bed, len(self.variants), len(self.samples))
        self._reader: Any = None

    def __enter__(self) -> Self:
        """Returns the open file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the file."""
        self._reader = None

    def read(self, variants: slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int8]:
        """How many copies of A1 each person has.

        Args:
            variants: Which variants: a slice or indices.

        Returns:
            0, 1, 2, or `MISSING` [people, variants] int8, one variant after the other in memory.

        Raises:
            InputFormatError: The file cannot be read.
        """
        try:
            if self._reader is None:
                self._reader = _open_bed(self.bed, len(self.samples), len(self.variants))
            found = self._reader.read(
                index=(slice(None), variants), dtype="int8", order="F", num_threads=1
            )
        except (OSError, ValueError) as error:
            raise InputFormatError(f"{self.bed}: cannot be read ({error})") from error
        return np.asarray(found)


def plink_files(
    bed: Path, bim: Path | None = None, fam: Path | None = None
) -> tuple[Path, Path, Path]:
    """The three files of a PLINK 1 data set; those not given lie beside the .bed.

    Raises:
        InputFormatError: One of them does not exist.
    """
    prefix = bed.with_suffix("") if bed.suffix == ".bed" else bed
    bed = bed if bed.suffix == ".bed" else Path(f"{bed}.bed")
    if bim is None:
        bim = Path(f"{prefix}.bim")
        zipped = Path(f"{bim}.gz")
        bim = zipped if zipped.is_file() and not bim.is_file() else bim
    fam = fam or Path(f"{prefix}.fam")
    for path, flag in ((bed, "bed"), (bim, "bim"), (fam, "fam")):
        if not path.is_file():
            raise InputFormatError(f"{path}: no such file; name it with --{flag}")
    return bed, bim, fam


def _lines(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of every line."""
    require_whole(path)
    with decompressed(path) as stream:
        number = 0
        for number, raw in enumerate(stream, start=1):
            try:
                fields = raw.decode().split()
            except UnicodeDecodeError as error:
                raise InputFormatError(
                    f"{path}:{number}: not UTF-8 text ({error.reason}); expected a text file"
                ) from error
            if len(fields) != len(names):
                raise InputFormatError(
                    f"{path}:{number}: {len(fields)} fields; expected {len(names)}: "
                    f"{', '.join(names)}"
                )
            yield number, fields
    if not number:
        raise InputFormatError(f"{path}: is empty; expected lines of {', '.join(names)}")


def _check_bed(path: Path, n_variants: int, n_samples: int) -> None:
    """Compares the first bytes and the size of a .bed with what they must be."""
    with path.open("rb") as stream:
        head = stream.read(len(_MAGIC))
    if head[:2] == _MAGIC[:2] and head[2:] == bytes((_SAMPLE_MAJOR,)):
        raise InputFormatError(
            f"{path}: is ordered by people; make it anew with plink --make-bed, which orders it by "
            "variants"
        )
    if head != _MAGIC:
        raise InputFormatError(
            f"{path}: begins with {head.hex(' ') or 'nothing'}; expected {_MAGIC.hex(' ')}, a "
            "PLINK 1 .bed file"
        )
    size = path.stat().st_size
    row_bytes = -(-n_samples // _GENOTYPES_PER_BYTE)
    expected = len(_MAGIC) + n_variants * row_bytes
    if size != expected:
        raise InputMismatchError(
            f"{path}: has {size:,} bytes, but {n_variants:,} variants of {n_samples:,} people need "
            f"{expected:,}; it is truncated, or the .bim or .fam belongs to another .bed"
        )


def _open_bed(path: Path, n_samples: int, n_variants: int) -> Any:
    """The reader of the file, without its own reading of .bim and .fam."""
    try:
        from bed_reader import open_bed
    except ImportError as error:
        raise UsageError(
            "reading PLINK files needs bed-reader: pip install 'tfgen[geno]'"
        ) from error
    return open_bed(path, iid_count=n_samples, sid_count=n_variants, properties={}, num_threads=1)
