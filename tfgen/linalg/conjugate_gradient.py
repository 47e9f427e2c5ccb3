"""Preconditioned conjugate gradients for many right-hand sides of a batch of matrices at once.

The algorithm is that of Hestenes and Stiefel 1952 with the preconditioner of Golub and Van Loan,
Matrix Computations, section 11.5; that its coefficients are those of a Lanczos process is their
section 11.3.5. Each column has its own step lengths and stops on its own.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfgen.errors import NumericalError, UsageError
from tfgen.linalg.preconditioners import Preconditioner


class CgResult(NamedTuple):
    """Solutions X of A X = B, and what the iteration learned about A.

    Attributes:
        solution: `[..., k, m]`.
        residual_norm: |b - A x| / |b| of the solution returned, computed anew at the end and not
            by the recursion, `[..., m]`; 0 for a column b = 0.
        iterations: Steps taken by each column, int32 `[..., m]`.
        converged: Whether the recursion reached the tolerance and `residual_norm` confirms it to
            a factor of two, bool `[..., m]`.
        breakdown: Whether a column met p'Ap <= 0 or r'M^-1 r <= 0 (A or M is not positive
            definite) or a value that is not finite, bool `[..., m]`.
        alpha: Step lengths of the first T iterations, `[..., T, m - m0]`, see
            `conjugate_gradient`; 1 after the column has stopped, NaN if it broke down.
        beta: Direction coefficients of the same iterations; 0 from the one that stopped on.
    """

    solution: tf.Tensor
    residual_norm: tf.Tensor
    iterations: tf.Tensor
    converged: tf.Tensor
    breakdown: tf.Tensor
    alpha: tf.Tensor
    beta: tf.Tensor


class _State(NamedTuple):
    step: tf.Tensor
    solution: tf.Tensor
    residual: tf.Tensor
    direction: tf.Tensor
    product: tf.Tensor  # r'M^-1 r
    active: tf.Tensor
    breakdown: tf.Tensor
    iterations: tf.Tensor
    alpha: tf.Tensor  # [T, ..., m]
    beta: tf.Tensor


def conjugate_gradient(
    operator: tf.linalg.LinearOperator,
    rhs: tf.Tensor,
    preconditioner: Preconditioner | None = None,
    initial: tf.Tensor | None = None,
    tolerance: float = 1e-2,
    max_iterations: int = 200,
    n_lanczos: int = 32,
) -> CgResult:
    """Solves A X = B column by column; eager, in a `tf.function` or under XLA.

    A column stops, and its numbers do not change any more, when |r| <= tolerance |b| by the
    recursion, when it breaks down, or after `max_iterations`. A column of zeros has the solution
    zero. Tolerances below the machine's epsilon are taken as epsilon.

    The first T = min(n_lanczos, max_iterations) coefficients `alpha` and `beta` of a column that
    starts at zero are those of the Lanczos process of S^-1 A S^-T started at S^-1 b, for every S
    with S S' = M (see `tfgen.linalg.lanczos`). A column that starts elsewhere runs through the
    Krylov space of another vector, so that its coefficients say nothing about b; they are not
    returned. Hence: give the probe columns last, and `initial` for the columns before them only.

    Args:
        operator: A, `[..., k, k]`, self-adjoint and positive definite.
        rhs: B, `[..., k, m]`; a batch shape shorter than that of A is broadcast.
        preconditioner: M; the identity without one.
        initial: Where the first m0 columns start, `[..., k, m0]` with m0 <= m; the others start
            at zero.
        tolerance: Relative residual at which a column stops.
        max_iterations: Most steps of a column.
        n_lanczos: Most coefficients to keep.

    Returns:
        Solutions, residuals, flags and the Lanczos coefficients of the columns after the first m0.

    Raises:
        UsageError: A limit is negative, the rank of `rhs` is unknown, or `initial` has more
            columns than `rhs`.
    """
    if tolerance < 0 or max_iterations < 0 or n_lanczos < 0:
        raise UsageError(
            f"tolerance {tolerance:g}, max_iterations {max_iterations}, n_lanczos {n_lanczos}; "
            "expected none of them to be negative"
        )
    rhs = _broadcast(operator, tf.convert_to_tensor(rhs, operator.dtype))
    # Columns of largest entry 1: squares of tiny columns do not vanish, alpha and beta are the
    # same.
    scale = tf.reduce_max(tf.abs(rhs), axis=-2, keepdims=True)
    scale = tf.where(tf.equal(scale, 0), tf.ones_like(scale), scale)
    rhs = rhs / scale
    norm = tf.norm(rhs, axis=-2)
    start, n_warm = _start(rhs, scale, initial)
    n_kept = min(n_lanczos, max_iterations)
    limit = max(tolerance, float(np.finfo(rhs.dtype.as_numpy_dtype).eps))
    state = _first_state(operator, rhs, preconditioner, start, n_kept)
    state = state._replace(active=~(tf.norm(state.residual, axis=-2) <= limit * norm))
    state = _run(operator, preconditioner, state, limit * norm, max_iterations)
    relative = tf.norm(rhs - operator.matmul(state.solution), axis=-2)
    relative = tf.math.divide_no_nan(relative, norm)
    stopped = ~state.active & ~state.breakdown
    alpha, beta = _coefficients(state, n_warm)
    return CgResult(
        solution=state.solution * scale,
        residual_norm=relative,
        iterations=state.iterations,
        converged=stopped & (relative <= 2 * limit),
        breakdown=state.breakdown,
        alpha=alpha,
        beta=beta,
    )


def require_converged(result: CgResult, name: str) -> CgResult:
    """Stops eager callers at a solution that is none.

    Args:
        result: Of `conjugate_gradient`.
        name: What was solved, for the message: "block chr1_1_3000001".

    Returns:
        `result`.

    Raises:
        NumericalError: A column broke down or did not reach the tolerance.
    """
    broken = int(np.count_nonzero(result.breakdown))
    columns = int(np.size(result.breakdown))
    if broken:
        raise NumericalError(
            f"{name}: conjugate gradients broke down in {broken} of {columns} columns; expected a "
            "positive definite matrix and preconditioner and finite numbers: check the inputs, "
            "compute in float64 or by Cholesky"
        )
    failed = ~result.converged.numpy()
    if failed.any():
        worst = float(np.max(result.residual_norm.numpy()[failed]))
        raise NumericalError(
            f"{name}: conjugate gradients left a relative residual of {worst:.2g} after "
            f"{int(np.max(result.iterations))} iterations, {int(failed.sum())} of {columns} "
            "columns have not converged; allow more iterations or a larger tolerance"
        )
    return result


def _start(
    rhs: tf.Tensor, scale: tf.Tensor, initial: tf.Tensor | None
) -> tuple[tf.Tensor | None, int]:
    """Where all columns start, in the scale of `rhs` (None for zero), and how many are warm."""
    if initial is None:
        return None, 0
    initial = tf.convert_to_tensor(initial, rhs.dtype)
    n_warm, n_columns = initial.shape[-1], rhs.shape[-1]
    if n_warm is None or n_columns is None or n_warm > n_columns:
        raise UsageError(
            f"initial has {n_warm} columns and rhs {n_columns}; expected two known numbers, the "
            "first not larger"
        )
    warm = initial / scale[..., :n_warm]
    # The solution for a column of zeros is zero, wherever the caller would start.
    warm = tf.where(tf.reduce_any(rhs[..., :n_warm] != 0, axis=-2, keepdims=True), warm, 0)
    return tf.concat([warm, tf.zeros_like(rhs[..., n_warm:])], axis=-1), n_warm


def _first_state(
    operator: tf.linalg.LinearOperator,
    rhs: tf.Tensor,
    preconditioner: Preconditioner | None,
    start: tf.Tensor | None,
    n_lanczos: int,
) -> _State:
    residual = rhs if start is None else rhs - operator.matmul(start)
    direction = _solve(preconditioner, residual)
    product = tf.reduce_sum(residual * direction, axis=-2)
    nothing = tf.zeros_like(product, tf.bool)
    shape = tf.concat([[n_lanczos], tf.shape(product)], axis=0)
    alpha = tf.ensure_shape(tf.ones(shape, rhs.dtype), [n_lanczos, *product.shape])
    return _State(
        step=tf.zeros([], tf.int32),
        solution=tf.zeros_like(rhs) if start is None else start,
        residual=residual,
        direction=direction,
        product=product,
        active=nothing,
        breakdown=nothing,
        iterations=tf.zeros_like(product, tf.int32),
        alpha=alpha,
        beta=tf.zeros_like(alpha),
    )


def _run(
    operator: tf.linalg.LinearOperator,
    preconditioner: Preconditioner | None,
    state: _State,
    limit: tf.Tensor,
    max_iterations: int,
) -> _State:
    """Steps until no column is active."""

    def body(*flat: tf.Tensor) -> tuple[tf.Tensor, ...]:
        after = _iterate(operator, preconditioner, _State(*flat), limit)
        # The variables of a loop must not lose the shapes that are known.
        return tuple(tf.ensure_shape(new, old.shape) for new, old in zip(after, flat, strict=True))

    return _State(
        *tf.while_loop(
            lambda *flat: tf.reduce_any(_State(*flat).active),
            body,
            tuple(state),
            maximum_iterations=max_iterations,
            parallel_iterations=1,
        )
    )


def _iterate(
    operator: tf.linalg.LinearOperator,
    preconditioner: Preconditioner | None,
    state: _State,
    limit: tf.Tensor,
) -> _State:
    """One step of the columns that are active; the others keep every bit."""
    image = operator.matmul(state.direction)
    curvature = tf.reduce_sum(state.direction * image, axis=-2)
    # `>` is false for NaN, so that what is not finite breaks down too.
    sound = (curvature > 0) & tf.math.is_finite(curvature) & (state.product > 0)
    moves = state.active & sound
    alpha = _ratio(state.product, curvature, moves)
    solution = _where(moves, state.solution + _row(alpha) * state.direction, state.solution)
    residual = _where(moves, state.residual - _row(alpha) * image, state.residual)

    above = moves & ~(tf.norm(residual, axis=-2) <= limit)
    preconditioned = _solve(preconditioner, residual)
    product = tf.reduce_sum(residual * preconditioned, axis=-2)
    goes_on = above & (product > 0)
    beta = _ratio(product, state.product, goes_on)
    direction = _where(goes_on, preconditioned + _row(beta) * state.direction, state.direction)

    n_kept, rank = state.alpha.shape[0], state.alpha.shape.rank
    here = tf.reshape(tf.range(n_kept) == state.step, [n_kept] + [1] * (rank - 1))
    return _State(
        step=state.step + 1,
        solution=solution,
        residual=residual,
        direction=direction,
        product=tf.where(goes_on, product, state.product),
        active=goes_on,
        breakdown=state.breakdown | (state.active & ~sound) | (above & ~goes_on),
        iterations=state.iterations + tf.cast(moves, tf.int32),
        alpha=tf.where(here & moves, alpha, state.alpha),
        beta=tf.where(here & moves, beta, state.beta),
    )


def _coefficients(state: _State, n_warm: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Alpha and beta of the cold columns, `[..., T, m - m0]`."""
    rank = state.alpha.shape.rank
    order = [*range(1, rank - 1), 0, rank - 1]
    usable = ~state.breakdown[..., tf.newaxis, n_warm:]
    alpha = tf.transpose(state.alpha, order)[..., n_warm:]
    nan = tf.constant(np.nan, alpha.dtype)
    return tf.where(usable, alpha, nan), tf.transpose(state.beta, order)[..., n_warm:]


