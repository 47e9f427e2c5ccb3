"""The demo: a world, a model trained on it, and held-out variants scored and compared.

Every part is the one that users of real data call: `make_world` stands for their data,
`tfgen.enformer.training` trains, `export_saved_model` exports and `score_variants` scores.
"""

import dataclasses
import shutil
import time
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfgen.errors import OutputError
from tfgen.io import OutputLock, RunReport, library_versions, write_json
from tfgen.synthetic.config import WorldConfig
from tfgen.synthetic.effects import TrueEffects, write_vcf
from tfgen.synthetic.scorecard import Scorecard, score_card, select
from tfgen.synthetic.variants import WorldVariant
from tfgen.synthetic.world import World, make_world

if TYPE_CHECKING:
    from tfgen.effects import ScoreSummary
    from tfgen.enformer.metrics import Correlation
    from tfgen.enformer.model import Enformer
    from tfgen.enformer.training import TrainingConfig, TrainingData

_PARTS = (
    "report.json",
    "run.json",
    "effects.png",
    "correlations.png",
    "tracks.png",
    "variant.png",
    "training.png",
    "scores.h5",
    "scores.h5.run.json",
    "scores.h5.rejects.tsv",
    "held_out.vcf.gz",
    "held_out.vcf.gz.tbi",
    "untrained",
    "model",
    "training",
    "world",
)
"""What a demo consists of; `report.json` comes last and goes first."""

_VERIFIED = 0.05
_QUICK_STEPS = 30


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
    progress: str = field(
        default="auto",
        metadata={
            "help": "How progress is shown on stderr.",
            "choices": ("auto", "bar", "lines", "none"),
        },
    )
