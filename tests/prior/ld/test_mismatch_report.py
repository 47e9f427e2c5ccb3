"""z-scores of a file against a store."""

import numpy as np
import pytest

from prior.ld_toys import correlation, haplotypes, variants, write_plink
from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable
from tfgen.io import read_table
from tfgen.prior.ld.build_ld import build_ld
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.ld.mismatch_report import observed_z, write_mismatch


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mismatch")
    genotypes = haplotypes(300, 120, seed=2)
    table = variants(np.arange(1, 121) * 1000)
    prefix = write_plink(folder / "p", genotypes, table)
    (folder / "b.bed").write_text("22 0 60000\n22 60000 121000\n")
    config = BuildLdConfig(
        output=folder / "store",
        bed=prefix,
        blocks="bed",
        block_file=folder / "b.bed",
        progress="none",
        var_kept=0.9999,
    )
    build_ld(config)
    ld = np.zeros((120, 120))
    for rows in (slice(0, 60), slice(60, 120)):
        ld[rows, rows] = correlation(genotypes[:, rows])
    values, vectors = np.linalg.eigh(ld)
    values = np.clip(values, 0, None)
    noise = np.random.default_rng(0).normal(size=120)
    return folder / "store", table, vectors @ (np.sqrt(0.5 * values**2 + values) * noise)


def test_signs_follow_the_alleles_of_the_store(world):
    path, table, z = world
    ref, alt = table.ref[:3].copy(), table.alt[:3].copy()
    ref[0], alt[0] = alt[0], ref[0]
    swapped = VariantTable.of(table.chrom[:3], table.pos[:3], ref, alt)
    with LdStore(path) as store:
        found = observed_z(store, swapped, z[:3], "f")
        np.testing.assert_array_equal(found[:3], [-z[0], z[1], z[2]])
        assert np.isnan(found[3:]).all()
        elsewhere = VariantTable.of(["1"], [5], ["A"], ["C"])
        with pytest.raises(InputMismatchError, match="none of its variants is in the LD of p"):
            observed_z(store, elsewhere, np.zeros(1), "f")


def test_a_wrong_sign_is_in_the_table(world, tmp_path):
    path, table, z = world
    z = z.copy()
    wrong = int(np.argmax(np.abs(z)))
    z[wrong] *= -1
    z[5] = np.nan
    calls = []
    with LdStore(path) as store:
        summary = write_mismatch(store, z, tmp_path, lambda: calls.append(1))
    rows = read_table(tmp_path / "mismatch.tsv")
    assert len(calls) == summary.n_blocks == 2
    assert summary.n_variants == len(rows["Z"]) == 119
    assert rows["SNP"][0] == "rs0"
    assert (rows["A1"][0], rows["A2"][0]) == (table.alt[0], table.ref[0])
    flipped = [int(pos) for pos, x in zip(rows["BP"], rows["FLIPPED"], strict=True) if x == "1"]
    assert int(table.pos[wrong]) in flipped
    assert summary.n_flipped == len(flipped)
    assert summary.n_flagged == rows["FLAGGED"].count("1")
    assert f"{len(flipped)} z-scores probably have the wrong sign" in summary.warnings()
    blocks = read_table(tmp_path / "mismatch_blocks.tsv")
    assert blocks["N_Z"] == ["59", "60"]
    assert sum(map(int, blocks["N_FLIPPED"])) == len(flipped)


def test_z_scores_that_fit_give_no_warning(world, tmp_path):
    path, _, z = world
    with LdStore(path) as store:
        summary = write_mismatch(store, z, tmp_path)
    assert summary.warnings() == []
    assert summary.flagged_blocks == ()


def test_z_scores_that_were_shrunk_flag_their_block_and_missing_ones_are_left_out(world, tmp_path):
    path, _, z = world
    shrunk = np.where(np.arange(120) < 60, np.nan, 0.1 * z)
    with LdStore(path) as store:
        summary = write_mismatch(store, shrunk, tmp_path)
    assert summary.n_blocks == 1
    assert summary.flagged_blocks == ("chr22_60000_121000",)
    assert "1 of 1 blocks do not fit the z-scores, chr22_60000_121000" in summary.warnings()[0]
