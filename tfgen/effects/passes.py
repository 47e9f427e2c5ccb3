"""The passes of the shared-trunk engine, each compiled for one fixed batch shape.

With oneDNN the batch size alone moves a prediction by about 5e-6, so every pass of a run has one
shape, short batches are filled up, and a pass over predictions never has fewer than two
sequences. Then a sequence gets the same bits whatever stands beside it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.effects.local import BLOCK_BINS
from tfgen.effects.tensor_statistics import tensor_statistics
from tfgen.enformer.model import Enformer
from tfgen.genome import one_hot_table

Codes = npt.NDArray[np.uint8]


class EnformerPasses:
    """Tower, local blocks, predictions and statistics of one head of an Enformer.

    Attributes:
        batch_size: Windows per tower pass; a pass over predictions has twice as many sequences.
    """

    def __init__(
        self,
        model: Enformer,
        organism: str,
        tracks: Sequence[int] | None,
        bins: tuple[int, int],
        batch_size: int,
    ) -> None:
        """Prepares the passes.

        Args:
            model: The model.
            organism: Its head.
            tracks: Indices of the wanted tracks; None for all.
            bins: Output bins (start, stop) to predict.
            batch_size: Windows per tower pass.
        """
        self.batch_size = batch_size
        self._model, self._organism, self._bins = model, organism, bins
        self._tracks = None if tracks is None else tf.constant(tracks, tf.int32)
        self._letters = tf.constant(one_hot_table())
        # Projected once: they depend on the weights alone.
        self._relative_keys = tf.function(model.relative_keys, autograph=False)()
        self._tower = tf.function(self._trace_tower, autograph=False)
        self._change = tf.function(self._trace_change, autograph=False)
        self._patched = tf.function(_trace_patched, autograph=False)
        self._predict = tf.function(self._trace_predict, autograph=False)
        self._statistics = tf.function(tensor_statistics, autograph=False)

    def towers(self, codes: Sequence[Codes]) -> list[tf.Tensor]:
        """Tower of up to `batch_size` windows: `[T, C]` each."""
        return tf.unstack(self._tower(_filled(codes, self.batch_size)))[: len(codes)]

    def changes(self, reference: Sequence[Codes], alternative: Sequence[Codes]) -> list[tf.Tensor]:
        """Alternative minus reference tower of up to `batch_size` local blocks: `[12, C]` each.

        Both alleles go through the same pass, so that equal alleles differ by exactly zero.
        """
        size = self.batch_size
        both = np.concatenate([_filled(reference, size), _filled(alternative, size)])
        return tf.unstack(self._change(both))[: len(reference)]

    def patched(self, tower: tf.Tensor, change: tf.Tensor, first_bin: int) -> tf.Tensor:
        """`tower` `[T, C]` with `change` `[12, C]` added from bin `first_bin` on."""
        return self._patched(tower, change, tf.constant(first_bin))

    def predictions(self, towers: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Predictions of up to 2 * `batch_size` towers: `[bins, tracks]` each."""
        padding = [towers[-1]] * (2 * self.batch_size - len(towers))
        return tf.unstack(self._predict(tf.stack([*towers, *padding])))[: len(towers)]

    def statistics(
        self, names: tuple[str, ...], reference: tf.Tensor, alternative: tf.Tensor, first_bin: int
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Statistics `[tracks]` of one variant; `first_bin` as counted in the whole output."""
        central = tf.constant(first_bin - self._bins[0])
        values = self._statistics(names, reference, alternative, central)
        return {name: value.numpy() for name, value in values.items()}

    def _one_hot(self, codes: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._letters, tf.cast(codes, tf.int32))

    def _trace_tower(self, codes: tf.Tensor) -> tf.Tensor:
        return self._model.tower(self._one_hot(codes), False)

    def _trace_change(self, codes: tf.Tensor) -> tf.Tensor:
        towers = self._model.tower(self._one_hot(codes), False)
        reference, alternative = tf.split(towers, 2)
        return alternative - reference

    def _trace_predict(self, towers: tf.Tensor) -> tf.Tensor:
        embedding = self._model.embed_tower(towers, False, self._relative_keys, self._bins)
        return self._model.predict_head(embedding, self._organism, self._tracks)


def _trace_patched(tower: tf.Tensor, change: tf.Tensor, first_bin: tf.Tensor) -> tf.Tensor:
    after = tower.shape[0] - BLOCK_BINS - first_bin
    return tower + tf.pad(change, [[first_bin, after], [0, 0]])


def _filled(codes: Sequence[Codes], size: int) -> Codes:
    """uint8 `[size, length]`: the sequences, the last one repeated."""
    return np.stack([*codes, *[codes[-1]] * (size - len(codes))])
