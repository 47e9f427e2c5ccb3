import numpy as np
import pytest
import tensorflow as tf

from prior.small_blocks import panel_ld, toy
from tfgen.prior.likelihood import block_terms
from tfgen.prior.posterior import block_posterior, fisher_information, posterior_of


def dense_posterior(block):
    """Mean and covariance of b given z, from the joint Gaussian of (b, y)."""
    F, Q = np.diag(np.exp(block.logf)), block.Q
    K = Q @ F @ Q.T + np.exp(block.log_sigma) * np.eye(len(Q))
    gain = F @ Q.T @ np.linalg.inv(K)
    return gain @ block.y, F - gain @ Q @ F


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_moments_are_those_of_the_joint_gaussian(sigma):
    block = toy(1, n=80, flank=20, sigma=sigma)
    posterior = block_posterior(block.logf, np.float64(block.log_sigma), block.Q, block.y)
    mean, covariance = dense_posterior(block)
    np.testing.assert_allclose(posterior.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(posterior.variance, np.diag(covariance), rtol=1e-10)
    np.testing.assert_allclose(posterior.second_moment, mean**2 + np.diag(covariance), rtol=1e-10)


def test_the_mean_is_the_solution_of_the_published_system():
    # (W + sigma F^-1)^-1 v with W = Q'Q and v = Q'y.
    block = toy(2, n=60, flank=20)
    system = block.Q.T @ block.Q + np.exp(block.log_sigma) * np.diag(np.exp(-block.logf))
    expected = np.linalg.solve(system, block.Q.T @ block.y)
    found = block_posterior(block.logf, np.float64(block.log_sigma), block.Q, block.y).mean
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_intervals_cover_at_their_level():
    inside = {0.5: [], 0.9: [], 0.95: []}
    quantile = {0.5: 0.6745, 0.9: 1.6449, 0.95: 1.96}
    rng = np.random.default_rng(0)
    for _ in range(100):
        R = panel_ld(50, 30, rng)
        block = toy(0, n=50, flank=0, R=R)
        b = np.exp(0.5 * block.logf) * rng.normal(size=50)
        y = block.Q @ b + rng.normal(size=len(block.Q))
        posterior = block_posterior(block.logf, np.float64(0), block.Q, y)
        error = np.abs(b - posterior.mean) / np.sqrt(posterior.variance)
        for level, hits in inside.items():
            hits.append(np.mean(error < quantile[level]))
    for level, hits in inside.items():
        # Variants of a block are correlated: the error is that of 100 independent blocks.
        assert np.mean(hits) == pytest.approx(level, abs=4 * np.std(hits) / 10)


def test_variances_never_fall_below_zero_in_single_precision():
    block = toy(3, mean_f=1e4)
    single = [np.float32(x) for x in (block.logf, block.log_sigma, block.Q, block.y)]
    posterior = block_posterior(*single)
    assert posterior.variance.dtype == tf.float32
    assert (posterior.variance.numpy() >= 0).all()


def test_terms_of_the_likelihood_can_be_used_again():
    block = toy(4)
    arguments = (block.logf, np.float64(0), block.Q, block.y)
    again = posterior_of(block.logf, block_terms(*arguments))
    np.testing.assert_array_equal(again.mean, block_posterior(*arguments).mean)


def test_the_fisher_information_is_the_mean_outer_product_of_the_score():
    rng = np.random.default_rng(0)
    block = toy(5, n=6, flank=1)
    K = (block.Q * np.exp(block.logf)) @ block.Q.T + np.eye(len(block.Q))
    half = np.linalg.cholesky(K)
    y = (half @ rng.normal(size=(len(K), 40_000))).T
    Q = np.broadcast_to(block.Q, (len(y), *block.Q.shape))
    scores = block_terms(block.logf, np.zeros(len(y)), Q, y).d_logf.numpy()
    products = scores[:, :, None] * scores[:, None, :]
    expected = fisher_information(block.logf, np.float64(0), block.Q, block.y).numpy()
    error = products.std(0) / np.sqrt(len(y))
    assert (np.abs(products.mean(0) - expected) < 5 * error + 1e-12).all()
