import numpy as np
import pytest
from scipy.optimize import minimize

from prior.small_blocks import panel_ld, whiten
from tfgen.errors import InputMismatchError, NumericalError
from tfgen.prior import linear_fit
from tfgen.prior.constant_fit import Spectrum, fit_constant
from tfgen.prior.linear_fit import fit_log_linear

TRUTH = np.array([-0.5, 0.8, 0.6])


def draw(n_blocks=6, n=60, people=50, seed=0, truth=TRUTH, sigma=1.0):
    """Blocks with an intercept, a category and a number."""
    rng = np.random.default_rng(seed)
    blocks, designs = [], []
    for _ in range(n_blocks):
        Q, _, _ = whiten(panel_ld(n, people, rng), np.arange(n))
        x = np.column_stack([np.ones(n), rng.random(n) < 0.3, rng.normal(size=n)])
        b = np.exp(0.5 * x @ truth) * rng.normal(size=n)
        blocks.append((Q, Q @ b + np.sqrt(sigma) * rng.normal(size=len(Q))))
        designs.append(x)
    return blocks, designs


def dense_nll(c, blocks, designs, sigma=1.0):
    """The likelihood from NumPy's determinant and inverse."""
    total = 0.0
    for (Q, y), x in zip(blocks, designs, strict=True):
        K = (Q * np.exp(x @ c)) @ Q.T + sigma * np.eye(len(Q))
        log_det = np.linalg.slogdet(K)[1]
        total += 0.5 * (y @ np.linalg.solve(K, y) + log_det + len(y) * np.log(2 * np.pi))
    return total


@pytest.mark.parametrize("sigma", [1.0, 1.4])
def test_the_fit_is_the_optimum_of_a_general_optimiser(sigma):
    blocks, designs = draw(sigma=sigma)
    found = fit_log_linear(blocks, designs, sigma)
    assert found.converged
    best = minimize(dense_nll, np.zeros(3), args=(blocks, designs, sigma), tol=1e-10)
    np.testing.assert_allclose(found.coef, best.x, atol=1e-3)
    assert found.nll <= best.fun + 1e-9
    assert found.nll == pytest.approx(dense_nll(found.coef, blocks, designs, sigma), abs=1e-8)


def test_an_intercept_alone_is_the_constant_prior():
    blocks, _ = draw()
    found = fit_log_linear(blocks, [np.ones((60, 1))] * 6)
    expected = fit_constant([Spectrum.of(*block) for block in blocks], sigma=1.0)
    assert np.exp(found.coef[0]) == pytest.approx(expected.f, rel=1e-5)
    assert found.nll == pytest.approx(expected.nll, abs=1e-7)
    assert found.standard_errors[0] == pytest.approx(expected.standard_errors[0], rel=1e-4)


def test_the_covariance_is_the_inverse_of_the_expected_information():
    # Of a Gaussian with covariance K(c): I_ab = tr(K^-1 dK_a K^-1 dK_b) / 2.
    blocks, designs = draw()
    found = fit_log_linear(blocks, designs)
    information = np.zeros((3, 3))
    for (Q, _), x in zip(blocks, designs, strict=True):
        f = np.exp(x @ found.coef)
        inverse = np.linalg.inv((Q * f) @ Q.T + np.eye(len(Q)))
        slopes = [inverse @ (Q * (f * x[:, a])) @ Q.T for a in range(3)]
        information += [[0.5 * np.trace(A @ B) for B in slopes] for A in slopes]
    np.testing.assert_allclose(found.covariance, np.linalg.inv(information), rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors**2, np.diag(found.covariance))


def test_units_of_an_annotation_do_not_matter():
    blocks, designs = draw()
    found = fit_log_linear(blocks, designs)
    scaled = fit_log_linear(blocks, [x * [1, 1, 1e7] for x in designs])
    np.testing.assert_allclose(scaled.coef * [1, 1, 1e7], found.coef, rtol=1e-4)
    ratio = scaled.standard_errors * [1, 1, 1e7] / found.standard_errors
    np.testing.assert_allclose(ratio, 1, rtol=1e-4)


def test_the_start_does_not_matter():
    blocks, designs = draw()
    found = fit_log_linear(blocks, designs)
    for start in ([3.0, -2.0, 1.0], [-6.0, 0.0, 0.0]):
        again = fit_log_linear(blocks, designs, start=start)
        assert again.converged
        np.testing.assert_allclose(again.coef, found.coef, atol=1e-3)


def test_data_without_effects_have_no_optimum_and_it_says_so():
    blocks, designs = draw(seed=2)
    quiet = [(Q, 0.1 * y) for Q, y in blocks]
    found = fit_log_linear(quiet, [x[:, :1] for x in designs])
    assert found.coef[0] < -5
    assert not found.converged


def test_a_search_that_was_cut_short_says_so(monkeypatch):
    monkeypatch.setattr(linear_fit, "_MAX_STEPS", 1)
    found = fit_log_linear(*draw(), start=[-6.0, 0.0, 0.0])
    assert not found.converged
    assert np.isfinite(found.standard_errors).all()


def test_coefficients_that_cannot_be_told_apart_are_an_error():
    blocks, designs = draw()
    twice = [np.column_stack([x, 2 * x[:, 1]]) for x in designs]
    with pytest.raises(NumericalError, match="do not tell the coefficients of the design apart"):
        fit_log_linear(blocks, twice)
    with pytest.raises(NumericalError, match="leave out columns that are constant, zero or sums"):
        fit_log_linear(blocks, [x * [1, 0, 1] for x in designs])


def test_a_start_without_likelihood_is_an_error():
    blocks, designs = draw()
    with pytest.raises(NumericalError, match="likelihood of the start is nan"):
        fit_log_linear(blocks, designs, start=[np.nan, 0, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b, d: ([], []), "0 blocks and 0 designs; expected one design per block"),
        (lambda b, d: (b, d[1:]), "6 blocks and 5 designs"),
        (lambda b, d: (b, [d[0][1:], *d[1:]]), r"block 0: Q \(\d+, 60\), y .*expected \[k, n\]"),
        (lambda b, d: (b, [d[0], d[1][:, :2], *d[2:]]), r"block 1: .*\[n, 3\]"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputMismatchError, match=message):
        fit_log_linear(*change(*draw()))
