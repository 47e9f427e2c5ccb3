"""Mismatch of z-scores and LD: formulas against dense linear algebra, then real mismatches."""

import numpy as np
import pytest
from scipy import stats

from prior.ld_toys import correlation, haplotypes, variants
from tfgen.errors import InputMismatchError, NumericalError
from tfgen.prior.ld.ld_block import BlockInfo, LdBlock
from tfgen.prior.ld.ld_decomposition import DecompositionOptions, decompose
from tfgen.prior.ld.mismatch import (
    ALPHA,
    S_FLOOR,
    LdFit,
    Spectrum,
    block_mismatch,
    chi2_statistic,
    fit_ld,
    fitted_chi2,
    mismatch_power,
    spectrum,
    two_sided_p,
    variant_statistics,
)


def make_block(ld, flank=0, var_kept=0.995):
    """A block of an LD matrix; `flank` variants at each end are not observed."""
    n = len(ld)
    in_centre = np.zeros(n, bool)
    in_centre[flank : n - flank] = True
    options = DecompositionOptions(var_kept=var_kept)
    found = decompose(ld[in_centre].copy(), in_centre, options, "b")
    w, k = int(in_centre.sum()), len(found.eigenvalues)
    info = BlockInfo("b", "22", 0, n, 0, n, n, w, k, found.discarded_variance)
    q, p = found.q.astype(np.float32), found.p.astype(np.float32)
    return LdBlock(info, variants(range(1, n + 1)), in_centre, q, p, found.eigenvalues)


def draw(rng, ld, mean_f, size=1):
    """z ~ N(0, f R^2 + R) [size, n]."""
    values, vectors = np.linalg.eigh(ld)
    values = np.clip(values, 0, None)
    noise = rng.normal(size=(size, len(ld)))
    return (noise * np.sqrt(mean_f * values**2 + values)) @ vectors.T


@pytest.fixture(scope="module")
def ld():
    return correlation(haplotypes(300, 80, seed=5))


def dense(ld, fit):
    return fit.mean_f * ld @ ld + (1 - fit.s) * ld + fit.s * np.eye(len(ld))


def test_predictions_are_those_of_the_conditional_normal(ld):
    z = draw(np.random.default_rng(0), ld, 0.3)[0]
    found = variant_statistics(spectrum(ld), z)
    covariance = dense(ld, found.fit)
    for j in (0, 17, 79):
        others = np.arange(80) != j
        weights = np.linalg.solve(covariance[np.ix_(others, others)], covariance[others, j])
        mean, variance = weights @ z[others], covariance[j, j] - weights @ covariance[others, j]
        assert found.predicted[j] == pytest.approx(mean, abs=1e-8)
        assert found.residual[j] == pytest.approx((z[j] - mean) / np.sqrt(variance), abs=1e-7)
        flipped = z.copy()
        flipped[j] *= -1
        density = stats.multivariate_normal(cov=covariance)
        gain = density.logpdf(flipped) - density.logpdf(z)
        assert found.flip_gain[j] == pytest.approx(gain, abs=1e-7)
    assert found.fit.log_likelihood == pytest.approx(density.logpdf(z), abs=1e-7)
    np.testing.assert_allclose(found.p, 2 * stats.norm.sf(np.abs(found.residual)), rtol=1e-12)


def test_the_fit_is_the_maximum_of_the_likelihood(ld):
    z = draw(np.random.default_rng(1), 0.7 * ld + 0.3 * np.eye(80), 0.5)[0]
    fit = fit_ld(spectrum(ld), z)
    assert not fit.at_floor

    def log_likelihood(f, s):
        return stats.multivariate_normal(cov=dense(ld, LdFit(f, s, 0, False))).logpdf(z)

    best = log_likelihood(fit.mean_f, fit.s)
    for f in np.geomspace(1e-3, 100, 25):
        for s in np.linspace(S_FLOOR, 0.99, 25):
            assert log_likelihood(f, s) <= best + 1e-3


def test_a_truncated_spectrum_gives_the_same_where_the_rest_is_one_value(ld):
    values, vectors = np.linalg.eigh(ld)
    values, vectors = values[::-1].copy(), vectors[:, ::-1]
    values[20:] = values[20:].mean()
    z = draw(np.random.default_rng(2), (vectors * values) @ vectors.T, 0.3)[0]
    whole = variant_statistics(Spectrum(values, vectors), z)
    short = variant_statistics(Spectrum(values[:20], vectors[:, :20], values[20]), z)
    np.testing.assert_allclose(short.residual, whole.residual, atol=1e-8)
    assert short.fit.log_likelihood == pytest.approx(whole.fit.log_likelihood)


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


