"""Builds of LD stores: whole, killed, refused, and of real data."""

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prior.ld_toys import correlation, haplotypes, variants, write_plink, write_window
from tfgen.errors import InterruptedRunError, OutputError, UsageError
from tfgen.io import OutputLock, StopRequest, read_table
from tfgen.prior.ld import build_ld as module
from tfgen.prior.ld.build_ld import build_ld
from tfgen.prior.ld.build_ld_config import BuildLdConfig
from tfgen.prior.ld.ld_store import INDEX, LdStore

ROOT = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).parents[1].joinpath("build_child.py")
N_BLOCKS = 6


@pytest.fixture
def config(tmp_path):
    """120 variants of 60 people in six blocks on two chromosomes."""
    genotypes = haplotypes(60, 120)
    table = variants(np.arange(1, 121) * 1000)
    table.chrom[60:] = "21"
    prefix = write_plink(tmp_path / "p", genotypes, table)
    (tmp_path / "b.bed").write_text(
        "".join(f"22 {i} {i + 20_000}\n" for i in range(0, 60_000, 20_000))
        + "".join(f"21 {i} {i + 20_000}\n" for i in range(60_000, 121_000, 20_000))
    )
    return BuildLdConfig(
        output=tmp_path / "store",
        bed=prefix,
        blocks="bed",
        block_file=tmp_path / "b.bed",
        progress="none",
    )


