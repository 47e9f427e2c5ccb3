"""Mismatch of z-scores and LD: formulas against dense linear algebra, then real mismatches."""

import numpy as np
import pytest
from scipy import stats

from prior.ld.fit_toys import draw, gtex_genotypes, make_block, panel_of
from prior.ld_toys import correlation, haplotypes
from tfgen.errors import InputMismatchError, NumericalError
from tfgen.prior.constant_fit import Spectrum
from tfgen.prior.ld.block_fit import ALPHA, block_fits
from tfgen.prior.ld.ld_decomposition import DecompositionOptions, decompose
from tfgen.prior.ld.mismatch import (
    S_FLOOR,
    LdEigen,
    LdFit,
    block_mismatch,
    fit_ld,
    ld_eigen,
    mismatch_power,
    two_sided_p,
    variant_statistics,
)


@pytest.fixture(scope="module")
def ld():
    return correlation(haplotypes(300, 80, seed=5))


def dense(ld, fit):
    return fit.mean_f * ld @ ld + (1 - fit.s) * ld + fit.s * np.eye(len(ld))


def test_predictions_are_those_of_the_conditional_normal(ld):
    z = draw(np.random.default_rng(0), ld, 0.3)[0]
    found = variant_statistics(ld_eigen(ld), z)
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
    fit = fit_ld(ld_eigen(ld), z)
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
    whole = variant_statistics(LdEigen(values, vectors), z)
    short = variant_statistics(LdEigen(values[:20], vectors[:, :20], values[20]), z)
    np.testing.assert_allclose(short.residual, whole.residual, atol=1e-8)
    assert short.fit.log_likelihood == pytest.approx(whole.fit.log_likelihood)


def test_block_statistics_of_all_variants_are_those_of_the_block(ld):
    block = make_block(ld, flank=15)
    z = draw(np.random.default_rng(6), ld, 0.2)[0][block.in_centre]
    found = block_mismatch(block, z)
    expected = Spectrum.of(block.q, block.p.astype(float) @ z)
    np.testing.assert_allclose(found.spectrum.squares, expected.squares, rtol=1e-8)
    assert len(found.spectrum.eigenvalues) == block.info.k
    assert found.rows.tolist() == list(range(50))


def test_missing_z_scores_leave_the_ld_of_the_others(ld):
    block = make_block(ld, flank=15, var_kept=1.0)
    z = draw(np.random.default_rng(7), ld, 0.2)[0][block.in_centre]
    z[[3, 20, 21]] = np.nan
    known = np.flatnonzero(~np.isnan(z))
    found = block_mismatch(block, z)
    centre = ld[np.ix_(block.in_centre, block.in_centre)][np.ix_(known, known)]
    expected = variant_statistics(ld_eigen(centre), z[known])
    assert found.rows.tolist() == known.tolist()
    np.testing.assert_allclose(found.variants.residual, expected.residual, atol=2e-3)
    rows = ld[block.in_centre][known]
    other = decompose(
        rows.copy(),
        np.isin(np.arange(80), np.flatnonzero(block.in_centre)[known]),
        DecompositionOptions(var_kept=1.0),
        "o",
    )
    assert len(found.spectrum.squares) == len(other.eigenvalues)
    (fit,), (whole,) = (
        block_fits([x]) for x in (found.spectrum, Spectrum.of(other.q, other.p @ z[known]))
    )
    assert fit.size.chi2 == pytest.approx(whole.size.chi2, rel=1e-3)
    assert fit.shape.p == pytest.approx(whole.shape.p, rel=1e-2)


def test_a_block_without_z_scores_has_no_statistic(ld):
    assert block_mismatch(make_block(ld), np.full(80, np.nan)) is None


def test_wrong_z_scores_are_refused(ld):
    block = make_block(ld)
    with pytest.raises(InputMismatchError, match="block b: 79 z-scores for 80 observed"):
        block_mismatch(block, np.zeros(79))
    with pytest.raises(NumericalError, match="block b: z: 1 of 80 values are not finite"):
        block_mismatch(block, np.r_[np.zeros(79), np.inf])
    with pytest.raises(InputMismatchError, match="79 z-scores for LD of 80 variants"):
        fit_ld(ld_eigen(ld), np.zeros(79))
    with pytest.raises(NumericalError, match="z: 2 of 80 .* the first is number 0"):
        variant_statistics(ld_eigen(ld), np.r_[np.nan, np.nan, np.zeros(78)])


def test_two_sided_p_as_scipy_has_it():
    x = np.array([1.96, 0, -30])
    np.testing.assert_allclose(two_sided_p(x), 2 * stats.norm.sf(np.abs(x)), rtol=1e-12)


# ---- real data ---------------------------------------------------------------------------------


