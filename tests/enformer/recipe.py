"""Deterministic weights at full size, from the checkpoint keys alone.

The published TF-Hub graph was run with these weights; what it gave is kept as golden arrays.
"""

import zlib
from collections.abc import Mapping

import numpy as np

from tfgen.enformer.keys import KEY_SUFFIX, published_variables
from tfgen.enformer.model import Enformer


def recipe_value(key: str, shape: list[int], averages: Mapping[str, np.ndarray]) -> np.ndarray:
    """The values of one variable.

    Args:
        key: Its key in the hub layout, root included, without the suffix.
        shape: Its shape.
        averages: Moving averages by their keys.
    """
    parent, _, last = key.rpartition("/")
    if last == "_counter":
        return np.asarray(100, np.int64)
    if last in ("average", "_hidden"):
        return averages[f"{parent}/average"]
    # The legacy generator: its numbers are the same in every NumPy.
    generator = np.random.RandomState(zlib.crc32(key.encode()))
    z = generator.standard_normal(shape).astype(np.float32)
    if last == "scale":
        return 1 + np.float32(0.1) * z
    if last in ("offset", "b", "_r_w_bias", "_r_r_bias"):
        return np.float32(0.1) * z
    if "_logit_linear" in key:
        return (2 * np.eye(shape[0]) + 0.01 * z).astype(np.float32)
    return (z / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


def apply_recipe(model: Enformer, averages: Mapping[str, np.ndarray]) -> None:
    """Sets every variable of a full-size model."""
    for item in published_variables(model):
        key = item.key("hub").removesuffix(KEY_SUFFIX)
        item.variable.assign(recipe_value(key, item.variable.shape.as_list(), averages))
