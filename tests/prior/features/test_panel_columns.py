import numpy as np
import pytest

from prior.feature_files import correlations, ld_block, table
from tfgen.prior.features.panel_columns import (
    FrequencySource,
    LdScoreSource,
    ld_store_digest,
    with_frequencies,
)
from tfgen.prior.ld.ld_store_writer import save_ld_store


@pytest.fixture
def store(tmp_path):
    """Chromosome 1: three windows over 9 variants, each observed once; chromosome 2: one block."""
    r = correlations(9)
    pos = np.arange(101, 110)
    windows = [(slice(0, 6), slice(0, 3)), (slice(0, 9), slice(3, 6)), (slice(3, 9), slice(6, 9))]
    blocks = []
    for number, (span, centre) in enumerate(windows):
        mask = np.zeros(9, bool)
        mask[centre] = True
        blocks.append(ld_block(f"chr1_{number}", "1", pos[span], r[span, span], mask[span]))
    alone = correlations(4, seed=1)
    blocks.append(ld_block("chr2_0", "2", np.arange(5, 9), alone, np.ones(4, bool)))
    path = tmp_path / "ld"
    save_ld_store(path, {"build": "GRCh37", "panel": "toy"}, blocks, q_dtype="float32")
    return path, r, alone


def test_ld_scores_are_sums_of_squared_correlations(store):
    path, r, alone = store
    found = LdScoreSource(path)
    assert found.columns == ("ld_score",)
    variants = table(*(f"1:{pos}:C:A" for pos in range(101, 110)), "1:50:A:C")
    values = found.values(variants)[:, 0]
    # The first three share no window with the last three.
    near = np.ones((9, 9))
    near[:3, 6:] = near[6:, :3] = 0
    np.testing.assert_allclose(values[:9], (r**2 * near).sum(axis=0), rtol=1e-5)
    assert np.isnan(values[9])
    of_two = found.values(table("2:6:A:C", "1:101:A:C", "2:5:A:C", "3:5:A:C"))[:, 0]
    np.testing.assert_allclose(
        of_two, [(alone**2)[1].sum(), values[0], (alone**2)[0].sum(), np.nan], rtol=1e-5
    )


def test_the_digest_is_that_of_the_store(store):
    assert len(ld_store_digest(store[0])) == 64


def test_frequencies_do_not_depend_on_the_counted_allele():
    found = FrequencySource(maf=True, log=True)
    assert found.columns == ("maf", "log10_maf")
    variants = table(*["1:5:A:C"] * 5, af=[0.1, 0.9, 0.5, 0.0, np.nan])
    values = found.values(variants)
    np.testing.assert_allclose(values[:, 0], [0.1, 0.1, 0.5, 0, np.nan], rtol=1e-6)
    np.testing.assert_allclose(values[:, 1], [-1, -1, np.log10(0.5), -5, np.nan], rtol=1e-6)
    assert FrequencySource(maf=False, log=True).columns == ("log10_maf",)
    assert FrequencySource(maf=True, log=False).values(variants).shape == (5, 1)


def test_unknown_frequencies_come_from_the_panel():
    variants = table("1:5:A:C", "1:6:A:C", "1:7:A:C", "1:8:A:C", af=[0.3, np.nan, np.nan, np.nan])
    panel = table("1:5:A:C", "1:6:C:A", "1:7:A:C", af=[0.9, 0.2, np.nan])
    found = with_frequencies(variants, panel)
    np.testing.assert_allclose(found.af, [0.3, 0.8, np.nan, np.nan])
    assert np.isnan(variants.af[1])
