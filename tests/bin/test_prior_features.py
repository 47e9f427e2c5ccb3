"""The binary prior_features, run as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from prior.feature_files import bigwig, write

BINARY = Path(__file__).resolve().parents[2] / "bin" / "prior_features.py"


@pytest.fixture
def files(tmp_path):
    lines = [f"1 rs{i} 0 {10 + i} A C" for i in range(40)]
    write(tmp_path / "v.bim", "\n".join(lines) + "\n")
    write(tmp_path / "x.bed", "chr1\t19\t29\n")
    write(tmp_path / "bad.bed", "1\t9\t5\n")
    bigwig(tmp_path / "s.bw", {"chr1": 999}, [("chr1", 5, 30, 2)])
    return tmp_path


def call(folder, *flags):
    return subprocess.run(
        [sys.executable, str(BINARY), "--variants=v.bim", "--output=f.h5", *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_report_is_a_table_of_coverage(files):
    write(files / "t.tsv", "CHR\tBP\tz\n1\t10\t5\n")
    done = call(files, "--bed=x.bed", "--table=t.tsv:columns=z", "--progress=none")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "f.h5: 40 variants, 2 annotations",
        "annotation\tpresent\tfraction\tnonzero",
        "x\t40\t1.0000\t10",
        "z\t1\t0.0250\t1",
    ]
    assert done.stderr.startswith("warning: 1 of 2 annotations are known for less than 50%")
    assert done.stderr.count("\n") == 1


def test_tracks_and_rejects_are_reported(files):
    with (files / "v.bim").open("a") as stream:
        stream.write("1 bad 0 5 A R\n")
    done = call(files, "--bigwig=s.bw", "--bigwig_mode=window", "--window=16")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "f.h5: 40 variants, 0 annotations, 1 tracks of 16 positions",
        "rejected NON_ACGT: 1",
    ]
    assert "annotating: 40/40 variants" in done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ([], 2, "no source of features"),
        (["--bed=x.bed", "--bigwig_bins=1,a"], 2, "bigwig_bins is '1,a'; expected whole numbers"),
        (["--bed=x.bed:size=3"], 2, "unknown option 'size'"),
        (["--bed=bad.bed"], 3, "bad.bed:1: end 5 is before start 9"),
        (["--bed=none.bed"], 3, "none.bed"),
        (["--bigwig=cut.bw"], 3, "cut.bw: a damaged bigWig file; its 80 bytes lack parts"),
        (["--bigwig=empty.bw"], 3, "empty.bw: not a bigWig file; it begins with nothing"),
        (["--bigwig=x.bed"], 3, "x.bed: not a bigWig file; it begins with 63687231"),
        (["--table=large.tsv:columns=z"], 3, "large.tsv:2: z is 1e+300, beyond 32-bit floats"),
        (["--table=far.tsv:columns=z"], 4, "far.tsv: has none of the 40 variants; it has 1:900"),
        (["--bed=x.bed", "--bigwig_bins=1,99999999999"], 2, "bigwig_bins: 100000000000 bases"),
        (["--output=g", "--bed=g.rejects.tsv"], 2, "g.rejects.tsv: is the input g.rejects.tsv"),
        (["--bed=x.bed", "--variants=none.bim"], 3, "none.bim: no such file"),
        (["--bigwig=s.bw", "--variants=other.bim"], 4, "s.bw: none of the contigs 7; it has chr1"),
        (["--bed=x.bed", "--output=no/f.h5"], 5, "cannot create the lock file"),
        (["--bed=x.bed", "--variants=half.bim"], 7, "1 of 2 rows of the list were rejected"),
    ],
)
def test_faults_have_their_exit_code_and_one_line(files, flags, code, message):
    write(files / "other.bim", "7 rs1 0 5 A C\n")
    write(files / "half.bim", "1 rs1 0 5 A C\n1 rs2 0 6 A A\n")
    (files / "cut.bw").write_bytes((files / "s.bw").read_bytes()[:80])
    write(files / "empty.bw", "")
    write(files / "large.tsv", "CHR\tBP\tz\n1\t10\t1e300\n")
    write(files / "far.tsv", "CHR\tBP\tz\n1\t900\t1\n")
    write(files / "g.rejects.tsv", "1\t5\t9\n")
    done = call(files, "--progress=none", *flags)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_existing_output_needs_overwrite(files):
    assert call(files, "--bed=x.bed").returncode == 0
    refused = call(files, "--bed=x.bed")
    assert refused.returncode == 5
    assert "f.h5: exists; choose another output or pass --overwrite" in refused.stderr
    assert call(files, "--bed=x.bed", "--overwrite").returncode == 0
