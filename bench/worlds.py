"""Models and windows for the benchmarks, made up: the cost does not depend on the weights."""

import numpy as np
import tensorflow as tf

from tfgen.effects.windows import WindowGeometry
from tfgen.enformer.config import BIN_SIZE, EnformerConfig
from tfgen.enformer.model import Enformer
from tfgen.genome import Interval, Variant, VariantWindow, decode, one_hot_table

_CALIBRATION_BINS = 128
_SPREAD = 0.02


def calibrated_model(config: EnformerConfig, seed: int = 0) -> Enformer:
    """An Enformer with random weights whose activations have the size of a trained one's.

    Attention outputs start at zero, so they are drawn as well; batch-norm averages are those of
    one random sequence.
    """
    tf.random.set_seed(seed)
    model = Enformer(config)
    for block in model.blocks:
        weights = block.attention.embedding_layer.w
        weights.assign(tf.random.normal(weights.shape, stddev=_SPREAD, seed=seed))
    bases = _CALIBRATION_BINS * BIN_SIZE
    sequence = one_hot_table()[random_codes(bases, seed)][np.newaxis]
    x = model.tower(tf.constant(sequence), True)
    model.final(x, True)
    return model


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
