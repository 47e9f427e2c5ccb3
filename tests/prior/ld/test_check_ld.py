import dataclasses
import json

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from prior.ld_toys import correlation, haplotypes, variants, write_plink
from prior.trained_toys import shared_study
from tfgen.errors import InputMismatchError, OutputError, UsageError
from tfgen.io import read_table
from tfgen.prior.constant_fit import Spectrum
from tfgen.prior.ld.block_fit import block_fits
from tfgen.prior.ld.build_ld import build_ld
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.check_ld import check_ld, check_trait
from tfgen.prior.ld.check_ld_config import CheckLdConfig
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.ld.ld_store_writer import save_ld_store
from tfgen.prior.sumstats.munge import munge
from tfgen.prior.sumstats.munge_config import MungeConfig
from tfgen.prior.sumstats.munged import MungedStats, read_munged, write_munged
from tfgen.prior.training.traits import Trait, parse_traits, read_traits


@pytest.fixture(scope="module")
def study():
    return shared_study()


def check(*stores, traits, **options):
    return check_ld(
        CheckLdConfig(ld=tuple(map(str, stores)), traits=traits, progress="none", **options)
    )


def test_figures_are_those_of_dense_blocks(study):
    (row,) = check(study.ld, traits=study.traits())
    pieces = []
    for block in study.blocks:
        values, vectors = np.linalg.eigh(block.q.astype(float) @ block.q.T.astype(float))
        y = block.p.astype(float) @ study.z[block.info.id]
        pieces.append((values, (vectors.T @ y) ** 2))

    def nll(log_f):
        total = 0.0
        for values, squares in pieces:
            variance = np.exp(log_f) * values + 1
            total += np.sum(squares / variance + np.log(variance))
        return total

    f = np.exp(minimize_scalar(nll, bounds=(-10, 5), method="bounded").x)
    statistics = [np.sum(squares / (f * values + 1)) for values, squares in pieces]
    k = [len(values) for values, _ in pieces]
    assert row.f == pytest.approx(f, rel=1e-3)
    assert row.mahalanobis_per_k == pytest.approx(sum(statistics) / sum(k), rel=1e-3)
    fits = block_fits([Spectrum(*piece) for piece in pieces])
    assert [fit.size.chi2 for fit in fits] == pytest.approx(statistics, rel=1e-3)
    assert row.n_bad_blocks == sum(fit.p < 0.05 / 12 for fit in fits)
    assert (row.n_blocks, row.n_observed, row.k, row.discarded) == (12, 480, 480, 0.0)
    assert (row.var_kept, row.shrink) == (1.0, 0.0)
    assert row.verdict == "OK"


def test_z_scores_that_were_shrunk_are_a_mismatch(study, tmp_path):
    """Noise of half its size: there is no f below 0, so that only sigma can say so."""
    stats = read_munged(study.folder / "bmi.tsv.gz")
    path = tmp_path / "half.tsv.gz"
    write_munged(path, MungedStats(stats.variants, stats.z / 2, stats.n))
    (row,) = check(study.ld, traits=(f"half={path}",))
    assert row.mahalanobis_per_k == pytest.approx(0.25, abs=0.05)
    assert row.ml_sigma == pytest.approx(row.mahalanobis_per_k, rel=1e-3)
    assert row.verdict == "MISMATCH"
    assert row.n_bad_blocks > 0


def test_the_table_has_a_row_per_store_and_trait(study, tmp_path):
    save_ld_store(tmp_path / "ld", {"build": "GRCh37", "panel": "unsaid"}, study.blocks)
    stores, output = (study.ld, tmp_path / "ld"), tmp_path / "table.tsv"
    rows = check(*stores, traits=study.traits("height", "bmi"), output=output)
    table = read_table(output)
    assert table["STORE"] == [str(store) for store in stores for _ in range(2)]
    assert table["TRAIT"] == ["height", "bmi"] * 2
    assert table["VAR_KEPT"] == ["1", "1", "NA", "NA"]
    assert table["K_PER_W"] == ["1"] * 4
    assert table["VERDICT"] == [row.verdict for row in rows]
    report = json.loads((tmp_path / "table.tsv.run.json").read_text())
    assert set(report["results"]["ld_digests"]) == {str(store) for store in stores}
    with pytest.raises(OutputError, match="exists; choose another output"):
        check(*stores, traits=study.traits(), output=output)
    check(*stores, traits=study.traits(), output=output, overwrite=True)


def test_blocks_without_z_scores_are_left_out(study, tmp_path):
    stats = read_munged(study.height)
    keep = stats.variants.chrom == "21"
    keep[::3] = False
    path = tmp_path / "z.tsv.gz"
    write_munged(path, MungedStats(stats.variants.take(keep), stats.z[keep], stats.n[keep]))
    (row,) = check(study.ld, traits=(f"height={path}",))
    assert row.n_blocks == 4
    assert row.n_observed == keep.sum()
    with LdStore(study.ld) as store:
        (trait,) = read_traits(store, parse_traits([f"height={path}"]))
        nothing = {name: np.full_like(z, np.nan) for name, z in trait.z.items()}
        with pytest.raises(InputMismatchError, match="no block has a z-score of height"):
            check_trait(store, Trait("height", 1.0, nothing, {}))


