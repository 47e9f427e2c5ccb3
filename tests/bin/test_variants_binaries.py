"""The binaries as users run them; the model is a toy, so that TensorFlow stays out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfgen.effects import ScoreStore

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "bin" / "variants_score.py"

# Runs the binary with a toy in the place of the module that loads real models.
WITH_TOY = """
import runpy, sys, types
from effects.toy_engines import SumEngine, loaded
module = types.ModuleType("tfgen.effects.engine")
module.load_engine = lambda config: loaded(SumEngine(statistics=config.statistics))
sys.modules["tfgen.effects.engine"] = module
sys.argv = sys.argv[1:]
sys.path.insert(0, {bin!r})
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def files(tmp_path):
    """A genome and a VCF with one faulty record among forty."""
    rng = np.random.default_rng(1)
    sequence = "".join(rng.choice(list("ACGT"), 5000))
    (tmp_path / "genome.fa").write_text(f">chr1\n{sequence}\n")
    lines = [
        f"chr1\t{pos}\tv{pos}\t{sequence[pos - 1]}\t{'ACGT'['ACGT'.index(sequence[pos - 1]) - 1]}"
        for pos in range(1000, 4900, 100)
    ]
    lines.insert(5, "chr1\t1\tx\tA\t<DEL>")
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n"
    (tmp_path / "in.vcf").write_text(header + "".join(line + "\n" for line in lines))
    return tmp_path


def call(*arguments, folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return subprocess.run(
        [sys.executable, "-c", WITH_TOY.format(bin=str(BINARY.parent)), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )


def score(folder, *flags):
    return call(
        BINARY,
        "--model=m",
        "--fasta=genome.fa",
        "--vcf=in.vcf",
        "--output=scores.h5",
        *flags,
        folder=folder,
    )


def test_four_flags_are_enough(files):
    done = score(files)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "scores.h5: 40 rows (OK 39, SYMBOLIC 1)"
    assert lines[1].endswith("rows per second")
    assert lines[2].startswith("self-check of 1 rows: largest deviation SAD 0, SAR 0, tCRA 0")
    assert "scoring: 40/40 variants" in done.stderr
    with ScoreStore(files / "scores.h5") as store:
        assert store.statistics == ("SAD", "SAR", "tCRA")
        assert store.n_rows == 40


def test_flags_reach_the_run(files):
    flags = ["--statistics=SAD", "--windows=shared", "--rows=0:5", "--progress=none", "--float16"]
    done = score(files, *flags, "--verify_fraction=0")
    assert done.returncode == 0, done.stderr
    assert (done.stdout.count("\n"), done.stderr) == (2, "")
    written = json.loads((files / "scores.h5.run.json").read_text())
    assert written["flags"]["windows"] == "shared"
    assert written["flags"]["statistics"] == ["SAD"]
    with ScoreStore(files / "scores.h5") as store:
        assert store.n_rows == 5
        assert store.dtype("SAD") == np.float16


def test_a_header_alone_gives_an_empty_store_and_a_warning(files):
    (files / "in.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n")
    done = score(files)
    assert done.returncode == 0
    assert done.stdout == "scores.h5: 0 rows (no rows)\n"
    assert "warning: in.vcf: no variants; the output has no rows" in done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--max_rejected_fraction=0.02"], 7, "1 of 40 rows have no score (SYMBOLIC 1)"),
        (["--on_bad_record=error"], 3, "in.vcf:8: SYMBOLIC"),
        (["--windows=middle"], 2, "windows"),
        (["--statistics=SED"], 2, "'SED' is not one of SAD, SAR, tCRA"),
        (["--verify_fraction=2"], 2, "verify_fraction is 2.0; expected a fraction from 0 to 1"),
        (["--rows=0:100"], 2, "rows 0:100 reach past the 40 rows"),
        (["--vcf=missing.vcf"], 3, "missing.vcf"),
        (["--output=no/scores.h5"], 5, "scores.h5.lock: cannot create the lock file"),
    ],
)
def test_faults_have_their_exit_code_and_one_line(files, flags, code, message):
    done = score(files, "--progress=none", *flags)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_existing_output_needs_overwrite(files):
    assert score(files).returncode == 0
    refused = score(files)
    assert refused.returncode == 5
    assert "scores.h5: exists; choose another output or pass --overwrite" in refused.stderr
    assert score(files, "--overwrite").returncode == 0


def test_help_imports_neither_tensorflow_nor_pandas():
    code = (
        "import runpy, sys; sys.argv = [sys.argv[1], '--help']\n"
        f"sys.path.insert(0, {str(BINARY.parent)!r})\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    loaded = {'tensorflow', 'pandas', 'sonnet'} & set(sys.modules)\n"
        "    sys.exit(repr(loaded) if loaded or end.code else 0)\n"
    )
    for name in ("score", "merge", "export"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(BINARY.with_name(f"variants_{name}.py"))],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Example:" in done.stdout
        assert f"variants_{name}.py --" in done.stdout


def test_parts_merge_and_export(files):
    for index in range(2):
        flags = ["--num_shards=2", f"--shard_index={index}", f"--output=part{index}.h5"]
        assert score(files, *flags).returncode == 0
    assert score(files).returncode == 0
    merge = BINARY.with_name("variants_merge.py")
    merged = call(merge, "--inputs=part1.h5,part0.h5", "--output=merged.h5", folder=files)
    assert merged.returncode == 0, merged.stderr
    assert merged.stdout == "merged.h5: 40 rows from 2 shards\n"
    assert (files / "merged.h5").read_bytes() == (files / "scores.h5").read_bytes()
    export = BINARY.with_name("variants_export.py")
    exported = call(
        export, "--scores=merged.h5", "--output=scores.tsv", "--statistics=SAD", folder=files
    )
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout == "scores.tsv: 40 rows\n"
    assert len((files / "scores.tsv").read_text().splitlines()) == 41


def test_missing_parts_are_an_inconsistency(files):
    assert score(files, "--rows=0:5").returncode == 0
    merge = BINARY.with_name("variants_merge.py")
    merged = call(merge, "--inputs=scores.h5", "--output=merged.h5", folder=files)
    assert merged.returncode == 4
    assert "rows 5:40 of 40 are in no shard" in merged.stderr
