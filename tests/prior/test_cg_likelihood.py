import numpy as np
import pytest
import tensorflow as tf

from prior.small_blocks import panel_ld, toy
from tfgen.errors import UsageError
from tfgen.prior.cg_likelihood import CgOptions, Gram, cg_terms
from tfgen.prior.likelihood import block_terms


@pytest.fixture(scope="module")
def block():
    return toy(0, n=120, flank=20, mean_f=1.0, R=panel_ld(120, 60, np.random.default_rng(0)))


def gram_of(block):
    values, vectors = np.linalg.eigh(block.Q @ block.Q.T)
    return Gram(np.maximum(values, 0), vectors)


def terms(block, options, seed=(0, 0), **more):
    arguments = (block.logf, np.float64(block.log_sigma), block.Q, block.y)
    return cg_terms(*arguments, options, seed, gram=gram_of(block), **more)


def exact(block):
    return block_terms(block.logf, np.float64(block.log_sigma), block.Q, block.y)


@pytest.mark.parametrize("preconditioner", ["eigen", "jacobi", "pivchol", "none"])
def test_the_value_is_the_likelihood_within_its_error(block, preconditioner):
    options = CgOptions(200, 1e-10, 400, preconditioner, n_lanczos=60)
    found = terms(block, options)
    assert bool(found.converged)
    expected = float(exact(block).nll)
    assert abs(float(found.nll) - expected) < 4 * float(found.nll_error) + 1e-8
    assert float(found.nll_error) < 2


def test_what_needs_no_probes_is_exact(block):
    found, expected = terms(block, CgOptions(4, 1e-11, 400)), exact(block)
    np.testing.assert_allclose(found.t, expected.t, rtol=1e-7, atol=1e-9)


def test_the_gradient_is_unbiased(block):
    # 200 draws of 8 probes: each entry within 4.5 standard errors (120 entries), also sigma's.
    compiled = tf.function(lambda seed: terms(block, CgOptions(8, 1e-9, 300), seed))
    draws = [compiled(tf.constant([i, 7])) for i in range(200)]
    expected = exact(block)
    for name in ("d_logf", "d_log_sigma"):
        values = np.array([getattr(draw, name).numpy() for draw in draws])
        error = values.std(0) / np.sqrt(len(values))
        assert (np.abs(values.mean(0) - getattr(expected, name)) < 4.5 * error + 1e-9).all()
        # The test has power: a dropped log-determinant term would be seen.
        assert np.max(error) < 0.1 * np.max(np.abs(values.mean(0)))


def test_the_same_seed_draws_the_same(block):
    first, second, other = (terms(block, CgOptions(), seed) for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first.d_logf, second.d_logf)
    assert (first.d_logf.numpy() != other.d_logf.numpy()).any()


def test_a_loose_solve_still_has_a_close_value(block):
    # The error of the quadratic form is of second order in the residual.
    tight, loose = (terms(block, CgOptions(16, tol, 400)) for tol in (1e-10, 1e-2))
    assert abs(float(tight.nll) - float(loose.nll)) < 0.05


def test_a_former_solution_saves_iterations(block):
    options = CgOptions(1, 1e-8, 400, "none")
    solution = terms(block, options).solution
    # With one probe the slowest column may be the probe: look at the solution itself.
    again = terms(block, CgOptions(1, 1e-4, 400, "none"), initial=solution)
    np.testing.assert_allclose(again.solution, solution, rtol=1e-12)


def test_a_solve_that_was_cut_short_says_so(block):
    assert not bool(terms(block, CgOptions(4, 1e-12, 2, "none")).converged)


def test_the_eigen_preconditioner_needs_the_gram_matrix(block):
    arguments = (block.logf, np.float64(block.log_sigma), block.Q, block.y)
    with pytest.raises(UsageError, match="needs the eigenvalues of QQ'"):
        cg_terms(*arguments, CgOptions(), (0, 0))


def test_single_precision_is_close(block):
    single = [np.float32(x) for x in (block.logf, block.log_sigma, block.Q, block.y)]
    options = CgOptions(32, 1e-4, preconditioner="none")
    found, expected = cg_terms(*single, options, (0, 0)), terms(block, options)
    assert found.d_logf.dtype == tf.float32
    np.testing.assert_allclose(found.nll, expected.nll, rtol=1e-4)
