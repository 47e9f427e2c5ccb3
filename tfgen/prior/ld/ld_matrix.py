"""LD matrices: correlations of genotypes, and what any LD matrix must fulfil."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError
from tfgen.genome import VariantTable
from tfgen.genome.plink import MISSING
from tfgen.genome.variant_table import is_multi_base

Matrix = npt.NDArray[np.float64]

TOLERANCE = 1e-6
"""Allowed error of symmetry, of the diagonal, and of |r| beyond 1."""

_N_EXAMPLES = 3


class Dropped(StrEnum):
    """Why a variant of the panel is not in the LD store."""

    MONOMORPHIC = "MONOMORPHIC"
    MISSING_RATE = "MISSING_RATE"
    LOW_MAF = "LOW_MAF"
    NOT_LISTED = "NOT_LISTED"


@dataclass(frozen=True)
class GenotypeCounts:
    """What is counted over the people, per variant.

    Attributes:
        af: Frequency of the counted allele among known genotypes, NaN if none is known [M].
        missing: Share of unknown genotypes [M].
        varies: Whether two people differ [M] bool.
    """

    af: Matrix
    missing: Matrix
    varies: npt.NDArray[np.bool_]


def count_genotypes(dosages: npt.NDArray[np.int8]) -> GenotypeCounts:
    """Frequencies and missing rates of genotypes [N, M] of 0, 1, 2 or `MISSING`.

    Raises:
        InputFormatError: Another value.
    """
    known = dosages != MISSING
    if np.any((dosages < 0) & known) or np.any(dosages > 2):  # noqa: PLR2004
        raise InputFormatError("a genotype is none of 0, 1, 2 and missing; expected copies of A1")
    n_known = np.count_nonzero(known, axis=0)
    total = np.where(known, dosages, 0).sum(axis=0, dtype=np.int64)
    af = np.divide(total, 2 * n_known, out=np.full(len(n_known), np.nan), where=n_known > 0)
    lowest = np.where(known, dosages, 2).min(axis=0, initial=2)
    highest = np.where(known, dosages, 0).max(axis=0, initial=0)
    return GenotypeCounts(af, 1 - n_known / len(dosages), lowest < highest)


def dropped_reasons(
    counts: GenotypeCounts, max_missing: float, min_maf: float
) -> npt.NDArray[np.object_]:
    """Why each variant is not used: a `Dropped`, or "" for those that are used [M]."""
    reasons = np.full(len(counts.af), "", object)
    maf = np.minimum(counts.af, 1 - counts.af)
    reasons[maf < min_maf] = Dropped.LOW_MAF.value
    reasons[counts.missing > max_missing] = Dropped.MISSING_RATE.value
    reasons[~counts.varies] = Dropped.MONOMORPHIC.value
    return reasons


def standardise(dosages: npt.NDArray[np.int8]) -> Matrix:
    """Genotypes with mean 0 and mean square 1 per variant [N, n]; missing ones become 0.

    The mean is over the known genotypes, and missing ones are set to it; the mean square is over
    all people.

    Raises:
        InputFormatError: A variant is the same in everybody.
    """
    known = dosages != MISSING
    values = np.where(known, dosages, 0).astype(np.float64)
    mean = values.sum(axis=0) / np.maximum(1, np.count_nonzero(known, axis=0))
    values -= mean
    values[~known] = 0
    scale = np.sqrt(np.mean(values**2, axis=0))
    if not np.all(scale > 0):
        raise InputFormatError(
            f"column {int(np.argmin(scale > 0))} of the genotypes is the same in everybody; "
            "drop monomorphic variants first"
        )
    values /= scale
    return values


def correlation_rows(standardised: Matrix, in_centre: npt.NDArray[np.bool_]) -> Matrix:
    """R_w = X_w' X / N with a diagonal of exactly 1 [w, n]."""
    centre = np.flatnonzero(in_centre)
    rows = standardised[:, centre].T @ standardised / len(standardised)
    np.clip(rows, -1, 1, out=rows)
    rows[np.arange(len(centre)), centre] = 1
    # BLAS may round the two triangles differently.
    square = rows[:, centre]
    rows[:, centre] = (square + square.T) / 2
    return np.asarray(rows, np.float64)


