import numpy as np
import pytest
import tensorflow as tf

from prior.small_blocks import panel_ld, toy, whiten
from tfgen.prior.cg_likelihood import CgOptions
from tfgen.prior.likelihood import block_nll
from tfgen.prior.training.objectives import (
    LDSR_HERITABILITY,
    TraitTensors,
    cg_likelihood_terms,
    ldsr_terms,
    likelihood_terms,
)

N = 40
LOG_SIGMA = np.array([0.1, -0.2])


def trait(seed, w=None):
    """A trait observed at the variants w, with all that any objective needs."""
    rng = np.random.default_rng(seed)
    R = panel_ld(N, 30, np.random.default_rng(0))
    w = np.arange(N) if w is None else w
    Q, P, _ = whiten(R, w)
    z = R[w] @ rng.normal(size=N) * 0.7 + rng.normal(size=len(w))
    return TraitTensors(Q, P @ z, len(Q), R[w], z)


@pytest.fixture(scope="module")
def traits():
    return trait(1), trait(2, np.arange(5, 30))


@pytest.fixture(scope="module")
def logf():
    return np.random.default_rng(3).normal(size=(N, 2)) - 0.5


def padded(one, rows):
    Q = np.concatenate([one.Q, np.zeros((rows, N))])
    return one._replace(Q=Q, y=np.concatenate([one.y, np.zeros(rows)]))


@pytest.mark.parametrize("rows", [0, 9])
def test_the_likelihood_of_several_traits_is_their_sum(traits, logf, rows):
    terms = likelihood_terms(logf, LOG_SIGMA, [padded(one, rows) for one in traits])
    x, s = tf.constant(logf), tf.constant(LOG_SIGMA)
    with tf.GradientTape() as tape:
        tape.watch([x, s])
        value = tf.add_n([block_nll(x[:, i], s[i], t.Q, t.y) for i, t in enumerate(traits)])
    d_logf, d_log_sigma = tape.gradient(value, [x, s])
    np.testing.assert_allclose(terms.value, value, rtol=1e-12)
    np.testing.assert_allclose(terms.d_logf, d_logf, atol=1e-11)
    np.testing.assert_allclose(terms.d_log_sigma, d_log_sigma, atol=1e-10)
    assert int(terms.faults) == 0


def test_matrices_that_needed_jitter_are_counted(traits, logf):
    # One direction of 10^6 beside a noise of 10^-8 is lost in single precision.
    Q = np.full((6, N), 1e3, np.float32)
    bad = TraitTensors(Q, np.ones(6, np.float32), 6, *[np.zeros(0)] * 2)
    single = logf.astype(np.float32)
    terms = likelihood_terms(single, np.float32([-18, -18]), [bad, bad])
    assert int(terms.faults) == 2
    broken = bad._replace(Q=np.full_like(Q, np.nan))
    good = TraitTensors(*(np.asarray(x, np.float32) for x in traits[0]))
    assert int(likelihood_terms(single, np.float32([0, 0]), [good, broken]).faults) == 1


def test_conjugate_gradients_estimate_the_same(traits, logf):
    options = CgOptions(400, 1e-10, 300, n_lanczos=40)
    found = cg_likelihood_terms(logf, LOG_SIGMA, traits, options, 3)
    exact = likelihood_terms(logf, LOG_SIGMA, traits)
    # 400 probes: log-determinants of some tens to a few hundredths.
    assert float(found.value) == pytest.approx(float(exact.value), abs=1.0)
    a, b = (x.d_logf.numpy().ravel() for x in (found, exact))
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99
    assert found.d_logf.shape == (N, 2)
    np.testing.assert_allclose(found.d_log_sigma, exact.d_log_sigma, atol=1.0)
    assert int(found.faults) == 0


