"""Windows of LD with a known rank, and z-scores drawn from the model."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_RHO = 0.95
_MEAN_F = 0.2


@dataclass(frozen=True)
class Window:
    """A window whose middle third is observed.

    Attributes:
        people: Standardised genotypes of a panel [people, n]; R is people' people.
        w: Indices of the observed variants.
        Q: Whitened LD [k, n].
        y: Whitened z-scores [k].
        z: z-scores of the observed variants [w].
        logf: Log prior variance [n].
        log_sigma: Log noise.
    """

    people: Doubles
    w: npt.NDArray[np.int64]
    Q: Doubles
    y: Doubles
    z: Doubles
    logf: Doubles
    log_sigma: float

    @cached_property
    def R(self) -> Doubles:
        """LD of all variants [n, n]."""
        return self.people.T @ self.people


def make_window(n: int, w: int, k: int, seed: int) -> Window:
    """A window from a panel of k + 1 people: its LD has the rank k.

    The LD of the observed variants has exactly k eigenvalues above zero when w >= k, so that
    nothing is cut and all forms of the likelihood are the same function.

    Args:
        n: Variants.
        w: Observed variants, the middle ones.
        k: Rank.
        seed: Of the panel, of log f and of the z-scores.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(k + 1, n))
    for column in range(1, n):
        x[:, column] = _RHO * x[:, column - 1] + np.sqrt(1 - _RHO**2) * x[:, column]
    x -= x.mean(0)
    x /= np.sqrt((x**2).sum(0))
    first = (n - w) // 2
    observed = np.arange(first, first + w)
    left, roots, right = np.linalg.svd(x[:, observed], full_matrices=False)
    left, roots, right = left[:, :k], roots[:k], right[:k]
    Q = left.T @ x
    logf = np.log(_MEAN_F) - 0.5 + rng.normal(size=n)
    y = Q @ (np.exp(0.5 * logf) * rng.normal(size=n)) + rng.normal(size=k)
    return Window(x, observed, Q, y, (right.T * roots) @ y, logf, 0.0)
