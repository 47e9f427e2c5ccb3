import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from prior.small_blocks import Toy, panel_ld, toy, whiten
from tfgen.errors import UsageError
from tfgen.prior.likelihood import block_llr, block_nll, block_terms


def value(function, block, **changes):
    arguments = {
        "logf": block.logf,
        "log_sigma": np.float64(block.log_sigma),
        "Q": block.Q,
        "y": block.y,
    } | changes
    return function(**arguments)


def pad(block, rows, columns):
    """The block with empty rows and columns."""
    k, n = block.Q.shape
    Q = np.zeros((k + rows, n + columns))
    Q[:k, :n] = block.Q
    y = np.concatenate([block.y, np.zeros(rows)])
    logf = np.concatenate([block.logf, np.full(columns, 1.7)])
    return {"logf": logf, "Q": Q, "y": y, "rank": k}


def gradients(function, block, **changes):
    logf = tf.constant(changes.pop("logf", block.logf))
    log_sigma = tf.constant(changes.pop("log_sigma", block.log_sigma), logf.dtype)
    with tf.GradientTape() as tape:
        tape.watch([logf, log_sigma])
        result = tf.reduce_sum(value(function, block, logf=logf, log_sigma=log_sigma, **changes))
    return [x.numpy() for x in tape.gradient(result, [logf, log_sigma])]


