import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from prior.small_blocks import panel_ld, toy
from tfgen.prior import reference_forms
from tfgen.prior.likelihood import block_llr, block_nll

LOG_2PI = np.log(2 * np.pi)


def parts(block):
    return tf.constant(block.logf), tf.constant(block.log_sigma, tf.float64)


def window(block, **options):
    return reference_forms.decompose(tf.constant(block.R), block.w, block.z, **options)


@pytest.mark.parametrize("seed", range(3))
def test_the_published_default_equals_the_whitened_form_in_value_and_gradient(seed):
    block = toy(seed, n=240, flank=80, sigma=0.8)
    logf, log_sigma = parts(block)
    found = []
    for function in (
        lambda: reference_forms.wasp_new(logf, log_sigma, window(block)),
        lambda: block_llr(logf, log_sigma, block.Q, block.y),
    ):
        with tf.GradientTape() as tape:
            tape.watch(logf)
            result = function()
        found.append((result.numpy(), tape.gradient(result, logf).numpy()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-9)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-9, atol=1e-12)


def test_the_gradient_of_sigma_is_that_of_the_full_likelihood():
    block = toy(4, n=120, flank=40)
    logf, log_sigma = parts(block)
    found = []
    for function in (
        lambda: reference_forms.wasp_new_nll(logf, log_sigma, window(block)),
        lambda: block_nll(logf, log_sigma, block.Q, block.y),
    ):
        with tf.GradientTape() as tape:
            tape.watch(log_sigma)
            result = function()
        found.append((result.numpy(), tape.gradient(result, log_sigma).numpy()))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


def test_a_faster_eigendecomposition_gives_the_same():
    rng = np.random.default_rng(0)
    block = toy(0, n=90, flank=30, R=panel_ld(90, 20, rng))
    logf, log_sigma = parts(block)
    numpy_eigh = lambda x: tuple(map(tf.constant, np.linalg.eigh(x)))  # noqa: E731
    slow, fast = window(block), window(block, eigh=numpy_eigh)
    assert slow.eigenvalues.shape == fast.eigenvalues.shape == (len(block.eigenvalues),)
    np.testing.assert_allclose(
        reference_forms.wasp_new(logf, log_sigma, slow),
        reference_forms.wasp_new(logf, log_sigma, fast),
        rtol=1e-9,
    )


def test_mle_chol_is_the_dense_density_with_its_jitter():
    block = toy(1)
    logf, log_sigma = parts(block)
    covariance = block.covariance + 1e-4 * np.eye(len(block.w))
    expected = -multivariate_normal.logpdf(block.z, cov=covariance)
    found = reference_forms.mle_chol(logf, log_sigma, block.R, block.w, block.z)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_wasp_lacks_the_noise():
    block = toy(2)
    rows = block.R[block.w]
    covariance = rows * np.exp(block.logf) @ rows.T + 1e-4 * np.eye(len(block.w))
    expected = -multivariate_normal.logpdf(block.z, cov=covariance)
    found = reference_forms.wasp(tf.constant(block.logf), block.R, block.w, block.z)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_wasp_pre_is_the_dense_density_of_a_regularised_panel():
    block = toy(3, sigma=0.6)
    logf, log_sigma = parts(block)
    covariance = block.covariance + 0.6 * 1e-4 * np.eye(len(block.w))
    expected = -multivariate_normal.logpdf(block.z, cov=covariance) - 0.5 * len(block.w) * LOG_2PI
    found = reference_forms.wasp_pre(logf, log_sigma, block.R, block.w, block.z)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_whitened_matrices_are_far_better_conditioned():
    # The reason for the rewriting: A_w against K at the same prior.
    block = toy(
        0, n=240, flank=80, mean_f=0.05, R=panel_ld(240, 2000, np.random.default_rng(0), 0.98)
    )
    K = (block.Q * np.exp(block.logf)) @ block.Q.T + np.eye(len(block.Q))
    assert np.linalg.cond(block.covariance) > 50 * np.linalg.cond(K)
