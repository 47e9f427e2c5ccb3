"""A tiny model and a tiny genome whose coverage follows from its sequence."""

import numpy as np
import tensorflow as tf

from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.model import Enformer
from tfgen.enformer.sampling import Contig

TABLE = np.eye(5, 4, dtype=np.float32)


def tiny_config(**changes):
    """Four bins, of which the two in the middle are predicted; no dropout."""
    settings = {
        "channels": 12,
        "num_transformer_layers": 1,
        "num_heads": 1,
        "heads": (("human", 3), ("mouse", 2)),
        "sequence_length": 512,
        "target_length": 2,
        "divisible_by": 2,
        "basis_length": 4,
        "position_basis": "float64",
        "key_size": 4,
        "dropout_rate": 0.0,
        "attention_dropout_rate": 0.0,
        "positional_dropout_rate": 0.0,
    }
    return EnformerConfig(**{**settings, **changes})


def tiny_model(seed=1, **changes):
    """A model with the same weights for the same seed."""
    model = Enformer(tiny_config(**changes))
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        noise = rng.normal(0, 0.05, variable.shape.as_list())
        variable.assign(tf.zeros_like(variable) + noise.astype(np.float32))
    for variable in model.trainable_variables:
        if variable.name.startswith("scale"):
            variable.assign_add(tf.ones_like(variable))
    return model


def contig(seed=1, n_bins=40, n_tracks=3):
    """Random bases; coverage counts A, C, G of the bin."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, n_bins * 128).astype(np.uint8)
    counts = [(codes.reshape(n_bins, 128) == base).sum(axis=1) for base in range(n_tracks)]
    return Contig(codes, (np.stack(counts, axis=1) / 32).astype(np.float32))


def weights(model):
    """Copies of all variables."""
    return [variable.numpy().copy() for variable in model.variables]
