"""The commands that README and docs show are run, word for word, on small stand-ins.

A temporary folder holds files with the names that the documents use: a small Enformer under the
published checkpoint keys, a short genome, a few variants. The chain of the functional prior makes
its own world.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pysam
import pytest

from enformer.small import randomise

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PRIOR = re.compile(r"^python bin/(prior_\w+|world_gwas)\.py ")
COMMAND = re.compile(r"(?:^|(?<=[\s`/]))([a-z][a-z_]*\.py)((?:\s+\\?\n?\s*--[^\s`|]+)+)")
MODULE = re.compile(r"\btfgen(?:\.[a-z]\w*)+(?:\.[A-Z]\w*)?")
NAMED_DOCUMENT = re.compile(r"\bdocs/[\w-]+\.md\b")
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)#]+)[^)]*\)")


def blocks(path, language):
    return [text for kind, text in BLOCK.findall(path.read_text("utf-8")) if kind == language]


def shell_lines(path):
    return [line for text in blocks(path, "sh") for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    from tfgen.enformer.checkpoint import write_checkpoint
    from tfgen.enformer.config import EnformerConfig
    from tfgen.enformer.model import Enformer

    folder = tmp_path_factory.mktemp("readme")
    model = randomise(
        Enformer(
            EnformerConfig(
                channels=24,
                num_transformer_layers=1,
                num_heads=2,
                heads=(("human", 5), ("mouse", 3)),
                divisible_by=4,
                key_size=8,
            )
        )
    )
    prefix = write_checkpoint(model, folder / "enformer_weights" / "enformer-fine-tuned-human")
    assert prefix.endswith("enformer-fine-tuned-human-1")
    sequence = "".join("ACGT"[(7 * i + i // 3 + i // 11) % 4] for i in range(250_000))
    (folder / "hg38.fa").write_text(f">chr1\n{sequence}\n")
    rows = [(120_000, "a"), (120_040, "b")]
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=250000>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for pos, name in rows:
        ref = sequence[pos - 1]
        alt = "ACGT"[("ACGT".index(ref) + 1) % 4]
        lines.append(f"chr1\t{pos}\t{name}\t{ref}\t{alt}\t.\t.\t.")
    vcf = folder / "my.vcf"
    vcf.write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(vcf), str(folder / "my.vcf.gz"))
    tracks = "".join(f"{i}\tT{i}\ttrack {i}\n" for i in range(model.config.heads[0][1]))
    (folder / "targets_human.txt").write_text("index\tidentifier\tdescription\n" + tracks)
    return folder


def run(line, folder):
    words = [sys.executable if word == "python" else word for word in shlex.split(line)]
    if "bin/enformer_export.py" in words:
        # The published model is known by its size; the lengths of the stand-in must be told.
        words += ["--trunk_length=196608", "--target_length=896"]
    words = [str(ROOT / word) if word.startswith("bin/") else word for word in words]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_the_commands_of_the_readme_run_and_give_what_it_says(stand_ins):
    for line in shell_lines(ROOT / "README.md"):
        program = shlex.split(line)[0]
        if PRIOR.match(line):
            continue  # run by the next test
        if program == "python":
            run(line, stand_ins)
        else:
            # Set-up and downloads; what they need is held by the tests below.
            assert program in ("make", "mkdir", "curl", "gunzip"), line
    assert (stand_ins / "merged.h5").read_bytes() == (stand_ins / "scores.h5").read_bytes()
    for text in blocks(ROOT / "README.md", "python"):
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=stand_ins,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_chain_of_the_functional_prior_runs_and_finds_the_truth(tmp_path):
    lines = [line for line in shell_lines(ROOT / "README.md") if PRIOR.match(line)]
    programs = [re.search(r"bin/(\w+)", line)[1] for line in lines]
    assert programs[:2] == ["world_gwas", "prior_munge"]
    assert {"prior_train", "prior_eval", "prior_score", "prior_posterior"} <= set(programs)
    for line in lines:
        run(line, tmp_path)
    found = json.loads((tmp_path / "evaluation" / "eval.json").read_text())["traits"]["gwas"]
    assert found["gains"]["constant"]["above_zero"]
    assert not found["mismatch"]
    truth = pd.read_csv(tmp_path / "gwas" / "truth.tsv.gz", sep="\t", dtype={"CHR": str})
    key = ["CHR", "BP", "A1", "A2"]
    scored = pd.read_csv(tmp_path / "gwas.snpvar.gz", sep="\t", dtype={"CHR": str})
    scored = scored.merge(truth, on=key, suffixes=("", "_TRUE"))
    assert len(scored) == len(truth)
    for _, fold in scored.groupby("FOLD"):
        assert np.corrcoef(fold["LOGF"], fold["LOGF_TRUE"])[0, 1] > 0.6
    effects = pd.read_csv(tmp_path / "gwas.posterior.tsv.gz", sep="\t", dtype={"CHR": str})
    effects = effects.merge(truth, on=key)
    z = np.sqrt(effects["N"].fillna(effects["N"].median()))
    within = np.abs(effects["B"] / z - effects["BETA_MEAN_STD"]) < 1.645 * effects["BETA_SD_STD"]
    assert 0.8 < within.mean() < 0.97  # of intervals that should hold 90 %


def test_the_cluster_script_gives_shards_that_merge_to_the_whole(stand_ins):
    for index in ("0", "1"):
        environment = {
            **os.environ,
            "NUM_SHARDS": "2",
            "SLURM_ARRAY_TASK_ID": index,
            "TFGEN_BIN": str(ROOT / "bin"),
            "MODEL": "enformer",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        script = ROOT / "docs" / "cluster" / "slurm_array.sh"
        (stand_ins / f"part{index}.h5").unlink(missing_ok=True)
        done = subprocess.run(
            ["bash", str(script)],
            cwd=stand_ins,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    run("python bin/variants_merge.py --inputs=part0.h5,part1.h5 --output=again.h5", stand_ins)
    with h5py.File(stand_ins / "again.h5") as again, h5py.File(stand_ins / "scores.h5") as whole:
        assert (again["SAD"][:] == whole["SAD"][:]).all()


def test_the_flagfile_of_the_published_scores_runs(stand_ins):
    comment = (ROOT / "configs" / "variants_score.flags").read_text("utf-8")
    assert "bin/variants_score.py --flagfile=configs/variants_score.flags" in comment
    run(
        f"python bin/variants_score.py --flagfile={ROOT}/configs/variants_score.flags "
        "--model=enformer --fasta=hg38.fa --vcf=my.vcf.gz --output=published.h5",
        stand_ins,
    )
    with h5py.File(stand_ins / "published.h5") as store:
        assert {"SAD", "SAR"} <= set(store)
        assert "tCRA" not in store


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_two_commands_of_the_readme_are_targets_of_make(name):
    assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_the_readme_and_the_model_registry_download_the_same_files():
    from tfgen.models import PUBLISHED_MODELS, installation_steps

    readme = shell_lines(ROOT / "README.md")
    steps = installation_steps(PUBLISHED_MODELS["enformer"]).splitlines()
    assert set(steps[:-1]) <= set(readme)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path):
    for target in LINK.findall(path.read_text("utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.fixture(scope="module")
def flags():
    """The flags of every program, by its file name."""
    found = {}
    for binary in (ROOT / "bin").glob("[a-z]*.py"):
        page = subprocess.run(
            [sys.executable, str(binary), "--help"], capture_output=True, text=True, check=True
        ).stdout
        names = re.findall(r"^  --(\[no\])?(\w+)", page, re.MULTILINE)
        found[binary.name] = {name for _, name in names} | {f"no{name}" for no, name in names if no}
        found[binary.name] |= {"help", "version"}
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_flags_named_in_documents_exist(path, flags):
    named = set(
        re.findall(r"--(\w+)", re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.S))
    )
    assert named - set().union(*flags.values()) <= {"array", "quick"}, named - set(flags)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_have_the_flags_that_they_use(path, flags):
    for program, words in COMMAND.findall(path.read_text("utf-8")):
        if program not in flags:
            assert any(folder.joinpath(program).exists() for folder in (ROOT / "bench", ROOT)), (
                f"{path.name} names {program}, which does not exist"
            )
            continue
        used = set(re.findall(r"(?<!\S)--(\w+)", words))
        assert used, words
        assert used <= flags[program], f"{path.name}: {program} has no {used - flags[program]}"


def test_the_way_to_find_commands_finds_them():
    text = (
        "see `prior_eval.py --in_sample`\n  a/b.py --x=1 \\\n      --y=2\npython bin/c.py -h\nd.py"
    )
    assert [(name, re.findall(r"--(\w+)", words)) for name, words in COMMAND.findall(text)] == [
        ("prior_eval.py", ["in_sample"]),
        ("b.py", ["x", "y"]),
    ]


def test_documents_that_the_code_names_exist():
    places = [path for room in ("bin", "tfgen", "configs") for path in (ROOT / room).rglob("*")]
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in places
        if path.suffix in (".py", ".flags")
        for name in NAMED_DOCUMENT.findall(path.read_text("utf-8"))
    }
    assert named
    assert [pair for pair in sorted(named) if not (ROOT / pair[1]).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_modules_and_names_in_documents_exist(path):
    for name in MODULE.findall(path.read_text("utf-8")):
        whole = ROOT.joinpath(*name.split("."))
        if whole.is_dir() or whole.with_suffix(".py").is_file():
            continue
        module, _, member = name.rpartition(".")
        folder = ROOT.joinpath(*module.split("."))
        files = [folder.with_suffix(".py"), folder / "__init__.py"]
        texts = [file.read_text("utf-8") for file in files if file.is_file()]
        defined = rf"^(?:def|class) {member}\b|^    \"{member}\",|^{member}\b"
        assert any(re.search(defined, text, re.MULTILINE) for text in texts), name
