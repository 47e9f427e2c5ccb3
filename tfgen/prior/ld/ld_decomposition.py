"""Eigendecomposition of the LD of a block: from R to the whitened form Q, P and eigenvalues.

With R_ww = U diag(lambda) U' the LD of the observed variants, cut to the kept eigenvalues:
P = lambda^(-1/2) U' and Q = P R_w, so that z_w ~ N(0, R_w F R_w' + sigma R_ww) becomes
y = P z_w ~ N(0, Q F Q' + sigma I).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tfgen.linalg.eigen import psd_eigh

LdFix = Literal["error", "clip", "shrink"]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DecompositionOptions:
    """What is kept of the LD of a block.

    Attributes:
        eps: Eigenvalues up to this are noise.
        var_kept: Share of the sum of positive eigenvalues to keep.
        shrink: s of (1 - s) R + s I, which replaces R before anything else.
        ld_fix: What is done when an eigenvalue is below -eps: stop; set negative ones to 0 and
            scale the diagonal back to 1; or shrink by the least s that lifts them to 0.
    """

    eps: float = 1e-4
    var_kept: float = 0.995
    shrink: float = 0.0
    ld_fix: LdFix = "error"


@dataclass(frozen=True)
class Decomposition:
    """The whitened form of a block.

    Attributes:
        q: Q [k, n] float64.
        p: P [k, w] float64.
        eigenvalues: Those kept, descending [k].
        discarded_variance: Share of the sum of positive eigenvalues that was not kept.
        min_eigenvalue: The smallest eigenvalue of R_ww as given, before `ld_fix`.
    """

    q: Matrix
    p: Matrix
    eigenvalues: Matrix
    discarded_variance: float
    min_eigenvalue: float


def n_kept(eigenvalues: Matrix, eps: float, var_kept: float) -> tuple[int, float]:
    """How many eigenvalues are kept, and what share of the positive ones' sum is not.

    Args:
        eigenvalues: Descending [w].
        eps: Only larger ones are kept.
        var_kept: Of those, the smallest number whose sum is this share of all positive ones.
    """
    positive = np.clip(eigenvalues, 0, None)
    cumulative = np.cumsum(positive)
    total = cumulative[-1]
    # A sum that reaches the share but for rounding reaches it.
    enough = int(np.searchsorted(cumulative, var_kept * total * (1 - 1e-12))) + 1
    k = min(enough, int(np.count_nonzero(eigenvalues > eps)), len(eigenvalues))
    return k, float(max(0.0, 1 - cumulative[k - 1] / total)) if k else 1.0


def decompose(
    rows: Matrix, in_centre: npt.NDArray[np.bool_], options: DecompositionOptions, name: str
) -> Decomposition:
    """The whitened form of a block from its LD.

    Args:
        rows: R_w, the rows of the LD matrix of the observed variants [w, n]; may be overwritten.
        in_centre: Which of the n variants are the w observed ones [n].
        options: What is kept.
        name: Name of the block, for messages.

    Raises:
        InputFormatError: The LD is not symmetric or not finite.
        NumericalError: The LD has an eigenvalue below -eps and `ld_fix` is `error`, or the
            decomposition does not converge.
    """
    centre = np.flatnonzero(in_centre)
    if options.shrink:
        _shrink(rows, centre, options.shrink)
    label = f"block {name}: LD with --ld_fix={options.ld_fix}"
    found = psd_eigh(rows[:, centre], label, options.ld_fix, floor=-options.eps)
    if found.repair.fix == "shrink":
        _shrink(rows, centre, found.repair.shrinkage)
    elif found.repair.fix == "clip":
        rows[:, centre] = found.matrix
    k, discarded = n_kept(found.values, options.eps, options.var_kept)
    kept = found.values[:k]
    p = _signed(found.vectors[:, :k].T) / np.sqrt(kept)[:, None]
    return Decomposition(p @ rows, p, kept, discarded, found.repair.min_eigenvalue)


def decompose_genotypes(
    standardised: Matrix, in_centre: npt.NDArray[np.bool_], options: DecompositionOptions
) -> Decomposition:
    """The whitened form of a block from its genotypes, without forming its LD.

    With X_w / sqrt(N) = L S V' (singular values), R_ww = V S^2 V', so P = S^(-1) V' and
    Q = S^(-1) V' R_w = L' X / sqrt(N). Exact, and cheaper than `decompose` if there are fewer
    people than observed variants. Shrinkage is not possible, since it fills the null space.

    Args:
        standardised: X: people by variants, each column of mean 0 and mean square 1 [N, n].
        in_centre: Which variants are observed [n].
        options: What is kept; `shrink` must be 0.
    """
    if options.shrink:
        raise ValueError("shrinkage needs the LD matrix; use decompose")
    scaled = standardised / np.sqrt(len(standardised))
    left, singular, right = np.linalg.svd(scaled[:, in_centre], full_matrices=False)
    values = singular**2
    k, discarded = n_kept(values, options.eps, options.var_kept)
    signs = _signs(right[:k])
    p = signs[:, None] * right[:k] / singular[:k, None]
    q = (signs * left[:, :k]).T @ scaled
    # Centred columns of fewer people than variants are linearly dependent.
    singular_ld = len(standardised) <= np.count_nonzero(in_centre)
    smallest = 0.0 if singular_ld else float(values[-1])
    return Decomposition(q, p, values[:k], discarded, smallest)


def decomposition_bytes(n: int, w: int) -> int:
    """Most memory that `decompose` takes, `rows` included.

    R_w and Q are [w, n]; R_ww, a symmetric copy, its eigenvectors, and copy and workspace of
    LAPACK's dsyevd are 6 matrices [w, w].
    """
    return 8 * (2 * w * n + 6 * w * w)


def genotype_bytes(n: int, w: int, n_samples: int) -> int:
    """Most memory that `decompose_genotypes` takes, the genotypes included.

    X as int8 and two float64 copies [N, n], Q [N, n], X_w and its factors 4 times [N, w].
    """
    return n_samples * (n + 8 * (3 * n + 4 * w))


def _shrink(rows: Matrix, centre: npt.NDArray[np.int64], s: float) -> None:
    """Replaces R by (1 - s) R + s I in its rows of the centre."""
    rows *= 1 - s
    rows[np.arange(len(centre)), centre] += s


def _signs(vectors: Matrix) -> Matrix:
    """Signs that make the largest entry of every row positive: LAPACK's own are arbitrary [k]."""
    largest = np.argmax(np.abs(vectors), axis=1)
    return np.where(vectors[np.arange(len(vectors)), largest] < 0, -1.0, 1.0)


def _signed(vectors: Matrix) -> Matrix:
    return vectors * _signs(vectors)[:, None]
