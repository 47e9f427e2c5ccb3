"""The statistics of `tfgen.effects.statistics` as TensorFlow operations, for the engines."""

from collections.abc import Sequence

import tensorflow as tf

from tfgen.effects.statistics import STATISTICS
from tfgen.effects.windows import WindowGeometry, WindowMode
from tfgen.enformer.config import BIN_SIZE
from tfgen.errors import UsageError


def tensor_statistics(
    names: Sequence[str], reference: tf.Tensor, alternative: tf.Tensor, first_bin: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Statistics of one variant; differences in float32, sums over bins in float64.

    Args:
        names: Names of statistics.
        reference: `[bins, tracks]` float32.
        alternative: `[bins, tracks]` float32.
        first_bin: int32, first of the two bins around the variant.

    Returns:
        `[tracks]` float32 for each name.

    Raises:
        UsageError: There is no such statistic.
    """
    results = {}
    for name in names:
        if name == "SAD":
            value = _sum(alternative - reference)
        elif name == "SAR":
            log_ratio = tf.math.log1p(alternative) - tf.math.log1p(reference)
            value = _sum(log_ratio / tf.math.log(2.0))
        elif name == "tCRA":
            pair = slice(first_bin, first_bin + 2)
            value = _sum(alternative[pair] - reference[pair]) / 2.0
        else:
            raise UsageError(f"no statistic is called {name!r}; expected {', '.join(STATISTICS)}")
        results[name] = value
    return results


def _sum(difference: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.reduce_sum(tf.cast(difference, tf.float64), axis=0), tf.float32)


def needed_bins(
    names: Sequence[str], geometry: WindowGeometry, mode: WindowMode
) -> tuple[int, int]:
    """Output bins (start, stop) that the statistics read, for any variant in windows of `mode`."""
    if any(STATISTICS[name].bins == "all" for name in names):
        return 0, geometry.target_length
    middle = geometry.sequence_length // 2
    if mode == "centred":
        offsets = middle, middle
    else:
        reach = geometry.tile_stride // 2
        offsets = middle - reach, middle + reach + BIN_SIZE - 1
    return geometry.central_bins(offsets[0])[0], geometry.central_bins(offsets[1])[1] + 1
