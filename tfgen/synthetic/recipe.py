"""The small Enformer of the demo: its architecture, and how it is trained on a world."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfgen.enformer.batch_statistics import reestimate_statistics
from tfgen.enformer.config import BIN_SIZE, EnformerConfig
from tfgen.enformer.head_bias import set_head_bias
from tfgen.enformer.model import Enformer
from tfgen.enformer.sampling import Contig, WindowSampler
from tfgen.enformer.training import TrainingConfig, TrainingData, TrainingResult, train
from tfgen.genome import Fasta, Interval, one_hot_table
from tfgen.synthetic.config import Split
from tfgen.synthetic.world import World

HEAD = "human"
"""The head that variants are scored with by default."""

_STATISTICS_BATCHES = 64


def demo_architecture(world: World, channels: int) -> EnformerConfig:
    """An Enformer for the window of a world.

    Max pooling, the other pooling of the published code, finds the motifs of so small a genome in
    less than half of the steps that attention pooling needs.

    Args:
        world: Gives the window and the tracks.
        channels: Width C, a multiple of 24.
    """
    return EnformerConfig(
        channels=channels,
        num_transformer_layers=2,
        num_heads=4,
        key_size=16,
        heads=((HEAD, len(world.tracks)),),
        sequence_length=world.config.sequence_length,
        target_length=world.config.target_length,
        pooling_type="max",
        divisible_by=8,
        basis_length=world.config.sequence_length // BIN_SIZE,
        position_basis="float64",
        dropout_rate=0.05,
        attention_dropout_rate=0.0,
        positional_dropout_rate=0.0,
    )


def demo_training(steps: int, seed: int, batch_size: int) -> TrainingConfig:
    """The recipe of the demo: the published one, shortened by a higher rate that falls to zero.

    Args:
        steps: Updates to make.
        seed: Seed of the training.
        batch_size: Windows per update.
    """
    log_every = max(1, steps // 40)
    return TrainingConfig(
        steps=steps,
        batch_size=batch_size,
        learning_rate=2e-3,
        warmup_steps=min(100, steps // 4),
        decay="cosine",
        seed=seed,
        log_every=log_every,
        validate_every=4 * log_every,
        checkpoint_every=0,
    )


def new_model(architecture: EnformerConfig, data: TrainingData, seed: int) -> Enformer:
    """An untrained model that predicts about the mean of every track.

    Sets TensorFlow's global seed: the initial weights are drawn from its generator.
    """
    tf.random.set_seed(seed)
    model = Enformer(architecture)
    coverage = np.concatenate([contig.coverage for contig in data.train])
    set_head_bias(model, HEAD, coverage.mean(axis=0, dtype=np.float64))
    return model


def training_data(world: World) -> TrainingData:
    """Genome and observed coverage of the training and validation chromosomes, in memory."""
    return TrainingData(
        train=contigs(world, "train"),
        valid=contigs(world, "valid"),
        tracks=[track.identifier for track in world.tracks],
        one_hot_table=one_hot_table(),
    )


def contigs(world: World, split: Split) -> Sequence[Contig]:
    """Sequence and observed coverage of the chromosomes of a split."""
    with Fasta(world.fasta) as fasta:
        return [
            Contig(fasta.codes(Interval(c.name, 0, c.length)), np.array(world.coverage(c.name)))
            for c in world.chromosomes(split)
        ]


def fit(
    model: Enformer, data: TrainingData, recipe: TrainingConfig, directory: Path, progress: str
) -> TrainingResult:
    """Trains a model in place, then takes its batch-norm statistics from a larger sample.

    Args:
        model: The model.
        data: What it is trained on.
        recipe: How it is trained.
        directory: Folder of the run: log and checkpoint.
        progress: Mode of `tfgen.io.Progress`.
    """
    result = train(model, data, HEAD, recipe, directory, progress=progress)
    sampler = WindowSampler(
        data.train, model.config, recipe.batch_size, recipe.seed + 1, recipe.augmentation
    )
    batches = (sampler.batch(step) for step in range(_STATISTICS_BATCHES))
    reestimate_statistics(model, batches, data.one_hot_table)
    return result
