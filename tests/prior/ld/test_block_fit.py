"""Whether blocks fit: formulas against dense algebra, then level and power on real LD."""

import numpy as np
import pytest
from scipy import optimize, stats

from prior.ld.fit_toys import Whitened, draw, gtex_genotypes, make_block, panel_of
from tfgen.errors import NumericalError
from tfgen.prior.constant_fit import Spectrum
from tfgen.prior.ld.block_fit import ALPHA, block_fits, chi2_statistic, noise_test, require_finite

F = [0.0, 0.2, 2.0, 20.0]


def toys(n_blocks, f, seed=0, sigma=1.0):
    """(Q, y) with y ~ N(0, f Q Q' + sigma I)."""
    rng = np.random.default_rng(seed)
    for _ in range(n_blocks):
        q = rng.normal(size=(30, 60)) / 5
        yield q, np.linalg.cholesky(f * q @ q.T + sigma * np.eye(30)) @ rng.normal(size=30)


def test_the_statistic_of_a_block_is_chi_square():
    rng = np.random.default_rng(3)
    y = rng.normal(size=40)
    found = chi2_statistic(y)
    assert found.chi2 == pytest.approx(y @ y)
    assert found.p_upper == pytest.approx(stats.chi2(40).sf(y @ y))
    assert found.p_lower == pytest.approx(stats.chi2(40).cdf(y @ y))
    half = rng.normal(size=(40, 40))
    k = half @ half.T + np.eye(40)
    found = chi2_statistic(y, np.linalg.cholesky(k))
    assert found.chi2 == pytest.approx(y @ np.linalg.solve(k, y))
    assert chi2_statistic(y, sigma=2.0).chi2 == pytest.approx(y @ y / 2)
    # Far tails keep their size.
    assert chi2_statistic(10 * np.ones(40)).p_upper == pytest.approx(stats.chi2(40).sf(4000))


def test_both_tails_of_a_block_are_flagged():
    y = np.random.default_rng(4).normal(size=200)
    assert not chi2_statistic(y).is_flagged
    assert chi2_statistic(1.3 * y).is_flagged
    assert chi2_statistic(0.7 * y).is_flagged
    assert chi2_statistic(0.7 * y).p_lower < ALPHA / 2


def test_both_statistics_are_those_of_dense_likelihoods():
    data = list(toys(3, 0.8, seed=5))

    def nll(f, sigma, blocks):
        covariances = (f * q @ q.T + sigma * np.eye(30) for q, _ in blocks)
        densities = (stats.multivariate_normal(cov=c) for c in covariances)
        return -sum(d.logpdf(y) for d, (_, y) in zip(densities, blocks, strict=True))

    def best_f(blocks):
        found = optimize.minimize_scalar(
            lambda x: nll(np.exp(x), 1.0, blocks), bounds=(-8, 4), method="bounded"
        )
        return np.exp(found.x), found.fun

    f, _ = best_f(data)
    slopes = [np.linalg.eigvalsh(q @ q.T) for q, _ in data]
    slopes = [f * values / (f * values + 1) for values in slopes]
    total = sum(slope @ slope for slope in slopes)
    fits = block_fits([Spectrum.of(q, y) for q, y in data])
    for fit, slope, (q, y) in zip(fits, slopes, data, strict=True):
        chi2 = y @ np.linalg.solve(f * q @ q.T + np.eye(30), y)
        share = 1 - slope.sum() ** 2 / total / 30
        gamma = stats.gamma(15 / share, scale=2 * share)
        assert (fit.size.chi2, fit.size.k) == (pytest.approx(chi2, rel=1e-4), 30)
        assert fit.size.p_upper == pytest.approx(gamma.sf(chi2), rel=1e-3)
        assert fit.size.p_lower == pytest.approx(gamma.cdf(chi2), rel=1e-3)
        free = optimize.minimize(
            lambda x, block: nll(*np.exp(x), [block]), [0, 0], ((q, y),), "Nelder-Mead", tol=1e-9
        )
        held = best_f([(q, y)])
        root = np.sign(free.x[1]) * np.sqrt(2 * (held[1] - free.fun))
        assert fit.shape.f == pytest.approx(held[0], rel=1e-3)
        assert fit.shape.sigma == pytest.approx(np.exp(free.x[1]), rel=1e-3)
        assert fit.shape.p_upper == pytest.approx(stats.norm.sf(root), abs=1e-3)
        assert fit.shape.p_lower == pytest.approx(stats.norm.cdf(root), abs=1e-3)
        smaller = min(fit.shape.p, 2 * min(fit.size.p_upper, fit.size.p_lower))
        assert fit.p == pytest.approx(min(1, 2 * smaller))
        assert fit.is_flagged(3) == (fit.p < 0.05 / 3)


def test_a_single_block_is_judged_by_its_shape():
    (pair,) = toys(1, 0.8, seed=6)
    (fit,) = block_fits([Spectrum.of(*pair)])
    assert fit.is_alone
    assert fit.p == fit.shape.p
    # Its own f takes up whatever size its z-scores have.
    q, y = pair
    (large,) = block_fits([Spectrum.of(q, 100 * y)])
    assert large.size.chi2 == pytest.approx(30, rel=0.2)


