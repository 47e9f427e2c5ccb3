import numpy as np
import pytest
from scipy.optimize import minimize

from prior.small_blocks import panel_ld, toy
from prior.small_fits import draw
from tfgen.errors import NumericalError
from tfgen.prior.constant_fit import LOWEST_LOG_F, Spectrum, constant_of_blocks, fit_constant
from tfgen.prior.likelihood import block_nll, block_terms


def blocks(n_blocks, f, sigma, seed=0):
    """Panels of 80 people, flat f."""
    rng = np.random.default_rng(seed)
    for _ in range(n_blocks):
        block = toy(0, n=100, flank=10, R=panel_ld(100, 80, rng))
        b = np.sqrt(f) * rng.normal(size=100)
        yield block.Q, block.Q @ b + np.sqrt(sigma) * rng.normal(size=len(block.Q))


def spectra(*args, **options):
    return [Spectrum.of(Q, y) for Q, y in blocks(*args, **options)]


def test_the_spectrum_has_the_likelihood_of_the_block():
    Q, y = next(blocks(1, 0.3, 1.0))
    logf = np.full(100, np.log(0.4))
    spectrum = Spectrum.of(Q, y)
    expected = block_nll(logf, np.log(0.8), Q, y)
    np.testing.assert_allclose(spectrum.nll(0.4, 0.8), expected, rtol=1e-11)
    mahalanobis = block_terms(logf, np.log(0.8), Q, y).mahalanobis
    np.testing.assert_allclose(spectrum.mahalanobis(0.4, 0.8), mahalanobis, rtol=1e-10)


@pytest.mark.parametrize("sigma", [None, 1.2])
def test_the_fit_is_the_optimum_of_a_general_optimiser(sigma):
    data = spectra(10, 0.5, 1.2)

    def total(x):
        noise = np.exp(x[1]) if sigma is None else sigma
        return sum(block.nll(np.exp(x[0]), noise) for block in data)

    found = fit_constant(data, sigma)
    best = minimize(
        total, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9}
    )
    assert found.nll <= best.fun + 1e-6
    assert np.log(found.f) == pytest.approx(best.x[0], abs=1e-4)
    if sigma is None:
        assert np.log(found.sigma) == pytest.approx(best.x[1], abs=1e-4)
    else:
        assert found.sigma == pytest.approx(sigma)
        assert np.isnan(found.standard_errors[1])


def test_truth_is_recovered_within_its_standard_error():
    misses = []
    for seed in range(20):
        found = fit_constant(spectra(10, 0.5, 1.2, seed=seed))
        misses.append(
            [
                (np.log(found.f) - np.log(0.5)) / found.standard_errors[0],
                (np.log(found.sigma) - np.log(1.2)) / found.standard_errors[1],
            ]
        )
    assert np.abs(np.mean(misses, 0)).max() < 4 / np.sqrt(20)
    assert 0.5 < np.std(misses) < 1.6


def test_data_without_effects_give_no_variance():
    rng = np.random.default_rng(0)
    quiet = [Spectrum(np.linspace(0.1, 9, 50), 0.9 * rng.uniform(0, 1, 50)) for _ in range(5)]
    found = fit_constant(quiet, sigma=1.0)
    assert np.log(found.f) == pytest.approx(LOWEST_LOG_F)
    assert np.isnan(found.standard_errors[0])


def test_nothing_to_fit_is_an_error():
    with pytest.raises(NumericalError, match="no observed variants"):
        fit_constant([])
    values = np.linspace(0.1, 9, 50)
    for squares in (np.zeros(50), np.full(50, np.inf)):
        with pytest.raises(NumericalError, match="z-scores of 0 or without end"):
            fit_constant([Spectrum(values, squares)])
    assert fit_constant([Spectrum(values, np.zeros(50))], 1.0).f < 1e-10


@pytest.mark.parametrize("seed", [801, 1247, 1278, 1548])
@pytest.mark.parametrize("sigma", [None, 1.0])
def test_z_scores_that_do_not_fit_the_ld_have_a_maximum_too(sigma, seed):
    """Squares that have nothing to do with the eigenvalues: Fisher scoring goes to and fro."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(3, 15))
    data = Spectrum(np.exp(rng.uniform(-3, 3, k)), np.exp(rng.uniform(-3, 4, k)))

    def nll(x):
        return data.nll(np.exp(x[0]), np.exp(x[1]) if sigma is None else sigma)

    starts = ([0.0, 0.0], [-3.0, 1.0], [-10.0, 0.0], [2.0, -2.0])
    best = min(minimize(nll, start, method="Nelder-Mead", tol=1e-10).fun for start in starts)
    assert fit_constant([data], sigma).nll == pytest.approx(best, abs=1e-7)


def test_a_row_of_y_tells_effects_and_noise_not_apart():
    # A single row, or equal eigenvalues: only f l + sigma can be known.
    found = fit_constant([Spectrum(np.full(3, 2.0), np.array([5.0, 1.0, 3.0]))])
    assert 2 * found.f + found.sigma == pytest.approx(3.0)
    at_most_one = np.isfinite(found.standard_errors).sum()
    assert at_most_one <= 1


def test_blocks_of_a_source_are_fitted_trait_by_trait():
    source = draw(30, seed=5, logf=lambda x: np.full(len(x), np.log(0.4)))
    assert constant_of_blocks(source, range(30), sigma=1.0).f == pytest.approx(0.4, rel=0.2)
    both = constant_of_blocks(source, range(30))
    assert both.sigma == pytest.approx(1, abs=0.15)
