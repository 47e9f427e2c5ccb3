"""The self-check of a scoring run: some rows are computed twice, the second time in full."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SelfCheck:
    """What a self-check found.

    Attributes:
        n_rows: Rows that were computed twice.
        max_abs: Largest absolute difference of each statistic over rows and tracks.
    """

    n_rows: int
    max_abs: Mapping[str, float]

    @property
    def largest(self) -> float:
        """Largest absolute difference over all statistics; 0 when nothing was checked."""
        return max(self.max_abs.values(), default=0.0)


def is_chosen(row: int, fraction: float, seed: int) -> bool:
    """Whether a row is among the random subset to check.

    The choice depends on the row alone, so that shards and resumed runs check the same rows.
    """
    digest = hashlib.blake2b(f"{seed}:{row}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < fraction * 2**64


def compare(
    scores: Mapping[str, npt.NDArray[np.float32]],
    full: Mapping[str, npt.NDArray[np.float32]],
) -> SelfCheck:
    """Compares scores [rows, tracks] of the same rows from both ways."""
    n_rows = len(next(iter(scores.values())))
    return SelfCheck(
        n_rows,
        {
            name: float(np.max(np.abs(values - full[name]), initial=0.0))
            for name, values in scores.items()
        },
    )


def combine(checks: Iterable[SelfCheck], statistics: Iterable[str]) -> SelfCheck:
    """The self-check of several groups of rows together."""
    n_rows, max_abs = 0, dict.fromkeys(statistics, 0.0)
    for check in checks:
        n_rows += check.n_rows
        for name in max_abs:
            max_abs[name] = max(max_abs[name], check.max_abs.get(name, 0.0))
    return SelfCheck(n_rows, max_abs)
