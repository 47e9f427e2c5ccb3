import numpy as np
import pytest

from tfgen.errors import UsageError
from tfgen.synthetic.haplotype_panel import (
    founder_haplotypes,
    mosaic,
    panel_genotypes,
    random_tree,
)


def draw(seed=0, **settings):
    options = {
        "blocks": [120, 80],
        "n_people": 400,
        "n_founders": 80,
        "segment": 10,
        "min_frequency": 0.05,
    }
    return panel_genotypes(**options | settings, rng=np.random.default_rng(seed))


def test_branches_of_a_tree_are_nested_or_apart():
    tree = random_tree(12, np.random.default_rng(0))
    assert len(tree.clades) == 2 * 12 - 2
    assert (tree.lengths > 0).all()
    for first in tree.clades:
        for second in tree.clades:
            both = (first & second).sum()
            assert both in (0, first.sum(), second.sum())
    assert sorted(tree.clades.sum(axis=1))[:12] == [1] * 12


def test_the_length_of_a_tree_is_that_of_the_coalescent():
    # Expected total length in units of 2N generations: 2 (1 + 1/2 + ... + 1/(n - 1)).
    rng = np.random.default_rng(1)
    n, draws = 8, 400
    totals = [random_tree(n, rng).lengths.sum() for _ in range(draws)]
    expected = 2 * sum(1 / i for i in range(1, n))
    assert abs(np.mean(totals) - expected) < 4 * np.std(totals) / np.sqrt(draws)


def test_rare_alleles_are_more_frequent_than_common_ones():
    # With i copies of n founders: 1/i + 1/(n - i) for the rarer allele, over many trees.
    rng = np.random.default_rng(2)
    founders = np.concatenate([founder_haplotypes(5, 80, 5, 0.03, rng) for _ in range(400)], axis=1)
    copies = founders.sum(axis=0)
    rarer = np.minimum(copies, 80 - copies)
    assert rarer.min() >= 3
    i = np.arange(3, 41)
    weights = (1 / i + 1 / (80 - i)) / np.where(i == 40, 2, 1)
    expected = weights[i <= 12].sum() / weights.sum()
    assert np.mean(rarer <= 12) == pytest.approx(expected, abs=0.06)


def test_genotypes_are_copies_of_an_allele_that_everybody_may_lack():
    genotypes = draw()
    assert (genotypes.shape, genotypes.dtype) == ((400, 200), np.int8)
    assert set(np.unique(genotypes)) == {0, 1, 2}
    assert (genotypes.min(axis=0) < genotypes.max(axis=0)).all()
    # Which allele is counted is drawn.
    frequency = genotypes.mean(axis=0) / 2
    assert 0.2 < np.mean(frequency > 0.5) < 0.8


def test_ld_decays_with_distance_and_ends_at_a_block():
    genotypes = draw(n_people=2000, blocks=[100] * 6)
    r2 = np.corrcoef(genotypes.T.astype(float)) ** 2
    inside = [r2[i : i + 100, i : i + 100] for i in range(0, 600, 100)]
    near, middle, far = (np.mean([np.diag(r, d).mean() for r in inside]) for d in (1, 15, 60))
    assert near > 1.3 * middle > 3 * far > 0.01
    # Between blocks r^2 is that of independent haplotypes, 1 / (2 people).
    assert r2[:100, 100:].mean() < 3 / 4000


def test_haplotypes_copy_one_founder_per_segment():
    rng = np.random.default_rng(3)
    founders = np.arange(60, dtype=np.int8)[:, None] + np.zeros((60, 25), np.int8)
    copies = mosaic(founders, 10, 200, rng)
    for first, stop in ((0, 10), (10, 20), (20, 25)):
        assert (copies[:, first:stop] == copies[:, first : first + 1]).all()
    assert 0 < np.mean(copies[:, 0] != copies[:, 24]) < 0.3


def test_the_same_seed_gives_the_same_people():
    np.testing.assert_array_equal(draw(seed=4), draw(seed=4))
    assert (draw(seed=4) != draw(seed=5)).any()


def test_impossible_frequencies_are_usage_errors():
    with pytest.raises(UsageError, match="4 founders have no variants with a frequency of 0.6"):
        draw(n_founders=4, min_frequency=0.6)
    with pytest.raises(UsageError, match="1 people are too few"):
        draw(n_people=1, min_frequency=0.05)