def test_a_flipped_sign_in_real_data_is_found(shared_data):
    # susieR SummaryConsistency: the sign of SNP 158 (1-based) is wrong; flip_id in the file.
    with np.load(shared_data("gwas_ld/susier/SummaryConsistency.npz")) as data:
        z, ld, flip = data["z"].ravel(), data["ldref"], int(data["flip_id"][0]) - 1
    assert flip == 157
    found = variant_statistics(ld_eigen(ld), z)
    assert int(np.argmin(found.p)) == flip
    assert int(np.argmax(found.flip_gain)) == flip
    assert found.flagged[flip]
    assert found.flipped[flip]
    z[flip] *= -1
    mended = variant_statistics(ld_eigen(ld), z)
    assert not mended.flagged[flip]
    assert mended.p[flip] > 0.05
    assert not mended.flipped.any()
    assert mended.fit.log_likelihood > found.fit.log_likelihood + 50


def test_ld_of_another_sample_in_real_data_is_found(shared_data):
    # susieR rss_mismatch_example: UK Biobank z-scores with LD that is not theirs.
    with np.load(shared_data("gwas_ld/susier/rss_mismatch_example.npz")) as data:
        z, ld = data["z"].ravel(), data["R"]
    found = block_mismatch(make_block(ld), z)
    (fit,) = block_fits([found.spectrum])
    assert fit.is_flagged()
    assert fit.shape.p_upper < 1e-3
    assert found.variants.flagged.any()
    assert found.variants.fit.s > 0.1


@pytest.fixture(scope="module")
def gtex(shared_data):
    return gtex_genotypes(shared_data)


@pytest.mark.parametrize("mean_f", [0.0, 0.2, 2.0, 20.0])
def test_variants_are_not_flagged_more_often_than_said_with_the_right_panel(gtex, mean_f):
    ld = np.corrcoef(gtex.T)
    whole, n = ld_eigen(ld), 100
    zs = draw(np.random.default_rng(8), ld, mean_f, n)
    any_variant = sum(variant_statistics(whole, z).flagged.any() for z in zs)
    # More than 12 of 100 have a probability of 0.0004 at a rate of 0.05.
    assert any_variant <= stats.binom(n, ALPHA).ppf(0.9995)


@pytest.mark.parametrize("mean_f", [0.0, 2.0])
@pytest.mark.parametrize("missing", [0.2, 0.5])
def test_missing_z_scores_make_no_mismatch(gtex, mean_f, missing):
    """The store leaves out 0.5 % of the variance: no small eigenvalue may blow it up."""
    ld, n = np.corrcoef(gtex[:, ::3].T), 200
    block, rng = make_block(ld), np.random.default_rng(12)
    zs = draw(rng, ld, mean_f, n)
    zs[rng.random(zs.shape) < missing] = np.nan
    spectra = [block_mismatch(block, z).spectrum for z in zs]
    fits = block_fits(spectra)
    low, high = stats.binom(n, ALPHA).ppf([0.0005, 0.9995])
    assert low <= sum(fit.is_flagged() for fit in fits) <= high
    chi2, k = (sum(getattr(fit.size, name) for fit in fits) for name in ("chi2", "k"))
    # k is the mean, with f fitted to all; a standard error is sqrt(2 / 11,000) = 0.013.
    assert chi2 / k == pytest.approx(1, abs=0.05)


def test_residuals_are_standard_normal_when_the_data_have_the_floor(gtex):
    ld = gtex.T @ gtex / len(gtex)
    n = len(ld)
    fit = LdFit(0.2, 0.01, 0.0, False)
    root = np.linalg.cholesky(dense(ld, fit))
    zs = (root @ np.random.default_rng(9).normal(size=(n, 60))).T
    residuals = np.array([variant_statistics(ld_eigen(ld), z, fit).residual for z in zs])
    variances = residuals.var(axis=0)
    # Of 60 draws, each variance is chi-square / 60; their mean over variants is close to 1.
    assert variances.mean() == pytest.approx(1, abs=0.05)
    assert np.mean(np.abs(residuals) > 1.96) == pytest.approx(0.05, abs=0.01)


def test_variants_of_a_panel_of_200_people_are_flagged(gtex):
    rng = np.random.default_rng(10)
    ld = np.corrcoef(gtex.T)
    panel, varies = panel_of(gtex, rng.choice(len(gtex), 200, replace=False))
    whole = ld_eigen(panel)
    zs = draw(rng, ld, 0.5, 20)[:, varies]
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
    first, second = (variant_statistics(ld_eigen(ld), sign * z) for sign in (1, -1))
    np.testing.assert_allclose(first.p, second.p)
    assert first.fit == second.fit
