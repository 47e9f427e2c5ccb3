"""The programs that use a trained prior, as users run them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prior.killed_outputs import start
from prior.outputs.test_score import read
from prior.trained_toys import shared_study, train
from tfgen.prior.outputs.eval_config import EvalConfig
from tfgen.prior.sumstats.munged import MungedStats, read_munged, write_munged

BIN = Path(__file__).resolve().parents[2] / "bin"


@pytest.fixture(scope="module")
def study():
    study = shared_study()
    train(study, "crossed")
    return study


def call(name, folder, *flags):
    return subprocess.run(
        [sys.executable, BIN / f"{name}.py", *map(str, flags)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )


def usual(study):
    return (
        f"--prior={study.folder / 'crossed'}",
        f"--ld={study.ld}",
        f"--features={study.features}",
        f"--traits=height={study.height}",
    )


def test_eval_says_what_is_gained(study, tmp_path):
    done = call("prior_eval", tmp_path, *usual(study), "--output=e")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "height: 12 blocks, 480 variants"
    assert lines[2].startswith("  gain over the constant prior: ")
    assert lines[2].endswith("above zero")
    assert re.match(r"  Mahalanobis/k \S+ \(p \S+; upper \S+, lower \S+\), 0 blocks", lines[4])
    assert lines[-1] == "e"
    assert "evaluating: 12/12 blocks" in done.stderr
    assert json.loads((tmp_path / "e" / "eval.json").read_text())["traits"]["height"]
    pytest.importorskip("matplotlib")
    for name in ("gain.png", "calibration.png"):
        assert (tmp_path / "e" / name).read_bytes().startswith(b"\x89PNG")


def test_a_mismatch_is_a_warning_of_eval_and_the_end_of_posterior(study, tmp_path):
    stats = read_munged(study.height)
    signs = np.random.default_rng(0).choice([-1, 1], len(stats))
    path = tmp_path / "z.tsv.gz"
    write_munged(path, MungedStats(stats.variants, 2 * signs * stats.z, stats.n))
    flags = (*usual(study)[:3], f"--traits=height={path}", "--progress=none")
    done = call("prior_eval", tmp_path, *flags, "--output=e")
    assert done.returncode == 0, done.stderr
    assert "warning: MISMATCH: height: Mahalanobis/k" in done.stderr
    done = call("prior_posterior", tmp_path, *flags, "--output=p.tsv.gz")
    assert done.returncode == 4
    assert done.stderr.startswith("error: height: Mahalanobis/k is ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "p.tsv.gz").exists()


def test_score_writes_two_tables(study, tmp_path):
    flags = (usual(study)[0], *usual(study)[2:], f"--variants={study.ld}", "--output=x.snpvar.gz")
    done = call("prior_score", tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("height: x.snpvar.gz, x.snpvar_constrained.gz: sum of SNPVAR ")
    assert lines[0].endswith("480 with Z and N")
    assert lines[1] == "720 variants, 720 from models that never saw them"
    assert len(read(tmp_path / "x.snpvar_constrained.gz")["SNPVAR"]) == 720


def test_score_ends_with_7_when_many_variants_are_missing(study, tmp_path):
    (tmp_path / "list.tsv").write_text("CHR\tSNP\tBP\tA1\tA2\n20\ta\t5\tG\tA\n20\tb\t77777\tG\tA\n")
    flags = (*usual(study), "--variants=list.tsv", "--output=x.gz", "--progress=none")
    done = call("prior_score", tmp_path, *flags)
    assert done.returncode == 7
    assert "1 of 2 variants have no row in the output (NO_FEATURES 1)" in done.stderr


def test_posterior_writes_a_table(study, tmp_path):
    done = call("prior_posterior", tmp_path, *usual(study), "--output=p.tsv.gz")
    assert done.returncode == 0, done.stderr
    text = r"height: p\.tsv\.gz: 480 variants, 480 with a z-score; Mahalanobis/k \S+ \(p \S+\), sum"
    assert re.match(text, done.stdout)
    assert len(read(tmp_path / "p.tsv.gz")["BETA_MEAN"]) == 480


def test_a_final_test_and_what_was_resumed_are_said(study, tmp_path):
    prior = train(study, "final", test_chrom=("22",))
    flags = (f"--prior={prior}", *usual(study)[1:], "--progress=none")
    settings = EvalConfig(
        prior=prior,
        ld=study.ld,
        features=study.features,
        traits=study.traits(),
        output=tmp_path / "e",
    )
    assert start("eval", settings, die_in="save", die_after=1).returncode < 0
    done = call("prior_eval", tmp_path, *flags, "--output=e")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "height: 8 blocks, 320 variants"
    assert lines[5] == "height, final test: 4 blocks, 160 variants"
    assert "2 blocks were done by a former run" in lines
    assert "in sample" not in done.stderr


def test_posterior_says_what_was_used_twice(study, tmp_path):
    single = train(study, "single", folds="none")
    flags = (f"--prior={single}", *usual(study)[1:], "--output=p.tsv.gz", "--progress=none")
    done = call("prior_posterior", tmp_path, *flags, "--in_sample")
    assert done.returncode == 0, done.stderr
    assert "480 variants with a prior that was fitted to them too" in done.stdout


def test_check_ld_prints_a_table(study, tmp_path):
    flags = (f"--ld={study.ld}", f"--traits=height={study.height}", "--output=t.tsv")
    done = call("prior_check_ld", tmp_path, *flags)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "t.tsv").read_text()
    header, row = (line.split("\t") for line in done.stdout.splitlines())
    assert header[-1] == "VERDICT"
    assert row[-1] == "OK"


@pytest.mark.parametrize(
    ("name", "flags", "code", "message"),
    [
        ("prior_eval", ["--features=no.h5"], 3, "no.h5"),
        ("prior_eval", ["--traits=weight=x.tsv"], 2, "has no 'weight'"),
        ("prior_score", ["--max_ratio=0.5"], 2, "max_ratio"),
        ("prior_posterior", ["--prior=none"], 3, "expected a folder that prior_train.py wrote"),
    ],
)
def test_faults_have_their_exit_code_and_one_line(study, tmp_path, name, flags, code, message):
    more = [f"--variants={study.ld}"] if name == "prior_score" else []
    output = "--output=x.gz"
    done = call(name, tmp_path, *usual(study), *more, output, "--progress=none", *flags)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
