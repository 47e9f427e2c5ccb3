"""Many variants as columns, and which variants of two tables are the same.

The rooms that work on summary statistics, LD and annotations meet here. A row is one variant with
two alleles: `alt` is the allele that is counted, that effects and z-scores refer to (A1 of PLINK,
BOLT, LDSC and PolyFun files), `ref` is the other one (A2). It need not be the allele of the
genome.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError

_COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}
_MITOCHONDRION = {"M": "MT", "26": "MT", "23": "X", "24": "Y"}

Text = npt.NDArray[np.object_]


class AlleleMatch(IntEnum):
    """How the alleles of a variant in one table relate to those in another.

    `COMPLEMENT` matches are only made between single bases, where the other strand is one base
    too. For palindromic pairs (A/T, C/G) the two strands cannot be told apart, so they are SAME or
    SWAPPED; see `is_palindromic`.
    """

    DIFFERENT = 0
    SAME = 1
    SWAPPED = 2
    COMPLEMENT = 3
    COMPLEMENT_SWAPPED = 4

    @property
    def sign(self) -> int:
        """1 if an effect keeps its sign, -1 if it changes, 0 if the alleles do not match."""
        return (0, 1, -1, 1, -1)[self]


SIGNS = np.array([match.sign for match in AlleleMatch], np.int8)
"""The sign of every `AlleleMatch`, to be indexed by an array of them."""


@dataclass(frozen=True)
class VariantTable:
    """Variants as columns of equal length n.

    Attributes:
        chrom: Contig without "chr", for example "22", "X", "MT" [n] str objects.
        pos: 1-based position [n] int64.
        ref: The other allele, upper case [n] str objects.
        alt: The counted allele, upper case [n] str objects.
        id: Identifier such as an rsID, possibly "" [n] str objects.
        af: Frequency of `alt`, NaN where unknown [n] float64.
    """

    chrom: Text
    pos: npt.NDArray[np.int64]
    ref: Text
    alt: Text
    id: Text
    af: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        chrom: Sequence[Any] | npt.NDArray[Any],
        pos: Sequence[int] | npt.NDArray[Any],
        ref: Sequence[str] | npt.NDArray[Any],
        alt: Sequence[str] | npt.NDArray[Any],
        id: Sequence[str] | npt.NDArray[Any] | None = None,
        af: Sequence[float] | npt.NDArray[Any] | None = None,
    ) -> Self:
        """A table from columns in any of the usual forms; contigs and alleles are normalised.

        Raises:
            InputFormatError: The columns differ in length.
        """
        n = len(pos)
        table = cls(
            chrom=contig_names(chrom),
            pos=np.asarray(pos, np.int64),
            ref=_upper(ref),
            alt=_upper(alt),
            id=_text(id) if id is not None else np.full(n, "", object),
            af=np.full(n, np.nan) if af is None else np.asarray(af, np.float64),
        )
        lengths = {field.name: len(getattr(table, field.name)) for field in fields(table)}
        if len(set(lengths.values())) > 1:
            raise InputFormatError(f"columns of different length: {lengths}; make them equal")
        return table

    def __len__(self) -> int:
        """Number of variants."""
        return len(self.pos)

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """The variants of some rows: indices, a mask or a slice."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def label(self, row: int) -> str:
        """A variant for a message, for example `22:16871137:G:A (rs131538)`."""
        name = f" ({self.id[row]})" if self.id[row] else ""
        return f"{self.chrom[row]}:{self.pos[row]}:{self.ref[row]}:{self.alt[row]}{name}"


@dataclass(frozen=True)
class Join:
    """For every variant of one table its row in another.

    Attributes:
        rows: Row in the other table, -1 where it has no such variant [n] int64.
        match: `AlleleMatch` of the pair [n] int8; DIFFERENT where `rows` is -1.
        other_alleles: Whether the other table has variants at this position, but none with these
            alleles [n] bool.
    """

    rows: npt.NDArray[np.int64]
    match: npt.NDArray[np.int8]
    other_alleles: npt.NDArray[np.bool_]

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Whether a variant is in the other table [n]."""
        return self.rows >= 0

    @property
    def signs(self) -> npt.NDArray[np.int8]:
        """By what a signed statistic of the other table is multiplied; 0 if not found [n]."""
        return SIGNS[self.match]


def contig_names(names: Sequence[Any] | npt.NDArray[Any]) -> Text:
    """Contigs without "chr" and with PLINK's numbers for X, Y and MT resolved."""
    found: dict[object, str] = {}
    for name in set(names.tolist() if isinstance(names, np.ndarray) else names):
        bare = str(name).removeprefix("chr")
        found[name] = _MITOCHONDRION.get(bare, bare)
    return np.array([found[name] for name in names], object)


