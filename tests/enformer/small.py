"""Small Enformers with random variables, and the one-hot sequences to feed them."""

import numpy as np
import tensorflow as tf

from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.keys import published_variables
from tfgen.enformer.layers import Linear
from tfgen.enformer.model import Enformer

SMALL = EnformerConfig(
    channels=96,
    num_transformer_layers=2,
    num_heads=4,
    heads=(("human", 7), ("mouse", 3)),
    sequence_length=4096,
    target_length=16,
    divisible_by=8,
    basis_length=32,
    key_size=16,
)

TINY = EnformerConfig(
    channels=24,
    num_transformer_layers=2,
    num_heads=2,
    heads=(("human", 3),),
    sequence_length=1024,
    target_length=4,
    divisible_by=4,
    basis_length=16,
    position_basis="float64",
    key_size=5,
)


def randomise(model: Enformer, seed: int = 0) -> Enformer:
    """Draws every variable, moving averages too, so that no term of a formula is hidden by 0 or 1.

    Position weights and biases are large, so that a wrong distance shows.
    """
    rng = np.random.default_rng(seed)
    for item in published_variables(model):
        shape = item.variable.shape.as_list()
        z = rng.standard_normal(shape)
        match item.sonnet.rpartition("/")[2]:
            case "_counter":
                value = np.asarray(100)
            case "scale":
                value = 1 + 0.2 * z
            case "offset" | "b" | "_r_w_bias" | "_r_r_bias":
                value = 0.3 * z
            case "average" | "_hidden" if "moving_variance" in item.sonnet:
                value = np.exp(0.3 * z)
            case "average" | "_hidden":
                value = 0.3 * z
            case "w" if "_logit_linear" in item.sonnet:
                value = 2 * np.eye(shape[0]) + z / shape[0]
            case _:
                gain = 3 if "_r_k_layer" in item.sonnet else 1
                value = gain * z / np.sqrt(np.prod(shape[:-1]))
        item.variable.assign(value)
    return model


def random_one_hot(batch: int, length: int, seed: int = 0) -> np.ndarray:
    """One-hot sequences, float32 `[batch, length, 4]`, one base in twenty unknown (zeros)."""
    rng = np.random.default_rng(seed)
    letters = np.concatenate([np.eye(4), np.zeros((1, 4))]).astype(np.float32)
    return letters[rng.choice(5, size=(batch, length), p=[0.25, 0.25, 0.25, 0.2, 0.05])]


def values_of(model: Enformer) -> dict[str, np.ndarray]:
    """All variables by their Sonnet path."""
    return {item.sonnet: item.variable.numpy() for item in published_variables(model)}


def in_a_graph(config: EnformerConfig) -> tuple[Enformer, tf.Graph]:
    """A model whose variables have shapes but no memory, for counting at full size."""
    Linear(1, 1)  # Sonnet looks once whether TensorFlow runs eagerly
    graph = tf.Graph()
    with graph.as_default():
        return Enformer(config), graph