def _broadcast(operator: tf.linalg.LinearOperator, rhs: tf.Tensor) -> tf.Tensor:
    """`rhs` with the batch shape that A times it has."""
    if rhs.shape.rank is None or operator.shape.rank is None or rhs.shape.rank < 2:  # noqa: PLR2004
        raise UsageError(
            f"rhs of shape {rhs.shape} for an operator of shape {operator.shape}; expected "
            "[..., k, m] of known rank"
        )
    static = tf.broadcast_static_shape(operator.batch_shape, rhs.shape[:-2])
    if static.is_fully_defined() and static == rhs.shape[:-2]:
        return rhs
    batch = tf.broadcast_dynamic_shape(operator.batch_shape_tensor(), tf.shape(rhs)[:-2])
    wide = tf.broadcast_to(rhs, tf.concat([batch, tf.shape(rhs)[-2:]], axis=0))
    return tf.ensure_shape(wide, static.concatenate(rhs.shape[-2:]))


def _solve(preconditioner: Preconditioner | None, x: tf.Tensor) -> tf.Tensor:
    return x if preconditioner is None else preconditioner.solve(x)


def _ratio(numerator: tf.Tensor, denominator: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    """The quotient where it is wanted, 0 elsewhere whatever stands there."""
    safe = tf.where(where, denominator, tf.ones_like(denominator))
    return tf.where(where, numerator / safe, tf.zeros_like(safe))


def _row(values: tf.Tensor) -> tf.Tensor:
    return values[..., tf.newaxis, :]


def _where(columns: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    return tf.where(_row(columns), new, old)
