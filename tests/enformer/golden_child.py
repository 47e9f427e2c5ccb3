"""Predicts the golden locus with a full-size model in a process of its own.

Run as `golden_child.py ROUTE MODEL DATA`: ROUTE is `checkpoint` or `saved_model`, DATA the folder
of the golden arrays. Prints the largest deviation from every golden array as JSON.
"""

import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfgen.enformer.checkpoint import CheckpointFile
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.model import Enformer

CROP, VARIANT = 98_304, 196_608
HEADS = ("human", "mouse")

Predict = Callable[[np.ndarray], tuple[np.ndarray | None, dict[str, np.ndarray]]]


def locus(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """One-hot reference and alternative (C>T) of 393,216 bp, float32 `[1, 393216, 4]`."""
    lines = gzip.decompress((folder / "CD44_hg38_393216.fa.gz").read_bytes()).decode().splitlines()
    sequence = "".join(lines[1:]).upper()
    assert len(sequence) == 2 * VARIANT
    assert sequence[VARIANT] == "C"
    codes = np.array(["ACGT".index(base) for base in sequence])
    reference = np.eye(4, dtype=np.float32)[codes][np.newaxis]
    alternative = reference.copy()
    alternative[0, VARIANT] = [0, 0, 0, 1]
    return reference, alternative


def from_checkpoint(path: str) -> Predict:
    """Our module, built from what the checkpoint itself tells."""
    file = CheckpointFile(path)
    assert file.config() == EnformerConfig()
    model = Enformer(EnformerConfig())
    file.restore(model)

    @tf.function(autograph=False)
    def call(sequence: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        trunk = model.embed(sequence, False)
        return trunk, {head: model.predict_head(trunk, head) for head in HEADS}

    def predict(sequence: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        trunk, heads = call(tf.constant(sequence[:, CROP:-CROP]))
        return trunk[0].numpy(), {name: value[0].numpy() for name, value in heads.items()}

    return predict


def from_saved_model(path: str) -> Predict:
    """The exported model by TensorFlow alone."""
    model = tf.saved_model.load(path)

    def predict(sequence: np.ndarray) -> tuple[None, dict[str, np.ndarray]]:
        heads = model.predict_on_batch(tf.constant(sequence))
        return None, {name: value[0].numpy() for name, value in heads.items()}

    return predict


def deviations(
    reference: np.ndarray, alternative: np.ndarray, golden: dict[str, np.ndarray], head: str
) -> dict[str, float]:
    """Golden array -> largest absolute difference; predictions are `[896, tracks]`."""
    difference = alternative - reference
    found = {
        "ref_tracks_step97": reference[:, ::97],
        "ref_bins_step64": reference[::64],
        "ref_track_mean": reference.mean(axis=0),
        "ref_bin_mean": reference.mean(axis=1),
        "ref_bins_441_455": reference[441:456],
        "alt_bins_441_455": alternative[441:456],
        "SAD_sum": difference.sum(axis=0),
        "SAR_sum": (np.log2(alternative + 1) - np.log2(reference + 1)).sum(axis=0),
        "SAD_central3": difference[447:450].sum(axis=0),
    }
    return {
        f"{head}_{name}": float(np.abs(value - golden[f"{head}_{name}"]).max())
        for name, value in found.items()
    }


def main(route: str, path: str, data: str) -> None:
    """Prints the deviations, the place of the largest change, and whether the rest matters."""
    folder = Path(data)
    golden = dict(np.load(folder / "golden_cd44.npz"))
    predict = {"checkpoint": from_checkpoint, "saved_model": from_saved_model}[route](path)
    sequence, changed = locus(folder)
    trunk, reference = predict(sequence)
    _, alternative = predict(changed)
    report: dict[str, object] = {}
    for head in HEADS:
        report.update(deviations(reference[head], alternative[head], golden, head))
    if trunk is not None:
        rows = np.load(folder / "golden_trunk_cd44.npz")["trunk_bins_step64"]
        report["trunk_bins_step64"] = float(np.abs(trunk[::64] - rows).max())
    size = np.abs(alternative["human"] - reference["human"])
    bin_, track = np.unravel_index(size.argmax(), size.shape)
    report["largest_change"] = [int(bin_), int(track), float(size.max())]
    if route == "saved_model" and "TF_ENABLE_ONEDNN_OPTS" not in os.environ:
        sequence[:, :CROP] = sequence[:, -CROP:] = 0
        _, without = predict(sequence)
        report["outside_changes_nothing"] = all(
            without[head].tobytes() == reference[head].tobytes() for head in HEADS
        )
    print(json.dumps(report))  # noqa: T201  what the parent reads


if __name__ == "__main__":
    main(*sys.argv[1:])
