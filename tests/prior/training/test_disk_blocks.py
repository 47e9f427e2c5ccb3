import dataclasses

import numpy as np
import pytest

from prior.small_stores import N_EFF, all_variants, draw_z, make_blocks, write_stores
from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable
from tfgen.prior.features.feature_store import FeatureStore
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.sumstats.munged import MungedStats
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.traits import align_trait, read_traits


@pytest.fixture
def stores(tmp_path):
    blocks, annotations = write_stores(tmp_path, missing=3)
    with LdStore(tmp_path / "ld") as ld, FeatureStore(tmp_path / "features.h5") as features:
        traits = read_traits(ld, {"t": tmp_path / "trait.tsv.gz"})
        yield blocks, annotations, ld, features, traits


def test_a_block_has_its_features_frequencies_and_statistics(stores):
    blocks, annotations, ld, features, traits = stores
    source = DiskBlocks(ld, features, traits)
    assert [size.n_observed for size in source.sizes] == [37, *[40] * 7]
    data = source.read(1)
    np.testing.assert_array_equal(data.annotations, annotations[40:80])
    np.testing.assert_allclose(data.frequency, blocks[1].variants.af, rtol=1e-6)
    z = traits[0].z[blocks[1].info.id]
    np.testing.assert_allclose(data.traits[0].y, blocks[1].p.astype(np.float64) @ z, rtol=1e-9)
    np.testing.assert_array_equal(data.traits[0].q, blocks[1].q)
    assert data.traits[0].ld is None
    assert source.n_without_features == 0
    assert traits[0].n_eff == N_EFF


def test_missing_statistics_shorten_a_block(stores):
    *_, ld, features, traits = stores
    source = DiskBlocks(ld, features, traits, with_ld=True)
    rows = source.read(0).traits[0]
    assert rows.n_observed == 37
    assert rows.ld.shape == (37, 40)
    assert rows.q.shape == (len(rows.y), 40)
    np.testing.assert_allclose(rows.z, traits[0].z[source.sizes[0].id][3:], rtol=1e-6)


def test_without_features_there_are_no_columns(stores):
    *_, ld, _, traits = stores
    assert DiskBlocks(ld, None, traits).read(0).annotations.shape == (40, 0)


def test_the_memory_for_blocks_is_bounded(stores):
    *_, ld, features, traits = stores
    source = DiskBlocks(ld, features, traits, cache_bytes=20_000)
    first = source.read(1)
    assert source.read(1) is first
    for index in range(2, 8):
        source.read(index)
    assert source.read(1) is not first
    np.testing.assert_array_equal(source.read(1).traits[0].q, first.traits[0].q)


def test_alleles_are_brought_to_those_of_the_store(stores):
    blocks, annotations, ld, *_ = stores
    z = draw_z(blocks, annotations, np.random.default_rng(0))
    variants = all_variants(blocks)
    swapped = np.arange(len(z)) % 3 == 0
    ref = np.where(swapped, "C", "A").astype(object)
    alt = np.where(swapped, "A", "C").astype(object)
    alt[5], ref[5] = "G", "T"  # position 5: the other strand
    mixed = VariantTable.of(variants.chrom, variants.pos, ref, alt)
    signs = np.where(swapped, -1, 1)
    stats = MungedStats(mixed, z * signs, np.full(len(z), 5.0))
    trait = align_trait(ld, "t", stats)
    np.testing.assert_allclose(np.concatenate(list(trait.z.values())), z)
    n_swapped = int(swapped.sum())
    assert trait.counts == {
        "same": len(z) - n_swapped - 1,
        "swapped": n_swapped,
        "complement": 1,
        "complement_swapped": 0,
        "other_alleles": 0,
        "missing": 0,
        "unused": 0,
    }
    assert trait.n_matched == len(z)


def test_a_variant_without_frequency_is_refused(tmp_path):
    blocks, _ = make_blocks(2)
    af = blocks[0].variants.af.copy()
    af[3] = np.nan
    blocks[0] = dataclasses.replace(
        blocks[0], variants=dataclasses.replace(blocks[0].variants, af=af)
    )
    save_ld_store(tmp_path / "ld", {}, blocks)
    with LdStore(tmp_path / "ld") as ld:
        variants = all_variants(blocks)
        trait = align_trait(ld, "t", MungedStats(variants, np.ones(80), np.ones(80)))
        source = DiskBlocks(ld, None, [trait])
        with pytest.raises(InputMismatchError, match=r"\(rs0_3\) has no allele frequency"):
            source.read(0)


def test_a_prior_that_reads_no_frequency_needs_none(tmp_path):
    blocks, _ = make_blocks(2)
    unknown = [
        dataclasses.replace(
            block, variants=dataclasses.replace(block.variants, af=np.full(40, np.nan))
        )
        for block in blocks
    ]
    save_ld_store(tmp_path / "ld", {}, unknown)
    with LdStore(tmp_path / "ld") as ld:
        stats = MungedStats(all_variants(blocks), np.ones(80), np.ones(80))
        source = DiskBlocks(ld, None, [align_trait(ld, "t", stats)], needs_frequency=False)
        assert (source.read(0).frequency == 0.5).all()
        assert (source.read_inputs(1)["frequency"] == 0.5).all()


def test_inputs_are_read_without_the_ld(stores):
    *_, ld, features, traits = stores
    source, other = (DiskBlocks(ld, features, traits) for _ in range(2))
    for index in (0, 3):
        alone, whole = source.read_inputs(index), other.read(index).inputs()
        assert set(alone) == set(whole)
        for name, values in whole.items():
            np.testing.assert_array_equal(alone[name], values)
    np.testing.assert_array_equal(other.read_inputs(0)["annotations"], other.read(0).annotations)


def test_rotations_of_missing_z_scores_stay_within_the_memory(stores):
    *_, ld, features, traits = stores
    small, large = (DiskBlocks(ld, features, traits, cache_bytes=n) for n in (100, 1 << 30))
    for _ in range(2):
        np.testing.assert_array_equal(small.read(0).traits[0].y, large.read(0).traits[0].y)
    assert 0 not in small._projections
    assert 0 in large._projections
