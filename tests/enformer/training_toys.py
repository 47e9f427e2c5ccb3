"""A tiny model and a tiny genome whose coverage follows from its sequence."""

import numpy as np

from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.model import Enformer
from tfgen.enformer.sampling import Contig

TABLE = np.eye(5, 4, dtype=np.float32)


def tiny_config(**changes):
    """Four bins, of which the two in the middle are predicted; no dropout."""
    settings = {
        "channels": 12,
        "num_transformer_layers": 1,
        "num_heads": 2,
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
    """A model with the same weights for the same seed, none of them zero."""
    model = Enformer(tiny_config(**changes))
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        shape = variable.shape.as_list()
        spread = 0.1 if len(shape) == 1 else np.prod(shape[:-1]) ** -0.5
        centre = 1.0 if variable.name.startswith("scale") else 0.0
        variable.assign(rng.normal(centre, spread, shape).astype(np.float32))
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