@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_is_the_gaussian_density(seed):
    # n=240, |w|=80 as in the derivation's own check; no eigenvalue is cut, so that the density of
    # z and that of y differ by the determinant of the whitening alone.
    block = toy(seed, n=240, flank=80, sigma=0.7)
    density = multivariate_normal.logpdf(block.z, cov=block.covariance)
    jacobian = 0.5 * np.log(block.eigenvalues).sum()
    assert len(block.eigenvalues) == 80
    np.testing.assert_allclose(-value(block_nll, block) - jacobian, density, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_ratio_is_that_of_two_gaussian_densities(seed):
    block = toy(seed, n=240, flank=80, sigma=1.3)
    null = math.exp(block.log_sigma) * block.R[np.ix_(block.w, block.w)]
    expected = multivariate_normal.logpdf(block.z, cov=block.covariance)
    expected -= multivariate_normal.logpdf(block.z, cov=null)
    np.testing.assert_allclose(-value(block_llr, block), expected, rtol=1e-9)


def test_a_singular_panel_has_the_density_on_the_kept_subspace():
    rng = np.random.default_rng(3)
    block = toy(3, n=120, flank=30, R=panel_ld(120, 40, rng))
    k = len(block.eigenvalues)
    assert k < 40
    covariance = block.P @ block.covariance @ block.P.T
    expected = multivariate_normal.logpdf(block.y, cov=covariance)
    np.testing.assert_allclose(-value(block_nll, block), expected, rtol=1e-9)


@pytest.mark.parametrize("function", [block_nll, block_llr])
def test_gradients_are_those_of_central_differences(function):
    block = toy(1, n=30, flank=8, sigma=0.8)
    d_logf, d_log_sigma = gradients(function, block)
    step = 1e-5
    for i in range(30):
        moved = [block.logf.copy(), block.logf.copy()]
        moved[0][i] -= step
        moved[1][i] += step
        low, high = (value(function, block, logf=logf) for logf in moved)
        assert d_logf[i] == pytest.approx(float(high - low) / (2 * step), abs=1e-8)
    low, high = (
        value(function, block, log_sigma=np.float64(block.log_sigma + h)) for h in (-step, step)
    )
    assert d_log_sigma == pytest.approx(float(high - low) / (2 * step), abs=1e-7)


def test_gradients_scale_with_what_comes_from_above():
    block = toy(2)
    whole = gradients(block_nll, block)
    scaled = gradients(lambda **a: 3.0 * block_nll(**a), block)
    np.testing.assert_allclose(scaled[0], 3 * whole[0], rtol=1e-12)
    np.testing.assert_allclose(scaled[1], 3 * whole[1], rtol=1e-12)


def test_the_gradient_is_half_of_one_minus_the_second_moment_over_f():
    # The identity that makes EM exact (Dempster, Laird and Rubin 1977), with dense algebra.
    block = toy(4, n=80, flank=20)
    f, rows = np.exp(block.logf), block.R[block.w]
    gain = f[:, None] * rows.T @ np.linalg.inv(block.covariance)
    mean = gain @ block.z
    variance = f - np.einsum("iw,wi->i", gain, rows * f)
    expected = 0.5 * (1 - (mean**2 + variance) / f)
    np.testing.assert_allclose(gradients(block_nll, block)[0], expected, atol=1e-12)


@pytest.mark.parametrize("function", [block_nll, block_llr])
def test_padding_changes_nothing(function):
    block = toy(5)
    padded = pad(block, rows=13, columns=7)
    np.testing.assert_allclose(value(function, block, **padded), value(function, block), rtol=1e-12)
    d_logf, d_log_sigma = gradients(function, block)
    p_logf, p_log_sigma = gradients(function, block, **padded)
    np.testing.assert_allclose(p_logf[: len(d_logf)], d_logf, rtol=1e-11)
    np.testing.assert_array_equal(p_logf[len(d_logf) :], 0)
    np.testing.assert_allclose(p_log_sigma, d_log_sigma, rtol=1e-9)


def test_a_batch_is_its_blocks_one_by_one():
    blocks = [toy(seed) for seed in range(3)]
    padded = [pad(block, rows=2 * i, columns=i) for i, block in enumerate(blocks)]
    rows = max(p["Q"].shape[0] for p in padded)
    columns = max(p["Q"].shape[1] for p in padded)
    padded = [pad(b, rows=rows - b.Q.shape[0], columns=columns - b.Q.shape[1]) for b in blocks]
    stacked = {name: np.stack([p[name] for p in padded]) for name in padded[0]}
    together = block_nll(**stacked, log_sigma=np.zeros(3))
    one_by_one = [float(value(block_nll, block)) for block in blocks]
    np.testing.assert_allclose(together, one_by_one, rtol=1e-12)


def test_one_sigma_for_a_batch_collects_all_gradients():
    block = toy(1)
    Q, y = np.stack([block.Q] * 2), np.stack([block.y] * 2)
    for logf in (block.logf, block.logf[None], np.stack([block.logf] * 2)):
        d_logf, d_log_sigma = gradients(block_nll, block, Q=Q, y=y, logf=logf)
        one = gradients(block_nll, block)
        assert d_logf.shape == logf.shape
        np.testing.assert_allclose(d_logf.sum(), 2 * one[0].sum(), rtol=1e-10)
        np.testing.assert_allclose(d_log_sigma, 2 * one[1], rtol=1e-10)


def test_the_order_of_variants_does_not_matter():
    block = toy(6)
    order = np.random.default_rng(0).permutation(len(block.logf))
    shuffled = value(block_nll, block, logf=block.logf[order], Q=block.Q[:, order])
    np.testing.assert_allclose(shuffled, value(block_nll, block), rtol=1e-12)


def test_two_copies_of_a_variant_are_one_with_the_sum_of_their_variances():
    block = toy(7)
    Q = np.concatenate([block.Q, block.Q[:, :1]], 1)
    f = np.exp(block.logf)
    split = np.log(np.concatenate([[0.3 * f[0]], f[1:], [0.7 * f[0]]]))
    np.testing.assert_allclose(
        value(block_nll, block, Q=Q, logf=split), value(block_nll, block), rtol=1e-12
    )


def test_no_effects_give_no_ratio():
    block = toy(8)
    assert float(value(block_llr, block, logf=np.full(60, -60.0))) == pytest.approx(0, abs=1e-20)


def test_without_ld_the_ratio_has_its_textbook_form():
    rng = np.random.default_rng(0)
    z, logf, log_sigma = rng.normal(size=50) * 2, rng.normal(size=50), 0.3
    f, sigma = np.exp(logf), np.exp(log_sigma)
    expected = 0.5 * np.sum(np.log1p(f / sigma) - z**2 * f / (sigma * (sigma + f)))
    found = block_llr(logf, np.float64(log_sigma), np.eye(50), z)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_single_precision_is_close_on_the_same_block():
    block = toy(9, n=600, flank=200, mean_f=2.0)
    single = {"Q": block.Q.astype(np.float32), "y": block.y.astype(np.float32)}
    double = {name: x.astype(np.float64) for name, x in single.items()}
    logf = block.logf.astype(np.float32)
    low = value(block_llr, block, logf=logf, log_sigma=np.float32(0), **single)
    high = value(block_llr, block, logf=logf.astype(np.float64), **double)
    assert abs(float(low) - float(high)) < 1e-3
    a = gradients(block_llr, block, logf=logf, log_sigma=np.float32(0), **single)[0]
    b = gradients(block_llr, block, logf=logf.astype(np.float64), **double)[0]
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert cosine > 0.99999


def test_storing_q_in_half_precision_costs_little_and_is_measured_apart():
    rng = np.random.default_rng(5)
    block = toy(5, n=300, flank=0, R=panel_ld(300, 100, rng, rho=0.97))
    half = block.Q.astype(np.float16).astype(np.float64)
    loss = abs(float(value(block_llr, block, Q=half)) - float(value(block_llr, block)))
    assert 0 < loss <= 4e-3 * 3  # derivation: <= 4e-3 on one real block
    a, b = gradients(block_llr, block, Q=half)[0], gradients(block_llr, block)[0]
    assert np.abs(a - b).max() / np.abs(b).max() < 4e-3


def test_eager_graph_and_xla_agree():
    block = toy(10)
    eager = [float(value(block_nll, block)), *gradients(block_nll, block)]

    def step(logf, log_sigma):
        with tf.GradientTape() as tape:
            tape.watch([logf, log_sigma])
            nll = block_nll(logf, log_sigma, block.Q, block.y)
        return [nll, *tape.gradient(nll, [logf, log_sigma])]

    for jit in (False, True):
        compiled = tf.function(step, jit_compile=jit)
        found = compiled(tf.constant(block.logf), tf.constant(block.log_sigma, tf.float64))
        for x, expected in zip(found, eager, strict=True):
            np.testing.assert_allclose(x, expected, rtol=1e-9, atol=1e-11)


def test_the_full_likelihood_recovers_sigma_and_the_ratio_does_not():
    rng = np.random.default_rng(0)
    blocks = [toy(seed, n=200, flank=0, mean_f=0.1, sigma=1.5) for seed in range(20)]
    del rng
    grid = np.log(np.geomspace(0.5, 6, 60))

    def best(function):
        totals = [
            sum(float(value(function, block, log_sigma=np.float64(x))) for block in blocks)
            for x in grid
        ]
        return math.exp(grid[int(np.argmin(totals))])

    # 4,000 z-scores: the standard error of sigma is about 1.5 * sqrt(2 / 4000) = 0.034.
    assert best(block_nll) == pytest.approx(1.5, abs=0.1)
    assert abs(best(block_llr) - 1.5) > 0.5


def test_sigma_is_found_by_descent_too():
    blocks = [toy(seed, n=200, flank=0, mean_f=0.1, sigma=1.5) for seed in range(20)]
    log_sigma = 0.0
    for _ in range(60):
        slope = sum(gradients(block_nll, b, log_sigma=log_sigma)[1] for b in blocks)
        log_sigma -= slope / 2000
    assert math.exp(log_sigma) == pytest.approx(1.5, abs=0.1)


def test_mahalanobis_has_as_many_degrees_of_freedom_as_rows():
    found = []
    for seed in range(200):
        terms = value(block_terms, toy(seed, n=40, flank=10))
        found.append(float(terms.mahalanobis))
    # Mean 20, variance 40 of a chi-square with 20 degrees of freedom.
    assert np.mean(found) == pytest.approx(20, abs=4 * math.sqrt(40 / 200))
    assert np.var(found) == pytest.approx(40, rel=0.5)


def test_a_second_derivative_is_refused():
    block = toy(0, n=12, flank=2)
    logf = tf.constant(block.logf)
    with tf.GradientTape() as outer:
        outer.watch(logf)
        with tf.GradientTape() as inner:
            inner.watch(logf)
            nll = value(block_nll, block, logf=logf)
        total = tf.reduce_sum(inner.gradient(nll, logf))
    with pytest.raises(UsageError, match="no second derivatives"):
        outer.gradient(total, logf)


@pytest.mark.parametrize("changes", [{"logf": np.zeros(3)}, {"y": np.zeros(3)}])
def test_shapes_that_do_not_fit_are_refused(changes):
    block = toy(0)
    with pytest.raises(UsageError, match=r"expected \[\.\.\., n\], \[\.\.\., k, n\]"):
        value(block_nll, block, **changes)


def test_one_observed_variant_has_the_first_moment_of_ld_score_regression():
    # Bulik-Sullivan et al. 2015: E z_j^2 = sum_i R_ij^2 f_i + sigma.
    block = toy(11)
    for j in (0, 30, 59):
        Q, P, _ = whiten(block.R, np.array([j]))
        one = Toy(block.R, np.array([j]), np.array([1.0]), block.logf, 0.2, Q, P, np.ones(1))
        terms = value(block_terms, one)
        expected = (block.R[j] ** 2 * np.exp(block.logf)).sum() + math.exp(0.2)
        np.testing.assert_allclose(1.0 / terms.mahalanobis, expected, rtol=1e-12)


def test_a_block_of_1500_by_5000_stays_within_its_memory():
    # Q takes 30 MB in single precision; a matrix of 5000 x 5000 would take 100 MB.
    rng = np.random.default_rng(0)
    Q = rng.normal(size=(1500, 5000)).astype(np.float32) / 70
    graph = tf.function(block_nll).get_concrete_function(
        tf.zeros(5000), tf.zeros(()), tf.constant(Q), tf.zeros(1500)
    )
    sizes = [
        math.prod(tensor.shape)
        for op in graph.graph.get_operations()
        for tensor in op.outputs
        if tensor.shape.is_fully_defined()
    ]
    assert max(sizes) == 1500 * 5000
