"""Values that belong to variants of a file, found for variants of another."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome import VariantTable, join_variants

_N_EXAMPLES = 3
_TWICE = "occurs more than once; remove all but one of them (a --table can join them: agg=max)"

Floats = npt.NDArray[np.float32]


class VariantIndex:
    """Finds the rows of a file for variants of another.

    Args:
        name: The file, for messages.
        variants: The key of each row; without alleles `ref` and `alt` are "" everywhere.
        has_alleles: Whether a row is meant for its alleles only.

    Raises:
        InputFormatError: A key occurs more than once: position and alleles, or position and
            identifier where there are no alleles.
    """

    def __init__(self, name: str, variants: VariantTable, has_alleles: bool) -> None:
        self._name = name
        self._has_alleles = has_alleles
        contigs, codes = _coded(variants)
        self._order = np.lexsort((variants.pos, codes))
        self._variants = variants.take(self._order)
        codes = codes[self._order]
        edges = np.searchsorted(codes, np.arange(len(contigs) + 1)).tolist()
        self._spans = {chrom: (edges[i], edges[i + 1]) for i, chrom in enumerate(contigs)}
        _refuse_duplicates(name, codes, self._variants, has_alleles)

    def find(self, variants: VariantTable) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
        """The rows of given variants.

        With alleles, they must match in any order and on either strand. Without, a row of the
        position with the identifier of the variant is taken, else the only row of the position;
        of several rows none.

        Args:
            variants: Any variants [m].

        Returns:
            Row, -1 where there is none [m], and -1 where the counted allele is the other one,
            else 1 [m].
        """
        rows = np.full(len(variants), -1, np.int64)
        signs = np.ones(len(variants), np.int8)
        for chrom, mine in by_contig(variants):
            first, last = self._spans.get(chrom, (0, 0))
            pos = variants.pos[mine]
            low, high = np.searchsorted(
                self._variants.pos[first:last], [pos.min(), pos.max() + 1]
            ).tolist()
            if low < high:
                left = variants.take(mine)
                right = self._variants.take(slice(first + low, first + high))
                found, sign = self._find_on_contig(left, right)
                hit = found >= 0
                rows[mine[hit]] = self._order[first + low + found[hit]]
                signs[mine[hit]] = sign[hit]
        return rows, signs

    @property
    def examples(self) -> tuple[str, ...]:
        """The first keys of the file in the order of contig and position, for a message."""
        few = range(min(_N_EXAMPLES, len(self._variants)))
        if self._has_alleles:
            return tuple(self._variants.label(row) for row in few)
        return tuple(f"{self._variants.chrom[row]}:{self._variants.pos[row]}" for row in few)

    def finds_any(self, variants: VariantTable) -> bool:
        """Whether any of given variants has a row."""
        return any(
            (self.find(variants.take(rows))[0] >= 0).any() for _, rows in by_contig(variants)
        )

    def _find_on_contig(
        self, left: VariantTable, right: VariantTable
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
        if self._has_alleles:
            join = join_variants(left, right, self._name)
            return join.rows, join.signs
        return _rows_at(left, right), np.ones(len(left), np.int8)


class KeyedValues:
    """Columns of numbers whose rows are keyed by position, and by alleles where there are any.

    Args:
        name: The file, for messages.
        variants: The key of each row.
        values: The numbers [rows, columns].
        has_alleles: Whether a row is meant for its alleles only.

    Attributes:
        index: Finds the rows of variants.

    Raises:
        InputFormatError: A key occurs more than once.
    """

    def __init__(
        self, name: str, variants: VariantTable, values: npt.NDArray[Any], has_alleles: bool
    ) -> None:
        self.index = VariantIndex(name, variants, has_alleles)
        self._values = np.asarray(values, np.float32)

    def lookup(self, variants: VariantTable, signed: bool = False) -> Floats:
        """The values of given variants.

        Args:
            variants: Any variants [m].
            signed: Multiply by -1 where the counted allele is the other one.

        Returns:
            Values [m, columns], NaN where there is no row.
        """
        rows, signs = self.index.find(variants)
        values = _taken(self._values, rows)
        return values * signs[:, None].astype(np.float32) if signed else values


class NamedValues:
    """Columns of numbers whose rows are keyed by the identifiers of variants alone.

    Args:
        name: The file, for messages.
        ids: Identifier of each row.
        values: The numbers [rows, columns].

    Raises:
        InputFormatError: An identifier occurs more than once.
    """

    def __init__(self, name: str, ids: npt.NDArray[np.object_], values: npt.NDArray[Any]) -> None:
        self._values = np.asarray(values, np.float32)
        self._rows: dict[str, int] = {}
        for row, identifier in enumerate(ids):
            if self._rows.setdefault(identifier, row) != row:
                raise InputFormatError(f"{name}: {identifier!r} {_TWICE}")

    @property
    def examples(self) -> tuple[str, ...]:
        """The first identifiers of the file, for a message."""
        return tuple(islice(self._rows, _N_EXAMPLES))

    def finds_any(self, variants: VariantTable) -> bool:
        """Whether any of given variants has a row."""
        return any(name in self._rows for name in variants.id)

    def lookup(self, variants: VariantTable, signed: bool = False) -> Floats:
        """The values of given variants [m, columns], NaN where there is no row.

        Raises:
            ValueError: `signed`, which needs alleles.
        """
        if signed:
            raise ValueError("signed values need alleles")
        rows = np.array([self._rows.get(name, -1) for name in variants.id], np.int64)
        return _taken(self._values, rows)


def require_match(
    label: str, variants: VariantTable, indices: Iterable[VariantIndex | NamedValues]
) -> None:
    """Stops when a source has none of the variants: nearly always another build, or other names.

    Args:
        label: The source, for the message.
        variants: All variants.
        indices: What finds their rows; of a source of several files, one after the other.

    Raises:
        InputMismatchError: Nothing is found; three variants of either side are named.
    """
    examples: list[str] = []
    for index in indices:
        if index.finds_any(variants):
            return
        examples += index.examples
    ours = ", ".join(variants.label(row) for row in range(min(_N_EXAMPLES, len(variants))))
    theirs = ", ".join(examples[:_N_EXAMPLES])
    raise InputMismatchError(
        f"{label}: has none of the {len(variants)} variants; it has {theirs or 'no rows'}, the "
        f"list {ours}; check build, contigs, alleles and identifiers"
    )


def by_contig(variants: VariantTable) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Every contig with the rows of its variants, in the order of first occurrence."""
    contigs, codes = _coded(variants)
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(contigs) + 1))
    for code, chrom in enumerate(contigs):
        yield chrom, order[edges[code] : edges[code + 1]]


