"""prior_build_ld.py as users run it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prior.ld_toys import correlation, haplotypes, variants, write_plink, write_window
from tfgen.prior.ld.ld_store import LdStore

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "bin" / "prior_build_ld.py"


@pytest.fixture
def panel(tmp_path):
    table = variants(np.arange(1, 81) * 50_000)
    return write_plink(tmp_path / "p", haplotypes(200, 80), table), table


def call(*flags, folder):
    return subprocess.run(
        [sys.executable, BINARY, *flags],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_store_is_built_and_its_size_reported(panel, tmp_path):
    done = call("--bed=p", "--output=store", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["chrom", "blocks", "n", "w", "k", "k/w", "GB", "discarded"]
    assert lines[1].split()[:4] == ["22", "2", "120", "80"]
    assert lines[2].split()[1:] == lines[1].split()[1:]
    assert lines[2].split()[0] == "all"
    assert lines[3] == "in no block: 0 variants"
    with LdStore(tmp_path / "store") as store:
        assert lines[4] == f"store: {store.digest}"
    assert "decomposing: 2/2 blocks" in done.stderr


def test_z_scores_are_compared_and_warnings_go_to_stderr(panel, tmp_path):
    _, table = panel
    values, vectors = np.linalg.eigh(correlation(haplotypes(200, 80)))
    z = vectors @ (np.sqrt(np.clip(values, 0, None)) * np.random.default_rng(1).normal(size=80))
    worst = int(np.argmax(np.abs(z)))
    z[worst] = -3 * z[worst]
    rows = [
        f"{table.id[i]}\t22\t{table.pos[i]}\t{table.alt[i]}\t{table.ref[i]}\t{z[i]:.6f}\t1000\n"
        for i in range(80)
    ]
    (tmp_path / "z.tsv").write_text("SNP\tCHR\tBP\tA1\tA2\tZ\tN\n" + "".join(rows))
    done = call(
        *("--bed=p", "--blocks=chromosomes", "--output=store"),
        *("--variants=z.tsv", "--sumstats=z.tsv", "--progress=none"),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "not in z.tsv: 0 variants" in done.stdout
    assert "z-scores of 80 variants: " in done.stdout
    assert "blocks do not fit" in done.stdout
    warnings = done.stderr.splitlines()
    assert warnings
    assert all(line.startswith("warning: ") for line in warnings)
    table = (tmp_path / "store" / "mismatch.tsv").read_text().splitlines()
    assert len(table) == 81
    assert table[1 + worst].split("\t")[-2:] == ["1", "1"]


def test_dropped_variants_are_counted(panel, tmp_path):
    genotypes = haplotypes(200, 80)
    genotypes[:, :8] = 0
    write_plink(tmp_path / "p", genotypes, panel[1])
    done = call("--bed=p", "--output=store", "--progress=none", folder=tmp_path)
    assert "dropped, MONOMORPHIC: 8 variants" in done.stdout
    assert done.stderr == ("warning: 8 of 80 variants are dropped (see dropped_variants.tsv)\n")


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--bed=p"], 2, "required: --output"),
        (["--output=store"], 2, "source bed needs --bed"),
        (["--bed=p", "--output=store", "--max_memory_gb=1e-6"], 2, "block chr22_0_3000000: its LD"),
        (["--bed=q", "--output=store"], 3, "q.bed: no such file; name it with --bed"),
        (["--bed=p", "--output=store", "--chroms=5"], 4, "no variants on chromosome 5"),
        (["--bed=p", "--output=p.bed"], 2, "p.bed: is the input"),
        (["--bed=p", "--output=mine"], 5, "mine: exists"),
    ],
)
def test_faults_are_one_line_with_an_exit_code(panel, tmp_path, flags, code, message):
    (tmp_path / "mine").mkdir()
    done = call(*flags, "--progress=none", folder=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_frequencies_of_published_matrices_are_those_of_the_list(tmp_path):
    folder = tmp_path / "ukb"
    folder.mkdir()
    table = variants([10, 20, 30, 40])
    write_window(folder, 1, 3_000_001, table, np.eye(4))
    rows = [f"22\t{table.pos[i]}\t{table.alt[i]}\t{table.ref[i]}\t0.{i + 1}\n" for i in range(4)]
    (tmp_path / "z.tsv").write_text("CHR\tBP\tA1\tA2\tA1FREQ\n" + "".join(rows))
    flags = ["--source=ukb_npz", "--ukb=ukb", "--progress=none"]
    done = call(*flags, "--output=with", "--variants=z.tsv", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "without a frequency: 0 variants" in done.stdout
    assert not done.stderr
    with LdStore(tmp_path / "with") as store:
        np.testing.assert_allclose(store.variants.af, [0.1, 0.2, 0.3, 0.4])
    done = call(*flags, "--output=without", folder=tmp_path)
    assert "without a frequency: 4 variants" in done.stdout
    assert "warning: the frequency of 4 of 4 variants is unknown, so that a prior" in done.stderr
    assert "can have no frequency exponent; give --variants a list with A1FREQ" in done.stderr


def test_ld_that_is_not_semi_definite_is_an_error_unless_it_is_mended(tmp_path):
    folder = tmp_path / "ukb"
    folder.mkdir()
    ld = np.full((4, 4), -0.6)
    write_window(folder, 1, 3_000_001, variants([10, 20, 30, 40]), ld)
    flags = ["--source=ukb_npz", "--ukb=ukb", "--output=store", "--progress=none"]
    done = call(*flags, folder=tmp_path)
    assert done.returncode == 6
    assert "smallest eigenvalue -0.8" in done.stderr
    for fix in ("clip", "shrink"):
        # The folder that the failed build began belongs to other settings.
        done = call(*flags, f"--ld_fix={fix}", "--overwrite", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        with LdStore(tmp_path / "store") as store:
            assert store.attributes["ld_fix"] == fix
            assert store.blocks[0].min_eigenvalue == pytest.approx(-0.8)
