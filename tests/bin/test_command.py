"""The frame of the binaries, run as users run it: scripts in a process of their own."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tfgen

BIN = Path(__file__).resolve().parents[2] / "bin"

SCRIPT = '''"""Scores things.

Example:
  script.py --model=m --vcf=v
"""
import errno, os, signal, sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from _command import build, define_flags, run
from tfgen import errors


@dataclass(frozen=True)
class Options:
    model: Path = field(metadata={"help": "Folder of the model."})
    vcf: str = field(metadata={"help": "Variants."})
    windows: Literal["centred", "shared"] = field(default="centred", metadata={"help": "Which."})
    batch_size: int = field(default=4, metadata={"help": "Rows.", "lower": 1})
    fraction: float = field(default=0.5, metadata={"help": "Share.", "lower": 0.0, "upper": 1.0})
    stats: tuple[str, ...] = field(
        default=("SAD",), metadata={"help": "Statistics.", "choices": ("SAD", "SAR")}
    )
    tracks: tuple[str, ...] | None = field(default=None, metadata={"help": "Tracks."})
    overwrite: bool = field(default=False, metadata={"help": "Replace the output."})
    layout: str = field(default="hub", metadata={"help": "Layout.", "choices": ("hub", "sonnet")})
    contig_map: Path | None = field(default=None, metadata={"help": "Names."})


define_flags(Options)


def main(flags):
    options = build(Options, flags)
    %s


if __name__ == "__main__":
    run(main)
'''


@pytest.fixture
def script(tmp_path):
    """Runs a binary whose `main` has the given body."""

    def call(body, *arguments, text=None, **options):
        path = tmp_path / "script.py"
        path.write_text(text or SCRIPT % body)
        environment = {**os.environ, "PYTHONPATH": str(BIN), **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, path, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return call


GOOD = ("--model=m", "--vcf=v")


def assert_fails(done, code, line):
    assert (done.returncode, done.stderr, done.stdout) == (code, line + "\n", "")


def test_defaults_and_given_flags_make_the_dataclass(script):
    done = script("print(options)", *GOOD)
    assert done.stdout == (
        "Options(model=PosixPath('m'), vcf='v', windows='centred', batch_size=4, fraction=0.5, "
        "stats=('SAD',), tracks=None, overwrite=False, layout='hub', contig_map=None)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_type_of_flag_is_parsed(script):
    done = script(
        "print(options)",
        *GOOD,
        "--model=~/m",
        "--windows=shared",
        "--batch_size=2",
        "--fraction=1",
        "--stats=SAR,SAD",
        "--tracks=a b,c",
        "--overwrite",
        "--layout=sonnet",
        "--contig_map=x/y",
        env={"HOME": "/home/ada"},
    )
    assert done.stdout == (
        "Options(model=PosixPath('/home/ada/m'), vcf='v', windows='shared', batch_size=2, "
        "fraction=1.0, stats=('SAR', 'SAD'), tracks=('a b', 'c'), overwrite=True, "
        "layout='sonnet', contig_map=PosixPath('x/y'))\n"
    )


def test_flags_come_from_a_flagfile(script, tmp_path):
    (tmp_path / "flags.cfg").write_text("# a comment\n--model=m\n--vcf=w\n--nooverwrite\n")
    done = script(
        "print(options.vcf, options.batch_size)", "--flagfile=flags.cfg", "--batch_size=9"
    )
    assert done.stdout == "w 9\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: --model, --vcf"),
        (["--model=m"], "required: --vcf"),
        ([*GOOD, "--speed=3"], "Unknown command line flag 'speed'"),
        (
            [*GOOD, "--batchsize=3"],
            "Unknown command line flag 'batchsize'. Did you mean: batch_size ?",
        ),
        (
            [*GOOD, "--batch_size=x"],
            "flag --batch_size=x: invalid literal for int() with base 10: 'x'",
        ),
        ([*GOOD, "--batch_size=0"], "flag --batch_size=0: 0 is not a positive integer"),
        (
            [*GOOD, "--fraction=1.5"],
            "flag --fraction=1.5: 1.5 is not a number in the range [0.0, 1.0]",
        ),
        ([*GOOD, "--windows=all"], "flag --windows=all: value should be one of <centred|shared>"),
        ([*GOOD, "--stats=SAD,XX"], "flag --stats=SAD,XX: 'XX' is not one of SAD, SAR"),
        ([*GOOD, "--model="], "flag --model=: a path cannot be empty"),
        ([*GOOD, "in.vcf"], "unexpected argument 'in.vcf'; give --name=value"),
        ([*GOOD, "--vcf"], "Missing value for flag --vcf"),
    ],
)
def test_a_wrong_flag_is_one_line_and_exit_code_2(script, arguments, message):
    assert_fails(script("pass", *arguments), 2, f"error: {message} (see --help)")


def test_a_missing_flagfile_is_one_line_and_exit_code_2(script):
    done = script("pass", "--flagfile=none.cfg")
    assert done.returncode == 2
    assert "none.cfg" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("word", ["--help", "-h", "-help"])
def test_help_shows_example_and_flags_also_when_required_ones_lack(script, word):
    done = script("pass", word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Scores things.\n\nExample:\n  script.py --model=m --vcf=v\n\n"
        "Flags:\n"
        "  --model=PATH\n      Folder of the model. (required)\n"
        "  --vcf=TEXT\n      Variants. (required)\n"
        "  --windows=centred|shared\n      Which. (default: centred)\n"
        "  --batch_size=N\n      Rows. (default: 4)\n"
        "  --fraction=X\n      Share. (default: 0.5)\n"
        "  --stats=A,B,...\n      Statistics. (default: SAD)\n"
        "  --tracks=A,B,...\n      Tracks.\n"
        "  --[no]overwrite\n      Replace the output. (default: false)\n"
        "  --layout=hub|sonnet\n      Layout. (default: hub)\n"
        "  --contig_map=PATH\n      Names.\n"
        "\nFlags of every binary:\n"
        "  --flagfile=PATH\n      Read flags from a file, one --name=value per line.\n"
        "  --debug\n      Show the traceback of an error.\n"
        "  --version, --help\n"
    )


def test_version_is_that_of_the_library(script):
    done = script("pass", "--version")
    assert (done.returncode, done.stdout) == (0, f"script.py of tfgen {tfgen.__version__}\n")


def test_the_exit_code_of_main_is_that_of_the_process(script):
    assert script("return 3", *GOOD).returncode == 3


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        (
            "raise errors.InputFormatError('a.vcf:3: two\\n words')",
            3,
            "error: a.vcf:3: two words",
        ),
        (
            "raise errors.InterruptedRunError('stopped', 15)",
            143,
            "error: stopped",
        ),
        ("raise errors.OutputError('full')", 5, "error: full"),
        ("raise KeyboardInterrupt", 130, "error: interrupted"),
        (
            "raise OSError(errno.ENOSPC, 'No space', 'a.h5')",
            5,
            "error: a.h5: the disk is full; free some space and run again",
        ),
        ("open('none.fa')", 3, "error: none.fa: No such file or directory"),
        ("raise OSError('Unable to open file')", 5, "error: Unable to open file"),
        (
            "raise KeyError('x')",
            1,
            "internal error: KeyError: 'x' (run with --debug for the traceback)",
        ),
    ],
)
def test_every_error_is_one_line_with_its_exit_code(script, body, code, line):
    assert_fails(script(body, *GOOD), code, line)


def test_debug_shows_the_traceback(script):
    done = script("raise KeyError('x')", *GOOD, "--debug")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("(run with --debug for the traceback)\n")


def test_ctrl_c_is_exit_code_130(script):
    # A job in the background starts with Ctrl-C ignored; a terminal does not.
    body = "signal.signal(signal.SIGINT, signal.default_int_handler); "
    done = script(body + "os.kill(os.getpid(), signal.SIGINT)", *GOOD)
    assert_fails(done, 128 + signal.SIGINT, "error: interrupted")


def test_output_is_kept_and_crashes_at_exit_are_avoided_after_an_output_error(script):
    body = (
        "import atexit; atexit.register(os.abort); print('written'); "
        "raise errors.OutputError('full')"
    )
    done = script(body, *GOOD)
    assert (done.returncode, done.stdout, done.stderr) == (5, "written\n", "error: full\n")


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_leaves_is_no_error(script, tmp_path, lines):
    script(f"print('line\\n' * {lines})", *GOOD)
    done = subprocess.run(
        f"'{sys.executable}' script.py --model=m --vcf=v | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable=shutil.which("bash"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(BIN)},
        capture_output=True,
        text=True,
        check=False,
    )
    # A short output may be written before the reader leaves.
    assert done.stdout in (("0\n", "141\n") if lines == 1 else ("141\n",))
    assert done.stderr == ""


def test_a_checkout_is_found_from_any_folder_before_an_installed_library(tmp_path):
    for name in ("_command.py", "_flags.py"):
        (tmp_path / "house" / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(BIN / name, tmp_path / "house" / "bin")
    (tmp_path / "house" / "tfgen").mkdir()
    (tmp_path / "house" / "tfgen" / "__init__.py").write_text("__version__ = 'of the checkout'")
    path = tmp_path / "house" / "bin" / "x.py"
    path.write_text("from _command import run\nrun(lambda flags: None)\n")
    shutil.copy(BIN.parent / "tfgen" / "errors.py", tmp_path / "house" / "tfgen")
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, path, "--version"],
        cwd=tmp_path / "elsewhere",
        env={**os.environ, "PYTHONPATH": str(BIN.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "x.py of tfgen of the checkout\n"


def test_beside_an_installed_library_nothing_is_put_before_it(tmp_path):
    (tmp_path / "bin").mkdir()
    for name in ("_command.py", "_flags.py"):
        shutil.copy(BIN / name, tmp_path / "bin")
    path = tmp_path / "bin" / "x.py"
    path.write_text("from _command import run\nrun(lambda flags: None)\n")
    done = subprocess.run(
        [sys.executable, path, "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(BIN.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"x.py of tfgen {tfgen.__version__}\n"


def test_the_frame_imports_no_heavy_library(script):
    body = "print(sorted({'numpy', 'pandas', 'tensorflow', 'h5py'} & set(sys.modules)))"
    assert script(body, *GOOD).stdout == "[]\n"


@pytest.mark.parametrize(("arguments", "level"), [([], "3"), (["--debug"], "None")])
def test_tensorflow_is_quiet_unless_debugging(script, monkeypatch, arguments, level):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    body = "print(os.environ.get('TF_CPP_MIN_LOG_LEVEL'))"
    assert script(body, *GOOD, *arguments).stdout == f"{level}\n"


def test_a_flagfile_that_is_no_text_is_one_line(script, tmp_path):
    (tmp_path / "flags.cfg").write_bytes(b"--vcf=\xff\xfe")
    done = script("pass", "--flagfile=flags.cfg")
    assert_fails(done, 2, "error: the file of --flagfile is not UTF-8 text (see --help)")


def test_a_path_that_is_no_text_can_be_printed(script):
    assert script(r"print('caf\udce9.h5')", *GOOD).stdout == "caf\\udce9.h5\n"


def test_a_closed_stdout_is_no_error(script):
    done = script("print('done')", *GOOD, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (0, "")
