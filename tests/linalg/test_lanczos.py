"""Tridiagonal matrices and quadrature, against a Lanczos process with reorthogonalisation."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from linalg.blocks import MODES, ar_block, spread_matrix
from tfgen.linalg.conjugate_gradient import conjugate_gradient
from tfgen.linalg.lanczos import quadrature, tridiagonal
from tfgen.linalg.operator import LowRankPlusNoise
from tfgen.linalg.preconditioners import jacobi

BLOCK = ar_block()
SIZE = len(BLOCK.matrix)


def lanczos(matrix, start, steps):
    """T of a Lanczos process that orthogonalises against all vectors before."""
    basis = [start / np.linalg.norm(start)]
    for _ in range(steps - 1):
        new = matrix @ basis[-1]
        for _ in range(2):
            for vector in basis:
                new = new - (vector @ new) * vector
        basis.append(new / np.linalg.norm(new))
    basis = np.array(basis).T
    return basis.T @ matrix @ basis


def exact(matrix, v, function):
    """v' function(A) v / v'v."""
    values, vectors = scipy.linalg.eigh(matrix)
    return ((vectors.T @ v) ** 2 @ function(values)) / (v @ v)


def coefficients(operator, b, steps, **more):
    result = conjugate_gradient(
        operator, b[:, None], tolerance=0, max_iterations=steps, n_lanczos=steps, **more
    )
    return result.alpha, result.beta


def test_coefficients_make_the_tridiagonal_matrix_of_lanczos():
    b = np.random.default_rng(0).normal(size=SIZE)
    matrix = spread_matrix(SIZE, 1000)
    ours = tridiagonal(*coefficients(tf.linalg.LinearOperatorFullMatrix(matrix), b, 8))
    np.testing.assert_allclose(ours[0], lanczos(matrix, b, 8), rtol=1e-9, atol=1e-9)


def test_with_a_preconditioner_they_belong_to_the_preconditioned_matrix():
    operator = LowRankPlusNoise(*BLOCK.parts)
    b = np.random.default_rng(0).normal(size=SIZE)
    ours = tridiagonal(*coefficients(operator, b, 8, preconditioner=jacobi(operator)))
    root = np.sqrt(np.diag(BLOCK.matrix))
    expected = lanczos(BLOCK.matrix / np.outer(root, root), b / root, 8)
    np.testing.assert_allclose(ours[0], expected, atol=1e-9)


def test_a_single_step_makes_a_single_entry():
    b = np.random.default_rng(0).normal(size=SIZE)
    ours = tridiagonal(*coefficients(LowRankPlusNoise(*BLOCK.parts), b, 1))
    np.testing.assert_allclose(ours, [[[b @ BLOCK.matrix @ b / (b @ b)]]], rtol=1e-10)


def test_after_a_column_has_stopped_stands_the_identity():
    matrix = np.diag([2.0, 3.0, 4.0])
    result = conjugate_gradient(
        tf.linalg.LinearOperatorFullMatrix(matrix), [[1.0], [0.0], [0.0]], n_lanczos=3
    )
    expected = np.diag([2.0, 1.0, 1.0])
    np.testing.assert_allclose(tridiagonal(result.alpha, result.beta)[0], expected, rtol=1e-12)
    value = quadrature(result.alpha, result.beta, tf.math.log)
    np.testing.assert_allclose(value, [np.log(2.0)], rtol=1e-12)


@pytest.mark.parametrize("name", ["log", "reciprocal", "sqrt"])
def test_with_all_steps_the_quadrature_is_exact(name):
    matrix = spread_matrix(12, 100)
    operator = tf.linalg.LinearOperatorFullMatrix(matrix)
    b = np.random.default_rng(3).normal(size=12)
    value = quadrature(*coefficients(operator, b, 12), getattr(tf.math, name))
    function = {"log": np.log, "reciprocal": np.reciprocal, "sqrt": np.sqrt}[name]
    np.testing.assert_allclose(value, [exact(matrix, b, function)], rtol=1e-9)


def test_fewer_steps_bound_the_logarithm_from_above_and_come_close_fast():
    matrix = spread_matrix(SIZE, 1000)
    b = np.random.default_rng(3).normal(size=SIZE)
    target = exact(matrix, b, np.log)
    errors = []
    for steps in (2, 4, 8, 16):
        operator = tf.linalg.LinearOperatorFullMatrix(matrix)
        errors.append(
            quadrature(*coefficients(operator, b, steps), tf.math.log).numpy()[0] - target
        )
    assert min(errors) > 0
    assert all(after < before / 2 for before, after in zip(errors, errors[1:], strict=False))


def test_columns_and_batches_are_separate():
    rng = np.random.default_rng(4)
    alpha, beta = rng.uniform(0.5, 1, size=(2, 2, 5, 3))
    whole = quadrature(alpha, beta, tf.math.log)
    assert whole.shape == [2, 3]
    for i in range(2):
        for j in range(3):
            one = quadrature(alpha[i, :, j : j + 1], beta[i, :, j : j + 1], tf.math.log)
            np.testing.assert_allclose(whole[i, j], one[0], rtol=1e-12)


def test_a_column_that_broke_down_is_nan_and_spoils_no_other():
    alpha, beta = np.full((4, 3), 0.5), np.full((4, 3), 0.1)
    good = quadrature(alpha, beta, tf.math.log)
    alpha[:, 1] = np.nan
    value = quadrature(alpha, beta, tf.math.log)
    np.testing.assert_array_equal(np.isnan(value), [False, True, False])
    np.testing.assert_array_equal(value[::2], good[::2])


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_compiled_is_eager(mode):
    rng = np.random.default_rng(4)
    alpha, beta = tf.constant(rng.uniform(0.5, 1, size=(2, 16, 4)))

    def logarithm(alpha, beta):
        return quadrature(alpha, beta, tf.math.log)

    # XLA's eigh is iterative: 1e-8 is what it keeps.
    np.testing.assert_allclose(
        MODES[mode](logarithm)(alpha, beta), logarithm(alpha, beta), rtol=1e-8, atol=1e-8
    )


def test_float32_coefficients_are_evaluated_in_float64():
    operator = LowRankPlusNoise(*(np.float32(part) for part in BLOCK.parts))
    b = np.random.default_rng(0).normal(size=SIZE)
    value = quadrature(*coefficients(operator, b.astype(np.float32), 12), tf.math.log)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(value, [exact(BLOCK.matrix, b, np.log)], rtol=1e-4)
