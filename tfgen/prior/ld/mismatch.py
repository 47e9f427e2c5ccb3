"""Do z-scores and LD belong together? A statistic per variant; those per block are `block_fit`'s.

Model: z ~ N(0, A), A = f R^2 + (1 - s) R + s I, with effects of the same variance f for all
variants, and s for what the LD does not explain: 0 if the LD is that of the GWAS sample, and the
larger the worse it fits. Both are estimated by maximum likelihood, s from `S_FLOOR` up: near 0 the
residuals would magnify rounding of the z-scores and of the stored LD. Since A with a floor is
never below the A that made the data, residuals are never too large on account of it: the test
keeps its level. s is the regularisation parameter of Zou et al. 2022 (PLOS Genetics,
doi:10.1371/journal.pgen.1010299) with effects added.

A residual also grows where a variant has an effect that its neighbours do not share, so a flagged
variant is either wrong or causal; `flip_gain` tells wrong signs from the rest.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError
from tfgen.prior.constant_fit import Spectrum
from tfgen.prior.ld.block_fit import ALPHA, require_finite
from tfgen.prior.ld.ld_block import LdBlock
from tfgen.prior.projection import project

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

S_FLOOR = 1e-3
"""Least s; that of in-sample LD."""

FLIP_GAIN = 2.0
"""Gain in log-likelihood above which a flagged variant is called flipped."""

FLIP_Z = 2.0
"""A variant with a smaller |z| is never called flipped: the sign of noise says nothing."""

_LARGEST_S = 0.999
_NOISE = 1e-8  # eigenvalues below this share of the largest are rounding


@dataclass(frozen=True)
class LdEigen:
    """Eigenvalues of the LD of n variants, k of them with their vectors.

    Attributes:
        values: Those kept [k].
        vectors: Their eigenvectors as columns [n, k].
        rest: Mean of the n - k others.
    """

    values: Vector
    vectors: Matrix
    rest: float = 0.0


@dataclass(frozen=True)
class LdFit:
    """How far the LD explains z-scores.

    Attributes:
        mean_f: Variance of an effect on the z scale.
        s: Share of the LD that is replaced by the identity.
        log_likelihood: Log-density of z at these, in nats.
        at_floor: Whether s is `S_FLOOR`, so that nothing speaks against the LD.
    """

    mean_f: float
    s: float
    log_likelihood: float
    at_floor: bool


@dataclass(frozen=True)
class VariantStatistics:
    """How well the z-score of each variant is predicted by the others [n].

    Attributes:
        predicted: Mean of z_j given the other z.
        residual: (z_j - predicted_j) in standard deviations, N(0, 1) if all is well.
        p: Two-sided.
        flip_gain: Gain in log-likelihood if the sign of z_j is changed.
        flagged: p below `ALPHA` / n.
        flipped: Flagged, `flip_gain` above `FLIP_GAIN`, and |z| above `FLIP_Z`.
        fit: The estimates of the block.
    """

    predicted: Vector
    residual: Vector
    p: Vector
    flip_gain: Vector
    flagged: npt.NDArray[np.bool_]
    flipped: npt.NDArray[np.bool_]
    fit: LdFit


@dataclass(frozen=True)
class BlockMismatch:
    """What a block of an LD store says of z-scores.

    Attributes:
        spectrum: What `block_fits` needs of it; effects of its flanks are included. Without rows
            if the z-scores that are there say nothing.
        variants: Statistics of those observed variants that have a z-score [m].
        rows: Which of the w observed variants these are [m].
    """

    spectrum: Spectrum
    variants: VariantStatistics
    rows: npt.NDArray[np.int64]


def ld_eigen(ld: Matrix) -> LdEigen:
    """Eigenvalues and vectors of an LD matrix [n, n]; negative eigenvalues become 0."""
    values, vectors = np.linalg.eigh(np.asarray(ld, np.float64))
    return LdEigen(np.clip(values, 0, None), vectors)


def fit_ld(eigen: LdEigen, z: Vector) -> LdFit:
    """Estimates f and s by maximum likelihood.

    Args:
        eigen: Of the LD of the n variants.
        z: z-scores [n].

    Raises:
        InputMismatchError: Another number of z-scores.
        NumericalError: A z-score is not finite.
    """
    n = len(eigen.vectors)
    if z.shape != (n,):
        raise InputMismatchError(f"{z.size} z-scores for LD of {n} variants; expected as many")
    require_finite(z, "z")
    projected = eigen.vectors.T @ z
    squares = projected**2
    remainder = max(0.0, float(z @ z - squares.sum()))

    def log_likelihood(f: Vector, s: float) -> Vector:
        variance = _variances(f[:, None], s, eigen.values)
        rest = _variances(f, s, eigen.rest)
        total = np.sum(np.log(variance) + squares / variance, axis=1)
        if n > len(squares):
            total += (n - len(squares)) * np.log(rest) + remainder / rest
        return -0.5 * np.asarray(total + n * math.log(2 * math.pi))

    grid = _f_grid(float(eigen.values.max(initial=1.0)))

    def best_f(s: float) -> float:
        return _maximise(lambda f: log_likelihood(f, s), grid)

    def profile(values: Vector) -> Vector:
        return np.array([log_likelihood(np.array([best_f(s)]), s)[0] for s in values.tolist()])

    s = _maximise(profile, np.geomspace(S_FLOOR, _LARGEST_S, 15))
    f = best_f(s)
    best = float(log_likelihood(np.array([f]), s)[0])
    return LdFit(f, s, best, s <= S_FLOOR * (1 + 1e-6))


def variant_statistics(eigen: LdEigen, z: Vector, fit: LdFit | None = None) -> VariantStatistics:
    """Predicts every z-score from the others.

    With g = A^-1 z and D_j = (A^-1)_jj, z_j given the others is normal with mean z_j - g_j / D_j
    and variance 1 / D_j (block inverse of A). Changing the sign of z_j changes the log-density by
    2 z_j (g_j - z_j D_j).

    Args:
        eigen: Of the LD of the n variants.
        z: z-scores [n].
        fit: f and s; estimated by default.

    Raises:
        InputMismatchError: Another number of z-scores.
        NumericalError: A z-score is not finite.
    """
    fit = fit or fit_ld(eigen, z)
    inverse = 1 / _variances(np.array(fit.mean_f), fit.s, eigen.values)
    rest = 1 / float(_variances(np.array(fit.mean_f), fit.s, eigen.rest))
    projected = eigen.vectors.T @ z
    # A^-1 is 1 / a_i along the kept vectors and the same in all other directions.
    g = eigen.vectors @ ((inverse - rest) * projected) + rest * z
    diagonal = eigen.vectors**2 @ (inverse - rest) + rest
    residual = g / np.sqrt(diagonal)
    p = two_sided_p(residual)
    gain = 2 * z * (g - z * diagonal)
    flagged = p < ALPHA / max(1, len(z))
    return VariantStatistics(
        predicted=z - g / diagonal,
        residual=residual,
        p=p,
        flip_gain=gain,
        flagged=flagged,
        flipped=flagged & (gain > FLIP_GAIN) & (np.abs(z) > FLIP_Z),
        fit=fit,
    )


def block_mismatch(block: LdBlock, z: Vector) -> BlockMismatch | None:
    """What a block of an LD store says of z-scores.

    Where z is missing, the LD of the others is used: with R_oo = U_o diag(lambda) U_o' and the
    singular values of diag(lambda)^(1/2) U_o' = L S V', its eigenvalues are S^2 and V its vectors.

    Args:
        block: The block.
        z: z-scores of its observed variants, NaN where missing [w].

    Returns:
        The statistics, or None if no variant has a z-score.

    Raises:
        InputMismatchError: Another number of z-scores.
        NumericalError: A z-score is infinite.
    """
    if z.shape != (block.info.w,):
        raise InputMismatchError(
            f"block {block.info.id}: {z.size} z-scores for {block.info.w} observed variants; "
            "expected as many"
        )
    rows = np.flatnonzero(~np.isnan(z))
    if not rows.size:
        return None
    observed = z[rows]
    require_finite(observed, f"block {block.info.id}: z")
    everywhere = np.full(block.info.n, np.nan)
    everywhere[block.in_centre] = z
    projection = project(block, everywhere)
    spectrum = Spectrum.of(projection.rotate(block.q), projection.y)
    # P = lambda^(-1/2) U', so this is lambda^(1/2) U_o'.
    root = block.eigenvalues[:, None] * block.p[:, rows].astype(np.float64)
    _, singular, right = np.linalg.svd(root, full_matrices=False)
    kept = singular**2 > _NOISE * singular[0] ** 2
    values, right = singular[kept] ** 2, right[kept]
    missing = len(rows) - len(values)
    deficit = max(0.0, len(rows) - float(values.sum()))
    rest = deficit / missing if missing else 0.0
    variants = variant_statistics(LdEigen(values, right.T, rest), observed)
    return BlockMismatch(spectrum, variants, rows)


def two_sided_p(x: Vector) -> Vector:
    """P(|N(0, 1)| > |x|)."""
    return np.array([math.erfc(abs(value) / math.sqrt(2)) for value in x.tolist()])


@dataclass(frozen=True)
class PowerRow:
    """What becomes of one wrong sign among z-scores of a size.

    Attributes:
        low: Least |z| of the variant.
        high: |z| below which it is.
        n: Simulations.
        flagged: Share of them in which the variant is flagged.
        flipped: Share in which it is called flipped.
    """

    low: float
    high: float
    n: int
    flagged: float
    flipped: float


def mismatch_power(
    ld: Matrix,
    mean_f: float,
    n_simulations: int = 200,
    edges: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0, 5.0, math.inf),
    seed: int = 0,
) -> list[PowerRow]:
    """How often one variant with the wrong sign is found, by the size of its z-score.

    Args:
        ld: R of the GWAS sample and of the panel [n, n].
        mean_f: Variance of an effect on the z scale.
        n_simulations: Draws of z; in each, one variant at random gets the other sign.
        edges: Limits of |z|.
        seed: Of the simulations.

    Returns:
        One row per interval of |z|; shares are NaN where none fell into it.
    """
    generator = np.random.default_rng(seed)
    whole = ld_eigen(ld)
    root = np.sqrt(mean_f * whole.values**2 + whole.values)
    found = []
    for _ in range(n_simulations):
        z = whole.vectors @ (root * generator.standard_normal(len(root)))
        wrong = int(generator.integers(len(z)))
        z[wrong] = -z[wrong]
        statistics = variant_statistics(whole, z)
        found.append((abs(z[wrong]), statistics.flagged[wrong], statistics.flipped[wrong]))
    size, flagged, flipped = np.array(found, np.float64).T
    rows = []
    for low, high in zip(edges, edges[1:], strict=False):
        inside = (size >= low) & (size < high)
        n = int(np.count_nonzero(inside))
        shares = (float(x[inside].mean()) if n else math.nan for x in (flagged, flipped))
        rows.append(PowerRow(low, high, n, *shares))
    return rows


def _variances(f: Vector, s: float, values: Vector | float) -> Vector:
    """Eigenvalues of A."""
    return np.asarray(f * np.square(values) + (1 - s) * values + s)


def _f_grid(largest: float) -> Vector:
    """From no effects to those whose variance far exceeds the noise in every direction."""
    return np.concatenate([[0.0], np.geomspace(1e-3 / largest, 1e4, 40)])


def _maximise(function: Callable[[Vector], Vector], grid: Vector) -> float:
    """The best point of an ascending grid, then of ever finer ones around it."""
    for _ in range(4):
        best = int(np.argmax(function(grid)))
        low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
        value = float(grid[best])
        grid = np.linspace(low, high, 9)
    return value
