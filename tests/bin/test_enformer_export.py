"""The binary as users run it: in a process and a folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from enformer.small import TINY, random_one_hot, randomise

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "bin" / "enformer_export.py"
LENGTHS = ("--seq_length=2048", "--trunk_length=1024", "--target_length=4")


def call(*arguments, folder):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-W", "ignore", BINARY, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=environment,
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with a small checkpoint in either layout, a table and a FASTA index."""
    from tfgen.enformer.checkpoint import write_checkpoint
    from tfgen.enformer.model import Enformer

    folder = tmp_path_factory.mktemp("weights")
    model = randomise(Enformer(TINY), seed=3)
    for layout in ("sonnet", "hub"):
        write_checkpoint(model, folder / layout / "model", layout)
    rows = "".join(f"{i}\tID{i}\ttrack {i}\n" for i in range(3))
    (folder / "targets.txt").write_text("index\tidentifier\tdescription\n" + rows)
    (folder / "genome.fa.fai").write_text("chr1\t1000\t6\t60\t61\n")
    return folder


@pytest.mark.slow
def test_a_checkpoint_becomes_a_model_that_tensorflow_loads(weights, tmp_path):
    import tensorflow as tf

    sonnet = call(
        f"--checkpoint={weights / 'sonnet' / 'model-1'}",
        "--output=sonnet_model",
        *LENGTHS,
        f"--targets=human={weights / 'targets.txt'}",
        f"--fasta_index={weights / 'genome.fa.fai'}",
        folder=tmp_path,
    )
    assert sonnet.returncode == 0, sonnet.stderr
    card = json.loads((tmp_path / "sonnet_model" / "model.json").read_text())
    assert card["contig_lengths"] == {"chr1": 1000}
    assert sonnet.stdout == (
        f"sonnet_model: human (3 tracks); input 2048 bp; sha256 {card['sha256']}\n"
    )
    table = (tmp_path / "sonnet_model" / "targets_human.txt").read_text()
    assert table == (weights / "targets.txt").read_text()

    hub = call(f"--checkpoint={weights / 'hub'}", "--output=hub_model", *LENGTHS, folder=tmp_path)
    assert hub.returncode == 0, hub.stderr
    sequence = random_one_hot(1, 2048)
    models = [
        tf.saved_model.load(str(tmp_path / f"{layout}_model")) for layout in ("sonnet", "hub")
    ]
    first, second = (model.predict_on_batch(sequence)["human"].numpy() for model in models)
    assert first.shape == (1, 4, 3)
    np.testing.assert_array_equal(first, second)


def test_the_help_page_shows_an_example_and_the_defaults(tmp_path):
    page = call("--help", folder=tmp_path)
    assert page.returncode == 0
    assert "enformer_export.py --checkpoint=weights/enformer-fine-tuned-human-1" in page.stdout
    for flag in ("checkpoint", "output", "seq_length", "trunk_length", "target_length", "targets"):
        assert f"--{flag}=" in page.stdout
    assert "393216" in page.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "required: --checkpoint, --output (see --help)"),
        (("--checkpoint=x",), 2, "required: --output"),
        (("--checkpoint=x", "--output=y", "--seq_length=long"), 2, "flag --seq_length=long"),
        (
            ("--checkpoint=x", "--output=y", "--targets=human"),
            2,
            "--targets has 'human'; expected HEAD=TABLE",
        ),
        (
            ("--checkpoint=x", "--output=y", "--targets=human=a,human=b"),
            2,
            "--targets names the head 'human' twice; give one table for it",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(tmp_path, arguments, code, message):
    done = call(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--checkpoint=missing",), 3, "missing: no checkpoint here; expected PREFIX.index"),
        (
            ("--checkpoint={weights}/hub", "--trunk_length=1000", "--target_length=2"),
            2,
            "sequence_length is 1000",
        ),
        (
            ("--checkpoint={weights}/hub", *LENGTHS, "--targets=rat={weights}/targets.txt"),
            2,
            "no head is called 'rat'; this model has human",
        ),
        (
            ("--checkpoint={weights}/hub", *LENGTHS, "--targets=human={weights}/genome.fa.fai"),
            3,
            "no column identifier, description",
        ),
        (
            ("--checkpoint={weights}/hub", *LENGTHS, "--output=."),
            2,
            ".: has no name of its own; choose another output",
        ),
    ],
)
def test_a_fault_of_the_input_is_one_line_and_a_code(weights, tmp_path, arguments, code, message):
    filled = [argument.format(weights=weights) for argument in arguments]
    if not any(argument.startswith("--output") for argument in filled):
        filled.append("--output=out")
    done = call(*filled, folder=tmp_path)
    assert done.returncode == code, done.stderr
    # TensorFlow's own start-up lines come before.
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_checkpoint_is_refused_with_what_is_missing(weights, tmp_path):
    import tensorflow as tf

    from tfgen.enformer.checkpoint import published_tree
    from tfgen.enformer.model import Enformer

    tree = published_tree(Enformer(TINY), "sonnet")
    del tree._heads.human._layers.__dict__["0"].w
    prefix = tf.train.Checkpoint(module=tree).write(str(tmp_path / "ck"))
    done = call(f"--checkpoint={prefix}", "--output=out", *LENGTHS, folder=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "nothing was restored: module/_heads/human/_layers/0/w is missing" in done.stderr
    assert not (tmp_path / "out").exists()
