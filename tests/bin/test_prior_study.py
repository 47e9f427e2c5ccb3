"""The study as users run it."""

import json
import subprocess
import sys
from pathlib import Path

from prior.study_toys import write_ld

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "bin" / "prior_study.py"


def call(*flags):
    return subprocess.run(
        [sys.executable, BINARY, *flags], capture_output=True, text=True, check=False
    )


def test_a_study_prints_its_report(tmp_path):
    write_ld(tmp_path)
    done = call(
        f"--ld={tmp_path / 'ld'}",
        f"--output={tmp_path / 'study'}",
        "--test_chrom=2",
        "--truths=linear",
        "--mean_f=0.5",
        "--seeds=1",
        "--rates=0.01",
        "--epochs=1",
        "--hidden=4",
        "--jobs=1",
        "--progress=none",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "study" / "report.txt").read_text() in done.stdout
    assert "4 fits, 0 of them diverged" in done.stdout
    assert json.loads((tmp_path / "study" / "run.json").read_text())["flags"]["truths"] == [
        "linear"
    ]


def test_a_wrong_flag_is_one_line(tmp_path):
    done = call(f"--output={tmp_path / 'study'}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: give either the LD (--ld) or the panel to make it of (--bed)\n"


def test_the_flagfile_of_the_study_runs(tmp_path):
    write_ld(tmp_path)
    flagfile = ROOT / "configs" / "prior_study.flags"
    assert "bin/prior_study.py --flagfile=configs/prior_study.flags" in flagfile.read_text("utf-8")
    done = call(
        f"--flagfile={flagfile}",
        f"--ld={tmp_path / 'ld'}",
        f"--output={tmp_path / 'study'}",
        "--test_chrom=2",
        "--seeds=1",
        "--rates=0.01",
        "--epochs=1",
        "--progress=none",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("truth ushape, mean f") == 4
    assert done.stdout.count("truth linear, mean f") == 1
    assert "20 fits" in done.stdout
