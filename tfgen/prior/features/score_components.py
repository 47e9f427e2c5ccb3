"""Principal components of scores of many tracks.

Scores belong to an allele, and which of the two is counted is arbitrary. So they are not centred:
each track is divided by its root mean square, and the components are the eigenvectors of the matrix
of second moments. Exchanging the alleles of a variant then changes the sign of its components.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Components:
    """What turns scores into components.

    Attributes:
        loadings: Weight of every track in every component, the division by its root mean square
            included [tracks, components] float32.
        explained: Share of the scaled second moments of each component [components] float64.
    """

    loadings: Floats
    explained: npt.NDArray[np.float64]

    def of(self, scores: Floats) -> Floats:
        """The components [rows, components] of scores [rows, tracks]."""
        return np.asarray(scores.astype(np.float64) @ self.loadings, np.float32)


def fit_components(blocks: Iterable[Floats], n_tracks: int, n_components: int) -> Components:
    """The leading components of scores.

    Eigenvectors are known up to their sign; the largest weight is made positive.

    Args:
        blocks: Scores, block by block [rows, tracks].
        n_tracks: Tracks.
        n_components: How many to keep, at most `n_tracks`.

    Raises:
        InputFormatError: No scores but zeros, or values that are not finite.
    """
    moments = np.zeros((n_tracks, n_tracks))
    n_rows = 0
    for block in blocks:
        values = block.astype(np.float64)
        moments += values.T @ values
        n_rows += len(values)
    power = np.diag(moments)
    if not np.isfinite(moments).all() or not power.any():
        raise InputFormatError(
            f"the scores of {n_rows} variants are zero or not finite, so they have no components; "
            "leave --score_components out"
        )
    root = np.sqrt(power / max(1, n_rows))
    scale = np.divide(1.0, root, out=np.zeros(n_tracks), where=root > 0)
    values, vectors = np.linalg.eigh(moments / n_rows * np.outer(scale, scale))
    chosen = vectors[:, ::-1][:, :n_components]
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.sign(chosen[largest, np.arange(n_components)])
    explained = values[::-1][:n_components] / values.sum()
    return Components((chosen * scale[:, None]).astype(np.float32), explained)
