"""LD from genotypes."""

import numpy as np
import pytest

from prior.ld_toys import correlation, haplotypes, variants, write_plink
from tfgen.errors import InputFormatError, InputMismatchError, UsageError
from tfgen.genome import VariantTable
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.panel_input import PanelInput

MISSING = -127


def no_step(n):
    pass


@pytest.fixture
def panel(tmp_path):
    """60 variants of 50 people, one of them monomorphic and one mostly unknown."""
    genotypes = haplotypes(50, 60)
    genotypes[:, 7] = 2
    genotypes[:30, 9] = MISSING
    genotypes[:2, 11] = MISSING
    table = variants(range(10_000, 610_000, 10_000))
    return write_plink(tmp_path / "p", genotypes, table), genotypes, table


def settings(prefix, **values):
    values = {"window": 300_000, "centre": 100_000, **values}
    return BuildLdConfig(output=prefix.with_name("store"), bed=prefix, **values)


@pytest.mark.parametrize("shrink", [0.0, 0.05])
def test_blocks_hold_the_ld_of_their_variants(panel, shrink):
    prefix, genotypes, table = panel
    source = PanelInput(settings(prefix, shrink=shrink, var_kept=1, eps=1e-9), no_step)
    assert source.summary.n_ref == 50
    assert source.summary.panel == "p"
    used = np.isin(table.pos, source.variants.pos)
    plan = source.summary.plans[1]
    block = source.block(plan)
    whole = correlation(genotypes[:, np.isin(table.pos, block.variants.pos)])
    if not np.any(genotypes[:, np.isin(table.pos, block.variants.pos)] == MISSING):
        rows = (1 - shrink) * whole[plan.in_centre]
        rows[np.arange(plan.w), np.flatnonzero(plan.in_centre)] += shrink
        r_w = np.linalg.pinv(block.p.astype(float)) @ block.q
        np.testing.assert_allclose(r_w, rows, atol=1e-4)
    assert used.sum() == 58
    assert block.variants.alt.tolist() == table.alt[np.isin(table.pos, block.variants.pos)].tolist()


def test_few_people_take_the_thin_route_with_the_same_result(tmp_path):
    prefix = write_plink(tmp_path / "p", haplotypes(12, 60), variants(range(1, 61)))
    config = settings(prefix, blocks="chromosomes")
    thin = PanelInput(config, no_step)
    (plan,) = thin.summary.plans
    assert thin.bytes_needed(plan) < PanelInput(settings(prefix, shrink=0.1), no_step).bytes_needed(
        plan
    )
    block = thin.block(plan)
    ld = correlation(haplotypes(12, 60))
    values = np.linalg.eigvalsh(ld)[::-1][: block.info.k]
    np.testing.assert_allclose(block.eigenvalues, values, rtol=1e-9)
    kept = (block.q.T @ block.q).astype(float)
    assert np.abs(kept - ld).max() < 0.2
    assert np.trace(ld - kept) / 60 == pytest.approx(block.info.discarded_variance, abs=1e-5)


def test_variants_that_cannot_be_used_are_listed(panel):
    prefix, genotypes, table = panel
    source = PanelInput(settings(prefix, min_maf=0.2), no_step)
    summary = source.summary
    known = np.where(genotypes == MISSING, np.nan, genotypes)
    af = np.nanmean(known, axis=0) / 2
    codes = dict(zip(summary.dropped.pos.tolist(), summary.reasons.tolist(), strict=True))
    assert codes.pop(int(table.pos[7])) == "MONOMORPHIC"
    assert codes.pop(int(table.pos[9])) == "MISSING_RATE"
    low = (np.minimum(af, 1 - af) < 0.2) & ~np.isin(np.arange(60), [7, 9])
    assert codes == {int(pos): "LOW_MAF" for pos in table.pos[low]}
    used = np.isin(table.pos, source.variants.pos)
    np.testing.assert_allclose(source.variants.af, af[used])


