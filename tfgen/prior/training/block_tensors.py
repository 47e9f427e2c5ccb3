"""A block as tensors: conversion, padding, and the empty block that idle replicas get."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tfgen.prior.training.block_data import BlockData, TraitRows

K_STEP, N_STEP = 128, 1024
"""Blocks are padded to multiples of these, so that few shapes are compiled."""


class BlockArrays(NamedTuple):
    """What a step takes of one block; arrays become tensors where they are used.

    Attributes:
        inputs: Of the prior: annotations [n, A], frequency [n], perhaps tracks [n, L, T].
        traits: The fields of `objectives.TraitTensors`, one tuple per trait.
        block: Number of the block.
        weight: 1, or 0 for a block that is not there.
    """

    inputs: dict[str, npt.NDArray[Any]]
    traits: tuple[tuple[npt.NDArray[Any], ...], ...]
    block: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]


def block_arrays(
    data: BlockData,
    index: int,
    dtype: type[np.floating[Any]] = np.float32,
    pad: bool = False,
) -> BlockArrays:
    """Prepares a block.

    Args:
        data: The block.
        index: Its number.
        dtype: Of the likelihood.
        pad: Whether to pad it to a common size.
    """
    n = _up(data.n, N_STEP) if pad else data.n
    inputs = {name: _padded(values, n) for name, values in data.inputs().items()}
    if pad:
        # Log of a frequency of zero would be minus infinity.
        inputs["frequency"][data.n :] = 0.5
    traits = tuple(_trait(trait, n, dtype, pad) for trait in data.traits)
    return BlockArrays(inputs, traits, np.asarray(index, np.int32), np.ones((), np.float32))


def empty_block(like: BlockArrays) -> BlockArrays:
    """One variant, one row of zeros and no rank: value and gradients are zero."""
    inputs = {name: np.zeros((1, *x.shape[1:]), x.dtype) for name, x in like.inputs.items()}
    inputs["frequency"][:] = 0.5
    traits = []
    for trait in like.traits:
        dtype = trait[0].dtype
        traits.append(
            (
                np.zeros((1, 1), dtype),
                np.zeros(1, dtype),
                np.zeros((), dtype),
                np.zeros((0, 1), dtype),
                np.zeros(0, dtype),
            )
        )
    return BlockArrays(inputs, tuple(traits), np.zeros((), np.int32), np.zeros((), np.float32))


def _trait(
    trait: TraitRows, n: int, dtype: type[np.floating[Any]], pad: bool
) -> tuple[npt.NDArray[Any], ...]:
    k = len(trait.y)
    rows = _up(k, K_STEP) if pad else k
    q = np.zeros((rows, n), dtype)
    q[:k, : trait.q.shape[1]] = trait.q
    y = np.zeros(rows, dtype)
    y[:k] = trait.y
    ld = np.zeros((0, n), dtype)
    z = np.zeros(0, dtype)
    if trait.ld is not None and trait.z is not None:
        ld = np.zeros((len(trait.z), n), dtype)
        ld[:, : trait.ld.shape[1]] = trait.ld
        z = trait.z.astype(dtype)
    return q, y, np.asarray(k, dtype), ld, z


def _padded(values: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    if len(values) == n:
        return values
    result = np.zeros((n, *values.shape[1:]), values.dtype)
    result[: len(values)] = values
    return result


def _up(size: int, step: int) -> int:
    return max(step, -(-size // step) * step)
