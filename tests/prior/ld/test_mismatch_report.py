"""z-scores of a file against a store."""

import dataclasses

import numpy as np
import pytest

from prior.ld_toys import correlation, haplotypes, variants, write_plink
from tfgen.errors import InputMismatchError
from tfgen.genome import VariantTable
from tfgen.io import read_table
from tfgen.prior.ld.block_fit import block_fits
from tfgen.prior.ld.build_ld import build_ld
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_block import LdBlock
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.ld.mismatch import block_mismatch
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


def test_figures_of_blocks_are_those_of_all_blocks_together(world, tmp_path):
    path, _, z = world
    z = np.where(np.arange(120) % 5, z, np.nan)
    with LdStore(path) as store:
        write_mismatch(store, z, tmp_path)
        parts = [
            block_mismatch(store.read(info.id), part)
            for info, part in zip(store.blocks, (z[:60], z[60:]), strict=True)
        ]
    fits = block_fits([part.spectrum for part in parts])
    rows = read_table(tmp_path / "mismatch_blocks.tsv")
    for row, fit in enumerate(fits):
        assert int(rows["K"][row]) == fit.size.k
        for name, value in {
            "CHI2": fit.size.chi2,
            "P_UPPER": fit.size.p_upper,
            "P_LOWER": fit.size.p_lower,
            "SIGMA": fit.shape.sigma,
            "P_SIGMA": fit.shape.p,
            "P": fit.p,
        }.items():
            assert float(rows[name][row]) == pytest.approx(value, rel=1e-5)


def test_z_scores_too_large_in_all_blocks_are_a_warning(world, tmp_path):
    path, _, z = world
    with LdStore(path) as store:
        summary = write_mismatch(store, 2 * z, tmp_path)
    assert summary.noise.sigma > 2
    assert f"the z-scores have a noise of {summary.noise.sigma:.3g} inst" in summary.warnings()[-1]


def test_a_block_of_which_no_row_is_left_has_no_statistic(world, tmp_path):
    path, _, z = world
    with LdStore(path) as store:
        blocks = [store.read(info.id) for info in store.blocks]
    # Of the first block only its largest eigenvalue is kept, which one z-score alone cannot have.
    first, values = blocks[0], blocks[0].eigenvalues[:1]
    info = dataclasses.replace(first.info, k=1)
    few = (first.q[:1], first.p[:1], values)
    blocks[0] = LdBlock(info, first.variants, first.in_centre, *few)
    save_ld_store(tmp_path / "few", {"build": "GRCh37", "panel": "p"}, blocks)
    z = np.where(np.arange(120) < 60, np.nan, z)
    z[7] = 1.0
    with LdStore(tmp_path / "few") as store:
        summary = write_mismatch(store, z, tmp_path)
        alone = write_mismatch(store, np.where(np.arange(120) == 7, 1.0, np.nan), tmp_path / "few")
    rows = read_table(tmp_path / "mismatch_blocks.tsv")
    assert (rows["K"][0], rows["P"][0], rows["N_Z"][0]) == ("0", "NA", "1")
    assert float(rows["P"][1]) > 0
    assert summary.n_blocks == 2
    assert alone.noise is None
    assert alone.flagged_blocks == ()


def test_z_scores_that_were_shrunk_flag_their_block_and_missing_ones_are_left_out(world, tmp_path):
    path, _, z = world
    shrunk = np.where(np.arange(120) < 60, np.nan, 0.1 * z)
    with LdStore(path) as store:
        summary = write_mismatch(store, shrunk, tmp_path)
    assert summary.n_blocks == 1
    assert summary.flagged_blocks == ("chr22_60000_121000",)
    assert "1 of 1 blocks do not fit the z-scores, chr22_60000_121000" in summary.warnings()[0]
