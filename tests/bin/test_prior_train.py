import json
import subprocess
import sys
from pathlib import Path

import pytest

from prior.small_stores import write_stores

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--dim=24", "--target_length=4", "--epochs=1", "--test_chrom=22", "--n_variants=0"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    write_stores(folder, length=16, n_blocks=6)
    return folder


def train(folder, output, *flags):
    command = [sys.executable, str(ROOT / "bin" / "prior_train.py"), "--ld=ld"]
    command += ["--traits=t=trait.tsv.gz", f"--output={output}", "--progress=none", *flags]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_run_reports_traits_folds_and_parameters(stores):
    done = train(stores, "out", "--features=features.h5", "--epochs=2", "--folds=blocks:2")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("t: N 100,000, 240 variants (same 240, swapped 0")
    # Three annotations and the means of two tracks, and the bias.
    assert lines[1] == "linear: 6 parameters, solver chol"
    assert lines[2].startswith("group0: ")
    assert lines[-1] == "out"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["prior_basic_ukbb", "prior_simRandInit"])
def test_the_flagfiles_of_the_published_runs(stores, name):
    flagfile = f"--flagfile={ROOT / 'configs' / name}.flags"
    done = train(stores, name, "--features=features.h5", flagfile, *SMALL)
    assert done.returncode == 0, done.stderr
    report = json.loads((stores / name / "run.json").read_text())
    assert report["flags"]["head"]["arch"] == "transformer"
    assert report["flags"]["fit"]["clip_norm"] == 0.2
    assert "transformer: " in done.stdout


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--arch=mlp"], 2, "error: arch mlp needs --features; give a feature store"),
        (["--arch=conv", "--learning_rate=0"], 2, "learning_rate is 0.0; expected a number above"),
        (["--features=features.h5", "--folds=loco"], 2, "folds is 'loco'; use none, chrom"),
        (["--features=trait.tsv.gz"], 3, "trait.tsv.gz: not a complete HDF5 file"),
        (["--arch=constant", "--ld=nowhere"], 3, "nowhere"),
        (["--features=features.h5", "--hidden=a"], 2, "'a' is not a number (int)"),
    ],
)
def test_faults_are_one_line(stores, flags, code, message):
    done = train(stores, "never", *flags)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (stores / "never").exists()
