import numpy as np
import pytest
from scipy import stats

from tfgen.prior.outputs.calibration import (
    VariantFigures,
    enrichment_sums,
    enrichments,
    groups_by_f,
    is_mismatch,
    mahalanobis_p,
    normal_quantiles,
)
from tfgen.prior.outputs.jackknife import block_jackknife


def figures(rng, n=200):
    f = np.exp(rng.normal(size=n))
    return VariantFigures(f, rng.chisquare(1, n) * (1 + f), 1 + f, f * rng.uniform(0.5, 1.5, n))


@pytest.fixture
def blocks():
    rng = np.random.default_rng(0)
    return [figures(rng, n) for n in (200, 150, 250)]


def test_tenths_are_of_equal_size_and_in_order(blocks):
    groups = groups_by_f(blocks)
    assert [group.n for group in groups] == [60] * 10
    means = [group.mean_f for group in groups]
    assert means == sorted(means)


def test_standard_errors_are_over_groups_of_blocks(blocks):
    blocks = [*blocks, *blocks[:1]]
    deleted = np.array([0, 0, 1, 1])
    f = np.concatenate([block.f for block in blocks])
    edge = np.sort(f)[(len(f) - 1) // 10]
    z2, expected = (
        np.array([getattr(b, name)[b.f <= edge].sum() for b in blocks])
        for name in ("z_squared", "expected")
    )
    found = groups_by_f(blocks, deleted)[0]
    _, se = block_jackknife(z2, expected, deleted)
    assert found.z_ratio_se == pytest.approx(se)
    assert found.z_ratio_se != pytest.approx(groups_by_f(blocks)[0].z_ratio_se)


def test_every_tenth_has_the_ratios_of_its_variants(blocks):
    f = np.concatenate([block.f for block in blocks])
    rank = np.argsort(np.argsort(f)) // 60
    parts = np.split(rank, [200, 350])
    for g, group in enumerate(groups_by_f(blocks)):
        z2, expected, second, sums_f = (
            np.array([getattr(b, name)[r == g].sum() for b, r in zip(blocks, parts, strict=True)])
            for name in ("z_squared", "expected", "second_moment", "f")
        )
        assert (group.z_ratio, group.z_ratio_se) == pytest.approx(block_jackknife(z2, expected))
        assert (group.em_ratio, group.em_ratio_se) == pytest.approx(block_jackknife(second, sums_f))
        assert group.z_squared == pytest.approx(z2.sum() / 60)
        assert group.expected == pytest.approx(expected.sum() / 60)


def test_a_constant_prior_is_one_group():
    rng = np.random.default_rng(1)
    block = figures(rng)
    same = VariantFigures(np.full(200, 0.3), block.z_squared, block.expected, block.second_moment)
    (group,) = groups_by_f([same, same])
    assert group.n == 400
    assert group.mean_f == pytest.approx(0.3)


def test_no_variants_are_no_groups():
    assert groups_by_f([]) == []


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0.89, True), (0.9, False), (1.0, False), (1.1, False), (1.11, True), (float("nan"), True)],
)
def test_a_mismatch_is_outside_of_nine_to_eleven_tenths(ratio, expected):
    assert is_mismatch(ratio) is expected


def test_of_few_degrees_of_freedom_a_mismatch_is_not_by_chance():
    # The standard deviation is sqrt(2 / k): 0.26 for k = 30, 0.014 for k = 10,000.
    assert not is_mismatch(1.3, 30)
    assert is_mismatch(1.3, 1000)
    assert not is_mismatch(0.7, 30)
    assert is_mismatch(0.7, 1000)
    assert not is_mismatch(1.05, 100_000)  # beyond chance, but small
    assert is_mismatch(float("nan"), 100)
    assert is_mismatch(float("nan"), 0)


@pytest.mark.parametrize("k", [20, 50, 100, 200])
def test_right_blocks_are_seldom_called_a_mismatch(k):
    """By the ratio alone half of them would be, with 20 degrees of freedom two thirds."""
    ratios = np.random.default_rng(k).chisquare(k, 3000) / k
    share = np.mean([is_mismatch(float(x), k) for x in ratios[:1000]])
    # Binomial with p = 0.01 of 1,000: three standard deviations are 0.0094.
    assert share <= 0.02
    assert share == np.mean((2 * np.minimum(*tails(ratios[:1000], k))) < 0.01)
    alone = np.mean([is_mismatch(float(x)) for x in ratios])
    assert alone > 0.3


def tails(ratios, k):
    return stats.chi2.sf(ratios * k, k), stats.chi2.cdf(ratios * k, k)


@pytest.mark.parametrize("k", [1, 30, 5000])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.99, 1.0, 1.02, 2.0])
def test_probabilities_are_those_of_scipy(ratio, k):
    expected = min(1.0, 2 * min(tails(ratio, k)))
    assert mahalanobis_p(ratio, k) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_without_degrees_of_freedom_there_is_no_probability():
    assert np.isnan([mahalanobis_p(1.0, 0), mahalanobis_p(float("nan"), 5)]).all()


def test_quantiles_of_few_residuals_are_all_drawn():
    x = np.random.default_rng(2).normal(size=99)
    expected, observed = normal_quantiles(x)
    np.testing.assert_allclose(observed, np.sort(x))
    np.testing.assert_allclose(expected, stats.norm.ppf((np.arange(99) + 0.5) / 99), atol=1e-9)


def test_of_many_residuals_the_extremes_are_kept():
    x = np.random.default_rng(3).normal(size=50_000)
    expected, observed = normal_quantiles(x)
    assert len(observed) == len(expected) == 1000
    assert (observed[0], observed[-1]) == (x.min(), x.max())
    assert normal_quantiles(np.zeros(0))[0].size == 0


def test_enrichment_is_the_ratio_of_means_with_a_standard_error():
    rng = np.random.default_rng(4)
    sums, fs, inside = [], [], []
    for _ in range(8):
        annotations = np.stack([rng.random(50) < 0.4, np.zeros(50), rng.normal(size=50)], axis=1)
        annotations[::9, 0] = np.nan
        f = rng.uniform(0.5, 1.5, 50) * (1 + np.nan_to_num(annotations[:, 0]))
        sums.append(enrichment_sums(f, annotations))
        fs.append(f)
        inside.append(annotations[:, 0] == 1)
    names = ("coding", "never", "score")
    coding, score = enrichments(names, sums)
    f, mask = np.concatenate(fs), np.concatenate(inside)
    assert (coding.annotation, score.annotation) == ("coding", "score")
    assert coding.n == mask.sum()
    assert coding.share == pytest.approx(mask.mean())
    assert coding.mean_f == pytest.approx(f[mask].mean())
    assert coding.enrichment == pytest.approx(f[mask].mean() / f.mean())
    left = []
    for i in range(8):
        f = np.concatenate(fs[:i] + fs[i + 1 :])
        mask = np.concatenate(inside[:i] + inside[i + 1 :])
        left.append(f[mask].mean() / f.mean())
    assert coding.se == pytest.approx(np.sqrt(7 / 8 * np.sum((left - np.mean(left)) ** 2)))
    assert (score.enrichment, score.se) == pytest.approx((1, 0), abs=1e-12)


def test_without_annotations_there_is_no_enrichment():
    assert enrichments((), [enrichment_sums(np.ones(3), np.zeros((3, 0)))]) == []
    assert enrichments(("a",), []) == []
