"""Noise and files of observed coverage."""

import numpy as np
import pyBigWig
import pytest

from tfgen.io import read_table
from tfgen.synthetic.config import Chromosome
from tfgen.synthetic.coverage import observe, write_bigwigs, write_targets


@pytest.mark.parametrize("depth", [1.0, 8.0])
def test_noise_has_the_mean_and_variance_of_poisson_reads(depth):
    expected = np.tile(np.float32([0.5, 3.0, 25.0]), (200_000, 1))
    observed = observe(expected, depth, np.random.default_rng(1))
    assert observed.dtype == np.float32
    # Five standard errors of the mean; the variance of a Poisson mean of `depth` reads per unit.
    error = 5 * np.sqrt(expected[0] / depth / len(expected))
    assert (np.abs(observed.mean(axis=0) - expected[0]) < error).all()
    np.testing.assert_allclose(observed.var(axis=0), expected[0] / depth, rtol=0.03)


def test_observed_coverage_is_a_whole_number_of_reads():
    observed = observe(np.full((1000, 2), 3.3, np.float32), 8.0, np.random.default_rng(1))
    np.testing.assert_array_equal(observed * 8, np.round(observed * 8))


def test_bigwigs_hold_every_bin_of_every_chromosome(tmp_path):
    chromosomes = (Chromosome("chrA", 1280, "train"), Chromosome("chrB", 640, "test"))
    rng = np.random.default_rng(1)
    coverage = {c.name: rng.random((c.n_bins, 4)).astype(np.float32) for c in chromosomes}
    write_bigwigs(tmp_path, chromosomes, coverage)
    for index, name in enumerate(("dnase_alpha", "atac_beta", "cage_alpha", "cage_beta")):
        with pyBigWig.open(str(tmp_path / f"{name}.bw")) as file:
            assert file.chroms() == {"chrA": 1280, "chrB": 640}
            for c in chromosomes:
                values = np.array(file.values(c.name, 0, c.length), np.float32)
                np.testing.assert_array_equal(
                    values, np.repeat(coverage[c.name][:, index], 128), strict=True
                )


def test_targets_table_has_the_columns_of_basenji_in_their_order(tmp_path):
    write_targets(tmp_path / "targets.txt")
    table = read_table(tmp_path / "targets.txt")
    assert list(table) == [
        "index", "genome", "identifier", "file", "clip", "scale", "sum_stat", "description",
    ]  # fmt: skip
    assert table["index"] == ["0", "1", "2", "3"]
    assert table["description"] == ["DNASE:alpha", "ATAC:beta", "CAGE:alpha", "CAGE:beta"]
    assert table["file"][0] == "coverage/dnase_alpha.bw"
    assert set(table["sum_stat"]) == {"mean"}
