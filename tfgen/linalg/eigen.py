"""Eigendecomposition of matrices that should have no negative eigenvalue (LAPACK, float64)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, NumericalError, UsageError

Array = npt.NDArray[np.float64]

FIXES = ("error", "clip", "shrink")

_ASYMMETRY = 1e-6


@dataclass(frozen=True)
class PsdRepair:
    """What was done to a matrix, to be recorded beside what was made from it.

    Attributes:
        fix: "none", "clip" or "shrink".
        min_eigenvalue: The smallest eigenvalue before.
        n_negative: Eigenvalues below the tolerance before.
        shrinkage: s of (1 - s) R + s I; 0 without it.
        max_change: Largest absolute change of an entry.
    """

    fix: str
    min_eigenvalue: float
    n_negative: int
    shrinkage: float = 0.0
    max_change: float = 0.0


class PsdEigen(NamedTuple):
    """Eigenvalues and eigenvectors, and the matrix that they belong to.

    Attributes:
        values: Descending, float64 `[k]`, none negative.
        vectors: A column each, float64 `[k, k]`.
        matrix: The matrix after the repair, symmetric, float64 `[k, k]`.
        repair: What was done.
    """

    values: Array
    vectors: Array
    matrix: Array
    repair: PsdRepair


def psd_eigh(
    matrix: npt.ArrayLike,
    name: str,
    fix: str = "error",
    tolerance: float = 1e-6,
    shrinkage: float | None = None,
    floor: float | None = None,
) -> PsdEigen:
    """Decomposes a symmetric matrix; a negative eigenvalue stops, or is repaired as asked.

    Negative eigenvalues within `tolerance` times the largest one are rounding and become zero.

    * `clip` sets negative eigenvalues to zero and scales rows and columns so that the diagonal is
      what it was (one, for correlations).
    * `shrink` takes (1 - s) R + s I with the smallest s that has no negative eigenvalue,
      s = -l / (1 - l) for the smallest eigenvalue l; or with the given s, whether needed or not.

    Args:
        matrix: `[k, k]`, symmetric to 1e-6 of its largest entry.
        name: What it is, for messages: "LD of block chr1_1_3000001".
        fix: "error", "clip" or "shrink".
        tolerance: Largest negative eigenvalue that is rounding, relative to the largest one.
        shrinkage: s in [0, 1], for "shrink" only.
        floor: The negative eigenvalue down to which they are rounding, instead of `tolerance`.

    Returns:
        The decomposition, of the repaired matrix if it was repaired.

    Raises:
        InputFormatError: Not square, empty, not finite, not symmetric, or "clip" of a matrix
            whose diagonal is not positive.
        NumericalError: A negative eigenvalue beyond the tolerance that nothing repairs, or LAPACK
            did not converge.
        UsageError: There is no such fix, or `shrinkage` has no meaning.
    """
    if fix not in FIXES:
        raise UsageError(f"no repair is called {fix!r}; expected {', '.join(FIXES)}")
    if shrinkage is not None and (fix != "shrink" or not 0 <= shrinkage <= 1):
        raise UsageError(f"shrinkage {shrinkage:g} with {fix!r}; expected 0 to 1, with 'shrink'")
    given = _checked(np.asarray(matrix, np.float64), name)
    values, vectors = _eigh(given, name)
    least = float(values[-1])
    if floor is None:
        floor = -tolerance * max(float(values[0]), 0.0)
    negative = int(np.count_nonzero(values < floor))
    if shrinkage is None and not negative:
        repair = PsdRepair("none", least, 0)
        return PsdEigen(np.maximum(values, 0), vectors, given, repair)
    if fix == "clip":
        return _clipped(given, values, vectors, negative, name)
    if fix == "shrink":
        amount = -least / (1 - least) if shrinkage is None else shrinkage
        shrunk = (1 - amount) * values + amount
        if shrunk[-1] >= min(floor, -tolerance * max(float(shrunk[0]), 0.0)):
            fixed = (1 - amount) * given + amount * np.eye(len(given))
            change = float(np.abs(fixed - given).max())
            repair = PsdRepair("shrink", least, negative, float(amount), change)
            return PsdEigen(np.maximum(shrunk, 0), vectors, fixed, repair)
    shrunk_by = "" if shrinkage is None else f" and shrinkage {shrinkage:g} does not lift it"
    raise NumericalError(
        f"{name}: not positive semi-definite, smallest eigenvalue {least:g}{shrunk_by}; "
        f"{negative} of {len(values)} are below {floor:g}, expected none: check that the matrix is "
        "complete, or repair it with 'clip' or 'shrink'"
    )


def _checked(matrix: Array, name: str) -> Array:
    """The matrix, made exactly symmetric."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:  # noqa: PLR2004
        raise InputFormatError(f"{name}: shape {matrix.shape}; expected a square matrix")
    bad = np.argwhere(~np.isfinite(matrix))
    if len(bad):
        row, column = bad[0]
        raise InputFormatError(
            f"{name}: {len(bad)} entries are not finite, the first in row {row}, column {column} "
            "(from 0); expected numbers only: remove those variants"
        )
    difference = np.abs(matrix - matrix.T)
    row, column = np.unravel_index(np.argmax(difference), matrix.shape)
    if difference[row, column] > _ASYMMETRY * np.abs(matrix).max():
        raise InputFormatError(
            f"{name}: not symmetric, {matrix[row, column]:g} in row {row}, column {column} (from "
            f"0) and {matrix[column, row]:g} across the diagonal; expected equal entries"
        )
    return (matrix + matrix.T) / 2


def _eigh(matrix: Array, name: str) -> tuple[Array, Array]:
    """Eigenvalues, descending, and eigenvectors."""
    try:
        values, vectors = np.linalg.eigh(matrix)
    except np.linalg.LinAlgError as error:
        raise NumericalError(f"{name}: the eigendecomposition did not converge") from error
    return values[::-1], vectors[:, ::-1]


def _clipped(given: Array, values: Array, vectors: Array, negative: int, name: str) -> PsdEigen:
    diagonal = np.diag(given)
    if diagonal.min() <= 0:
        raise InputFormatError(
            f"{name}: the smallest diagonal entry is {diagonal.min():g}; expected positive ones "
            "(1 for correlations) to scale the clipped matrix back to"
        )
    clipped = (vectors * np.maximum(values, 0)) @ vectors.T
    # The diagonal of the clipped matrix is not smaller than that of the given one.
    scale = np.sqrt(diagonal / np.diag(clipped))
    fixed = clipped * scale[:, None] * scale
    fixed = (fixed + fixed.T) / 2
    np.fill_diagonal(fixed, diagonal)
    again, rotated = _eigh(fixed, name)
    change = float(np.abs(fixed - given).max())
    repair = PsdRepair("clip", float(values[-1]), negative, max_change=change)
    return PsdEigen(np.maximum(again, 0), rotated, fixed, repair)
