"""Checked factors, against SciPy; the failures that TensorFlow passes over in silence."""

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from linalg.blocks import MODES, spread_matrix
from tfgen.errors import NumericalError, UsageError
from tfgen.linalg.cholesky import checked_cholesky, require_factor

INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])  # eigenvalues 3 and -1
# Eigenvalues 2 and -1e-6: the second addition, 1e-5 of the mean diagonal 1, lifts it.
NEARLY = np.array([[1 - 5e-7, 1 + 5e-7], [1 + 5e-7, 1 - 5e-7]])


def test_tensorflow_gives_nan_without_an_error():
    # The reason for this module: if this fails, TensorFlow has learned to complain.
    assert np.isnan(tf.linalg.cholesky(INDEFINITE).numpy()).any()


@pytest.mark.parametrize("mode", MODES)
def test_factors_equal_those_of_scipy_and_nothing_is_added(mode):
    matrices = np.stack([spread_matrix(seed=seed) for seed in range(3)])
    lower, added = MODES[mode](checked_cholesky)(tf.constant(matrices))
    for ours, matrix in zip(lower.numpy(), matrices, strict=True):
        np.testing.assert_allclose(ours, scipy.linalg.cholesky(matrix, lower=True), rtol=1e-9)
    np.testing.assert_array_equal(added, [0, 0, 0])


@pytest.mark.parametrize("mode", MODES)
def test_only_the_matrix_that_fails_gets_a_larger_diagonal(mode):
    sound = np.array([[4.0, 2.0], [2.0, 5.0]])
    lower, added = MODES[mode](checked_cholesky)(tf.constant(np.stack([sound, NEARLY])))
    np.testing.assert_allclose(lower[0], [[2, 0], [1, 2]], rtol=1e-15)
    np.testing.assert_allclose(added, [0, 1e-5], rtol=1e-6)
    wanted = NEARLY + added[1].numpy() * np.eye(2)
    np.testing.assert_allclose(lower[1] @ tf.transpose(lower[1]), wanted, rtol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_a_matrix_beyond_repair_is_nan_in_factor_and_addition(mode):
    lower, added = MODES[mode](checked_cholesky)(tf.constant(np.stack([np.eye(2), INDEFINITE])))
    np.testing.assert_array_equal(lower[0], np.eye(2))
    np.testing.assert_array_equal(np.isnan(lower[1]), np.ones((2, 2), bool))
    np.testing.assert_array_equal(added, [0, np.nan])


def test_the_number_of_tries_is_kept():
    def added(jitter, tries):
        return checked_cholesky(tf.constant(NEARLY), jitter, tries)[1].numpy()

    assert np.isnan(added(1e-6, 0))
    assert np.isnan(added(1e-6, 1))
    assert added(1e-6, 2) == pytest.approx(1e-5, rel=1e-6)
    assert added(1e-4, 1) == pytest.approx(1e-4, rel=1e-6)


def test_the_addition_goes_with_the_scale_of_the_matrix():
    _, added = checked_cholesky(tf.constant(1000 * NEARLY))
    assert added.numpy() == pytest.approx(1e-2, rel=1e-6)


def test_float32_stays_float32():
    lower, added = checked_cholesky(tf.constant(NEARLY, tf.float32))
    assert lower.dtype == added.dtype == tf.float32
    assert np.isfinite(lower.numpy()).all()


@pytest.mark.parametrize(("jitter", "tries"), [(0.0, 3), (-1e-6, 3), (1e-6, -1)])
def test_settings_without_meaning_are_refused(jitter, tries):
    with pytest.raises(UsageError, match="expected a positive jitter and tries >= 0"):
        checked_cholesky(tf.eye(2), jitter, tries)


def test_a_required_factor_is_the_checked_one():
    lower, added = require_factor(tf.constant(NEARLY), "block 7")
    expected = checked_cholesky(tf.constant(NEARLY))
    np.testing.assert_array_equal(lower, expected[0])
    np.testing.assert_array_equal(added, expected[1])


def test_a_missing_factor_names_the_block_and_the_eigenvalue():
    message = r"^block 7: no Cholesky factor with up to 0.0001 .* smallest eigenvalue is -1; exp"
    with pytest.raises(NumericalError, match=message):
        require_factor(tf.constant(INDEFINITE), "block 7")
    with pytest.raises(NumericalError, match="^block 7: no Cholesky factor, the smallest"):
        require_factor(tf.constant(INDEFINITE), "block 7", tries=0)


def test_a_missing_factor_of_a_batch_names_its_place():
    batch = np.stack([[np.eye(2), np.eye(2)], [np.eye(2), INDEFINITE]])
    with pytest.raises(NumericalError, match="^chr1, matrix 1, 1 of its batch: no Cholesky"):
        require_factor(tf.constant(batch), "chr1")


def test_entries_that_are_not_finite_are_counted():
    matrix = np.eye(3)
    matrix[2, 1] = matrix[1, 2] = np.nan
    with pytest.raises(NumericalError, match="^block 7: 2 of 9 entries are not finite"):
        require_factor(tf.constant(matrix), "block 7")
