"""Engines with known answers: any mistake in a window, an allele or a sign is a wrong integer."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tfgen.effects import LoadedEngine
from tfgen.genome import VariantWindow

STATISTICS = ("SAD", "SAR", "tCRA")
LENGTH, BINS = 1024, 5


@dataclass
class SumEngine:
    """Counts letters: SAD = G, SAR = C, tCRA = A in alternative minus reference, times track + 1.

    Attributes:
        calls: Size of every call of `score`.
        full_error: Added by `score_in_full`, to see that a deviation is reported.
    """

    statistics: tuple[str, ...] = STATISTICS
    n_tracks: int = 3
    batch_size: int = 1
    sequence_length: int = LENGTH
    target_length: int = BINS
    full_error: float = 0.0
    calls: list[int] = field(default_factory=list)
    full_rows: list[str] = field(default_factory=list)

    letters = {"SAD": 2, "SAR": 1, "tCRA": 0}

    def score(self, windows: Sequence[VariantWindow]) -> dict[str, np.ndarray]:
        self.calls.append(len(windows))
        return {name: self._counts(windows, self.letters[name]) for name in self.statistics}

    def score_in_full(self, windows: Sequence[VariantWindow]) -> dict[str, np.ndarray]:
        self.full_rows += [str(window.variant.pos) for window in windows]
        return {
            name: self._counts(windows, self.letters[name]) + np.float32(self.full_error)
            for name in self.statistics
        }

    def _counts(self, windows, letter):
        difference = [
            np.count_nonzero(w.alt_codes == letter) - np.count_nonzero(w.ref_codes == letter)
            for w in windows
        ]
        weights = np.arange(1, self.n_tracks + 1)
        return np.outer(difference, weights).astype(np.float32)


@dataclass
class PositionEngine(SumEngine):
    """Shows what it was given: SAD is (offset, window start, code of REF, code of ALT)."""

    statistics: tuple[str, ...] = ("SAD",)
    n_tracks: int = 4

    def _counts(self, windows, letter):
        rows = [
            (w.offset, w.window.start, w.ref_codes[w.offset], w.alt_codes[w.offset])
            for w in windows
        ]
        return np.array(rows, np.float32)


@dataclass
class SuicidalEngine(SumEngine):
    """Kills its process without warning after some calls."""

    calls_to_live: int = 10**9

    def score(self, windows: Sequence[VariantWindow]) -> dict[str, np.ndarray]:
        if len(self.calls) >= self.calls_to_live:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(windows)


def loaded(engine, rows_per_piece=16, **changes) -> LoadedEngine:
    """The engine with what the pipeline wants to know about it."""
    names = [f"track{index}" for index in range(engine.n_tracks)]
    settings = {
        "provenance": {"model_sha256": "0" * 64, "organism": "human"},
        "track_ids": names,
        "track_labels": [f"label of {name}" for name in names],
        "rows_per_step": rows_per_piece,
        "rows_per_piece": rows_per_piece,
    }
    return LoadedEngine(engine=engine, **(settings | changes))


def factory(engine=None, **changes):
    """An engine factory for `score_variants`."""
    return lambda config: loaded(
        SumEngine(statistics=config.statistics) if engine is None else engine, **changes
    )
