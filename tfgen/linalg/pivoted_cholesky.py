"""A low-rank factor of a covariance from a few of its columns."""

import numpy as np
import tensorflow as tf

from tfgen.linalg.operator import LowRankPlusNoise


def pivoted_cholesky_factor(operator: LowRankPlusNoise, rank: int) -> tf.Tensor:
    """L with L L' close to the part Q diag(f) Q' of an operator, which is not formed.

    Each step takes the column with the largest remaining diagonal entry (Harbrecht, Peters and
    Schneider 2012, doi:10.1016/j.apnum.2011.10.001). Unlike `tfp.math.pivoted_cholesky` this
    compiles under XLA and leaves the noise out, which the Woodbury identity adds exactly.

    Args:
        operator: `[..., k, k]`.
        rank: Columns of L, at most k.

    Returns:
        `[..., k, rank]`; columns are zero after the remainder has vanished.
    """
    shape = operator.shape_tensor()
    # Known shapes are kept: the variables of a loop must not lose them.
    static = operator.shape[:-1]
    diagonal = tf.broadcast_to(operator.signal_diag_part(), shape[:-1])
    diagonal = tf.ensure_shape(diagonal, static)
    factor = tf.zeros(tf.concat([shape[:-1], [rank]], axis=0), operator.dtype)
    factor = tf.ensure_shape(factor, [*static, rank])
    # What is left below this is rounding.
    eps = np.finfo(operator.dtype.as_numpy_dtype).eps
    floor = 10 * eps * tf.reduce_max(diagonal, axis=-1)

    def add_column(
        step: tf.Tensor, remaining: tf.Tensor, factor: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        pivot = tf.argmax(remaining, axis=-1, output_type=tf.int32)
        chosen = tf.one_hot(pivot, shape[-1], dtype=operator.dtype)
        largest = tf.reduce_max(remaining, axis=-1)
        known = tf.linalg.matvec(factor, tf.linalg.matvec(factor, chosen, transpose_a=True))
        column = operator.signal_column(pivot) - known
        usable = largest > floor
        root = tf.sqrt(tf.where(usable, largest, tf.ones_like(largest)))
        column = tf.where(usable[..., tf.newaxis], column / root[..., tf.newaxis], 0)
        remaining = tf.maximum(remaining - column**2, 0) * (1 - chosen)
        place = tf.one_hot(step, rank, dtype=operator.dtype)
        return step + 1, remaining, factor + column[..., tf.newaxis] * place

    def body(*state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        after = add_column(*state)
        return tuple(tf.ensure_shape(new, old.shape) for new, old in zip(after, state, strict=True))

    start = (tf.zeros([], tf.int32), diagonal, factor)
    return tf.while_loop(lambda *_: True, body, start, maximum_iterations=rank)[2]
