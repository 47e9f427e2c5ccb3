"""`variants_score.py` with small real models, against two plain passes of their SavedModel.

The plain passes begin at the strings of the FASTA and the VCF and use nothing of the library but
the SavedModel itself, which takes windows twice as long as those that are scored.
"""

import gzip
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pysam
import pytest
import tensorflow as tf

from effects.linear_models import linear_predictions, save_linear_model
from effects.small_models import CONFIG, STATISTICS, random_contig, random_enformer
from tfgen.effects import ScoreStore, ScoringConfig, score_variants
from tfgen.effects.engine import load_engine
from tfgen.enformer.saved_model import export_saved_model

ROOT = Path(__file__).resolve().parents[2]
INPUT, TRUNK, OUTPUT = 8192, CONFIG.sequence_length, 128 * CONFIG.target_length
# Float32 noise (see tests/effects/test_shared_trunk.py), here with one more graph in between.
NOISE = {"SAD": 1e-4, "SAR": 4e-5, "tCRA": 2e-5}
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
# Small batches, so that the rows come in several pieces; every row is checked.
FLAGS = {"batch_size": 2, "verify_fraction": 1.0, "progress": "none"}


# --- The plain way ------------------------------------------------------------------------------


def window_start(pos, ref, alt, mode):
    """First base (0-based) of the INPUT bases around a variant; the trunk sees their middle."""
    start = pos - 1
    if mode == "centred" or len(ref) != len(alt) or len(ref) > 128:
        return start - INPUT // 2
    # Tiles of a seventh of 16 output bins, that is of 2 bins.
    middle = start // 256 * 256 + 128
    return (middle - TRUNK // 2) // 128 * 128 - (INPUT - TRUNK) // 2


def sequences(contig, pos, ref, alt, left):
    """Reference and alternative: INPUT letters, N outside the contig."""
    padded = "N" * INPUT + contig + "N" * INPUT
    low, variant = left + INPUT, pos - 1 + INPUT
    assert padded[variant : variant + len(ref)] == ref
    reference = padded[low : low + INPUT]
    alternative = padded[low:variant] + alt + padded[variant + len(ref) :]
    return reference, alternative[:INPUT]


def letters(sequence):
    return np.stack([np.array(list(sequence)) == base for base in "ACGT"], axis=1)


def plain_scores(predict, contigs, rows, mode, organism="human"):
    """Statistics by their definitions, float64: name -> [rows, tracks]."""
    scores = {name: [] for name in STATISTICS}
    for chrom, pos, ref, alt in rows:
        left = window_start(pos, ref, alt, mode)
        both = [letters(text) for text in sequences(contigs[chrom], pos, ref, alt, left)]
        predicted = predict(tf.constant(np.stack(both).astype(np.float32)))[organism]
        reference, alternative = predicted.numpy().astype(float)
        middle, phase = divmod(pos - 1 - left - (INPUT - OUTPUT) // 2, 128)
        pair = slice(middle - 1, middle + 1) if phase < 64 else slice(middle, middle + 2)
        difference = alternative - reference
        scores["SAD"].append(difference.sum(axis=0))
        scores["SAR"].append((np.log2(alternative + 1) - np.log2(reference + 1)).sum(axis=0))
        scores["tCRA"].append(difference[pair].mean(axis=0))
    return {name: np.array(values) for name, values in scores.items()}


def assert_scores(store, expected, rows=slice(None), tracks=slice(None)):
    for name, values in expected.items():
        found = store.scores(name)[rows]
        np.testing.assert_allclose(found, values[:, tracks], rtol=0, atol=NOISE[name])
        assert np.median(np.abs(values)) > 100 * NOISE[name]


# --- A genome, its variants, a model ------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """genome.fa, in.vcf and the exported model/."""
    folder = tmp_path_factory.mktemp("scoring")
    contigs = {"chr1": random_contig(12_000, 1), "chr2": random_contig(5000, 2)}
    (folder / "genome.fa").write_text("".join(f">{n}\n{text}\n" for n, text in contigs.items()))
    lines = [
        f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\n" for chrom, pos, ref, alt in rows_of(contigs)
    ]
    (folder / "in.vcf").write_text(HEADER + "".join(lines))
    targets = folder / "human.txt"
    rows = [f"{i}\tENC{i}\tCAGE:cell {i}\n" for i in range(5)]
    targets.write_text("index\tidentifier\tdescription\n" + "".join(rows))
    export_saved_model(random_enformer(), folder / "model", targets={"human": targets})
    return folder


def rows_of(contigs):
    """Substitutions and indels: side by side, far apart, at both ends of both contigs."""

    def row(chrom, pos, n_ref, alt=None):
        ref = contigs[chrom][pos - 1 : pos - 1 + n_ref]
        return chrom, pos, ref, alt or ref.translate(str.maketrans("ACGT", "CGTA"))

    rows = [row("chr1", pos, 1) for pos in (1, 300, 5000, 5001, 5064, 5128, 5129, 5300, 12_000)]
    rows += [
        row("chr1", 6000, 1, "ACGTTGCA"),
        row("chr1", 6010, 40, "T"),
        row("chr1", 6100, 3, "CCA"),
    ]
    rows += [row("chr1", 6200, 2), row("chr1", 6300, 70), row("chr1", 6400, 140)]
    rows += [row("chr1", 11_990, 11, "G"), row("chr2", 2, 1, "TTTT"), row("chr2", 4999, 2)]
    rows += [row("chr2", pos, 1) for pos in range(2500, 2800, 25)]
    return rows


@pytest.fixture(scope="module")
def contigs(folder):
    with pysam.FastaFile(str(folder / "genome.fa")) as fasta:
        return {name: fasta.fetch(name) for name in fasta.references}


@pytest.fixture(scope="module")
def rows(contigs):
    return rows_of(contigs)


@pytest.fixture(scope="module")
def saved_model(folder):
    return tf.saved_model.load(str(folder / "model"))


def run(binary, folder, **settings):
    """Runs a binary in a folder."""
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return subprocess.run(
        [sys.executable, ROOT / "bin" / binary, *flags],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )


def score(folder, **settings):
    files = {"model": "model", "fasta": "genome.fa", "vcf": "in.vcf", "output": "scores.h5"}
    return run("variants_score.py", folder, **(files | FLAGS | settings))


@pytest.fixture(scope="module")
def whole(folder):
    """The runs that others are compared with, by their mode."""
    done = {
        mode: score(folder, output=f"{mode}.h5", windows=mode) for mode in ("centred", "shared")
    }
    assert [run.returncode for run in done.values()] == [0, 0], done
    return done


# --- Tests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["centred", "shared"])
def test_scores_are_those_of_two_plain_passes(folder, whole, saved_model, contigs, rows, mode):
    with ScoreStore(folder / f"{mode}.h5") as store:
        assert store.n_rows == len(rows)
        assert_scores(store, plain_scores(saved_model.predict_on_batch, contigs, rows, mode))


@pytest.mark.parametrize("mode", ["centred", "shared"])
def test_every_row_was_checked_and_the_deviation_is_reported(whole, rows, mode):
    out = whole[mode].stdout
    assert out.splitlines()[0] == f"{mode}.h5: {len(rows)} rows (OK {len(rows)})"
    found = re.search(
        rf"self-check of {len(rows)} rows: largest deviation SAD (\S+), SAR (\S+), tCRA (\S+)$",
        out,
        re.MULTILINE,
    )
    for name, deviation in zip(STATISTICS, found.groups(), strict=True):
        assert float(deviation) <= NOISE[name]


def test_shards_make_the_same_bytes_as_the_whole(folder, whole):
    for index in range(2):
        done = score(
            folder,
            output=f"part{index}.h5",
            windows="shared",
            num_shards=2,
            shard_index=index,
        )
        assert done.returncode == 0, done.stderr
    merged = run("variants_merge.py", folder, inputs="part0.h5,part1.h5", output="merged.h5")
    assert merged.returncode == 0, merged.stderr
    assert (folder / "merged.h5").read_bytes() == (folder / "shared.h5").read_bytes()


class Interrupted(Exception):
    """Stands for whatever ends a run."""


class FailingEngine:
    """A real engine that fails at its third call."""

    def __init__(self, engine):
        self._engine, self._calls = engine, 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def score(self, windows):
        self._calls += 1
        if self._calls == 3:
            raise Interrupted
        return self._engine.score(windows)


@pytest.mark.parametrize("mode", ["centred", "shared"])
def test_a_resumed_run_makes_the_same_bytes_as_the_whole(folder, whole, rows, mode, monkeypatch):
    monkeypatch.chdir(folder)
    config = ScoringConfig(
        model=Path("model"),
        fasta=Path("genome.fa"),
        vcf=Path("in.vcf"),
        output=Path(f"{mode}_resumed.h5"),
        windows=mode,
        **FLAGS,
    )

    def failing(config):
        loaded = load_engine(config)
        return replace(loaded, engine=FailingEngine(loaded.engine))

    with pytest.raises(Interrupted):
        score_variants(config, failing)
    summary = score_variants(config, load_engine)
    # Two steps of two batches each were done.
    assert summary.n_resumed == 2 * 2 * 2
    assert summary.check.n_rows == len(rows)
    assert config.output.read_bytes() == (folder / f"{mode}.h5").read_bytes()


def test_another_head_and_some_tracks(folder, saved_model, contigs, rows):
    (folder / "two.txt").write_text("index\tidentifier\tdescription\n2\tc\tC\n0\ta\tA\n")
    done = score(folder, output="mouse.h5", organism="mouse", targets="two.txt")
    assert done.returncode == 0, done.stderr
    expected = plain_scores(saved_model.predict_on_batch, contigs, rows, "centred", "mouse")
    with ScoreStore(folder / "mouse.h5") as store:
        assert list(store.target_ids) == ["c", "a"]
        assert_scores(store, expected, tracks=[2, 0])


def test_a_foreign_model_needs_permission_and_is_then_scored(folder, contigs, rows):
    save_linear_model(folder / "linear")
    settings = {"model": "linear", "output": "linear.h5"}
    refused = score(folder, **settings)
    assert refused.returncode == 4
    last = refused.stderr.splitlines()[-1]
    assert "enformer_export.py --checkpoint=linear --output=linear_tfgen" in last
    assert not (folder / "linear.h5").exists()
    done = score(folder, **settings, allow_untrusted_model=True)
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"^running the foreign SavedModel linear, sha256 [0-9a-f]{64}$", done.stderr, re.M
    )
    with ScoreStore(folder / "linear.h5") as store:
        found = store.scores("SAD")
    for row, (chrom, pos, ref, alt) in zip(found, rows, strict=True):
        reference, alternative = (
            linear_predictions(np.array(["ACGTN".index(base) for base in text]))
            for text in short_sequences(contigs[chrom], pos, ref, alt)
        )
        np.testing.assert_array_equal(row, (alternative - reference).sum(axis=0))


def short_sequences(contig, pos, ref, alt):
    """The centred 1,280 bases that the linear model reads."""
    reference, alternative = sequences(contig, pos, ref, alt, pos - 1 - INPUT // 2)
    middle = slice(INPUT // 2 - 640, INPUT // 2 + 640)
    return reference[middle], alternative[middle]


def test_published_weights_that_are_missing_say_what_to_do(folder, monkeypatch):
    monkeypatch.setenv("TFGEN_MODELS", str(folder / "models"))
    done = score(folder, model="enformer", output="enformer.h5")
    assert done.returncode == 3
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: the weights of 'enformer' are not in ")
    assert "curl -L -o enformer_weights/enformer-fine-tuned-human-1.index https://" in line
    assert f"--output={folder}/models/enformer" in line


def test_real_variants_on_a_real_genome(folder, saved_model, shared_data):
    vcf = shared_data("haplotypes/shapeit4_chr20_b37/reference.vcf.gz")
    fasta = shared_data("genome/GRCh37_chr20_900k_4100k.fa.gz")
    with gzip.open(vcf, "rt") as lines:
        head = list(first_records(lines, 200))
    (folder / "chr20.vcf").write_text("".join(head))
    records = [line.split("\t")[:5] for line in head if not line.startswith("#")]
    rows = [(chrom, int(pos), ref, alt) for chrom, pos, _, ref, alt in records]
    kinds = Counter(len(ref) == len(alt) for _, _, ref, alt in rows)
    assert kinds == {True: 196, False: 4}
    done = score(
        folder, fasta=fasta, vcf="chr20.vcf", output="chr20.h5", windows="shared", batch_size=16
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("chr20.h5: 200 rows (OK 200)\n")
    assert "self-check of 200 rows" in done.stdout
    with pysam.FastaFile(str(fasta)) as genome:
        # The first 4.2 Mb hold all that is not N.
        contigs = {"20": genome.fetch("20", 0, 4_200_000).upper()}
    some = [*range(0, 200, 25), *(i for i, row in enumerate(rows) if len(row[2]) != len(row[3]))]
    expected = plain_scores(
        saved_model.predict_on_batch, contigs, [rows[i] for i in some], "shared"
    )
    with ScoreStore(folder / "chr20.h5") as store:
        assert_scores(store, expected, rows=some)


def first_records(lines, n):
    """The header and the first n records of a VCF."""
    for line in lines:
        if not line.startswith("#"):
            n -= 1
        if n < 0:
            return
        yield line
