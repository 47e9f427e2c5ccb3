"""What decides the demo."""

import dataclasses
from dataclasses import field
from pathlib import Path

from tfgen.effects.config import ProgressMode
from tfgen.synthetic.config import WorldConfig

_STEPS, _CHANNELS, _BATCH = 4200, 96, 8
_QUICK_STEPS, _QUICK_CHANNELS, _QUICK_BATCH = 30, 24, 4


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """What the demo does; each field is a flag.

    Attributes:
        output: Folder of the demo.
        overwrite: Replace a former demo.
        quick: A tiny world and a few steps.
        steps: Training steps; 0 takes those of the demo.
        seed: Seed of world and training.
        progress: Mode of `tfgen.io.Progress`.
    """

    output: Path = field(metadata={"help": "Folder for the demo."})
    overwrite: bool = field(default=False, metadata={"help": "Replace a former demo there."})
    quick: bool = field(
        default=False,
        metadata={"help": "Only see that everything runs: a tiny world, a few steps, no skill."},
    )
    steps: int = field(
        default=0, metadata={"help": "Training steps; 0 takes those of the demo.", "lower": 0}
    )
    seed: int = field(default=1, metadata={"help": "Seed of world and training.", "lower": 0})
    progress: ProgressMode = field(
        default="auto", metadata={"help": "How progress is shown on stderr."}
    )

    @property
    def world(self) -> WorldConfig:
        """The world of the demo."""
        if not self.quick:
            return WorldConfig(seed=self.seed)
        return WorldConfig(
            seed=self.seed,
            chromosomes=("chrA:512000:train", "chrC:192000:test", "chrD:64000:valid"),
            gap_length=1000,
            test_variants=80,
            other_variants=8,
        )

    @property
    def training_steps(self) -> int:
        """Training steps to make."""
        return self.steps or (_QUICK_STEPS if self.quick else _STEPS)

    @property
    def channels(self) -> int:
        """Width of the model."""
        return _QUICK_CHANNELS if self.quick else _CHANNELS

    @property
    def batch_size(self) -> int:
        """Windows per training step."""
        return _QUICK_BATCH if self.quick else _BATCH
