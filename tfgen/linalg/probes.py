"""Random vectors that estimate traces and diagonals of the inverse of a matrix.

With E[p p'] = M, which probes p = S u with S S' = M and random signs u have (E[u u'] = I),

    E[(M^-1 p)(K^-1 p)'] = M^-1 M K^-1 = K^-1,

so that products of what M and what K make of the same probe are unbiased for every linear function
of K^-1: (Q'M^-1 p)_i (Q'K^-1 p)_i for the diagonal of Q'K^-1 Q, (M^-1 p)'(K^-1 p) for the trace of
K^-1. The better M, the less they vary. M must not depend on the probes.
"""

from typing import NamedTuple

import tensorflow as tf

from tfgen.linalg.preconditioners import Preconditioner


class Probes(NamedTuple):
    """Random vectors whose second moment is a preconditioner M.

    Attributes:
        vectors: p, `[..., k, m]`.
        solved: M^-1 p, `[..., k, m]`.
        weights: p'M^-1 p, `[..., m]`; its expectation is k.
    """

    vectors: tf.Tensor
    solved: tf.Tensor
    weights: tf.Tensor


def draw_probes(preconditioner: Preconditioner, n_probes: int, seed: tf.Tensor) -> Probes:
    """Draws probes S u from random signs u; the same for the same seed, shape and factor S.

    Keep the seed of a matrix between evaluations: differences of two estimates with the same signs
    vary less.

    Args:
        preconditioner: M.
        n_probes: m.
        seed: Two integers.

    Returns:
        `n_probes` vectors for each matrix of the batch.
    """
    shape = tf.concat([preconditioner.factor_shape(), [n_probes]], axis=0)
    # One generator for every device and for XLA, so that they all draw the same.
    bits = tf.random.stateless_uniform(shape, seed, 0, 2, tf.int32, alg="philox")
    vectors = preconditioner.multiply_factor(tf.cast(2 * bits - 1, preconditioner.dtype))
    solved = preconditioner.solve(vectors)
    return Probes(vectors, solved, tf.reduce_sum(vectors * solved, axis=-2))


def inverse_trace(probes: Probes, solutions: tf.Tensor) -> tf.Tensor:
    """Unbiased estimate of tr K^-1.

    Args:
        probes: Drawn for any M.
        solutions: K^-1 p of their vectors, `[..., k, m]`; the error of an inexact solution is a
            bias.

    Returns:
        `[...]`.
    """
    return tf.reduce_mean(tf.reduce_sum(probes.solved * solutions, axis=-2), axis=-1)


def projected_inverse_diagonal(
    projection: tf.Tensor, probes: Probes, solutions: tf.Tensor
) -> tf.Tensor:
    """Unbiased estimate of the diagonal of Q'K^-1 Q; single entries can be negative.

    With M = I an entry varies by about sqrt(2/m) of its size, so that few probes serve for a
    gradient that is averaged over many variants, and not for a posterior variance.

    Args:
        projection: Q, `[..., k, n]`.
        probes: Drawn for any M.
        solutions: K^-1 p of their vectors, `[..., k, m]`.

    Returns:
        `[..., n]`.
    """
    ours = tf.matmul(projection, solutions, transpose_a=True)
    theirs = tf.matmul(projection, probes.solved, transpose_a=True)
    return tf.reduce_mean(ours * theirs, axis=-1)