def _coded(variants: VariantTable) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The contigs in the order of first occurrence, and for every variant the number of its own."""
    contigs = {chrom: code for code, chrom in enumerate(dict.fromkeys(variants.chrom))}
    return list(contigs), np.array([contigs[chrom] for chrom in variants.chrom], np.int64)


def _taken(values: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    """Rows of a matrix, NaN for row -1."""
    taken = np.full((len(rows), values.shape[1]), np.nan, np.float32)
    taken[rows >= 0] = values[rows[rows >= 0]]
    return taken


def _rows_at(variants: VariantTable, right: VariantTable) -> npt.NDArray[np.int64]:
    """The row of each variant's position: that of its identifier, else the only one, else -1."""
    low = np.searchsorted(right.pos, variants.pos)
    high = np.searchsorted(right.pos, variants.pos, side="right")
    rows = np.where(high - low == 1, low, -1)
    for i in np.flatnonzero(high - low > 1):
        same = np.flatnonzero(right.id[low[i] : high[i]] == variants.id[i])
        if same.size and variants.id[i]:
            rows[i] = low[i] + same[0]
    return np.asarray(rows, np.int64)


def _refuse_duplicates(
    name: str, codes: npt.NDArray[np.int64], variants: VariantTable, has_alleles: bool
) -> None:
    """Raises InputFormatError if a key of the sorted rows occurs twice."""
    same = (codes[1:] == codes[:-1]) & (variants.pos[1:] == variants.pos[:-1])
    if not same.any():
        return
    crowded = np.flatnonzero(np.r_[same, False] | np.r_[False, same])
    seen: set[tuple[object, ...]] = set()
    for row in crowded:
        alleles = (variants.ref[row], variants.alt[row]) if has_alleles else (variants.id[row],)
        key = (codes[row], variants.pos[row], *alleles)
        if key in seen:
            raise InputFormatError(f"{name}: {variants.label(int(row))} {_TWICE}")
        seen.add(key)
