"""The exact likelihood of held-out blocks under a prior, in float64."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import NumericalError
from tfgen.prior.likelihood import BlockTerms, Tensor, block_terms
from tfgen.prior.training.block_data import BlockData, BlockSource, TraitRows

Doubles = npt.NDArray[np.float64]
LogF = Callable[[BlockData], Doubles]
"""Gives log f [n, T] of a block."""


@dataclass(frozen=True)
class BlockScores:
    """Blocks scored by one prior; arrays have a row per block and a column per trait.

    Attributes:
        ids: Names of the blocks [blocks].
        nll: Full negative log-likelihood [blocks, T].
        null: The same with no effects at the same sigma [blocks, T].
        mahalanobis: y'K^-1 y [blocks, T].
        k: Rows [blocks, T].
        n_observed: z-scores [blocks, T].
        sum_f: Sum of f [blocks, T].
        n: Variants [blocks].
    """

    ids: tuple[str, ...]
    nll: Doubles
    null: Doubles
    mahalanobis: Doubles
    k: Doubles
    n_observed: Doubles
    sum_f: Doubles
    n: Doubles

    def nll_per_z(self) -> float:
        """Negative log-likelihood of all blocks and traits per z-score."""
        return float(self.nll.sum() / max(1.0, self.n_observed.sum()))


def score_blocks(
    source: BlockSource,
    indices: Iterable[int],
    log_f: LogF,
    log_sigma: Sequence[float] | Doubles,
) -> BlockScores:
    """Scores blocks by exact Cholesky in float64.

    Args:
        source: Where the blocks are.
        indices: Which of them.
        log_f: The prior.
        log_sigma: Log noise of every trait [T].

    Raises:
        NumericalError: The likelihood of a block is not finite.
    """
    ids: list[str] = []
    rows: list[list[list[float]]] = []
    sizes: list[float] = []
    for index in indices:
        data = source.read(index)
        values = np.asarray(log_f(data), np.float64)
        ids.append(data.id)
        sizes.append(data.n)
        rows.append([_trait(data, i, values[:, i], log_sigma[i]) for i in range(len(data.traits))])
    table = np.array(rows, np.float64).reshape(len(ids), len(log_sigma), 6)
    nll, null, mahalanobis, k, n_observed, sum_f = (table[:, :, i] for i in range(6))
    n = np.array(sizes, np.float64)
    return BlockScores(tuple(ids), nll, null, mahalanobis, k, n_observed, sum_f, n)


def exact_terms(block_id: str, rows: TraitRows, log_f: Doubles, log_sigma: float) -> BlockTerms:
    """Likelihood, whitened residuals and what the posterior needs of one trait in one block.

    Args:
        block_id: Name of the block, for the message.
        rows: The trait; with at least one row.
        log_f: Log f of the variants of the block [n].
        log_sigma: Log noise.

    Raises:
        NumericalError: The likelihood is not finite.
    """
    terms: BlockTerms = _terms(log_f, np.float64(log_sigma), rows.q.astype(np.float64), rows.y)
    _require_finite(block_id, float(terms.nll))
    return terms


def _trait(data: BlockData, trait: int, logf: Doubles, log_sigma: float) -> list[float]:
    rows = data.traits[trait]
    values = [0.0, 0.0, 0.0]
    if len(rows.y):
        found = _likelihood(logf, np.float64(log_sigma), rows.q.astype(np.float64), rows.y)
        values = [float(x) for x in found]
        _require_finite(data.id, values[0])
    f_sum = float(np.exp(logf).sum())
    return [*values, float(len(rows.y)), float(rows.n_observed), f_sum]


def _require_finite(block_id: str, nll: float) -> None:
    if not np.isfinite(nll):
        raise NumericalError(
            f"the likelihood of block {block_id} is {nll}; check its z-scores, LD and features, or "
            "lower the --learning_rate of the prior"
        )


@tf.function(reduce_retracing=True, autograph=False)
def _terms(logf: Any, log_sigma: Any, q: Any, y: Any) -> BlockTerms:
    return block_terms(logf, log_sigma, q, y)


@tf.function(reduce_retracing=True, autograph=False)
def _likelihood(logf: Any, log_sigma: Any, q: Any, y: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Without what is not asked for, half of the work is left out of the graph."""
    terms = block_terms(logf, log_sigma, q, y)
    return terms.nll, terms.null, terms.mahalanobis