def test_a_block_keeps_its_probes(traits, logf):
    def value(block, names=traits):
        return cg_likelihood_terms(logf, LOG_SIGMA, names, CgOptions(4), block).d_logf.numpy()

    np.testing.assert_array_equal(value(5), value(5))
    assert (value(5) != value(6)).any()
    # Traits of a block have probes of their own.
    same = value(5, [traits[0], traits[0]])
    again = cg_likelihood_terms(
        np.repeat(logf[:, :1], 2, 1), np.zeros(2), [traits[0]] * 2, CgOptions(4), 5
    ).d_logf.numpy()
    assert same.shape == again.shape
    assert (again[:, 0] != again[:, 1]).any()


def test_solves_that_were_cut_short_are_counted(traits, logf):
    options = CgOptions(4, 1e-12, 2, "none", n_lanczos=2)
    assert int(cg_likelihood_terms(logf, LOG_SIGMA, traits, options, 0).faults) == 2


def ldsr_by_hand(logf, log_sigma, traits, n_over_m):
    total = 0.0
    for t, one in enumerate(traits):
        for j in range(len(one.z)):
            predicted, score = np.exp(log_sigma[t]), 0.0
            for i in range(N):
                predicted += one.ld[j, i] ** 2 * np.exp(logf[i, t])
                score += one.ld[j, i] ** 2
            scale = n_over_m[t] * LDSR_HERITABILITY * score + 1.0
            total += ((predicted - one.z[j] ** 2) / scale) ** 2 / score
    return total


def test_ld_score_regression_is_its_formula(traits, logf):
    n_over_m = np.array([0.3, 2.0])
    terms = ldsr_terms(logf, LOG_SIGMA, traits, n_over_m)
    np.testing.assert_allclose(
        terms.value, ldsr_by_hand(logf, LOG_SIGMA, traits, n_over_m), rtol=1e-11
    )
    assert int(terms.faults) == 0


def test_the_gradient_of_ld_score_regression_is_that_of_central_differences(traits, logf):
    n_over_m, step = np.array([0.3, 2.0]), 1e-5
    terms = ldsr_terms(logf, LOG_SIGMA, traits, n_over_m)

    def slope(move_logf, move_sigma):
        high, low = (
            ldsr_terms(logf + s * move_logf, LOG_SIGMA + s * move_sigma, traits, n_over_m).value
            for s in (step, -step)
        )
        return float(high - low) / (2 * step)

    for i, t in ((0, 0), (17, 0), (39, 1), (3, 1)):
        move = np.zeros((N, 2))
        move[i, t] = 1
        assert terms.d_logf[i, t].numpy() == pytest.approx(slope(move, np.zeros(2)), rel=1e-6)
    for t in range(2):
        move = np.eye(2)[t]
        assert terms.d_log_sigma[t].numpy() == pytest.approx(
            slope(np.zeros((N, 2)), move), rel=1e-6
        )


def test_ld_score_regression_leaves_empty_rows_out(traits, logf):
    one = traits[0]
    more = one._replace(
        ld=np.concatenate([one.ld, np.zeros((2, N))]), z=np.concatenate([one.z, [5.0, 0.0]])
    )
    found, expected = (ldsr_terms(logf, LOG_SIGMA[:1], [x], np.ones(1)) for x in (more, one))
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
    np.testing.assert_allclose(found.d_log_sigma, expected.d_log_sigma, rtol=1e-12)
    none = one._replace(ld=np.zeros((0, N)), z=np.zeros(0))
    assert float(ldsr_terms(logf, LOG_SIGMA[:1], [none], np.ones(1)).value) == 0


def test_ld_score_regression_is_at_rest_where_chi_squares_are_as_foreseen():
    block = toy(0, n=N, flank=0)
    f = np.exp(block.logf)
    z = np.sqrt(block.R**2 @ f + 1.0)
    one = TraitTensors(block.Q, block.y, len(block.Q), block.R, z)
    terms = ldsr_terms(block.logf[:, None], np.zeros(1), [one], np.ones(1))
    np.testing.assert_allclose(terms.value, 0, atol=1e-20)
    np.testing.assert_allclose(terms.d_logf, 0, atol=1e-12)
