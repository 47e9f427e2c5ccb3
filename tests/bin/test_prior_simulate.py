"""The simulation program as users run it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prior.small_stores import Arrays, all_variants, write_stores
from tfgen.prior.features.feature_store import FeatureSchema, write_feature_store
from tfgen.prior.sumstats.munged import read_munged

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "bin" / "prior_simulate.py"


def call(folder, *flags):
    return subprocess.run(
        [sys.executable, BINARY, *flags], capture_output=True, text=True, check=False, cwd=folder
    )


def simulate(folder, *flags):
    return call(folder, "--ld=ld", "--features=features.h5", "--output=sim.tsv.gz", *flags)


@pytest.fixture
def stores(tmp_path):
    write_stores(tmp_path)
    return tmp_path


def test_statistics_are_drawn_and_summed_up(stores):
    done = simulate(
        stores, "--truth_features=a,b", "--truth_values=-5,0.5", "--mean_f=2", "--n=1000"
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    chisq = (read_munged(stores / "sim.tsv.gz").z ** 2).mean()
    assert first == f"sim.tsv.gz: 320 z-scores, mean chi-squared {chisq:.4g}"
    assert second.startswith("truth enrichment: 320 variants, mean f 2, standard deviation of log")
    assert "drawing: 320/320 z-scores" in done.stderr
    assert {path.name for path in stores.iterdir()} == {
        "ld", "features.h5", "trait.tsv.gz", "sim.tsv.gz", "sim.tsv.gz.run.json",
        "sim.tsv.gz.truth.tsv.gz",
    }  # fmt: skip


def test_variants_without_features_are_counted(stores):
    (stores / "more").mkdir()
    write_stores(stores / "more", n_blocks=9, chroms=("21",))
    done = simulate(stores, "--ld=more/ld", "--truth=linear")
    assert done.returncode == 0, done.stderr
    # Blocks 0 to 3 are those of the features; the fifth to ninth are not on chromosome 22.
    assert "without features: 200 variants" in done.stdout


def test_null_statistics_need_no_features(stores):
    done = call(stores, "--ld=ld", "--null", "--output=null.tsv.gz")
    assert done.returncode == 0, done.stderr
    assert "truth null: 320 variants, mean f 0" in done.stdout


def test_faults_are_one_line_with_their_exit_code(stores):
    for flags, code, text in (
        (["--truth=enrichment"], 2, "truth enrichment needs --features"),
        (["--null", "--sigma=-1"], 2, "sigma"),
        (["--truth=model", "--features=features.h5"], 2, "go together"),
        (["--truth=constant", "--sd=2"], 2, "sd has no use with --truth=constant"),
    ):
        done = call(stores, "--ld=ld", "--output=x.tsv.gz", *flags)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
        assert text in done.stderr
    done = simulate(stores, "--truth_features=nothing")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no feature 'nothing'; there are a, b, c" in done.stderr
    done = call(stores, "--ld=features.h5", "--null", "--output=x.tsv.gz")
    assert done.returncode == 3


def test_the_flagfile_of_the_published_simulation(tmp_path):
    blocks, _ = write_stores(tmp_path)
    rng = np.random.default_rng(0)
    names = tuple("abcdef")
    write_feature_store(
        tmp_path / "six.h5",
        FeatureSchema(names, (False,) * 6),
        all_variants(blocks),
        Arrays(annotations=rng.normal(size=(320, 6)).astype(np.float32)),
    )
    flagfile = ROOT / "configs" / "prior_simulate_simRandInit.flags"
    done = call(
        tmp_path, f"--flagfile={flagfile}", "--ld=ld", "--features=six.h5", "--output=sim.tsv.gz"
    )
    assert done.returncode == 0, done.stderr
    stats = read_munged(tmp_path / "sim.tsv.gz")
    # Noise of exp(-3) R and hardly any effects: what the published command trains on has no noise.
    assert 0.7 * np.exp(-3) < (stats.z**2).mean() < 4 * np.exp(-3)
    assert set(stats.n) == {407527}
