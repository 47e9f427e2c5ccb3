"""Predictions of a model in memory and their correlation with observed coverage."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.enformer.metrics import Correlation, StreamingPearson
from tfgen.enformer.model import Enformer
from tfgen.enformer.sampling import Batch


class Predictor:
    """Predicts from base codes with one head, without dropout, by the moving averages.

    Args:
        model: The model; changes of its variables show in the next prediction.
        head: Name of the head.
        one_hot_table: One-hot row of every base code, float32 `[codes, 4]`.

    Raises:
        UsageError: There is no such head.
    """

    def __init__(self, model: Enformer, head: str, one_hot_table: npt.NDArray[np.float32]) -> None:
        self.n_tracks = model.config.head_tracks(head)
        table = tf.constant(one_hot_table)
        signature = tf.TensorSpec([None, model.config.sequence_length], tf.uint8)

        @tf.function(input_signature=[signature])
        def predict(codes: tf.Tensor) -> tf.Tensor:
            sequence = tf.gather(table, tf.cast(codes, tf.int32))
            return model.predict_head(model.embed(sequence, is_training=False), head)

        self._predict = predict

    def __call__(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Base codes `[batch, sequence_length]` -> float32 `[batch, target_length, tracks]`."""
        return np.asarray(self._predict(codes).numpy(), np.float32)


def evaluate(predictor: Predictor, batches: Iterable[Batch]) -> Correlation:
    """Pearson r per track between predicted and observed coverage over all bins of all batches."""
    pearson = StreamingPearson(predictor.n_tracks)
    for batch in batches:
        pearson.update(predictor(batch.codes), batch.targets)
    return pearson.result()
