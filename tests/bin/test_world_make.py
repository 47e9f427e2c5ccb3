"""The binary that makes a world, run as a user runs it."""

import subprocess
import sys
from pathlib import Path

from tfgen.synthetic import World

BINARY = Path(__file__).resolve().parents[2] / "bin" / "world_make.py"


def run(*arguments, cwd):
    command = [sys.executable, str(BINARY), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_world_is_made_from_flags(tmp_path):
    ended = run(
        "--output=world",
        "--chromosomes=chrA:64000:train,chrB:64000:test",
        "--gap_length=1000",
        "--test_variants=40",
        "--other_variants=8",
        "--seed=5",
        cwd=tmp_path,
    )
    assert (ended.returncode, ended.stdout) == (0, "world: 2 chromosomes, 4 tracks\n")
    world = World.open(tmp_path / "world")
    assert world.config.seed == 5
    assert len(world.true_effects().variants) == 48


def test_an_existing_folder_is_kept(tmp_path):
    ended = run("--output=.", cwd=tmp_path)
    assert ended.returncode == 5
    assert ended.stderr.startswith("error: ")
    assert "exists" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_bad_chromosome_is_a_usage_error(tmp_path):
    ended = run("--output=world", "--chromosomes=chrA:1000:train", cwd=tmp_path)
    assert ended.returncode == 2
    assert "length 1000; expected a multiple of 128" in ended.stderr
    assert not (tmp_path / "world").exists()


def test_help_shows_an_example_and_imports_nothing_heavy(tmp_path):
    code = (
        "import runpy, sys; sys.argv = ['world_make.py', '--help']\n"
        "try: runpy.run_path(sys.path[0] + '/world_make.py', run_name='__main__')\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert not {'tensorflow', 'pandas', 'keras'} & set(sys.modules)\n"
    )
    code = f"import sys; sys.path.insert(0, {str(BINARY.parent)!r})\n{code}"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "bin/world_make.py --output=out/world" in ended.stdout
    assert "--spacing=N" in ended.stdout