def match_alleles(ref: Text, alt: Text, other_ref: Text, other_alt: Text) -> npt.NDArray[np.int8]:
    """How alleles relate to those of another table, row by row.

    Args:
        ref: Alleles [n], upper case.
        alt: Alleles [n].
        other_ref: Alleles [n] of the other table.
        other_alt: Alleles [n] of the other table.

    Returns:
        `AlleleMatch` [n].
    """
    flipped_ref, flipped_alt = _complement(other_ref), _complement(other_alt)
    result = np.full(len(ref), AlleleMatch.DIFFERENT, np.int8)
    # From the least to the most preferred: a palindromic pair is SAME or SWAPPED.
    result[(ref == flipped_alt) & (alt == flipped_ref)] = AlleleMatch.COMPLEMENT_SWAPPED
    result[(ref == flipped_ref) & (alt == flipped_alt)] = AlleleMatch.COMPLEMENT
    result[(ref == other_alt) & (alt == other_ref)] = AlleleMatch.SWAPPED
    result[(ref == other_ref) & (alt == other_alt)] = AlleleMatch.SAME
    return result


def is_palindromic(ref: Text, alt: Text) -> npt.NDArray[np.bool_]:
    """Whether the two alleles are each other's complement (A/T, C/G): strands look alike [n]."""
    return np.asarray(ref == _complement(alt), bool)


def join_variants(left: VariantTable, right: VariantTable, right_name: str = "table") -> Join:
    """Finds every variant of `left` in `right` by contig, position and alleles.

    Where `right` has several variants at a position, the best `AlleleMatch` is taken. A/AT and AT/A
    may be two variants, an insertion and a deletion at the same position. Where a table lists
    both, neither is taken for the other: alleles of several bases are not swapped if either of
    the two rows has a SAME match.

    Args:
        left: The variants to look for.
        right: Where to look.
        right_name: Its name, for the message.

    Raises:
        InputFormatError: `right` has a variant twice that `left` has, so that it is unclear which
            of its rows is meant.
    """
    import pandas as pd

    frames = [
        pd.DataFrame({"chrom": table.chrom, "pos": table.pos, name: np.arange(len(table))})
        for table, name in ((left, "left"), (right, "right"))
    ]
    pairs = frames[0].merge(frames[1], on=["chrom", "pos"])
    i, j = pairs["left"].to_numpy(), pairs["right"].to_numpy()
    match = match_alleles(left.ref[i], left.alt[i], right.ref[j], right.alt[j])
    at_position = np.zeros(len(left), bool)
    at_position[i] = True
    hit = match != AlleleMatch.DIFFERENT
    i, j, match = i[hit], j[hit], match[hit]
    hit = _unless_both_orders(left, i, j, match)
    i, j, match = i[hit], j[hit], match[hit]
    order = np.lexsort((j, match, i))
    i, j, match = i[order], j[order], match[order]
    first = np.ones(len(i), bool)
    first[1:] = i[1:] != i[:-1]
    again = np.flatnonzero(~first & (match == np.roll(match, 1)))
    if again.size:
        row = int(j[again[0]])
        raise InputFormatError(
            f"{right_name}: {right.label(row)} occurs more than once; remove all but one of them"
        )
    rows = np.full(len(left), -1, np.int64)
    codes = np.full(len(left), AlleleMatch.DIFFERENT, np.int8)
    rows[i[first]], codes[i[first]] = j[first], match[first]
    return Join(rows, codes, at_position & (rows < 0))


def is_multi_base(ref: Text, alt: Text) -> npt.NDArray[np.bool_]:
    """Whether an allele is longer than one base, as those of indels are [n]."""
    return np.array([len(r) > 1 or len(a) > 1 for r, a in zip(ref, alt, strict=True)], bool)


def _unless_both_orders(
    left: VariantTable,
    i: npt.NDArray[np.int64],
    j: npt.NDArray[np.int64],
    match: npt.NDArray[np.int8],
) -> npt.NDArray[np.bool_]:
    """Which pairs of rows remain if indels of which both orders are listed are not swapped."""
    same = match == AlleleMatch.SAME
    taken = np.isin(i, i[same]) | np.isin(j, j[same])
    swapped = np.flatnonzero((match == AlleleMatch.SWAPPED) & taken)
    kept = np.ones(len(i), bool)
    kept[swapped] = ~is_multi_base(left.ref[i[swapped]], left.alt[i[swapped]])
    return kept


def _complement(alleles: Text) -> Text:
    """The other strand of single bases; None for anything else, which equals no allele."""
    return np.array([_COMPLEMENT.get(allele) for allele in alleles], object)


def _text(values: Sequence[Any] | npt.NDArray[Any]) -> Text:
    return np.array([str(value) for value in values], object)


def _upper(values: Sequence[Any] | npt.NDArray[Any]) -> Text:
    return np.array([str(value).upper() for value in values], object)
