"""The small Enformer of the demo: its architecture and how it is trained on a world."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.model import Enformer
from tfgen.enformer.batch_statistics import reestimate_statistics
from tfgen.enformer.head_bias import set_head_bias
from tfgen.enformer.sampling import Contig, WindowSampler
from tfgen.enformer.training import TrainingConfig, TrainingData, TrainingResult, train
from tfgen.genome import Fasta, Interval, one_hot_table
from tfgen.synthetic.config import WorldConfig
from tfgen.synthetic.world import World

HEAD = "human"
"""The head that `variants_score.py` takes by default."""
