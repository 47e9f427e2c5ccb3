"""Do z-scores and LD belong together? Two statistics per block.

With the constant prior, K = f Q Q' + sigma I, wrong LD and z-scores of wrong size show in two
ways.

* Size: y'K^-1 y at sigma = 1 and the f of all blocks together is chi-square with k degrees of
  freedom. f must not be that of the block: where f l >> 1 for all eigenvalues l of Q Q', it would
  make any block fit. That it was fitted to this block among others leaves a little less variance
  than 2 k: with e_i = u_i / (f l_i + 1), the estimate of log f moves by
  sum a_i (e_i - 1) / sum a_i^2, a_i = f l_i / (f l_i + 1), over all blocks, and the statistic
  with it by minus that times the sum A of a_i over the block; its variance is
  2 (k - A^2 / sum a_i^2), which a gamma distribution with mean k takes into account. At f = 0,
  its limit, the estimate does not move.
* Shape: LD of other people puts more of z than it should along its small eigenvectors. The
  likelihood ratio of (f, sigma) to (f, 1), f of the block alone both times, is chi-square with 1
  degree of freedom, and its signed root N(0, 1). Of a single block, this is all that can be said.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfgen.errors import NumericalError
from tfgen.prior.constant_fit import LOWEST_LOG_F, Spectrum, fit_constant

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

ALPHA = 0.05
"""Level of the tests of a block, over all of its variants."""

_NO_EFFECTS = 2 * math.exp(LOWEST_LOG_F)


@dataclass(frozen=True)
class BlockStatistic:
    """y' K^-1 y of a block, which is chi-square with k degrees of freedom if z fits the LD.

    Attributes:
        chi2: The statistic.
        k: Degrees of freedom.
        p_upper: Probability of a value as large; small if the LD is of other people.
        p_lower: Probability of a value as small; small if z-scores were shrunk or imputed.
    """

    chi2: float
    k: int
    p_upper: float
    p_lower: float

    @property
    def is_flagged(self) -> bool:
        """Whether either tail is below half of `ALPHA`."""
        return min(self.p_upper, self.p_lower) < ALPHA / 2


@dataclass(frozen=True)
class NoiseTest:
    """Whether blocks need a noise other than 1 beside a constant prior variance.

    Attributes:
        f: Prior variance at noise 1, by maximum likelihood.
        sigma: Noise by maximum likelihood, together with f.
        p_upper: One-sided; small if there is more noise: the LD is of other people.
        p_lower: One-sided; small if there is less: z-scores were shrunk or imputed.
    """

    f: float
    sigma: float
    p_upper: float
    p_lower: float

    @property
    def p(self) -> float:
        """Two-sided."""
        return min(1.0, 2 * min(self.p_upper, self.p_lower))


@dataclass(frozen=True)
class BlockFit:
    """Both statistics of a block among others.

    Attributes:
        size: Whether its z-scores are of the size that the f of all blocks makes them.
        shape: Whether they are distributed over the eigenvectors as they should be.
        is_alone: Whether there are no other blocks, so that `size` says nothing.
    """

    size: BlockStatistic
    shape: NoiseTest
    is_alone: bool = False

    @property
    def p(self) -> float:
        """Two-sided, of the smaller of both, for two tests; of `shape` if there is one block."""
        if self.is_alone:
            return self.shape.p
        return min(1.0, 2 * min(self.shape.p, 2 * min(self.size.p_upper, self.size.p_lower)))

    def is_flagged(self, n_blocks: int = 1) -> bool:
        """Whether p is below `ALPHA`, for so many blocks together."""
        return self.p < ALPHA / n_blocks


def chi2_statistic(y: Vector, factor: Matrix | None = None, sigma: float = 1.0) -> BlockStatistic:
    """Statistic of a block.

    Args:
        y: Whitened z-scores [k].
        factor: Lower Cholesky factor of K = Q F Q' + sigma I [k, k]; without it K = sigma I, which
            says whether there is any signal or mismatch at all.
        sigma: Noise, if there is no factor.

    Raises:
        NumericalError: y is not finite.
    """
    require_finite(y, "y")
    if factor is None:
        chi2 = float(y @ y) / sigma
    else:
        white = np.linalg.solve(factor, y)
        chi2 = float(white @ white)
    return _chi2(chi2, len(y))


def noise_test(spectra: Sequence[Spectrum]) -> NoiseTest:
    """Likelihood ratio of f and sigma to f and sigma = 1.

    Args:
        spectra: One block or more.

    Raises:
        NumericalError: There is nothing to fit.
    """
    if not any(x.squares.any() for x in spectra):
        return NoiseTest(0.0, 0.0, 1.0, 0.0)
    held, free = fit_constant(spectra, 1.0), fit_constant(spectra)
    root = math.copysign(math.sqrt(max(0.0, 2 * (held.nll - free.nll))), free.sigma - 1)
    upper, lower = (math.erfc(sign * root / math.sqrt(2)) / 2 for sign in (1, -1))
    return NoiseTest(held.f, free.sigma, upper, lower)


def block_fits(spectra: Sequence[Spectrum]) -> list[BlockFit]:
    """Both statistics of every block of a trait.

    Args:
        spectra: All blocks with z-scores.

    Raises:
        NumericalError: There is nothing to fit.
    """
    f = fit_constant(spectra, 1.0).f
    slopes = [f * x.eigenvalues / (f * x.eigenvalues + 1) for x in spectra]
    total = sum(float(slope @ slope) for slope in slopes)
    fits = []
    for x, slope in zip(spectra, slopes, strict=True):
        lost = float(slope.sum()) ** 2 / total if f > _NO_EFFECTS else 0.0
        size = _chi2(x.mahalanobis(f, 1.0), len(slope), lost)
        fits.append(BlockFit(size, noise_test([x]), len(spectra) == 1))
    return fits


def require_finite(values: Vector, name: str) -> None:
    """Stops at a value that is missing or infinite.

    Raises:
        NumericalError: There is one.
    """
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise NumericalError(
            f"{name}: {bad.size} of {values.size} values are not finite, the first is number "
            f"{bad[0]}; leave out missing ones"
        )


def _chi2(chi2: float, k: int, lost: float = 0.0) -> BlockStatistic:
    """The tails of a gamma distribution of mean k and variance 2 (k - lost)."""
    import tensorflow as tf

    share = max(1 - lost / k, 1e-6)
    shape = tf.constant([k / (2 * share)], tf.float64)
    value = tf.constant([chi2 / (2 * share)], tf.float64)
    upper, lower = tf.math.igammac(shape, value), tf.math.igamma(shape, value)
    return BlockStatistic(chi2, k, float(upper[0]), float(lower[0]))
