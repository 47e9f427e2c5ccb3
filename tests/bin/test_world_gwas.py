"""The program that makes a synthetic GWAS, and the first ones that it names, as users run them."""

import subprocess
import sys
from pathlib import Path

from tfgen.synthetic.gwas import GwasWorld

BIN = Path(__file__).resolve().parents[2] / "bin"


def run(cwd, program, *flags):
    return subprocess.run(
        [sys.executable, str(BIN / program), *flags],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_quick_world_is_made_and_its_first_commands_run_in_it(tmp_path):
    done = run(tmp_path, "world_gwas.py", "--output=w", "--quick", "--seed=7", "--n=100000")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["w: 4 chromosomes, 2,400 variants", "cd w"]
    world = GwasWorld.open(tmp_path / "w")
    assert (world.config.seed, world.config.n, world.config.people) == (7, 100_000, 400)
    for line in lines[2:5]:
        program, *flags = line.split()
        ended = run(tmp_path / "w", program, *flags)
        assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "w" / "features.h5").is_file()


def test_an_existing_folder_is_kept(tmp_path):
    done = run(tmp_path, "world_gwas.py", "--output=.", "--quick")
    assert done.returncode == 5
    assert "exists" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_bad_size_is_a_usage_error(tmp_path):
    done = run(tmp_path, "world_gwas.py", "--output=w", "--panel_people=9999")
    assert done.returncode == 2
    assert "expected no more than people" in done.stderr
