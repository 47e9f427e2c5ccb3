"""Against dense normal densities of the z-scores themselves, from scipy."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from prior.trained_toys import CHROMS, make_study, of_format_1_0, shared_study, train
from tfgen.errors import NumericalError, UsageError
from tfgen.prior.constant_fit import Spectrum, fit_constant
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.features.feature_store import Features, FeatureStore
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.held_out import (
    BASELINES,
    CONSTANT,
    CONSTANT_SAME_SIGMA,
    NO_EFFECTS,
    learned_blocks,
    sample_size_shift,
    score_held_out,
    scored_blocks,
)
from tfgen.prior.outputs.trained_prior import TrainedPrior
from tfgen.prior.sumstats.munged import MungedStats, read_munged, write_munged
from tfgen.prior.training.block_data import BlockSize
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.traits import parse_traits, read_traits


class Opened:
    """Everything that is needed to score blocks of a study."""

    def __init__(self, study, name="crossed", traits=("height",), files=None, with_ld=True):
        self.features = FeatureStore(study.features)
        self.store = LdStore(study.ld)
        self.prior = TrainedPrior(study.folder / name, self.features)
        self.traits = read_traits(self.store, parse_traits(files or study.traits(*traits)))
        self.source = DiskBlocks(self.store, self.features, self.traits, with_ld=with_ld)

    def score(self, **options):
        return score_held_out(self.prior, self.store, self.source, self.traits, **options)


@pytest.fixture(scope="module")
def study():
    return shared_study()


@pytest.fixture(scope="module")
def opened(study):
    train(study, "crossed")
    return Opened(study)


@pytest.fixture(scope="module")
def result(opened):
    return opened.score()[0]


def dense(block):
    """R_w: and R_ww as the store has them."""
    root = (block.p.astype(float) * block.eigenvalues[:, None]).T
    return root @ block.q.astype(float), root @ root.T


def test_likelihood_ratios_are_those_of_dense_densities(opened, result, study):
    for number in (0, 7):
        found = result.blocks[number]
        block = opened.store.read(found.block.id)
        wide, ld = dense(block)
        f = np.exp(opened.prior.log_f(opened.source.read(number))[:, 0])
        z = study.z[found.block.id]
        constant = result.constant[found.fold]
        same = result.constant_same_sigma[found.fold]

        def log_density(f, sigma, wide=wide, ld=ld, z=z):
            return multivariate_normal.logpdf(z, cov=(wide * f) @ wide.T + sigma * ld)

        ones = np.ones(block.info.n)
        own = log_density(f, found.sigma)
        expected = {
            NO_EFFECTS: own - log_density(0 * ones, found.sigma),
            CONSTANT: own - log_density(constant.f * ones, constant.sigma),
            CONSTANT_SAME_SIGMA: own - log_density(same.f * ones, found.sigma),
        }
        for name in BASELINES:
            # float32 whitening in the store.
            assert found.baselines[name] - found.nll == pytest.approx(expected[name], abs=2e-2)


def test_figures_agree_with_those_of_the_trainer(opened, result):
    scores = score_blocks(opened.source, range(12), opened.prior.log_f, [0.0])
    np.testing.assert_allclose([b.nll for b in result.blocks], scores.nll[:, 0], rtol=1e-9)
    nulls = [b.baselines[NO_EFFECTS] for b in result.blocks]
    np.testing.assert_allclose(nulls, scores.null[:, 0], rtol=1e-9)
    statistic = [b.mahalanobis for b in result.blocks]
    np.testing.assert_allclose(statistic, scores.mahalanobis[:, 0], rtol=1e-9)


def test_every_fold_has_the_constant_prior_of_the_other_chromosomes(opened, result):
    assert [block.fold for block in result.blocks] == [f"chr{c}" for c in CHROMS for _ in range(4)]
    for chrom in CHROMS:
        spectra = []
        for i, size in enumerate(opened.source.sizes):
            if size.chrom != chrom:
                rows = opened.source.read(i).traits[0]
                spectra.append(Spectrum.of(rows.q, rows.y))
        assert result.constant[f"chr{chrom}"] == fit_constant(spectra)
        same = result.constant_same_sigma[f"chr{chrom}"]
        expected = fit_constant(spectra, 1.0)
        assert (same.f, same.sigma, same.nll) == (expected.f, 1.0, expected.nll)


def test_variants_have_the_moments_of_the_dense_model(opened, result, study):
    found = result.blocks[3]
    block = opened.store.read(found.block.id)
    wide, ld = dense(block)
    f = np.exp(opened.prior.log_f(opened.source.read(3))[:, 0])
    z = study.z[found.block.id]
    a = (wide * f) @ wide.T + ld
    mean = f * (wide.T @ np.linalg.solve(a, z))
    variance = f - f**2 * np.einsum("ij,ij->j", wide, np.linalg.solve(a, wide))
    centre = block.in_centre
    np.testing.assert_allclose(found.observed.f, f[centre], rtol=1e-6)
    np.testing.assert_allclose(found.observed.z_squared, z**2, rtol=1e-4)
    np.testing.assert_allclose(found.observed.expected, np.diag(a), rtol=1e-3)
    second = (mean**2 + variance)[centre]
    np.testing.assert_allclose(found.observed.second_moment, second, rtol=2e-3)


def test_other_statistics_of_a_test_block_change_nothing_of_its_baseline(study, opened, result):
    stats = read_munged(study.height)
    z = np.where(stats.variants.chrom == "22", -3 * stats.z, stats.z)
    path = study.folder / "changed.tsv.gz"
    write_munged(path, MungedStats(stats.variants, z, stats.n))
    (changed,) = Opened(study, files=[f"height={path}"]).score()
    assert changed.constant["chr22"] == result.constant["chr22"]
    assert changed.constant["chr21"] != result.constant["chr21"]


def test_f_grows_with_the_sample_size(study, opened):
    stats = read_munged(study.height)
    path = study.folder / "larger.tsv.gz"
    write_munged(path, MungedStats(stats.variants, stats.z, 2 * stats.n))
    larger = Opened(study, files=[f"height={path}"])
    assert sample_size_shift(larger.prior, larger.traits) == pytest.approx([np.log(2)])
    (found,) = larger.score()
    (former,) = opened.score()
    np.testing.assert_allclose(found.blocks[0].observed.f, 2 * former.blocks[0].observed.f)


def test_missing_z_scores_are_left_out(study):
    stats = read_munged(study.height)
    keep = np.ones(len(stats), bool)
    keep[::5] = False
    keep[stats.variants.chrom == "20"] = False
    path = study.folder / "fewer.tsv.gz"
    write_munged(path, MungedStats(stats.variants.take(keep), stats.z[keep], stats.n[keep]))
    train(study, "both", traits=("bmi", "height"))
    files = [f"height={path}", *study.traits("bmi")]
    height, bmi = Opened(study, "both", files=files).score()
    assert {block.block.chrom for block in height.blocks} == {"21", "22"}
    assert {block.block.chrom for block in bmi.blocks} == {"20", "21", "22"}
    for block in height.blocks:
        assert block.n_observed == len(block.observed.f) == 32


def test_a_prior_that_saw_everything_is_scored_in_sample_only(study):
    train(study, "single", folds="none")
    opened = Opened(study, "single")
    with pytest.raises(UsageError, match="no block with z-scores was kept out of the training"):
        opened.score()
    (found,) = opened.score(in_sample=True)
    assert {block.fold for block in found.blocks} == {"mean"}
    assert list(found.constant) == ["mean"]


def test_what_was_kept_out_of_every_fold_is_a_final_test(study, opened):
    """By the mean of log f over the folds, against the constant prior of the other blocks."""
    train(study, "final", test_chrom=("22",))
    final = Opened(study, "final")
    (result,) = final.score()
    folds, kept = result.by_test()
    assert {block.block.chrom for block in folds.blocks} == {"20", "21"}
    assert {(b.test, b.fold, b.block.chrom) for b in kept.blocks} == {("final", "mean", "22")}
    spectra = {"20": [], "21": []}
    for i, size in enumerate(final.source.sizes):
        rows = final.source.read(i).traits[0]
        if size.chrom in spectra:
            spectra[size.chrom].append(Spectrum.of(rows.q, rows.y))
    assert kept.constant["mean"] == fit_constant(spectra["20"] + spectra["21"])
    assert kept.constant["chr20"] == fit_constant(spectra["21"])
    found = kept.blocks[1]
    block = final.store.read(found.block.id)
    wide, ld = dense(block)
    features = Features(final.source.read(9).annotations, None)
    log_f = final.prior.log_f_by_fold(features, block.variants.af.astype(np.float32))
    assert len(log_f) == 2
    f, z = np.exp(log_f.mean(axis=0)[:, 0]), study.z[found.block.id]
    null = multivariate_normal.logpdf(z, cov=found.sigma * ld)
    own = multivariate_normal.logpdf(z, cov=(wide * f) @ wide.T + found.sigma * ld)
    assert found.baselines[NO_EFFECTS] - found.nll == pytest.approx(own - null, abs=2e-2)
    with pytest.raises(UsageError, match="leave out --in_sample"):
        final.score(in_sample=True)


def test_in_sample_the_constant_prior_is_not_of_the_test(study):
    train(study, "one", folds="none", test_chrom=("21",))
    one = Opened(study, "one")
    (tested,) = one.score()
    assert {(block.test, block.fold) for block in tested.blocks} == {("folds", "all")}
    (seen,) = one.score(in_sample=True)
    assert {block.test for block in seen.blocks} == {"in_sample"}
    assert {block.block.chrom for block in seen.blocks} == {"20", "22"}
    assert seen.constant["mean"] == tested.constant["all"]


def test_a_prior_of_format_1_0_does_not_know_what_was_kept_out(study, tmp_path):
    train(study, "final", test_chrom=("22",))
    old = of_format_1_0(study.folder / "final", tmp_path / "old")
    former = Opened(study, old)
    (result,) = former.score()
    assert {block.block.chrom for block in result.blocks} == {"20", "21"}
    # What it learned from is known all the same.
    (newer,) = Opened(study, "final").score()
    assert result.constant["chr20"] == newer.constant["chr20"]


def test_a_likelihood_that_is_not_finite_names_its_block(opened, monkeypatch):
    def broken(data, in_sample=False):
        return np.full((data.n, 1), np.nan if data.id == "chr21_0_600" else 0.0)

    monkeypatch.setattr(opened.prior, "log_f", broken)
    with pytest.raises(NumericalError, match="the likelihood of block chr21_0_600 is nan"):
        opened.score()


def test_residuals_are_those_of_a_cholesky_factor(opened, result):
    rows = opened.source.read(2).traits[0]
    f = np.exp(opened.prior.log_f(opened.source.read(2))[:, 0])
    q = rows.q.astype(np.float64)
    factor = np.linalg.cholesky((q * f) @ q.T + result.blocks[2].sigma * np.eye(len(q)))
    expected = np.linalg.solve(factor, rows.y)
    np.testing.assert_allclose(result.blocks[2].residuals, expected, rtol=1e-6, atol=1e-8)


def test_a_cross_fitted_prior_has_nothing_in_sample(opened):
    with pytest.raises(UsageError, match="leave out --in_sample"):
        opened.score(in_sample=True)


def test_some_traits_of_the_prior_are_enough(study):
    train(study, "both", traits=("bmi", "height"))
    both = Opened(study, "both", ("height", "bmi"))
    height, bmi = both.score()
    assert (height.trait.name, bmi.trait.name) == ("height", "bmi")
    (alone,) = Opened(study, "both", ("height",)).score()
    assert [block.nll for block in alone.blocks] == [block.nll for block in height.blocks]


def test_blocks_without_the_ld_of_observed_variants_are_refused(study, opened):
    with pytest.raises(UsageError, match="read them with_ld"):
        Opened(study, with_ld=False).score()


def test_without_training_blocks_there_is_no_baseline(tmp_path):
    """The LD of the test chromosome alone."""
    from tfgen.prior.ld.ld_store_writer import save_ld_store

    study = make_study(tmp_path, seed=3)
    train(study, "crossed", fit={"epochs": 1})
    blocks = [block for block in study.blocks if block.info.chrom == "22"]
    save_ld_store(tmp_path / "ld22", {"build": "GRCh37", "panel": "toy"}, blocks)
    other = Opened(study)
    other.store = LdStore(tmp_path / "ld22")
    other.traits = read_traits(other.store, parse_traits(study.traits()))
    other.source = DiskBlocks(other.store, other.features, other.traits, with_ld=True)
    with pytest.raises(UsageError, match="has no block that fold chr22 learned from"):
        other.score()


def test_overlapping_blocks_and_chromosomes_kept_out_are_not_learned_from(opened):
    sizes = [
        BlockSize("chr20_0_600", "20", 60, 40, 40, 0, 600),
        BlockSize("a", "20", 60, 40, 40, 500, 1100),
        BlockSize("b", "20", 60, 40, 40, 600, 1200),
        BlockSize("c", "9", 60, 40, 40, 0, 600),
        BlockSize("d", "9", 60, 40, 0, 600, 1200),
    ]
    assert learned_blocks(opened.prior, sizes, "chr20") == [2, 3]
    assert scored_blocks(opened.prior, sizes, in_sample=False) == {0}
    assert scored_blocks(opened.prior, sizes, in_sample=True) == {1, 2, 3}