def check_correlation(
    matrix: Matrix, label: Callable[[int], str], where: str, tolerance: float = TOLERANCE
) -> None:
    """Makes sure that a matrix can be an LD matrix; whether it is semi-definite is not looked at.

    Args:
        matrix: R [n, n].
        label: Names variant i.
        where: File or block, for messages.
        tolerance: Allowed error of symmetry, of the diagonal, and of |r| beyond 1.

    Raises:
        InputFormatError: Not square, not finite, not symmetric, a diagonal other than 1, or a
            correlation beyond 1.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:  # noqa: PLR2004
        raise InputFormatError(f"{where}: LD of shape {matrix.shape}; expected a square matrix")
    finite = np.isfinite(matrix)
    if not finite.all():
        bad = np.flatnonzero(~finite.all(axis=1))
        worst = int(np.argmin(finite.sum(axis=1)))
        raise InputFormatError(
            f"{where}: LD is not finite in {len(bad)} rows, most in that of {label(worst)}; "
            "compute it again without monomorphic variants"
        )
    _check_diagonal(matrix, label, where, tolerance)
    for start in range(0, len(matrix), 1024):
        part = slice(start, start + 1024)
        difference = np.abs(matrix[part] - matrix[:, part].T)
        if difference.max(initial=0) > tolerance:
            i, j = np.unravel_index(int(np.argmax(difference)), difference.shape)
            raise InputFormatError(
                f"{where}: LD is not symmetric: r of {label(start + int(i))} and {label(int(j))} "
                f"differs by {difference[i, j]:.3g} between the triangles; expected at most "
                f"{tolerance:g}"
            )
        size = np.abs(matrix[part])
        if size.max(initial=0) > 1 + tolerance:
            i, j = np.unravel_index(int(np.argmax(size)), size.shape)
            raise InputFormatError(
                f"{where}: r = {matrix[start + i, j]:.6g} between {label(start + int(i))} and "
                f"{label(int(j))}; expected -1 to 1"
            )


def _check_diagonal(
    matrix: Matrix, label: Callable[[int], str], where: str, tolerance: float
) -> None:
    diagonal = np.diag(matrix)
    error = np.abs(diagonal - 1)
    if error.max(initial=0) > tolerance:
        worst = int(np.argmax(error))
        raise InputFormatError(
            f"{where}: r of {label(worst)} with itself is {diagonal[worst]:.6g}; expected 1 on the "
            "whole diagonal"
        )


def require_unique(variants: VariantTable, where: str) -> None:
    """Stops if two variants have the same contig, position and alleles.

    Single bases in either order are the same variant; A/AT and AT/A need not be: an insertion and
    a deletion.

    Raises:
        InputFormatError: There are such; the message names some.
    """
    if not len(variants):
        return
    ordered = is_multi_base(variants.ref, variants.alt)
    first = np.where(ordered, variants.ref, np.minimum(variants.ref, variants.alt))
    second = np.where(ordered, variants.alt, np.maximum(variants.ref, variants.alt))
    order = np.lexsort((second, first, variants.pos, variants.chrom))
    again = np.ones(len(order) - 1, bool)
    for column in (variants.chrom, variants.pos, first, second):
        again &= column[order[1:]] == column[order[:-1]]
    repeated = order[1:][again]
    if repeated.size:
        names = examples([variants.label(int(row)) for row in repeated])
        raise InputFormatError(
            f"{where}: {repeated.size} variants occur more than once: {names}; remove all but one "
            "of each (plink --rm-dup or --exclude)"
        )


def examples(names: Sequence[str]) -> str:
    """The first names of a list, for a message."""
    more = f" and {len(names) - _N_EXAMPLES} more" if len(names) > _N_EXAMPLES else ""
    return ", ".join(names[:_N_EXAMPLES]) + more
