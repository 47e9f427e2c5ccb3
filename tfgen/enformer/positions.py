"""The relative-position basis of Enformer's attention.

For a distance d (key minus query, in bins) there are F functions of |d| in each of three
families (exponential decay, central mask, gamma density), and the same columns times sign(d).
See Avsec et al. 2021, Methods, "relative positional basis functions".
"""

import functools
import math

import numpy as np
import tensorflow as tf

from tfgen.enformer.config import POSITION_FAMILIES
from tfgen.errors import UsageError

_GAMMA_FLOOR = 1e-8


@functools.cache
def position_basis(length: int, columns: int, arithmetic: str) -> np.ndarray:
    """Basis values for every distance from -(length-1) to length-1.

    Args:
        length: Number of bins T; it sets the half-lives and the gamma means.
        columns: Number of columns, a multiple of 6.
        arithmetic: `reference` evaluates the gamma density by TensorFlow's float32 ops one by one
            as the published model does; its rounding noise reaches 2.5e-3. `float64` evaluates
            everything in double precision and rounds once.

    Returns:
        float32 `[2*length - 1, columns]`, read-only; row `d + length - 1` is distance d.

    Raises:
        UsageError: `length` is not positive, `columns` is not a positive multiple of 6, or
            `arithmetic` is neither of the two.
    """
    if length < 1:
        raise UsageError(f"the position basis has {length} bins; expected at least 1")
    if columns < 1 or columns % (2 * POSITION_FAMILIES):
        raise UsageError(f"position columns are {columns}; expected a positive multiple of 6")
    if arithmetic not in _GAMMA:
        raise UsageError(f"position arithmetic is {arithmetic!r}; use {' or '.join(_GAMMA)}")
    per_family = columns // (2 * POSITION_FAMILIES)
    distance = np.arange(-(length - 1), length)
    positions = np.abs(distance)
    symmetric = np.concatenate(
        [
            _exponential(positions, length, per_family),
            _central_mask(positions, per_family),
            _GAMMA[arithmetic](positions, length, per_family),
        ],
        axis=1,
    )
    signed = np.sign(distance)[:, np.newaxis] * symmetric
    basis = np.concatenate([symmetric, signed], axis=1).astype(np.float32)
    basis.setflags(write=False)
    return basis


def _exponential(positions: np.ndarray, length: int, count: int) -> np.ndarray:
    """2^(-|d|/h) with half-lives h from 8 to `length`, geometric."""
    half_life = 2.0 ** np.linspace(3.0, np.log2(length), count)
    return np.asarray(np.exp2(-positions[:, np.newaxis] / half_life))


def _central_mask(positions: np.ndarray, count: int) -> np.ndarray:
    """1 where |d| < 2^k - 1, for k = 1..count."""
    widths = 2.0 ** np.arange(1, count + 1) - 1
    return (widths > positions[:, np.newaxis]).astype(np.float64)


def _gamma_parameters(length: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Concentration and rate of densities with mean T/count..T and deviation T/(2 count)."""
    deviation = length / (2 * count)
    mean = np.linspace(length / count, length, count)
    return (mean / deviation) ** 2, mean / deviation**2


def _gamma_float64(positions: np.ndarray, length: int, count: int) -> np.ndarray:
    """Gamma densities, plus a floor, scaled to a maximum of one over the positions, in float64."""
    concentration, rate = _gamma_parameters(length, count)
    x = positions[:, np.newaxis].astype(np.float64)
    with np.errstate(divide="ignore"):
        log_unnormalised = (concentration - 1) * np.log(x) - rate * x
    log_normaliser = [math.lgamma(c) for c in concentration] - concentration * np.log(rate)
    density = np.exp(log_unnormalised - log_normaliser) + _GAMMA_FLOOR
    return np.asarray(density / density.max(axis=0))


def _gamma_float32(positions: np.ndarray, length: int, count: int) -> np.ndarray:
    """The same densities by float32 TensorFlow operations, in the published order."""
    with tf.init_scope(), tf.device("CPU:0"):
        x = tf.cast(positions[:, np.newaxis], tf.float32)
        deviation = np.float32(length / (2 * count))
        mean = tf.linspace(np.float32(length / count), np.float32(length), count)[tf.newaxis]
        concentration = (mean / deviation) ** 2
        rate = mean / deviation**2
        log_unnormalised = tf.math.xlogy(concentration - 1.0, x) - rate * x
        log_normaliser = tf.math.lgamma(concentration) - concentration * tf.math.log(rate)
        density = tf.exp(log_unnormalised - log_normaliser) + _GAMMA_FLOOR
        return np.asarray((density / tf.reduce_max(density, axis=0, keepdims=True)).numpy())


_GAMMA = {"reference": _gamma_float32, "float64": _gamma_float64}
