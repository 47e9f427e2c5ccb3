"""Contig names of one file in the spelling of another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tfgen.errors import InputFormatError, InputMismatchError

_MITOCHONDRION = ("M", "MT")
_N_EXAMPLES = 3


class ContigNames:
    """Finds the FASTA's name for a contig of a variant file.

    A name that the FASTA has stands for itself. Any other is tried with and without "chr", and
    with M for MT; it is taken only when exactly one of these spellings is in the FASTA. An
    override decides before all of that.

    Attributes:
        renamed: Names that resolved to another spelling so far, for the log.
    """

    def __init__(
        self, fasta_contigs: Iterable[str], overrides: Mapping[str, str] | None = None
    ) -> None:
        """Prepares the mapping.

        Args:
            fasta_contigs: Contig names of the FASTA.
            overrides: FASTA name by variant-file name, as `load_contig_map` reads it.

        Raises:
            InputMismatchError: An override leads to a name that the FASTA does not have.
        """
        self.fasta_contigs = tuple(fasta_contigs)
        self._known = frozenset(self.fasta_contigs)
        self._resolved: dict[str, str | None] = {}
        self.renamed: dict[str, str] = {}
        for name, target in (overrides or {}).items():
            if target not in self._known:
                raise InputMismatchError(
                    f"contig map: {name!r} leads to {target!r}, which the FASTA does not have; "
                    f"it has {_examples(self.fasta_contigs)}"
                )
            self._remember(name, target)

    def resolve(self, name: str) -> str | None:
        """The FASTA's name for `name`, or None when there is none or more than one."""
        if name not in self._resolved:
            self._remember(name, self._find(name))
        return self._resolved[name]

    def _remember(self, name: str, target: str | None) -> None:
        self._resolved[name] = target
        if target is not None and target != name:
            self.renamed[name] = target

    def _find(self, name: str) -> str | None:
        if name in self._known:
            return name
        bare = name.removeprefix("chr")
        spellings = _MITOCHONDRION if bare in _MITOCHONDRION else (bare,)
        hits = [
            candidate
            for spelling in spellings
            for candidate in (spelling, f"chr{spelling}")
            if candidate in self._known
        ]
        return hits[0] if len(hits) == 1 else None


def _examples(names: Iterable[str]) -> str:
    names = list(names)
    more = ", ..." if len(names) > _N_EXAMPLES else ""
    return ", ".join(names[:_N_EXAMPLES]) + more


def require_common_contig(
    seen: Iterable[str], names: ContigNames, variants_path: Path, fasta_path: Path
) -> None:
    """Stops when not one contig of a variant file is in the FASTA.

    Args:
        seen: Contig names that occur in the variant file; nothing happens when there are none.
        names: The mapping to the FASTA.
        variants_path: The variant file, for the message.
        fasta_path: The FASTA, for the message.

    Raises:
        InputMismatchError: No contig in common; the message shows three names of each file.
    """
    seen = list(seen)
    # All of them, so that `names.renamed` is complete.
    found = [name for name in seen if names.resolve(name) is not None]
    if seen and not found:
        raise InputMismatchError(
            f"{variants_path} and {fasta_path} have no contig in common: the first has "
            f"{_examples(seen)}, the second {_examples(names.fasta_contigs)}; use the matching "
            "FASTA or give a contig map"
        )


@dataclass(frozen=True, slots=True)
class ContigLengthMismatch:
    """A contig whose length differs between a variant file's header and the FASTA.

    Attributes:
        chrom: Name in the variant file.
        fasta_name: Name in the FASTA.
        header_length: Length in the `##contig` line, in bases.
        fasta_length: Length in the FASTA, in bases.
    """

    chrom: str
    fasta_name: str
    header_length: int
    fasta_length: int

    def __str__(self) -> str:
        return (
            f"contig {self.chrom}: {self.header_length} bp in the header of the variant file, "
            f"{self.fasta_length} bp as {self.fasta_name} in the FASTA"
        )


def contig_length_mismatches(
    header_lengths: Mapping[str, int], fasta_lengths: Mapping[str, int], names: ContigNames
) -> list[ContigLengthMismatch]:
    """Contigs that both files have, but with different lengths: a sign of another assembly.

    Args:
        header_lengths: Lengths of the `##contig` lines, `VariantSummary.contig_lengths`.
        fasta_lengths: Lengths of the FASTA's contigs, `Fasta.contigs`.
        names: The mapping between the two.
    """
    mismatches = []
    for chrom, header_length in header_lengths.items():
        fasta_name = names.resolve(chrom)
        if fasta_name is not None and fasta_lengths[fasta_name] != header_length:
            mismatches.append(
                ContigLengthMismatch(chrom, fasta_name, header_length, fasta_lengths[fasta_name])
            )
    return mismatches


def load_contig_map(path: Path) -> dict[str, str]:
    """Reads a contig map: per line a name in the variant file and the FASTA's name for it.

    Two columns separated by blanks or tabs, as `bcftools annotate --rename-chrs` takes them.
    Blank lines and lines that start with '#' are skipped.

    Raises:
        InputFormatError: The file cannot be read, a line has not two columns, or a name has two
            different targets.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFormatError(
            f"{path}: cannot be read as a contig map of two columns ({error})"
        ) from error
    overrides: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if len(fields) != 2:  # noqa: PLR2004 - two columns
            raise InputFormatError(
                f"{path}:{number}: {len(fields)} columns; expected 2: name, name in the FASTA"
            )
        name, target = fields
        if overrides.setdefault(name, target) != target:
            raise InputFormatError(
                f"{path}:{number}: contig {name!r} leads to {overrides[name]!r} and to {target!r}"
            )
    return overrides
