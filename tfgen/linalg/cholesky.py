"""Cholesky factors that are checked.

`tf.linalg.cholesky` of a matrix that is not positive definite is NaN without an error (and on the
CPU its upper triangle is memory nobody wrote), so nothing may use a factor before its diagonal was
looked at.
"""

import numpy as np
import tensorflow as tf

from tfgen.errors import NumericalError, UsageError


def checked_cholesky(
    matrix: tf.Tensor, jitter: float = 1e-6, tries: int = 3
) -> tuple[tf.Tensor, tf.Tensor]:
    """Lower Cholesky factors; where the plain one fails, of the matrix with a larger diagonal.

    Only a matrix whose plain factorisation fails gets anything added: `jitter` times the mean of
    the absolute values of its diagonal, ten times more at each further try. Works eagerly, inside
    `tf.function` and under XLA, each matrix of a batch on its own. Gradients do not pass through
    the retries.

    Args:
        matrix: `[..., k, k]`, symmetric; only its lower triangle is read.
        jitter: First addition, relative to the mean diagonal.
        tries: Attempts after the plain one; 0 for none.

    Returns:
        The factors `[..., k, k]`, and what was added to each diagonal `[...]`: 0 where the plain
        factorisation succeeded. Both are NaN where every attempt failed.

    Raises:
        UsageError: `jitter` is not positive or `tries` is negative.
    """
    if jitter <= 0 or tries < 0:
        raise UsageError(
            f"jitter {jitter:g} with {tries} tries; expected a positive jitter and tries >= 0"
        )
    matrix = tf.convert_to_tensor(matrix)
    nan = tf.constant(np.nan, matrix.dtype)
    first = jitter * tf.reduce_mean(tf.abs(tf.linalg.diag_part(matrix)), axis=-1)

    def attempt(added: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        diagonal = tf.linalg.diag_part(matrix) + added[..., tf.newaxis]
        lower = tf.linalg.cholesky(tf.linalg.set_diag(matrix, diagonal))
        sound = _is_sound(lower)
        lower = tf.where(sound[..., tf.newaxis, tf.newaxis], lower, nan)
        return lower, tf.where(sound, added, nan)

    def some_failed(attempts: tf.Tensor, _: tf.Tensor, added: tf.Tensor) -> tf.Tensor:
        return (attempts < tries) & tf.reduce_any(tf.math.is_nan(added))

    def retry(
        attempts: tf.Tensor, lower: tf.Tensor, added: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        again, more = attempt(first * tf.pow(tf.constant(10.0, matrix.dtype), attempts))
        failed = tf.math.is_nan(added)
        lower = tf.where(failed[..., tf.newaxis, tf.newaxis], again, lower)
        return attempts + 1, lower, tf.where(failed, more, added)

    attempts = tf.zeros([], matrix.dtype)
    start = (attempts, *attempt(tf.zeros_like(first)))
    _, lower, added = tf.while_loop(some_failed, retry, start, parallel_iterations=1)
    return lower, added


def require_factor(
    matrix: tf.Tensor, name: str, jitter: float = 1e-6, tries: int = 3
) -> tuple[tf.Tensor, tf.Tensor]:
    """`checked_cholesky` for eager callers, which stops where no attempt succeeded.

    Args:
        matrix: `[..., k, k]`, symmetric.
        name: What the matrix is, for the message: "the covariance of block chr1_1_3000001".
        jitter: As in `checked_cholesky`.
        tries: As in `checked_cholesky`.

    Returns:
        The factors `[..., k, k]` and what was added to each diagonal `[...]`.

    Raises:
        NumericalError: A matrix is not positive definite, or not finite.
        UsageError: As in `checked_cholesky`.
    """
    lower, added = checked_cholesky(matrix, jitter, tries)
    failed = np.argwhere(np.isnan(added.numpy()))
    if len(failed):
        index = tuple(int(i) for i in failed[0])
        values = tf.convert_to_tensor(matrix)[index].numpy()
        where = f"{name}, matrix {', '.join(map(str, index))} of its batch" if index else name
        raise NumericalError(f"{where}: {_reason(values, jitter, tries)}")
    return lower, added


def _is_sound(lower: tf.Tensor) -> tf.Tensor:
    """Whether the diagonals of factors `[..., k, k]` are finite: `[...]`."""
    return tf.reduce_all(tf.math.is_finite(tf.linalg.diag_part(lower)), axis=-1)


def _reason(matrix: np.ndarray, jitter: float, tries: int) -> str:
    """Why a matrix `[k, k]` has no factor."""
    unusable = int(np.size(matrix) - np.count_nonzero(np.isfinite(matrix)))
    if unusable:
        return f"{unusable} of {np.size(matrix)} entries are not finite; check its inputs"
    smallest = np.linalg.eigvalsh(matrix.astype(np.float64))[0]
    tried = f" with up to {jitter * 10.0 ** (tries - 1):g} of the mean diagonal" if tries else ""
    return (
        f"no Cholesky factor{tried}, the smallest eigenvalue is {smallest:g}; expected a positive "
        "definite matrix: check its inputs or compute in float64"
    )
