"""Scores a group of rows and checks some of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfgen.effects.config import ScoringConfig
from tfgen.effects.pieces import Piece, text_array
from tfgen.effects.protocol import Engine, LoadedEngine, Scores
from tfgen.effects.rows import ScoringRow, longest_allele
from tfgen.effects.schema import NUMBER_COLUMNS, stored_allele, stored_positions
from tfgen.effects.selfcheck import SelfCheck, compare, is_chosen
from tfgen.effects.windows import WindowGeometry
from tfgen.errors import InputMismatchError, NumericalError
from tfgen.genome import Status
from tfgen.io.shards import RowRange


class Scorer:
    """Turns rows into pieces.

    Args:
        config: Statistics and self-check.
        engine: The model.
        check_next: Whether the first row that can be scored is checked whatever its number, so
            that a self-check of a short run is never empty.
    """

    def __init__(self, config: ScoringConfig, engine: Engine, check_next: bool) -> None:
        self._config = config
        self._engine = engine
        self._check_next = check_next and config.verify_fraction > 0
        self._longest_allele = longest_allele(
            WindowGeometry(engine.sequence_length, engine.target_length)
        )

    def piece(self, rows: RowRange, group: Sequence[ScoringRow]) -> Piece:
        """Scores consecutive rows.

        Raises:
            NumericalError: The model gave a score that is not finite.
            InputMismatchError: The model gave other statistics or another number of tracks.
        """
        scorable = [row for row in group if row.status is Status.OK]
        scores = self._engine_scores(scorable, in_full=False)
        check = self._self_check(scorable, scores)
        places = [index for index, row in enumerate(group) if row.status is Status.OK]
        swapped = [index for index, row in enumerate(scorable) if row.checked.swapped]
        columns = _row_columns(group, self._longest_allele)
        for name in self._config.statistics:
            values = scores[name]
            # 0 - x, because -x makes a negative zero of zero.
            values[swapped] = 0 - values[swapped]
            column = np.full((len(group), self._engine.n_tracks), np.nan, np.float32)
            column[places] = values
            columns[name] = column
        return Piece(rows, columns, check)

    def _self_check(self, scorable: Sequence[ScoringRow], scores: Scores) -> SelfCheck:
        """Computes the chosen rows again, in full."""
        config = self._config
        chosen = [
            index
            for index, row in enumerate(scorable)
            if is_chosen(row.record.row, config.verify_fraction, config.seed)
        ]
        if self._check_next and scorable:
            self._check_next = False
            chosen = sorted({0, *chosen})
        if not chosen:
            return SelfCheck(0, {})
        full = self._engine_scores([scorable[index] for index in chosen], in_full=True)
        return compare({name: scores[name][chosen] for name in full}, full)

    def _engine_scores(self, scorable: Sequence[ScoringRow], in_full: bool) -> Scores:
        """Scores of the engine, float32 [rows, tracks], of the shape asked for and finite."""
        shape = (len(scorable), self._engine.n_tracks)
        if not scorable:
            return {name: np.zeros(shape, np.float32) for name in self._config.statistics}
        windows = [row.window for row in scorable if row.window is not None]
        score = self._engine.score_in_full if in_full else self._engine.score
        found = score(windows)
        scores = {}
        for name in self._config.statistics:
            values = np.array(found[name], np.float32)
            if values.shape != shape:
                raise InputMismatchError(
                    f"the model gave {name} of shape {values.shape}; expected {shape}: one row "
                    "per variant and one column per track"
                )
            _require_finite(name, values, scorable)
            scores[name] = values
        return scores


def _require_finite(
    name: str, values: npt.NDArray[np.float32], scorable: Sequence[ScoringRow]
) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row, track = (int(index) for index in np.argwhere(~finite)[0])
        record = scorable[row].record
        raise NumericalError(
            f"{name} of {record.variant} (row {record.row}) is {values[row, track]} in track "
            f"{track}; check that the weights of the model were loaded"
        )


def _row_columns(group: Sequence[ScoringRow], longest_allele: int) -> dict[str, npt.NDArray[Any]]:
    """Every column of the rows but the scores."""
    records = [row.record for row in group]
    variants = [record.variant for record in records]
    windows = [row.window for row in group]
    numbers: dict[str, list[Any]] = {
        "alt_index": [record.alt_index for record in records],
        "status": [row.status.value.encode() for row in group],
        "window_start": [w.window.start if w else 0 for w in windows],
        "n_padded": [w.n_padded if w else 0 for w in windows],
        "n_fraction": [w.n_fraction if w else np.nan for w in windows],
        "swapped": [row.checked.swapped for row in group],
        "indel_shift": [bool(w and w.indel_shift) for w in windows],
        "not_normalised": [row.checked.not_normalised for row in group],
    }
    return {
        "snp": text_array(variant.id for variant in variants),
        "chr": text_array(variant.chrom for variant in variants),
        "ref_allele": text_array(stored_allele(v.ref, longest_allele) for v in variants),
        "alt_allele": text_array(stored_allele(v.alt, longest_allele) for v in variants),
        "pos": stored_positions([variant.pos for variant in variants]),
        **{name: np.array(values, NUMBER_COLUMNS[name]) for name, values in numbers.items()},
        "line": np.array([record.line for record in records], np.int64),
        "given_pos": np.array([variant.pos for variant in variants], np.int64),
        "detail": text_array(row.detail for row in group),
    }


def check_engine(loaded: LoadedEngine, config: ScoringConfig) -> None:
    """Checks that a loaded model says what it will give, before any scoring.

    Raises:
        InputMismatchError: Other statistics than asked for, or names for another number of
            tracks.
    """
    engine = loaded.engine
    if tuple(engine.statistics) != tuple(config.statistics):
        raise InputMismatchError(
            f"{config.model}: the engine gives {','.join(engine.statistics)}; expected "
            f"{','.join(config.statistics)}"
        )
    for what, texts in (("identifiers", loaded.track_ids), ("labels", loaded.track_labels)):
        if len(texts) != engine.n_tracks:
            raise InputMismatchError(
                f"{config.model}: {len(texts)} track {what} for {engine.n_tracks} tracks; "
                "the targets table must be that of this model"
            )
