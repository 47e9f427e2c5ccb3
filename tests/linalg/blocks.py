"""LD blocks of known covariance, and the same linear algebra by NumPy in float64."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

MODES = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": lambda function: tf.function(function, jit_compile=True),
}


class Block(NamedTuple):
    """K = sigma I + Q diag(f) Q' and its parts; `y` is drawn from N(0, K)."""

    projection: np.ndarray
    variances: np.ndarray
    noise: float
    matrix: np.ndarray
    y: np.ndarray  # [k, 1]

    @property
    def parts(self):
        return self.projection, self.variances, self.noise

    @property
    def log_determinant(self):
        return np.linalg.slogdet(self.matrix)[1]


def block_of(projection, seed=0, mean=0.2, spread=2.0, noise=1.0):
    """Log-normal variances of the given mean for a projection."""
    rng = np.random.default_rng(seed)
    variances = np.exp(spread * rng.normal(size=projection.shape[1]))
    variances *= mean / variances.mean()
    matrix = (projection * variances) @ projection.T + noise * np.eye(len(projection))
    y = np.linalg.cholesky(matrix) @ rng.normal(size=(len(matrix), 1))
    return Block(projection, variances, noise, matrix, y)


def ar_block(n=60, flank=15, rho=0.99, **more):
    """LD rho^|i - j| of n variants, of which all but `flank` on each side are observed."""
    ld = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    seen = slice(flank, n - flank)
    values, vectors = np.linalg.eigh(ld[seen, seen])
    return block_of((vectors / np.sqrt(values)).T @ ld[seen], **more)


def spread_matrix(size=40, condition=1e6, seed=0):
    """A positive definite matrix with eigenvalues evenly spread in logarithm, from 1 up."""
    rng = np.random.default_rng(seed)
    vectors = np.linalg.qr(rng.normal(size=(size, size)))[0]
    return (vectors * np.geomspace(1, condition, size)) @ vectors.T