def test_bad_blocks_are_those_of_the_build(tmp_path):
    """prior_build_ld.py --sumstats and prior_check_ld.py on one store, a third of it wrong."""
    genotypes = haplotypes(300, 240, seed=2)
    table = variants(np.arange(1, 241) * 1000)
    edges = [(0, 80), (80, 160), (160, 240)]
    lines = [f"22 {low * 1000} {high * 1000 + 1 - (high < 240)}\n" for low, high in edges]
    (tmp_path / "b.bed").write_text("".join(lines))
    rng, z = np.random.default_rng(3), np.full(240, np.nan)
    for low, high in edges:
        values, vectors = np.linalg.eigh(correlation(genotypes[:, low:high]))
        values = np.clip(values, 0, None)
        z[low:high] = vectors @ (np.sqrt(values**2 + values) * rng.normal(size=80))
    z[:80] *= 2
    z[::6] = np.nan
    there = np.flatnonzero(~np.isnan(z))
    munged = MungedStats(table.take(there), z[there], np.full(len(there), 1000.0))
    write_munged(tmp_path / "z.tsv.gz", munged)
    summary = build_ld(
        BuildLdConfig(
            bed=write_plink(tmp_path / "p", genotypes, table),
            blocks="bed",
            block_file=tmp_path / "b.bed",
            sumstats=tmp_path / "z.tsv.gz",
            output=tmp_path / "ld",
            progress="none",
        )
    )
    (row,) = check(tmp_path / "ld", traits=(f"t={tmp_path / 'z.tsv.gz'}",))
    assert "chr22_0_80000" in summary.mismatch.flagged_blocks
    assert row.n_bad_blocks == len(summary.mismatch.flagged_blocks)
    assert row.ml_sigma == pytest.approx(summary.mismatch.noise.sigma, rel=1e-9)
    assert row.p_sigma == pytest.approx(summary.mismatch.noise.p, rel=1e-9)


def test_a_store_that_cannot_be_fitted_does_not_cost_the_table(study, tmp_path):
    nothing = [dataclasses.replace(block, q=np.zeros_like(block.q)) for block in study.blocks]
    save_ld_store(tmp_path / "ld", {"build": "GRCh37", "panel": "unsaid"}, nothing)
    output = tmp_path / "table.tsv"
    rows = check(tmp_path / "ld", study.ld, traits=study.traits(), output=output)
    table = read_table(output)
    assert table["VERDICT"] == ["NA", "OK"]
    for name in ("MEAN_F", "MAHALANOBIS_PER_K", "BAD_BLOCKS", "ML_SIGMA", "P_SIGMA", "ML_MEAN_F"):
        assert table[name][0] == "NA"
        assert float(table[name][1]) >= 0
    assert rows[0].k == rows[1].k
    assert rows[0].warning == f"{tmp_path / 'ld'}: height: no observed variants to fit a " + (
        "constant prior to"
    )
    report = json.loads((tmp_path / "table.tsv.run.json").read_text())
    assert report["results"]["warnings"] == [rows[0].warning]


def test_the_output_is_no_input(study):
    with pytest.raises(UsageError, match="is the input"):
        check(study.ld, traits=study.traits(), output=study.height, overwrite=True)


def test_height_on_378_europeans(shared_data, tmp_path):
    """Real z-scores of UK Biobank with a panel of 378: few eigenvectors, or shrinkage."""
    folder = shared_data("gwas_ld/height_chr22")
    blocks = shared_data("gwas_ld/ld_blocks/grch37.eur.loci.bed")
    munge(
        MungeConfig(
            input=folder / "ukb_height_chr22.fastGWA.gz",
            panel=folder / "1000G_eur_chr22.bim",
            build="GRCh37",
            palindromic="keep",
            output=tmp_path / "height.tsv",
            progress="none",
        )
    )
    for name, options in (("a", {}), ("b", {"var_kept": 0.9}), ("c", {"shrink": 0.1})):
        build_ld(
            BuildLdConfig(
                bed=folder / "1000G_eur_chr22.bed",
                blocks="bed",
                block_file=blocks,
                output=tmp_path / name,
                progress="none",
                **options,
            )
        )
    rows = check(*(tmp_path / name for name in "abc"), traits=(f"h={tmp_path / 'height.tsv'}",))
    assert [row.n_blocks for row in rows] == [24] * 3
    found = [row.mahalanobis_per_k for row in rows]
    assert found == pytest.approx([1.82, 1.10, 0.93], abs=0.01)
    assert rows[0].verdict == "MISMATCH"
    assert rows[0].ml_sigma == pytest.approx(2.73, abs=0.02)
    assert (rows[1].var_kept, rows[2].shrink) == (0.9, 0.1)
    assert rows[1].discarded == pytest.approx(0.1, abs=0.002)
