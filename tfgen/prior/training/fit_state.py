"""What a fit needs to go on where it was killed: one file, replaced by rename."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import InputMismatchError, OutputError
from tfgen.io import publish
from tfgen.io.npz import pack_arrays, read_arrays

Arrays = list[npt.NDArray[Any]]

CONVERGED_GAIN = 0.05
"""A fit has converged when it may gain at most this much per 1,000 z-scores (`gain_to_come`)."""

_LONGEST_WINDOW = 10
_LARGEST_RATIO = 0.99


@dataclass(frozen=True)
class EpochRecord:
    """One line of the log of a fit.

    Attributes:
        epoch: From 1.
        step: Updates so far.
        training: Mean objective per z-score of the training blocks, while they were learned from.
        held_out: Negative log-likelihood per z-score of the held-out blocks; NaN without any.
        sigma: Noise of every trait.
        gradient_norm: Mean over the updates.
        faults: Matrices that needed jitter, or solves that did not converge.
    """

    epoch: int
    step: int
    training: float
    held_out: float
    sigma: tuple[float, ...]
    gradient_norm: float
    faults: int


@dataclass
class FitState:
    """The state of a fit after some epochs.

    Attributes:
        records: One per epoch.
        best_epoch: The epoch with the best held-out likelihood, 0 for the start.
        best_held_out: Its negative log-likelihood per z-score.
        best: Parameters at that epoch.
    """

    records: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_held_out: float = float("inf")
    best: Arrays = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return len(self.records)

    @property
    def step(self) -> int:
        """Updates that were made."""
        return self.records[-1].step if self.records else 0

    @property
    def converged(self) -> bool:
        """Whether the training objective has no more than `CONVERGED_GAIN` to gain."""
        return gain_to_come([record.training for record in self.records]) <= CONVERGED_GAIN

    def save(self, path: Path, variables: Sequence[tf.Variable], identity: str) -> None:
        """Writes state and variables in one step.

        Args:
            path: The file.
            variables: Everything that training changes.
            identity: What determines the fit; another one's state is refused.

        Raises:
            OutputError: The file cannot be written.
        """
        arrays: dict[str, Any] = {f"variable_{i}": v.numpy() for i, v in enumerate(variables)}
        arrays |= {f"best_{i}": x for i, x in enumerate(self.best)}
        text = {
            "identity": identity,
            "records": [asdict(record) for record in self.records],
            "best_epoch": self.best_epoch,
            "best_held_out": self.best_held_out,
            "sizes": [len(variables), len(self.best)],
        }
        arrays["state"] = np.array(json.dumps(text, sort_keys=True).encode())
        partial = path.with_name(path.name + ".tmp")
        try:
            partial.write_bytes(pack_arrays(arrays))
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written: {error.strerror}; check the folder and its free space"
            ) from error
        publish(partial, path)

    @classmethod
    def load(cls, path: Path, variables: Sequence[tf.Variable], identity: str) -> "FitState":
        """Reads a state and gives the variables their values; a new one where there is no file.

        Raises:
            InputMismatchError: The state is that of another fit, or damaged.
        """
        if not path.exists():
            return cls()
        try:
            return cls._load(path, variables, identity)
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise InputMismatchError(
                f"{path}: is damaged ({error}); remove it, and the fit starts from its first epoch"
            ) from error

    @classmethod
    def _load(cls, path: Path, variables: Sequence[tf.Variable], identity: str) -> "FitState":
        text = json.loads(bytes(read_arrays(path, ["state"])["state"].item()))
        n_variables, n_best = text["sizes"]
        if text["identity"] != identity or n_variables != len(variables):
            raise InputMismatchError(
                f"{path}: is the state of another fit; remove it, or use the settings of that one"
            )
        names = [f"variable_{i}" for i in range(n_variables)] + [f"best_{i}" for i in range(n_best)]
        arrays = read_arrays(path, names)
        for i, variable in enumerate(variables):
            variable.assign(arrays[f"variable_{i}"])
        records = [
            EpochRecord(**{**record, "sigma": tuple(record["sigma"])}) for record in text["records"]
        ]
        best = [arrays[f"best_{i}"] for i in range(n_best)]
        return cls(records, text["best_epoch"], text["best_held_out"], best)


def gain_to_come(objective: Sequence[float]) -> float:
    """What an objective has still to gain per 1,000 z-scores, if its gains go on as they did.

    The last epochs are averaged in three windows. Their gains g1, g2 are taken as a geometric
    series, r = g2 / g1, whose rest is g2 r / (1 - r) (Aitken's extrapolation): EM gains little per
    round where it has far to go, so that the last gain alone says nothing.

    Args:
        objective: Per z-score, one value per epoch, to be minimised.

    Returns:
        The larger of the last gain and of the rest of the series; the last rise if there was one;
        infinity before three epochs.
    """
    width = min(_LONGEST_WINDOW, max(1, len(objective) // 6))
    if len(objective) < 3 * width:
        return float("inf")
    last = 1000.0 * np.array(objective[-3 * width :]).reshape(3, width).mean(1)
    first_gain, last_gain = (float(x) for x in last[:-1] - last[1:])
    if not last_gain > 0:
        return abs(last_gain)
    ratio = last_gain / first_gain if first_gain > 0 else 0.5
    ratio = min(ratio, _LARGEST_RATIO)
    return max(last_gain, last_gain * ratio / (1.0 - ratio))
