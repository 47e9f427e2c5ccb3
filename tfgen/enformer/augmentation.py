"""Random shifts and strands of training windows."""

import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import UsageError

_PURPOSE = 1
"""Keeps these random numbers apart from others of the same seed."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How windows are varied, as in the published training of Enformer.

    Attributes:
        max_shift: Largest shift of the sequence in bases, either way; the targets stay.
        reverse_complement: Whether half of the windows are read from the other strand.

    Raises:
        UsageError: `max_shift` is negative.
    """

    max_shift: int = 3
    reverse_complement: bool = True

    def __post_init__(self) -> None:
        if self.max_shift < 0:
            raise UsageError(f"max_shift is {self.max_shift}; expected 0 or more bases")

    def draw(
        self, seed: int, step: int, number: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Shifts in bases and strands (True: the other one), both `[number]`.

        They depend on `seed` and `step` alone, so a resumed run draws what it would have drawn.
        """
        rng = np.random.default_rng((seed, _PURPOSE, step))
        shifts = rng.integers(-self.max_shift, self.max_shift + 1, number)
        other_strand = rng.integers(0, 2, number) == 1
        return shifts, other_strand & self.reverse_complement


def reverse_windows(
    sequence: tf.Tensor, target: tf.Tensor, other_strand: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads some windows from the other strand.

    Args:
        sequence: One-hot `[batch, length, 4]`, columns A C G T: reversing them complements.
        target: `[batch, bins, tracks]`; unstranded tracks, reversed along the bins.
        other_strand: bool `[batch]`.

    Returns:
        Sequence and target of the same shapes.
    """
    chosen = other_strand[:, tf.newaxis, tf.newaxis]
    return (
        tf.where(chosen, sequence[:, ::-1, ::-1], sequence),
        tf.where(chosen, target[:, ::-1], target),
    )