def test_the_fitted_variance_is_the_maximum_of_the_likelihood():
    rng = np.random.default_rng(5)
    q = rng.normal(size=(60, 90)) / 5
    y = np.linalg.cholesky(0.8 * q @ q.T + np.eye(60)) @ rng.normal(size=60)
    found, f = fitted_chi2(y, q)
    assert found.chi2 == pytest.approx(y @ np.linalg.solve(f * q @ q.T + np.eye(60), y))

    def log_likelihood(f):
        return stats.multivariate_normal(cov=f * q @ q.T + np.eye(60)).logpdf(y)

    assert all(log_likelihood(x) <= log_likelihood(f) + 1e-4 for x in np.geomspace(1e-3, 50, 60))
    assert fitted_chi2(np.zeros(60), q)[1] == 0


def test_block_statistics_of_all_variants_are_those_of_the_block(ld):
    block = make_block(ld, flank=15)
    z = draw(np.random.default_rng(6), ld, 0.2)[0][block.in_centre]
    found = block_mismatch(block, z)
    expected, _ = fitted_chi2(block.p @ z, block.q.astype(float))
    assert found.block.chi2 == pytest.approx(expected.chi2, rel=1e-4)
    assert found.block.k == block.info.k
    assert found.rows.tolist() == list(range(50))


def test_missing_z_scores_leave_the_ld_of_the_others(ld):
    block = make_block(ld, flank=15, var_kept=1.0)
    z = draw(np.random.default_rng(7), ld, 0.2)[0][block.in_centre]
    z[[3, 20, 21]] = np.nan
    known = np.flatnonzero(~np.isnan(z))
    found = block_mismatch(block, z)
    centre = ld[np.ix_(block.in_centre, block.in_centre)][np.ix_(known, known)]
    expected = variant_statistics(spectrum(centre), z[known])
    assert found.rows.tolist() == known.tolist()
    np.testing.assert_allclose(found.variants.residual, expected.residual, atol=2e-3)
    rows = ld[block.in_centre][known]
    other = decompose(
        rows.copy(),
        np.isin(np.arange(80), np.flatnonzero(block.in_centre)[known]),
        DecompositionOptions(var_kept=1.0),
        "o",
    )
    assert found.block.k == len(other.eigenvalues)
    whole, _ = fitted_chi2(other.p @ z[known], other.q)
    assert found.block.chi2 == pytest.approx(whole.chi2, rel=1e-3)


def test_a_block_without_z_scores_has_no_statistic(ld):
    assert block_mismatch(make_block(ld), np.full(80, np.nan)) is None


def test_wrong_z_scores_are_refused(ld):
    block = make_block(ld)
    with pytest.raises(InputMismatchError, match="block b: 79 z-scores for 80 observed"):
        block_mismatch(block, np.zeros(79))
    with pytest.raises(NumericalError, match="block b: z: 1 of 80 values are not finite"):
        block_mismatch(block, np.r_[np.zeros(79), np.inf])
    with pytest.raises(InputMismatchError, match="79 z-scores for LD of 80 variants"):
        fit_ld(spectrum(ld), np.zeros(79))
    with pytest.raises(NumericalError, match="z: 2 of 80 .* the first is number 0"):
        variant_statistics(spectrum(ld), np.r_[np.nan, np.nan, np.zeros(78)])
    with pytest.raises(NumericalError, match="y: 1 of 3"):
        chi2_statistic(np.array([0, np.inf, 1]))
    with pytest.raises(NumericalError, match="y: 1 of 2"):
        fitted_chi2(np.array([0, np.nan]), np.eye(2))


def test_two_sided_p_as_scipy_has_it():
    x = np.array([1.96, 0, -30])
    np.testing.assert_allclose(two_sided_p(x), 2 * stats.norm.sf(np.abs(x)), rtol=1e-12)


# ---- real data ---------------------------------------------------------------------------------


def test_a_flipped_sign_in_real_data_is_found(shared_data):
    # susieR SummaryConsistency: the sign of SNP 158 (1-based) is wrong; flip_id in the file.
    with np.load(shared_data("gwas_ld/susier/SummaryConsistency.npz")) as data:
        z, ld, flip = data["z"].ravel(), data["ldref"], int(data["flip_id"][0]) - 1
    assert flip == 157
    found = variant_statistics(spectrum(ld), z)
    assert int(np.argmin(found.p)) == flip
    assert int(np.argmax(found.flip_gain)) == flip
    assert found.flagged[flip]
    assert found.flipped[flip]
    z[flip] *= -1
    mended = variant_statistics(spectrum(ld), z)
    assert not mended.flagged[flip]
    assert mended.p[flip] > 0.05
    assert not mended.flipped.any()
    assert mended.fit.log_likelihood > found.fit.log_likelihood + 50


