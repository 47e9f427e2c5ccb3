"""What holds the house together: twins, sizes, fast imports, help pages, one version."""

import ast
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path for path in (ROOT / "tfgen").rglob("*.py") if path.name != "__init__.py")
BINARIES = sorted(path for path in (ROOT / "bin").glob("*.py") if not path.name.startswith("_"))

# Modules that hold declarations only, tested through those who use them.
WITHOUT_TWIN: set[str] = set()

HEAVY = ("tensorflow", "pandas", "keras", "matplotlib")


def name(path):
    return path.relative_to(ROOT).as_posix()


def python(*arguments, cwd):
    """Runs Python with this checkout on its path; fails the test if the program fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def imported(report):
    """Top-level packages in the report of `python -X importtime`."""
    names = (line.rpartition("|")[2].strip() for line in report.splitlines())
    return {module.partition(".")[0] for module in names}


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_every_module_has_its_tests(module):
    inner = module.relative_to(ROOT / "tfgen")
    twin = ROOT / "tests" / inner.parent / f"test_{inner.stem.lstrip('_')}.py"
    assert name(module) in WITHOUT_TWIN or twin.is_file(), f"{name(twin)} is missing"


def test_the_list_of_modules_without_tests_is_current():
    assert WITHOUT_TWIN <= {name(module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_modules_and_functions_are_small(module):
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 600
    long = {
        f"{node.name}:{node.lineno}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= 80
    }
    assert not long


def test_the_usual_module_is_short():
    lengths = [len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES]
    assert statistics.median(lengths) <= 200


@pytest.mark.parametrize("binary", BINARIES, ids=name)
def test_binaries_are_thin(binary):
    assert len(binary.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("tfgen", (*HEAVY, "h5py", "numpy", "absl")),
        ("tfgen.errors", (*HEAVY, "h5py", "numpy", "absl")),
        ("tfgen.io", (*HEAVY, "h5py", "numpy", "absl")),
        ("tfgen.genome", (*HEAVY, "h5py")),
    ],
)
def test_imports_are_light(module, unwanted, tmp_path):
    done = python("-X", "importtime", "-c", f"import {module}", cwd=tmp_path)
    found = imported(done.stderr) & set(unwanted)
    assert found == set()


@pytest.mark.parametrize("binary", BINARIES, ids=name)
def test_help_is_quick_and_shows_an_example(binary, tmp_path):
    done = python("-X", "importtime", binary, "--help", cwd=tmp_path)
    found = imported(done.stderr) & set(HEAVY)
    assert found == set()
    assert re.search(rf"^\s+\S*(bin/)?{re.escape(binary.name)} --", done.stdout, re.MULTILINE)
    assert "Example" in done.stdout
    assert "(no help available)" not in done.stdout
    assert "--flagfile" in done.stdout


@pytest.mark.parametrize("binary", BINARIES, ids=name)
def test_binaries_run_by_their_name(binary):
    # pip puts the right interpreter into this line; without it the shell would read the file.
    assert binary.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
    assert os.access(binary, os.X_OK)


@pytest.mark.parametrize("binary", BINARIES, ids=name)
def test_an_unknown_flag_is_one_line(binary, tmp_path):
    done = subprocess.run(
        [sys.executable, binary, "--no_such_flag_here=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: Unknown command line flag 'no_such_flag_here'")
    assert done.stderr.count("\n") == 1


def test_the_version_is_written_in_one_place():
    import tfgen

    files = [*ROOT.glob("*.py"), *ROOT.glob("*.toml"), *MODULES, *BINARIES]
    assert [name(path) for path in files if f'"{tfgen.__version__}"' in path.read_text()] == []


def test_every_binary_is_installed():
    # setup.py takes all of bin/*.py: a binary in a folder below it would be left out.
    assert [name(path) for path in (ROOT / "bin").rglob("*.py") if path.parent.name != "bin"] == []


def test_every_cap_on_a_requirement_has_its_reason():
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        requirement, _, reason = line.partition("#")
        assert not re.search(r"<|==|!=", requirement) or reason.strip(), line
