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
_MAX_STEPS = 200
_TOLERANCE = 1e-10
_FLAT = 1e-13

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
            that was held or lies at its limit.
    """

    f: float
    sigma: float
    nll: float
    standard_errors: tuple[float, float]


def fit_constant(spectra: Iterable[Spectrum], sigma: float | None = None) -> ConstantPrior:
    """Maximum likelihood of f and sigma, or of f alone.

    Args:
        spectra: The blocks.
        sigma: The noise if it is known.

    Raises:
        NumericalError: There is nothing to fit, or the search did not end.
    """
    blocks = list(spectra)
    values = np.concatenate([block.eigenvalues for block in blocks]) if blocks else np.zeros(0)
    squares = np.concatenate([block.squares for block in blocks]) if blocks else np.zeros(0)
    if not values.sum() > 0:
        raise NumericalError("no observed variants to fit a constant prior to")
    start_sigma = 1.0 if sigma is None else sigma
    moment = (squares.sum() - start_sigma * len(values)) / values.sum()
    x = np.array([math.log(max(moment, 1e-6)), math.log(start_sigma)])
    free = np.array([True, sigma is None])
    x, information = _search(x, values, squares, free)
    errors = np.full(2, np.nan)
    inner = free & (x > LOWEST_LOG_F + 1e-6)
    if inner.any():
        errors[inner] = np.sqrt(np.diag(np.linalg.inv(information[np.ix_(inner, inner)])))
    nll = _nll(x, values, squares)
    return ConstantPrior(math.exp(x[0]), math.exp(x[1]), nll, (float(errors[0]), float(errors[1])))


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


def _search(
    x: Doubles, values: Doubles, squares: Doubles, free: npt.NDArray[np.bool_]
) -> tuple[Doubles, Doubles]:
    """Fisher scoring in (log f, log sigma) with halved steps; returns where and the information."""
    best = _nll(x, values, squares)
    for _ in range(_MAX_STEPS):
        gradient, information = _derivatives(x, values, squares)
        active = free & ~((x <= LOWEST_LOG_F) & (gradient > 0))
        step = np.zeros(2)
        if active.any():
            inner = information[np.ix_(active, active)]
            inner += 1e-12 * np.trace(inner) * np.eye(len(inner)) + 1e-300 * np.eye(len(inner))
            step[active] = -np.clip(np.linalg.solve(inner, gradient[active]), -2.0, 2.0)
        moved = _line_search(x, step, best, values, squares)
        if moved is None:
            return x, information
        # Along a ridge the likelihood stands still before the parameters do.
        if np.abs(moved[0] - x).max() < _TOLERANCE or best - moved[1] < _FLAT * abs(best):
            return moved[0], information
        x, best = moved
    raise NumericalError("the constant prior did not converge; check the z-scores and the LD")


def _line_search(
    x: Doubles, step: Doubles, best: float, values: Doubles, squares: Doubles
) -> tuple[Doubles, float] | None:
    """The longest of the halved steps that does not lose; None if there is none."""
    for halvings in range(40):
        trial = x + step / 2**halvings
        trial[0] = max(trial[0], LOWEST_LOG_F)
        nll = _nll(trial, values, squares)
        if nll <= best:
            return trial, nll
    return None


def _nll(x: Doubles, values: Doubles, squares: Doubles) -> float:
    return Spectrum(values, squares).nll(math.exp(x[0]), math.exp(x[1]))


def _derivatives(x: Doubles, values: Doubles, squares: Doubles) -> tuple[Doubles, Doubles]:
    """Gradient and expected information."""
    f, sigma = np.exp(x)
    variance = f * values + sigma
    slopes = np.stack([f * values, np.full(len(values), sigma)]) / variance
    gradient = 0.5 * slopes @ (1.0 - squares / variance)
    return gradient, 0.5 * slopes @ slopes.T