def test_ld_of_another_sample_in_real_data_is_found(shared_data):
    # susieR rss_mismatch_example: UK Biobank z-scores with LD that is not theirs.
    with np.load(shared_data("gwas_ld/susier/rss_mismatch_example.npz")) as data:
        z, ld = data["z"].ravel(), data["R"]
    found = block_mismatch(make_block(ld), z)
    assert found.block.is_flagged
    assert found.block.p_upper < 1e-3
    assert found.variants.flagged.any()
    assert found.variants.fit.s > 0.1


@pytest.fixture(scope="module")
def gtex(shared_data):
    """Real genotypes of 574 people, every third of 1,001 variants, standardised."""
    with np.load(shared_data("gwas_ld/susier/N3finemapping.npz")) as data:
        x = data["X"][:, ::3]
    return (x - x.mean(axis=0)) / x.std(axis=0)


@pytest.mark.parametrize("mean_f", [0.0, 0.2, 2.0])
def test_the_right_panel_is_not_flagged_more_often_than_said(gtex, mean_f):
    ld = gtex.T @ gtex / len(gtex)
    whole, n = spectrum(ld), 100
    block = make_block(ld)
    zs = draw(np.random.default_rng(8), ld, mean_f, n)
    any_variant = sum(variant_statistics(whole, z).flagged.any() for z in zs)
    blocks = sum(block_mismatch(block, z).block.is_flagged for z in zs)
    # More than 12 of 100 have a probability of 0.0004 at a rate of 0.05.
    limit = stats.binom(n, ALPHA).ppf(0.9995)
    assert any_variant <= limit
    assert blocks <= limit


def test_residuals_are_standard_normal_when_the_data_have_the_floor(gtex):
    ld = gtex.T @ gtex / len(gtex)
    n = len(ld)
    fit = LdFit(0.2, 0.01, 0.0, False)
    root = np.linalg.cholesky(dense(ld, fit))
    zs = (root @ np.random.default_rng(9).normal(size=(n, 60))).T
    residuals = np.array([variant_statistics(spectrum(ld), z, fit).residual for z in zs])
    variances = residuals.var(axis=0)
    # Of 60 draws, each variance is chi-square / 60; their mean over variants is close to 1.
    assert variances.mean() == pytest.approx(1, abs=0.05)
    assert np.mean(np.abs(residuals) > 1.96) == pytest.approx(0.05, abs=0.01)


def test_a_panel_of_200_people_is_flagged(gtex):
    rng = np.random.default_rng(10)
    ld = gtex.T @ gtex / len(gtex)
    few = gtex[rng.choice(len(gtex), 200, replace=False)]
    varies = few.std(axis=0) > 0
    few = few[:, varies]
    few = (few - few.mean(axis=0)) / few.std(axis=0)
    panel = few.T @ few / len(few)
    block, whole = make_block(panel), spectrum(panel)
    zs = draw(rng, ld, 0.5, 20)[:, varies]
    assert np.mean([block_mismatch(block, z).block.p_upper < 0.025 for z in zs]) > 0.9
    assert np.mean([variant_statistics(whole, z).flagged.any() for z in zs]) > 0.5
    assert min(fit_ld(whole, z).s for z in zs) > S_FLOOR


def test_larger_z_scores_with_wrong_signs_are_found_more_often(gtex):
    ld = gtex.T @ gtex / len(gtex)
    rows = mismatch_power(ld, mean_f=0.5, n_simulations=120, edges=(0.0, 0.3, 2.0, np.inf), seed=1)
    assert [row.low for row in rows] == [0.0, 0.3, 2.0]
    assert sum(row.n for row in rows) == 120
    assert rows[0].flagged < rows[1].flagged <= rows[2].flagged
    assert rows[2].flipped > 0.8
    # The sign of a small z-score is never called wrong.
    assert rows[0].flipped == rows[1].flipped == 0


def test_power_of_an_empty_interval_is_not_a_number(ld):
    rows = mismatch_power(ld, 0.1, 5, edges=(1000.0, np.inf))
    assert rows[0].n == 0
    assert np.isnan(rows[0].flagged)


def test_only_a_subset_of_the_signs_of_a_block_can_be_seen(ld):
    # All signs changed: z and -z have the same density, so nothing is flagged.
    z = draw(np.random.default_rng(11), ld, 0.3)[0]
    first, second = (variant_statistics(spectrum(ld), sign * z) for sign in (1, -1))
    np.testing.assert_allclose(first.p, second.p)
    assert first.fit == second.fit
