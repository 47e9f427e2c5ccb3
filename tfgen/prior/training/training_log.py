"""The log of a fit: a CSV file, TensorBoard events, and arrays to draw."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfgen.errors import UsageError
from tfgen.io import write_text
from tfgen.prior.training.fit_state import EpochRecord

COLUMNS = ("fold", "epoch", "step", "training_nll_per_z", "held_out_nll_per_z", "gradient_norm")


def write_log(
    path: Path, traits: Sequence[str], folds: Sequence[tuple[str, Sequence[EpochRecord]]]
) -> None:
    """Writes one row per epoch and fold, with sigma of every trait and the faults.

    Raises:
        OutputError: The file cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*COLUMNS, *(f"sigma_{trait}" for trait in traits), "faults"])
    for name, records in folds:
        for record in records:
            numbers = (record.training, record.held_out, record.gradient_norm)
            cells = [_cell(x) for x in numbers]
            sigma = [_cell(x) for x in record.sigma]
            rows.writerow([name, record.epoch, record.step, *cells, *sigma, record.faults])
    write_text(path, text.getvalue())


class EventLog:
    """TensorBoard events of one fold.

    Args:
        folder: Where the events go.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import tensorboard  # noqa: F401  tf.summary fails late and less clearly
        except ImportError:
            raise UsageError("--tensorboard needs TensorBoard: pip install 'tfgen[log]'") from None
        import tensorflow as tf

        self._tf: Any = tf
        self._writer = tf.summary.create_file_writer(str(folder))

    def add(self, record: EpochRecord) -> None:
        """Writes the numbers of an epoch."""
        with self._writer.as_default(step=record.epoch):
            self._tf.summary.scalar("nll_per_z/training", record.training)
            if not math.isnan(record.held_out):
                self._tf.summary.scalar("nll_per_z/held_out", record.held_out)
            for i, sigma in enumerate(record.sigma):
                self._tf.summary.scalar(f"sigma/{i}", sigma)
        self._writer.flush()


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.8g}"
