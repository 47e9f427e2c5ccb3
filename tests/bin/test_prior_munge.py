"""The munging program as users run it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prior.sumstats_files import FILES, PANEL, write
from tfgen.prior.sumstats.munged import read_munged

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "bin" / "prior_munge.py"


def call(folder, *flags):
    return subprocess.run(
        [sys.executable, BINARY, *flags], capture_output=True, text=True, check=False, cwd=folder
    )


def munge(folder, *flags):
    return call(folder, "--input=in.txt", "--output=out.tsv.gz", *flags)


@pytest.fixture
def files(tmp_path):
    """Eight variants, one of them palindromic, and a panel of seven of them that swaps one."""
    write(tmp_path / "in.txt", FILES["fastgwa"].replace("\tT\tG\t", "\tG\tC\t"))
    rows = PANEL.replace("\tT\tG\t", "\tG\tC\t").replace("rs2\t1\t2000\tC\tT", "rs2\t1\t2000\tT\tC")
    rows = rows.replace("\tT\tC\t0.2\n", "\tT\tC\t0.8\n")
    write(tmp_path / "panel.tsv", "".join(rows.splitlines(keepends=True)[:-1]))
    return tmp_path


def test_two_flags_are_enough(files):
    done = munge(files)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "out.tsv.gz: 7 of 8 rows",
        "format fastgwa, build unknown",
        "          -1  PALINDROMIC        A/T or C/G, whose strand is unknown",
        # Of z = 2, -3, 0, -0.25, 3.5, -0.55, 0.5: rs4 is gone.
        "median N 5,000, lambda GC 0.665, mean chi-squared 3.695",
    ]
    assert "reading: 8 rows" in done.stderr
    assert "writing: 7/7 variants" in done.stderr
    names = {path.name for path in files.iterdir()} - {"in.txt", "panel.tsv"}
    assert names == {"out.tsv.gz", "out.tsv.gz.run.json", "out.tsv.gz.rejects.tsv"}


def test_flags_reach_the_run(files):
    done = munge(
        files,
        "--panel=panel.tsv",
        "--build=GRCh38",
        "--palindromic=frequency",
        "--columns=SE:SE,N:",
        "--n=400",
        "--progress=none",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[1] == "format fastgwa, build GRCh38"
    assert "-1  NOT_IN_PANEL       not in the panel" in lines[2]
    assert "before palindromic and later filters: 6 same, 1 swapped, 0 complement" in done.stdout
    assert "after palindromic and later filters: 5 same, 1 swapped, 0 complement" in done.stdout
    assert "median N 400" in lines[-1]
    stats = read_munged(files / "out.tsv.gz")
    assert stats.variants.label(1) == "1:2000:C:T (rs2)"
    assert stats.z[1] == 3
    assert set(stats.n) == {400}


def test_what_was_changed_by_frequency_and_the_factor_of_n_are_told(files):
    text = (
        "SNP CHR BP GENPOS ALLELE1 ALLELE0 A1FREQ BETA SE CHISQ_LINREG CHISQ_BOLT_LMM\n"
        "rs4 2 1600 0 C G 0.45 0.5 0.1 50 60\nrs4b 2 1601 0 C G 0.1 0.5 0.1 50 60\n"
    )
    write(files / "in.txt", text)
    write(files / "panel.tsv", "CHR BP A1 A2 A1FREQ\n2 1600 C G 0.2\n2 1601 C G 0.9\n")
    flags = ["--panel=panel.tsv", "--palindromic=frequency", "--n=400", "--n_eff=auto"]
    done = munge(files, *flags)
    assert done.returncode == 0, done.stderr
    assert "palindromic variants on the other strand by frequency: 1" in done.stdout
    assert "N was multiplied by 1.2" in done.stdout


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--palindromic=flip"], 2, "palindromic"),
        (["--min_maf=2"], 2, "min_maf is 2.0; expected a number from 0 to 1"),
        (["--columns=Q:x"], 2, "'Q:x'; expected FIELD:column"),
        (["--columns=N:"], 2, "no column with the sample size; pass --n"),
        (["--input=none.txt"], 3, "none.txt: No such file or directory"),
        (["--format=bolt"], 3, "no columns for the effect allele A1"),
        (["--panel=other.bim"], 4, "has none of the 8 variants"),
        (["--output=no/out.tsv"], 5, "out.tsv.lock: cannot create the lock file"),
        (["--output=in.txt", "--overwrite"], 2, "in.txt: is the input in.txt"),
        (
            ["--input=x.tsv.rejects.tsv", "--output=x.tsv", "--overwrite"],
            2,
            "rejects.tsv: is the in",
        ),
        (["--n=1e308"], 2, "n is 1e+308; expected a number above 0, at most 1e+12"),
        (["--panel=alleles.bim"], 4, "1 have other alleles in the panel, and 7 are not there"),
    ],
)
def test_faults_have_their_exit_code_and_one_line(files, flags, code, message):
    write(files / "other.bim", "9 rs9 0 5 A G\n")
    write(files / "alleles.bim", "1 rs1 0 1000 A C\n")
    write(files / "x.tsv.rejects.tsv", "mine")
    done = munge(files, "--progress=none", *flags)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (files / "out.tsv.gz").exists()


def test_too_many_faults_end_with_7_and_a_complete_output(files):
    write(files / "in.txt", FILES["fastgwa"].replace("\t0.04\t", "\t0\t"))
    done = munge(files, "--progress=none")
    assert done.returncode == 7
    assert "complete, but 1 of 8 rows were faulty" in done.stderr
    assert len(read_munged(files / "out.tsv.gz")) == 7


def test_a_killed_run_leaves_no_output_and_the_next_one_is_not_disturbed(files):
    code = (
        "import os, runpy, signal, sys\n"
        "from tfgen.prior.sumstats import munged\n"
        "def die(*arguments): os.kill(os.getpid(), signal.SIGKILL)\n"
        "munged._write_text = die\n"
        "sys.path.insert(0, os.path.dirname(sys.argv[1]))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    flags = ["--input=in.txt", "--output=out.tsv.gz", "--progress=none"]
    done = subprocess.run(
        [sys.executable, "-c", code, BINARY, *flags],
        capture_output=True,
        text=True,
        check=False,
        cwd=files,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (files / "out.tsv.gz").exists()
    assert munge(files).returncode == 0
    assert len(read_munged(files / "out.tsv.gz")) == 7
