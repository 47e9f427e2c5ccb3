"""The constant prior and its own noise by maximum likelihood: what every other prior must beat.

With f the same for all variants, K = f Q Q' + sigma I has the eigenvectors of Q Q' whatever f and
sigma, so that one decomposition per block leaves sums over eigenvalues l and squared coordinates u:

    nll(f, sigma) = ½ sum_i [u_i / (f l_i + sigma) + log(f l_i + sigma) + log 2 pi].
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import NumericalError
from tfgen.prior.training.block_data import BlockSource

LOWEST_LOG_F = -25.0
"""Where log f stops when the data show no effects."""

LEAST_START = 1e-4
"""Least prior variance from which a network starts: from zero nothing would be learned."""

_LOG_2PI = math.log(2.0 * math.pi)
_STEP = 0.5  # of the grid in log f: the likelihood has no narrower bumps
_LOWEST_LOG_SIGMA = -15.0  # relative to the least variance of the effects: no noise
_N_HALVINGS = 40
_FLAT = 1e-12
_LARGEST_CONDITION = 1e12

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """A block without its eigenvectors.

    Attributes:
        eigenvalues: Of Q Q' [k].
        squares: Squared coordinates of y along its eigenvectors [k].
    """

    eigenvalues: Doubles
    squares: Doubles

    @classmethod
    def of(cls, q: npt.NDArray[Any], y: npt.NDArray[Any]) -> "Spectrum":
        """The spectrum of Q [k, n] and y [k]."""
        q = np.asarray(q, np.float64)
        values, vectors = np.linalg.eigh(q @ q.T)
        return cls(np.maximum(values, 0.0), (vectors.T @ np.asarray(y, np.float64)) ** 2)

    def nll(self, f: float, sigma: float) -> float:
        """Negative log-likelihood of the block."""
        variance = f * self.eigenvalues + sigma
        return 0.5 * float(np.sum(self.squares / variance + np.log(variance) + _LOG_2PI))

    def mahalanobis(self, f: float, sigma: float) -> float:
        """y'K^-1 y, chi-square with k degrees of freedom under the model."""
        return float(np.sum(self.squares / (f * self.eigenvalues + sigma)))


@dataclass(frozen=True)
class ConstantPrior:
    """A prior variance for all variants, with its noise.

    Attributes:
        f: Prior variance on the z scale.
        sigma: Noise on the z scale.
        nll: Negative log-likelihood of the blocks it was fitted to.
        standard_errors: Of log f and log sigma, from the Fisher information; NaN for a parameter
            that was held or lies at its limit, or if the two cannot be told apart.
    """

    f: float
    sigma: float
    nll: float
    standard_errors: tuple[float, float]


def fit_constant(spectra: Iterable[Spectrum], sigma: float | None = None) -> ConstantPrior:
    """Maximum likelihood of f and sigma, or of f alone.

    Without `sigma` the likelihood is maximised in r = f / sigma, at the best noise for that,
    sigma = mean of u_i / (r l_i + 1). Either way one number is looked for, first on a grid, so
    that several maxima and z-scores that do not fit the LD at all do no harm, then where the
    derivative is zero.

    Args:
        spectra: The blocks.
        sigma: The noise if it is known.

    Raises:
        NumericalError: There is nothing to fit.
    """
    blocks = list(spectra)
    values = np.concatenate([block.eigenvalues for block in blocks]) if blocks else np.zeros(0)
    squares = np.concatenate([block.squares for block in blocks]) if blocks else np.zeros(0)
    if not values.sum() > 0:
        raise NumericalError("no observed variants to fit a constant prior to")
    if not np.isfinite(squares).all() or (sigma is None and not squares.sum() > 0):
        raise NumericalError("z-scores of 0 or without end: no constant prior; check the z-scores")
    profile = _Profile(values, squares, sigma)
    x = profile.best()
    free = np.array([x[0] > LOWEST_LOG_F, sigma is None])
    errors = np.full(2, np.nan)
    if free.any():
        information = _information(x, values)[np.ix_(free, free)]
        if np.linalg.cond(information) < _LARGEST_CONDITION:
            errors[free] = np.sqrt(np.diag(np.linalg.inv(information)))
    f, noise = math.exp(x[0]), math.exp(x[1])
    nll = Spectrum(values, squares).nll(f, noise)
    return ConstantPrior(f, noise, nll, (float(errors[0]), float(errors[1])))


def constant_of_blocks(
    source: BlockSource, indices: Iterable[int], trait: int = 0, sigma: float | None = None
) -> ConstantPrior:
    """The constant prior of one trait on some blocks.

    Args:
        source: Where the blocks are.
        indices: Which of them.
        trait: Number of the trait.
        sigma: The noise if it is known.

    Raises:
        NumericalError: The blocks have no z-score of the trait.
    """
    rows = (source.read(index).traits[trait] for index in indices)
    return fit_constant([Spectrum.of(row.q, row.y) for row in rows if len(row.y)], sigma)


@dataclass(frozen=True)
class _Profile:
    """The likelihood along t: log f where sigma is known, else log(f / sigma) at the best sigma."""

    values: Doubles
    squares: Doubles
    sigma: float | None

    def best(self) -> Doubles:
        """Log f and log sigma."""
        grid = self._grid()
        nll = np.array([self.nll(t) for t in grid.tolist()])
        # Where f is too small to matter all values are the same but for rounding.
        at = int(np.argmax(nll <= nll.min() + _FLAT * abs(nll.min())))
        if at == 0:
            return np.array([LOWEST_LOG_F, self._point(LOWEST_LOG_F)[1]])
        # The slope is negative on the one side of the least value and positive on the other.
        right = self.slope(float(grid[at])) < 0 and at + 1 < len(grid)
        low, high = (grid[at], grid[at + 1]) if right else (grid[at - 1], grid[at])
        for _ in range(_N_HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.slope(float(middle)) > 0 else (middle, high)
        return self._point(float((low + high) / 2))

    def nll(self, t: float) -> float:
        """Negative log-likelihood."""
        x = self._point(t)
        return Spectrum(self.values, self.squares).nll(math.exp(x[0]), math.exp(x[1]))

    def slope(self, t: float) -> float:
        """Derivative in log f; at the best sigma also that in t, as a factor is of no use there."""
        f, sigma = np.exp(self._point(t))
        variance = f * self.values + sigma
        return float(np.sum(f * self.values / variance * (1.0 - self.squares / variance)))

    def _grid(self) -> Doubles:
        """From no effects to where more of them, or less noise, can only be worse."""
        positive = self.values > _FLAT * self.values.max()
        largest = max(float(np.max(self.squares[positive] / self.values[positive])), 1e-6)
        end = math.log(largest) + 1.0
        if self.sigma is None:
            end = max(0.0, -math.log(self.values[positive].min())) - _LOWEST_LOG_SIGMA
        start = LOWEST_LOG_F
        return np.linspace(start, end, max(2, math.ceil((end - start) / _STEP) + 1))

    def _point(self, t: float) -> Doubles:
        """Log f and log sigma."""
        if self.sigma is not None:
            return np.array([t, math.log(self.sigma)])
        log_sigma = math.log(float(np.mean(self.squares / (math.exp(t) * self.values + 1.0))))
        return np.array([max(t + log_sigma, LOWEST_LOG_F), log_sigma])


def _information(x: Doubles, values: Doubles) -> Doubles:
    """Expected information on log f and log sigma."""
    f, sigma = np.exp(x)
    slopes = np.stack([f * values, np.full(len(values), sigma)]) / (f * values + sigma)
    return np.asarray(0.5 * slopes @ slopes.T)
