"""The z-scores of a trait in the coordinates of an LD block.

With every variant of the centre observed, y = P z. With some missing, the model of the observed
ones follows from what the store holds: H = U lambda^(1/2) = P' diag(lambda) gives R_ww = H H' on
the kept space and R_w: = H Q, so for the observed rows o

    H_o = A S B',    Q_o = B' Q,    y_o = S^-1 A' z_o,

without a return to the genotypes; nothing is imputed. Directions with S^2 below the smallest
eigenvalue of the store are left out, as the store left out those of the whole block: what H lacks
of the LD is as large as that, and dividing by a smaller S would blow it up.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputMismatchError
from tfgen.prior.ld.ld_block import LdBlock

EPS = 1e-4  # eigenvalues below are noise, whatever the store kept

_ROUNDING = 1e-3  # relative error of an eigenvalue, P being float32; shrunk LD has many equal ones


@dataclass(frozen=True)
class Projection:
    """A trait in the coordinates of a block.

    Attributes:
        y: Whitened z-scores [k'] float64.
        rotation: B [k, k'] float32, Q of the trait is B'Q; None where every variant of the centre
            has a z-score.
        observed: Which variants of the block have a z-score that is used [n] bool.
    """

    y: npt.NDArray[np.float64]
    rotation: npt.NDArray[np.float32] | None
    observed: npt.NDArray[np.bool_]

    @property
    def n_observed(self) -> int:
        """Number of z-scores."""
        return int(np.count_nonzero(self.observed))

    def rotate(self, q: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Q of the trait [k', n] from Q of the block [k, n]."""
        return q if self.rotation is None else self.rotation.T @ q


def project(block: LdBlock, z: npt.NDArray[Any], eps: float | None = None) -> Projection:
    """Whitens the z-scores of a block.

    Args:
        block: The block.
        z: z-scores for the counted alleles of the block [n], NaN where there is none; those
            outside the centre are not used.
        eps: Eigenvalues of the LD of the observed variants below this are not used; by default
            the smallest one of the store, at least `EPS`.

    Raises:
        InputMismatchError: Another number of variants, or an infinite z-score.
    """
    if len(z) != block.info.n:
        raise InputMismatchError(
            f"block {block.info.id}: {len(z)} z-scores for {block.info.n} variants"
        )
    if np.isinf(z).any():
        row = int(np.flatnonzero(np.isinf(z))[0])
        raise InputMismatchError(
            f"block {block.info.id}: the z-score of {block.variants.label(row)} is infinite; "
            "remove the variant"
        )
    observed = block.in_centre & ~np.isnan(z)
    present = observed[block.in_centre]
    p = block.p.astype(np.float64)
    if present.all():
        return Projection(p @ z[block.in_centre], None, observed)
    root = (p * block.eigenvalues[:, None]).T[present]
    squares, vectors = np.linalg.eigh(root.T @ root)
    if eps is None:
        eps = max(EPS, float(block.eigenvalues.min()) * (1 - _ROUNDING))
    kept = squares >= eps
    squares, vectors = squares[kept][::-1], vectors[:, kept][:, ::-1]
    y = (vectors.T @ (root.T @ z[observed])) / squares
    return Projection(y, vectors.astype(np.float32), observed)


def observed_ld(block: LdBlock, projection: Projection) -> npt.NDArray[np.float32]:
    """LD of the observed variants with all of the block [n_observed, n], on the kept space."""
    present = projection.observed[block.in_centre]
    root = (block.p * block.eigenvalues.astype(np.float32)[:, None]).T[present]
    return np.asarray(root @ block.q, np.float32)
