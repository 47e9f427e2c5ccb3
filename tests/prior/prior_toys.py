"""Small priors and features for the tests of the models."""

import dataclasses

import numpy as np

from tfgen.prior.heads.head_config import FeatureShape, HeadConfig, TraitScale
from tfgen.prior.heads.prior_model import build_prior
from tfgen.prior.heads.standardise import Standardiser

SHAPE = FeatureShape(("coding", "conserved", "score"), ("dnase", "h3k27ac"), 16)
SCALARS = FeatureShape(SHAPE.annotation_names)
TRAITS = (TraitScale("height", 4e5, 1e6), TraitScale("bmi", 3e5, 1e6))

CONFIGS = {
    "constant": HeadConfig(arch="constant"),
    "linear": HeadConfig(arch="linear"),
    "linear-flat": HeadConfig(arch="linear", average_tracks=False, freq_mode="trained"),
    "softplus": HeadConfig(arch="linear", link="softplus"),
    "relu": HeadConfig(arch="linear", link="relu"),
    "enrichment": HeadConfig(
        arch="enrichment",
        enrich_indices=(0, 2),
        enrich_values=(1.5, -0.5),
        enrich_thresholds=(0.0, 0.5),
        enrich_window=4,
    ),
    "mlp": HeadConfig(arch="mlp", hidden=(8, 5), dropout=0.2),
    "mlp-flat": HeadConfig(arch="mlp", hidden=(4,), average_tracks=False, freq_mode="off"),
    "conv": HeadConfig(arch="conv", hidden=(8,), dim=6, dropout=0.2),
    "conv-deep": HeadConfig(arch="conv", hidden=(), dim=4, depth=6),
    "transformer": HeadConfig(arch="transformer", dim=24, target_length=4, dropout=0.3),
}


def features(n, shape=SHAPE, seed=0, missing=0.2):
    """Inputs of `n` variants as numpy arrays; a share of the annotations is missing."""
    generator = np.random.default_rng(seed)
    annotations = generator.normal(2.0, 3.0, (n, shape.n_annotations)).astype(np.float32)
    # The last annotation is always there.
    absent = generator.random(annotations.shape) < missing
    absent[:, -1:] = False
    annotations[absent] = np.nan
    inputs = {
        "annotations": annotations,
        "frequency": generator.uniform(0.01, 0.99, n).astype(np.float32),
    }
    if shape.track_names:
        size = (n, shape.length, shape.n_tracks)
        inputs["tracks"] = generator.normal(1.0, 2.0, size).astype(np.float32)
    return inputs


def rows(inputs, chosen):
    """Some of the variants."""
    return {name: values[chosen] for name, values in inputs.items()}


def fitted(shape=SHAPE):
    """A standardiser of the toy features."""
    inputs = features(200, shape, seed=99)
    return Standardiser.fit([(inputs["annotations"], inputs.get("tracks"))], shape)


def prior(config, shape=SHAPE, traits=TRAITS, standardiser=None, seed=1):
    """A model with random weights everywhere, also where training would start from 0."""
    if isinstance(config, str):
        config = CONFIGS[config]
    model = build_prior(config, shape, traits, standardiser or fitted(shape), seed)
    shake(model)
    return model


def shake(model, seed=5):
    """Moves every weight by a little."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(weight.value.numpy() + generator.normal(0.0, 0.1, weight.shape))


def without_dropout(config):
    """The same architecture without dropout."""
    return dataclasses.replace(config, dropout=0.0)
