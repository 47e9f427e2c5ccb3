"""The binary of the demo; the demo itself is tested with the library."""

import subprocess
import sys
from pathlib import Path

import pytest

BINARY = Path(__file__).resolve().parents[2] / "bin" / "world_demo.py"


def run(*arguments, cwd):
    command = [sys.executable, str(BINARY), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_folder_with_files_is_kept(tmp_path):
    (tmp_path / "mine").touch()
    ended = run("--output=.", cwd=tmp_path)
    assert ended.returncode == 5
    assert ended.stderr.splitlines()[-1].startswith("error: .: is not empty")


def test_an_output_is_required(tmp_path):
    ended = run("--quick", cwd=tmp_path)
    assert ended.returncode == 2
    assert "--output" in ended.stderr


@pytest.mark.slow
def test_the_quick_demo_prints_a_table_and_its_files(tmp_path):
    ended = run("--output=demo", "--quick", "--steps=2", "--progress=none", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert any(line.startswith("variants ") and line.endswith("r untrained") for line in lines)
    assert any(line.startswith("in motifs") for line in lines)
    assert {"demo/report.json", "demo/model/", "demo/effects.png"} <= set(lines)
