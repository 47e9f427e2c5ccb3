"""The binary as users run it, against a server on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prior.loopback import serving
from tfgen.prior.fetch.recipe import recipe

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "bin" / "prior_fetch.py"
WINDOWS = recipe()["ukb_ld"].of_chroms(("22",))


@pytest.fixture
def site():
    with serving() as running:
        for entry in WINDOWS:
            running.files["/" + entry.url] = b"x" * 100
        yield running


def call(*arguments, folder):
    return subprocess.run(
        [sys.executable, str(BINARY), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def windows(site, *arguments, folder):
    mirror = f"--mirror=ukb_ld={site.url}"
    common = ["--output=data", "--group=ukb_ld,dbnsfp", "--chroms=22", "--progress=none", mirror]
    return call(*arguments, *common, folder=folder)


def test_the_list_shows_every_group_and_its_command(tmp_path):
    done = call("--list", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["group", "files", "size", "build", "access", "destination"]
    assert [line[0] for line in lines[1 : 1 + len(recipe())]] == list(recipe())
    assert ["ukb_ld", "5,526", "terabytes", "GRCh37", "none", "ukb_ld/"] in lines
    assert "encode         ?      unknown" in done.stdout
    assert "requester pays" in done.stdout
    assert "hg38.phyloP100way.bw: about 9.2 GB" in done.stdout
    assert "published without a matrix, left out: chr6_26000001_29000001, " in done.stdout
    assert done.stdout.count("  then: ") == len(recipe())
    assert "--ukb=OUTPUT/ukb_ld " in done.stdout
    assert "by hand: Register at https://www.dbnsfp.org/" in done.stdout


def test_a_list_of_some_groups(tmp_path):
    done = call("--list", "--group=phylo", folder=tmp_path)
    assert done.returncode == 0
    assert "phylo  15     unknown  GRCh38  none    phylo/\n" in done.stdout
    assert "encode" not in done.stdout


def test_a_plan_says_how_much_is_missing(site, tmp_path):
    done = windows(site, "--dry_run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["ukb_ld", "76", "0", "76", "7.6", "kB", "0"] in lines
    assert "to fetch: 7.6 kB of known size; free: " in done.stdout
    assert "too small" not in done.stdout
    assert "dbnsfp: dbNSFP 5.1a" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_download_says_what_came_and_what_to_do(site, tmp_path):
    done = windows(site, "--download", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["ukb_ld", "76", "76", "0", "0", "B", "0"] in lines
    assert "data: fetched 76 files, 7.6 kB; manual 1\n" in done.stdout
    assert "then: prior_build_ld.py --source=ukb_npz --ukb=data/ukb_ld " in done.stdout
    assert "by hand: Unpack dbNSFP5.1a into data/dbnsfp/" in done.stdout
    assert len(list((tmp_path / "data" / "ukb_ld").iterdir())) == 76
    again = windows(site, "--download", folder=tmp_path)
    assert "data: fetched 0 files, 0 B; manual 1\n" in again.stdout


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ([], 2, "give one of --list, --dry_run and --download, not none of them"),
        (["--list", "--dry_run"], 2, "not --list and --dry_run"),
        (["--download"], 2, "--download needs --output=FOLDER"),
        (["--list", "--group=phylop"], 2, "'phylop' is not one of ld_blocks"),
        (["--list", "--mirror=phylo=http://example.org/"], 2, "http is refused"),
        (["--list", "--jobs=0"], 2, "jobs"),
        (
            ["--dry_run", "--output=d", "--group=fantom", "--mirror=fantom=NOTHING"],
            4,
            "HTTP status 404",
        ),
        (
            ["--download", "--output=d", "--group=ld_blocks", "--mirror=ld_blocks=WRONG"],
            4,
            "the server's file has 3 bytes, published are 35540",
        ),
        (["--download", "--output=file/d", "--group=ld_blocks"], 5, "cannot be made"),
    ],
)
def test_faults_have_their_exit_code_and_one_line(site, tmp_path, flags, code, message):
    (tmp_path / "file").write_text("")
    site.files["/" + recipe()["ld_blocks"].entries[0].url] = b"abc"
    flags = [flag.replace("NOTHING", site.url).replace("WRONG", site.url) for flag in flags]
    done = call(*flags, folder=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1


def test_help_imports_nothing_heavy(tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(BINARY), "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert "Example:" in done.stdout
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()
    }
    assert not loaded & {"tensorflow", "pandas", "numpy", "h5py", "keras"}
