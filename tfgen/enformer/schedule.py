"""The learning rate as a function of the step."""

import dataclasses
import math
from typing import Literal

from tfgen.errors import UsageError

Decay = Literal["constant", "cosine"]


@dataclasses.dataclass(frozen=True)
class LearningRate:
    """Linear warm-up, then a constant rate or a cosine decay to zero.

    The published training warms up over 5,000 steps to 5e-4 and stays there. It makes its first
    update with rate zero; here step 0 already learns, with `peak / warmup_steps`.

    Attributes:
        peak: Rate after the warm-up.
        warmup_steps: Steps of the warm-up; 0 starts at the peak.
        decay: `constant`, or `cosine` to zero at `total_steps`.
        total_steps: Steps in all.

    Raises:
        UsageError: A value is out of range.
    """

    peak: float
    warmup_steps: int
    decay: Decay
    total_steps: int

    def __post_init__(self) -> None:
        if not (self.peak > 0 and math.isfinite(self.peak)):
            raise UsageError(f"learning rate is {self.peak}; expected a positive number")
        if self.decay not in ("constant", "cosine"):
            raise UsageError(f"decay is {self.decay!r}; use constant or cosine")
        if not 0 <= self.warmup_steps <= self.total_steps:
            raise UsageError(
                f"warmup_steps is {self.warmup_steps}; expected 0 to the {self.total_steps} steps "
                "of the run"
            )

    def at(self, step: int) -> float:
        """The rate of the update that is made in `step`, counted from 0."""
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        if self.decay == "constant":
            return self.peak
        done = (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps)
        return self.peak * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
