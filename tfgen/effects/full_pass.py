"""The engine for models of which only `predict_on_batch` is known: two full passes per variant."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.effects.protocol import Scores
from tfgen.effects.statistics import FloatArray, compute_statistics
from tfgen.effects.windows import WindowGeometry
from tfgen.enformer.saved_model import ForeignModel
from tfgen.errors import UsageError
from tfgen.genome import VariantWindow, one_hot_table


class FullPassEngine:
    """Scores variants by predicting both alleles of every window.

    Attributes:
        statistics: Names of the statistics.
        n_tracks: Tracks per variant.
        batch_size: Windows per pass.
    """

    batch_size = 1

    def __init__(
        self,
        model: ForeignModel,
        organism: str,
        statistics: Sequence[str],
        *,
        tracks: Sequence[int] | None = None,
    ) -> None:
        """Prepares an engine.

        Raises:
            UsageError: The model has no such head.
        """
        if organism not in model.heads:
            names = ", ".join(sorted(model.heads))
            raise UsageError(f"no head is called {organism!r}; this model has {names}")
        self.statistics = tuple(statistics)
        self.n_tracks = model.heads[organism] if tracks is None else len(tracks)
        self._geometry = WindowGeometry(model.input_length, model.target_length)
        self._model, self._organism = model, organism
        self._tracks = slice(None) if tracks is None else list(tracks)
        self._letters = one_hot_table()

    @property
    def sequence_length(self) -> int:
        """Bases per window."""
        return self._geometry.sequence_length

    @property
    def target_length(self) -> int:
        """Output bins per window."""
        return self._geometry.target_length

    def score(self, windows: Sequence[VariantWindow]) -> Scores:
        """Scores variants; see `tfgen.effects.protocol.Engine`."""
        rows = [self._score(window) for window in windows]
        return {name: np.stack([row[name] for row in rows]) for name in self.statistics}

    def score_in_full(self, windows: Sequence[VariantWindow]) -> Scores:
        """The same: there is no shortcut here."""
        return self.score(windows)

    def _score(self, window: VariantWindow) -> Scores:
        reference, alternative = (
            self._predict(codes) for codes in (window.ref_codes, window.alt_codes)
        )
        return compute_statistics(
            self.statistics, reference, alternative, window.offset - self._geometry.crop
        )

    def _predict(self, codes: npt.NDArray[np.uint8]) -> FloatArray:
        """`[bins, tracks]`; one sequence a pass, as a foreign model may take no more."""
        sequence = tf.constant(self._letters[codes][np.newaxis])
        prediction: FloatArray = self._model.predict(sequence)[self._organism][0].numpy()
        return prediction[:, self._tracks]