def test_blocks_without_any_z_score_other_than_zero_have_no_noise():
    spectrum = Spectrum(np.ones(4), np.zeros(4))
    found = noise_test([spectrum])
    assert (found.sigma, found.p_lower, found.p) == (0.0, 0.0, 0.0)
    assert block_fits([spectrum, Spectrum.of(*next(toys(1, 0.5)))])[0].is_flagged(2)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(NumericalError, match="y: 1 of 3"):
        chi2_statistic(np.array([0, np.inf, 1]))
    with pytest.raises(NumericalError, match="z: 2 of 3 .* the first is number 0"):
        require_finite(np.array([np.nan, np.nan, 1]), "z")
    with pytest.raises(NumericalError, match="no observed variants"):
        block_fits([Spectrum(np.zeros(2), np.ones(2))])


# ---- real LD -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gtex(shared_data):
    return gtex_genotypes(shared_data)


@pytest.fixture(scope="module")
def world(gtex):
    ld = np.corrcoef(gtex.T)
    return ld, Whitened(make_block(ld))


def in_groups(values, size):
    return [values[i : i + size] for i in range(0, len(values), size)]


@pytest.mark.parametrize("f", F)
@pytest.mark.parametrize("n_blocks", [1, 2, 20])
def test_the_right_ld_is_flagged_as_often_as_said(world, f, n_blocks):
    ld, whitened = world
    spectra = whitened.spectra(draw(np.random.default_rng(8), ld, f, 400))
    fits = [fit for group in in_groups(spectra, n_blocks) for fit in block_fits(group)]
    # Outside of 8 to 37 of 400 has a probability of 0.001 at a rate of 0.05. The two tests of a
    # block agree in part, so that together they are flagged in 0.03 to 0.05.
    low, high = stats.binom(400, ALPHA).ppf([0.0005, 0.9995])
    assert low - 2 <= sum(fit.is_flagged() for fit in fits) <= high
    assert low <= sum(fit.shape.p < ALPHA for fit in fits) <= high
    if n_blocks > 1:
        assert low <= sum(fit.size.is_flagged for fit in fits) <= high


@pytest.mark.parametrize("f", F)
def test_one_block_of_larger_or_smaller_z_scores_is_found_at_any_f(world, f):
    """z^2 times 1.3, or by 1.3, in one of 10 blocks: the power does not go with N."""
    ld, whitened = world
    zs = draw(np.random.default_rng(9), ld, f, 600)
    zs[::10] *= 1.14 ** np.where(np.arange(60) % 2, 1, -1)[:, None]
    found = [block_fits(group)[0] for group in in_groups(whitened.spectra(zs), 10)]
    # In 800 draws 0.50 to 0.67; 0.35 is 3 standard errors below 0.55.
    assert np.mean([fit.is_flagged() for fit in found]) > 0.35
    assert all(fit.size.p_upper < fit.size.p_lower for fit in found[1::2] if fit.is_flagged())


@pytest.mark.parametrize("f", F)
def test_larger_z_scores_everywhere_are_noise(world, f):
    """z^2 times 1.3 in all 20 blocks: f takes up the size, but not the shape."""
    ld, whitened = world
    zs = draw(np.random.default_rng(10), ld, f, 600)
    tests = [noise_test(group) for group in in_groups(whitened.spectra(1.14 * zs), 20)]
    # At f = 20 few eigenvectors are left on which there is more noise than effects.
    assert np.mean([test.p_upper < ALPHA / 2 for test in tests]) > (0.9 if f < 20 else 0.25)
    right = [noise_test(group) for group in in_groups(whitened.spectra(zs), 20)]
    assert sum(test.p < ALPHA for test in right) <= stats.binom(30, ALPHA).ppf(0.999)


@pytest.mark.parametrize("f", F)
@pytest.mark.parametrize("n_blocks", [1, 20])
def test_ld_of_200_people_is_found(gtex, world, f, n_blocks):
    rng = np.random.default_rng(11)
    panel, varies = panel_of(gtex, rng.choice(len(gtex), 200, replace=False))
    spectra = Whitened(make_block(panel)).spectra(draw(rng, world[0], f, 100)[:, varies])
    fits = [fit for group in in_groups(spectra, n_blocks) for fit in block_fits(group)]
    # At f = 0 it is only that the small eigenvalues of a small panel are too small.
    assert np.mean([fit.is_flagged() for fit in fits]) > (0.45 if f == 0 else 0.85)
    assert np.median([fit.shape.sigma for fit in fits]) > 1.2


def test_z_scores_of_uk_biobank_with_ld_that_is_not_theirs(shared_data):
    # susieR rss_mismatch_example: one block, so that its shape alone can tell.
    with np.load(shared_data("gwas_ld/susier/rss_mismatch_example.npz")) as data:
        z, ld = data["z"].ravel(), data["R"]
    (fit,) = block_fits(Whitened(make_block(ld)).spectra([z]))
    assert fit.is_flagged()
    assert fit.shape.p_upper < 1e-3
    assert fit.shape.sigma > 1.3