def content(folder):
    """Every file that shall not depend on how a build went."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "run.json"}


def test_a_build_makes_a_store(config):
    summary = build_ld(config)
    assert sorted(path.name for path in config.output.parent.glob("store*")) == ["store"]
    with LdStore(config.output) as store:
        assert len(store.blocks) == N_BLOCKS
        assert store.digest == summary.digest
        assert len(store.variants) == 120
        assert store.attributes["n_ref"] == 60
        assert store.attributes["inputs"].keys() == {"bed", "bim", "fam", "block_file"}
        infos = store.blocks
    assert [row.chrom for row in summary.chromosomes] == ["21", "22"]
    assert summary.total.w == summary.total.n == 120
    assert summary.total.k == sum(info.k for info in infos)
    lost = sum(info.w * info.discarded_variance for info in infos) / 120
    assert summary.total.discarded_variance == pytest.approx(lost)
    assert 0 < lost < 0.005
    assert summary.total.file_bytes == sum(
        (config.output / name).stat().st_size for name in ("chr21.h5", "chr22.h5")
    )
    report = json.loads((config.output / "run.json").read_text())
    assert report["results"]["digest"] == summary.digest
    assert report["inputs"].keys() == {"bed", "bim", "fam", "block_file"}
    assert summary.warnings == ()


def test_the_ld_of_a_block_is_that_of_its_genotypes(config):
    build_ld(replace(config, var_kept=1.0, q_dtype="float32"))
    ld = correlation(haplotypes(60, 120))
    with LdStore(config.output) as store:
        block = store.read("chr22_20000_40000")
        np.testing.assert_allclose(block.q.T @ block.q, ld[20:40, 20:40], atol=1e-3)
        assert block.variants.af == pytest.approx(haplotypes(60, 120)[:, 20:40].mean(axis=0) / 2)


def test_float16_changes_the_likelihood_little(config):
    build_ld(config)
    build_ld(replace(config, output=config.output.with_name("exact"), q_dtype="float32"))
    rng = np.random.default_rng(0)
    with LdStore(config.output) as half, LdStore(config.output.with_name("exact")) as exact:
        for info in exact.blocks[:-1]:
            y, f = rng.normal(size=info.k), rng.exponential(size=info.n)
            values = []
            for store in (half, exact):
                q = store.read(info.id).q.astype(float)
                k = (q * f) @ q.T + np.eye(info.k)
                values.append(y @ np.linalg.solve(k, y) + np.linalg.slogdet(k)[1])
            assert values[0] == pytest.approx(values[1], abs=0.02)


def test_lost_variants_are_listed_and_warned_of(config, tmp_path):
    genotypes = haplotypes(60, 120)
    genotypes[:, :10] = 0
    table = variants(np.arange(1, 121) * 1000)
    write_plink(tmp_path / "p", genotypes, table)
    (tmp_path / "b.bed").write_text("22 0 100000\n")
    summary = build_ld(config)
    assert summary.dropped == {"MONOMORPHIC": 10}
    assert summary.n_without_block == 20
    dropped = read_table(config.output / "dropped_variants.tsv")
    assert dropped["BP"] == [str(1000 * i) for i in range(1, 11)]
    assert set(dropped["CODE"]) == {"MONOMORPHIC"}
    outside = read_table(config.output / "variants_without_block.tsv")
    assert outside["BP"] == [str(1000 * i) for i in range(101, 121)]
    assert outside["A1"] == table.alt[100:].tolist()
    assert summary.warnings == (
        "10 of 120 variants are dropped (see dropped_variants.tsv)",
        "20 of 120 variants are in no block (see variants_without_block.tsv)",
    )


def test_published_matrices_become_a_store(tmp_path):
    folder = tmp_path / "ukb"
    folder.mkdir()
    table = variants(np.arange(80) * 50_000 + 1)
    ld = correlation(haplotypes(300, 80))
    for start in (0, 1):
        rows = slice(20 * start, 20 * start + 60)
        first = start * 1_000_000 + 1
        write_window(folder, first, first + 3_000_000, table.take(rows), ld[rows, rows])
    config = BuildLdConfig(
        output=tmp_path / "store", source="ukb_npz", ukb=folder, progress="none", n_ref=300
    )
    build_ld(config)
    with LdStore(config.output) as store:
        assert store.variants.pos.tolist() == table.pos.tolist()
        assert [(info.n, info.w) for info in store.blocks] == [(60, 40), (60, 40)]
        assert store.attributes["inputs"].keys() == {"ukb"}


def test_z_scores_are_compared_with_the_new_store(config, tmp_path):
    table = variants(np.arange(1, 121) * 1000)
    lines = [
        f"rs{i}\t22\t{table.pos[i]}\t{table.ref[i]}\t{table.alt[i]}\t{0.01 * i + 0.1}\t500\n"
        for i in range(60)
    ]
    (tmp_path / "z.tsv").write_text("SNP\tCHR\tBP\tA1\tA2\tZ\tN\n" + "".join(lines))
    summary = build_ld(replace(config, sumstats=tmp_path / "z.tsv"))
    assert summary.mismatch is not None
    assert (summary.mismatch.n_variants, summary.mismatch.n_blocks) == (60, 3)
    found = read_table(config.output / "mismatch.tsv")
    # The alleles of the file are the other way round.
    assert [float(z) for z in found["Z"][:3]] == pytest.approx([-0.1, -0.11, -0.12])
    # LD does not depend on z-scores.
    plain = build_ld(replace(config, output=tmp_path / "plain"))
    assert plain.digest == summary.digest


# ---- interrupted -------------------------------------------------------------------------------


def start(config, **options):
    names = ("output", "bed", "block_file", "blocks", "progress", "overwrite", "eps")
    values = {name: getattr(config, name) for name in names}
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}
    command = [sys.executable, str(CHILD), json.dumps({"config": settings, **options})]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.fixture
def whole(config):
    other = replace(config, output=config.output.with_name("whole"))
    build_ld(other)
    return content(other.output)


@pytest.mark.parametrize(
    ("step", "passes", "n_kept"),
    [
        ("block", 0, 0),
        ("block", 3, 3),
        ("save", 2, 2),
        ("write", 0, 6),
        ("write", 5, 6),
        ("report", 0, 6),
        ("rename", 0, 6),
    ],
)
def test_a_killed_build_goes_on_to_the_same_bytes(config, whole, step, passes, n_kept):
    code, _, err = finished(start(config, die_in=step, die_after=passes))
    assert code == -signal.SIGKILL, err
    assert not config.output.exists()
    summary = build_ld(config)
    assert summary.n_resumed == n_kept
    assert content(config.output) == whole
    assert sorted(path.name for path in config.output.parent.glob("store*")) == ["store"]


def test_a_build_that_was_killed_after_publishing_is_only_tidied(config, whole):
    code, _, err = finished(start(config, die_in="published", die_after=1))
    assert code == -signal.SIGKILL, err
    assert config.output.exists()
    with pytest.raises(OutputError, match="store: exists; choose another output"):
        build_ld(replace(config, eps=0.5))
    summary = build_ld(config)
    assert summary.warnings == (f"{config.output}: was complete already",)
    assert summary.total.w == 120
    assert content(config.output) == whole
    assert not config.output.with_name("store.partial").exists()


@pytest.mark.parametrize("seed", range(3))
def test_killed_from_outside_at_a_random_moment(config, whole, seed):
    process = start(config)
    partial = config.output.with_name("store.partial")
    n_pieces = random.Random(seed).randrange(5)
    # Wait for what the child does, not for time to pass.
    while process.poll() is None and len(list(partial.glob("piece-*"))) < n_pieces:
        pass
    process.kill()
    process.communicate()
    if not config.output.exists():
        build_ld(config)
    assert content(config.output) == whole


def test_work_with_other_settings_is_not_mixed(config):
    finished(start(config, die_in="block", die_after=2))
    with pytest.raises(OutputError, match=r"begun with other settings \(eps was 0.0001, now 0.001"):
        build_ld(replace(config, eps=1e-3))
    assert build_ld(replace(config, eps=1e-3, overwrite=True)).n_resumed == 0


@pytest.mark.parametrize("moment", ["reading", "decomposing", "writing"])
def test_a_stopped_build_goes_on(config, whole, monkeypatch, moment):
    calls = []
    raise_if_requested = StopRequest.raise_if_requested

    def stop(self):
        calls.append(1)
        if len(calls) == {"reading": 1, "decomposing": 4, "writing": 10}[moment]:
            self._received = signal.SIGTERM
        raise_if_requested(self)

    monkeypatch.setattr(StopRequest, "raise_if_requested", stop)
    with pytest.raises(InterruptedRunError, match="stopped by SIGTERM") as stopped:
        build_ld(config)
    assert stopped.value.exit_code == 143
    monkeypatch.undo()
    assert build_ld(config).n_resumed == {"reading": 0, "decomposing": 3, "writing": 6}[moment]
    assert content(config.output) == whole


# ---- refused -----------------------------------------------------------------------------------


def test_an_existing_store_is_only_replaced_on_request(config):
    build_ld(config)
    with pytest.raises(OutputError, match="store: exists; choose another output or pass --over"):
        build_ld(config)
    build_ld(replace(config, overwrite=True, eps=1e-3))
    assert LdStore(config.output).attributes["eps"] == 1e-3


def test_a_folder_of_something_else_is_never_replaced(config):
    config.output.mkdir()
    (config.output / "thesis.txt").write_text("x")
    with pytest.raises(OutputError, match=f"no {INDEX}"):
        build_ld(replace(config, overwrite=True))


def test_a_second_build_of_the_same_store_is_refused(config):
    with OutputLock(config.output), pytest.raises(OutputError, match="being written by process"):
        build_ld(config)


def test_an_input_is_not_overwritten(config):
    with pytest.raises(UsageError, match="is the input"):
        build_ld(replace(config, output=config.block_file))


def test_a_block_that_does_not_fit_is_refused_before_any_is_computed(config, monkeypatch):
    monkeypatch.setattr(module.PanelInput, "block", None)
    with pytest.raises(
        UsageError,
        match=r"block chr21_60000_80000: its LD of 20 variants \(20 observed\) needs .* of memory, "
        r"1\.0 kB are allowed; use smaller blocks",
    ):
        build_ld(replace(config, max_memory_gb=1e-6))
    assert not config.output.with_name("store.partial").exists()


def test_a_full_disk_is_noticed_before_any_block_is_computed(config, monkeypatch):
    monkeypatch.setattr("tfgen.io.space.free_bytes", lambda folder: 100)
    with pytest.raises(OutputError, match="store needs .* but 100 B is free"):
        build_ld(config)


# ---- real data ---------------------------------------------------------------------------------


def test_a_real_chromosome(shared_data, tmp_path):
    # 378 Europeans of 1000 Genomes, 15,938 variants of chromosome 22 (MANIFEST section 9), in the
    # 24 blocks of Berisa and Pickrell.
    config = BuildLdConfig(
        output=tmp_path / "store",
        bed=shared_data("gwas_ld/height_chr22/1000G_eur_chr22.bed"),
        blocks="bed",
        block_file=shared_data("gwas_ld/ld_blocks/grch37.eur.loci.bed"),
        progress="none",
    )
    summary = build_ld(config)
    total = summary.total
    assert (total.n_blocks, total.w, summary.n_without_block) == (24, 15_938, 0)
    assert total.k < 24 * 377
    assert 0.2 < total.k / total.w < 0.4
    assert 0.004 < total.discarded_variance < 0.005
    with LdStore(config.output) as store:
        info = store.blocks[0]
        block = store.read(info.id)
        # Against NumPy's own correlation of the same genotypes.
        from bed_reader import open_bed

        with open_bed(config.bed) as bed:
            rows = np.isin(bed.bp_position, block.variants.pos)
            genotypes = bed.read(np.s_[:, rows])
        ld = np.corrcoef(genotypes.T)
        kept = (block.q.T @ block.q).astype(float)
        assert np.trace(ld - kept) / info.n == pytest.approx(info.discarded_variance, abs=1e-4)
        assert np.linalg.eigvalsh(ld - kept).max() <= block.eigenvalues[-1] + 1e-3
