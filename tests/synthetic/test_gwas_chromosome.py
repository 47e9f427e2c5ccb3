import dataclasses

import numpy as np
import pytest

from tfgen.genome import is_palindromic
from tfgen.synthetic.gwas_chromosome import draw_chromosome, draw_z, in_peaks
from tfgen.synthetic.gwas_config import GwasConfig

QUICK = dataclasses.replace(
    GwasConfig(), chromosomes=2, variants=240, block_variants=60, people=300, founders=60
)


@pytest.fixture(scope="module")
def chromosome():
    return draw_chromosome(QUICK, 1)


def test_variants_have_distinct_places_in_blocks_side_by_side(chromosome):
    pos = chromosome.variants.pos
    assert (np.diff(pos) > 0).all()
    assert len(pos) == QUICK.variants
    start = 0
    for (low, high, size), following in zip(
        chromosome.blocks, [*chromosome.blocks[1:], None], strict=True
    ):
        inside = (pos - 1 >= low) & (pos - 1 < high)
        np.testing.assert_array_equal(np.flatnonzero(inside), np.arange(start, start + size))
        assert following is None or following[0] == high
        start += size
    assert pos[-1] < chromosome.length


def test_block_sizes_are_near_what_was_asked_for():
    config = dataclasses.replace(QUICK, variants=1500, block_variants=220)
    sizes = [size for _, _, size in draw_chromosome(config, 0).blocks]
    assert (len(sizes), sum(sizes)) == (7, 1500)
    assert 120 < min(sizes) <= max(sizes) < 340


def test_alleles_are_bases_with_some_palindromic_pairs(chromosome):
    table = chromosome.variants
    assert set(table.ref) | set(table.alt) == set("ACGT")
    assert (table.ref != table.alt).all()
    assert 0.08 < is_palindromic(table.ref, table.alt).mean() < 0.28


def test_frequencies_are_those_of_the_counted_allele(chromosome):
    expected = [column.sum() / (2 * QUICK.people) for column in chromosome.genotypes.T.astype(int)]
    np.testing.assert_allclose(chromosome.variants.af, expected)


def test_positions_are_in_half_open_intervals():
    peaks = np.array([[10, 20], [30, 31]])
    pos = np.array([1, 10, 11, 20, 21, 30, 31, 32])
    assert in_peaks(pos, peaks).tolist() == [False, False, True, True, False, False, True, False]


def test_peaks_do_not_overlap_and_scores_and_signal_are_larger_there(chromosome):
    peaks = chromosome.peaks
    assert (peaks[1:, 0] >= peaks[:-1, 1]).all()
    assert (peaks[:, 1] <= chromosome.length).all()
    bases = np.arange(1, chromosome.length + 1)
    inside = in_peaks(bases, peaks)
    assert 0.1 < inside.mean() < 0.3
    per_base = np.repeat(chromosome.signal, 128)
    assert per_base[inside].mean() > per_base[~inside].mean() + 1


def test_the_features_are_those_of_the_truth(chromosome):
    features = chromosome.features
    sad, peak, conserved, signal = features.annotations.T
    np.testing.assert_array_equal(sad, np.abs(chromosome.sad[:, 0]))
    for i, pos in enumerate(chromosome.variants.pos):
        assert peak[i] == any(start < pos <= end for start, end in chromosome.peaks)
        assert signal[i] == chromosome.signal[(pos - 1) // 128]
    np.testing.assert_allclose(conserved, chromosome.conserved, rtol=1e-6)


def test_the_covariance_of_z_given_b_is_sigma_r(chromosome):
    # Independent: the correlation of the genotypes, block by block, and the variance of a
    # product of normal deviates.
    rng = np.random.default_rng(0)
    n, draws, sigma = len(chromosome.variants), 4000, 1.7
    b = rng.normal(size=n)
    first = slice(0, 20)
    size = chromosome.blocks[0][2]
    R = np.corrcoef(chromosome.genotypes[:, :size].T.astype(float))
    z = np.stack([draw_z(chromosome, b, sigma, rng)[first] for _ in range(draws)])
    S = sigma * R[first, first]
    deviates = (z.mean(0) - (R @ b[:size])[first]) / np.sqrt(sigma / draws)
    assert np.abs(deviates).max() < 4
    centred = z - (R @ b[:size])[first]
    error = np.sqrt((sigma**2 + S**2) / draws)
    assert np.abs((centred.T @ centred / draws - S) / error).max() < 4.5


def test_chromosomes_do_not_depend_on_how_many_there_are():
    alone = draw_chromosome(dataclasses.replace(QUICK, chromosomes=1), 0)
    first = draw_chromosome(QUICK, 0)
    np.testing.assert_array_equal(alone.genotypes, first.genotypes)
    np.testing.assert_array_equal(alone.sad, first.sad)
    assert draw_chromosome(dataclasses.replace(QUICK, tracks=1), 0).sad.shape == (240, 1)


def test_a_few_variants_have_no_score():
    config = dataclasses.replace(QUICK, variants=2000, chromosomes=1)
    missing = np.isnan(draw_chromosome(config, 0).sad)
    assert (missing.all(axis=1) == missing.any(axis=1)).all()
    assert 0.002 < missing.mean() < 0.03
