"""The low-rank factor, against a loop over one matrix and TensorFlow Probability."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from linalg.blocks import MODES, ar_block, block_of
from tfgen.linalg.operator import LowRankPlusNoise
from tfgen.linalg.pivoted_cholesky import pivoted_cholesky_factor

BLOCK = ar_block()
SIZE = len(BLOCK.matrix)
SIGNAL = BLOCK.matrix - BLOCK.noise * np.eye(SIZE)
OPERATOR = LowRankPlusNoise(*BLOCK.parts)


def by_loop(matrix, rank):
    rest, columns = matrix.copy(), []
    for _ in range(rank):
        pivot = np.argmax(np.diag(rest))
        columns.append(rest[:, pivot] / np.sqrt(rest[pivot, pivot]))
        rest = rest - np.outer(columns[-1], columns[-1])
    return np.array(columns).T


@pytest.mark.parametrize("mode", MODES)
def test_it_is_the_factor_of_the_definition(mode):
    factor = MODES[mode](lambda: pivoted_cholesky_factor(OPERATOR, 5))()
    np.testing.assert_allclose(factor, by_loop(SIGNAL, 5), rtol=1e-8, atol=1e-10)


def test_it_is_the_factor_of_tensorflow_probability():
    with warnings.catch_warnings():
        # The package uses distutils when it is imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        import tensorflow_probability as tfp

        theirs = tfp.math.pivoted_cholesky(tf.constant(SIGNAL), 5, diag_rtol=1e-12)
    ours = pivoted_cholesky_factor(OPERATOR, 5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)


def test_with_all_columns_it_is_exact():
    block = block_of(np.random.default_rng(0).normal(size=(12, 30)))
    factor = pivoted_cholesky_factor(LowRankPlusNoise(*block.parts), 12).numpy()
    np.testing.assert_allclose(factor @ factor.T, block.matrix - np.eye(12), rtol=1e-9, atol=1e-12)


def test_the_error_falls_with_each_column():
    errors = []
    for rank in (1, 2, 4, 8):
        factor = pivoted_cholesky_factor(OPERATOR, rank).numpy()
        errors.append(np.trace(SIGNAL - factor @ factor.T))
    assert all(after < before for before, after in zip(errors, errors[1:], strict=False))
    assert errors[-1] >= 0


def test_columns_after_the_remainder_has_vanished_are_zero():
    thin = np.random.default_rng(0).normal(size=(10, 3))
    factor = pivoted_cholesky_factor(LowRankPlusNoise(thin, np.ones(3), 1.0), 6).numpy()
    np.testing.assert_array_equal(factor[:, 3:], np.zeros((10, 3)))
    np.testing.assert_allclose(factor @ factor.T, thin @ thin.T, rtol=1e-10, atol=1e-12)


def test_shapes_of_a_batch_are_broadcast():
    variances = np.stack([BLOCK.variances, BLOCK.variances[::-1]])
    factor = pivoted_cholesky_factor(LowRankPlusNoise(BLOCK.projection, variances, 1.0), 4)
    assert factor.shape == [2, SIZE, 4]
    for i in range(2):
        one = LowRankPlusNoise(BLOCK.projection, variances[i], 1.0)
        np.testing.assert_allclose(
            factor[i], pivoted_cholesky_factor(one, 4), rtol=1e-8, atol=1e-12
        )