def test_variants_of_a_list_keep_the_alleles_of_the_panel(panel, tmp_path):
    prefix, _, table = panel
    listed = tmp_path / "list.bim"
    listed.write_text(
        "".join(f"22 x 0 {table.pos[i]} {table.ref[i]} {table.alt[i]}\n" for i in range(20, 30))
    )
    source = PanelInput(settings(prefix, variants=listed), no_step)
    assert source.variants.pos.tolist() == table.pos[20:30].tolist()
    assert source.variants.alt.tolist() == table.alt[20:30].tolist()
    assert source.summary.n_not_listed == 50
    assert source.summary.digests.keys() == {"bed", "bim", "fam", "variants"}


def test_variants_outside_of_all_blocks_are_listed(panel, tmp_path):
    blocks = tmp_path / "b.bed"
    blocks.write_text("chr22 0 300000\nchr22 300000 400000\n")
    source = PanelInput(settings(panel[0], blocks="bed", block_file=blocks), no_step)
    assert [plan.id for plan in source.summary.plans] == ["chr22_0_300000", "chr22_300000_400000"]
    assert source.summary.without_block.pos.min() == 410_000
    assert len(source.summary.without_block) == 20


def test_windows_of_a_file(panel, tmp_path):
    windows = tmp_path / "w.tsv"
    windows.write_text("CHR START END\n22 1 300001\n22 100001 400001\n")
    source = PanelInput(settings(panel[0], blocks="regions", block_file=windows), no_step)
    assert [plan.centre_end for plan in source.summary.plans] == [200_000, 400_000]


def test_variants_twice_are_refused(tmp_path):
    table = variants(range(1, 21))
    twice = VariantTable(**{**vars(table), "pos": np.r_[table.pos[:19], 19]})
    twice.ref[19], twice.alt[19] = twice.alt[18], twice.ref[18]
    prefix = write_plink(tmp_path / "p", haplotypes(20, 20), twice)
    with pytest.raises(InputFormatError, match=r"p\.bim: 1 variants occur more than once: 22:19:"):
        PanelInput(settings(prefix), no_step)


def test_a_list_of_other_variants_leaves_nothing(panel, tmp_path):
    (tmp_path / "list.bim").write_text("1 x 0 5 A G\n")
    with pytest.raises(InputMismatchError, match="no variant lies in a block"):
        PanelInput(settings(panel[0], variants=tmp_path / "list.bim"), no_step)


def test_genotypes_that_are_none_name_the_file(panel, monkeypatch):
    monkeypatch.setattr(
        "tfgen.prior.ld.panel_input.PlinkGenotypes.read",
        lambda self, rows: np.full((50, len(rows)), 3, np.int8),
    )
    with pytest.raises(InputFormatError, match=r"p\.bed: a genotype is none of 0, 1, 2"):
        PanelInput(settings(panel[0]), no_step)


def test_a_panel_without_a_name_is_refused(tmp_path):
    config = BuildLdConfig(output=tmp_path, source="ukb_npz", ukb=tmp_path)
    with pytest.raises(UsageError, match="needs --bed"):
        PanelInput(config, no_step)


def test_steps_count_the_variants_and_may_stop(panel):
    seen = []
    PanelInput(settings(panel[0]), seen.append)
    assert sum(seen) == 60


def test_the_list_may_be_another_store(panel, tmp_path):
    from prior.ld.test_ld_block import toy_block
    from tfgen.prior.ld.ld_store_writer import save_ld_store

    prefix, _, table = panel
    block = toy_block()
    block.variants.pos[:] = table.pos[20:32]
    block.variants.ref[:], block.variants.alt[:] = table.ref[20:32], table.alt[20:32]
    save_ld_store(tmp_path / "other", {"panel": "o"}, [block])
    source = PanelInput(settings(prefix, variants=tmp_path / "other"), no_step)
    assert source.variants.pos.tolist() == table.pos[20:32].tolist()
    assert len(source.summary.digests["variants"]) == 64
