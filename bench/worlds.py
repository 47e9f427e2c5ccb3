"""Models and windows for the benchmarks, made up: the cost does not depend on the weights."""

import numpy as np
import tensorflow as tf

from tfgen.effects.windows import WindowGeometry
from tfgen.enformer.config import BIN_SIZE, EnformerConfig
from tfgen.enformer.model import Enformer
from tfgen.genome import Interval, Variant, VariantWindow, decode, one_hot_table

_CALIBRATION_BINS = 128
_SPREAD = 0.1
_BACKGROUND = -1.5  # softplus makes 0.2 of it: most of a genome is background


def calibrated_model(config: EnformerConfig, seed: int = 0) -> Enformer:
    """An Enformer with random weights that neither damps nor blows up what passes through it.

    Matrices have variance 1 / fan-in, pooling logits start at twice the identity as published;
    batch-norm averages, the last one's after the transformer too, are those of one random sequence.
    Biases of the heads put predictions at the level of background.
    """
    model = Enformer(config)
    draws = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(_weights(variable.name, variable.shape.as_list(), draws))
    bases = _CALIBRATION_BINS * BIN_SIZE
    sequence = one_hot_table()[random_codes(bases, seed)][np.newaxis]
    x = model.tower(tf.constant(sequence), True)
    for block, keys in zip(model.blocks, model.relative_keys(), strict=True):
        x = block(x, False, keys)
    model.final(x, True)
    for head in model.heads.values():
        head.b.assign_add(tf.fill(head.b.shape, _BACKGROUND))
    return model


def _weights(path: str, shape: list[int], draws: np.random.Generator) -> np.ndarray:
    """Random values of the variable called `path`."""
    z = draws.standard_normal(shape, np.float32)
    name = path.rpartition("/")[2].partition(":")[0]
    if name == "scale":
        return 1 + np.float32(_SPREAD) * z
    if name != "w":
        return np.float32(_SPREAD) * z
    if "softmax_pooling" in path:
        return 2 * np.eye(shape[0], dtype=np.float32) + np.float32(_SPREAD / 10) * z
    return z / np.float32(np.sqrt(np.prod(shape[:-1])))


def random_codes(length: int, seed: int) -> np.ndarray:
    """uint8 `[length]`: random bases."""
    return np.random.default_rng(seed).integers(0, 4, length, dtype=np.uint8)


def shared_windows(config: EnformerConfig, n: int, seed: int = 1) -> list[VariantWindow]:
    """`n` random substitutions that share one window, within one tile of its middle."""
    codes = random_codes(config.sequence_length, seed)
    geometry = WindowGeometry(config.sequence_length, config.target_length)
    middle, reach = config.sequence_length // 2, geometry.tile_stride // 2
    draws = np.random.default_rng(seed + 1)
    offsets = np.sort(draws.choice(np.arange(middle - reach, middle + reach), n, replace=False))
    return [_window(codes, int(offset), int(draws.integers(1, 4))) for offset in offsets]


def centred_windows(config: EnformerConfig, n: int, seed: int = 5) -> list[VariantWindow]:
    """`n` substitutions, each in the middle of a window of its own."""
    middle = config.sequence_length // 2
    return [
        _window(random_codes(config.sequence_length, seed + i), middle, 1 + i % 3, chrom=f"c{i}")
        for i in range(n)
    ]


def _window(codes: np.ndarray, offset: int, shift: int, chrom: str = "c") -> VariantWindow:
    alternative = codes.copy()
    alternative[offset] = (codes[offset] + shift) % 4
    alleles = decode(codes[offset : offset + 1]), decode(alternative[offset : offset + 1])
    return VariantWindow(
        variant=Variant(chrom, offset + 1, *alleles),
        window=Interval(chrom, 0, len(codes)),
        offset=offset,
        ref_codes=codes,
        alt_codes=alternative,
        swapped=False,
        n_padded=0,
        n_fraction=0.0,
    )
