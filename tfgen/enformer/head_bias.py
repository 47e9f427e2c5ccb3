"""A start for the output layer from what is known before training."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.enformer.model import Enformer
from tfgen.errors import UsageError


def set_head_bias(model: Enformer, head: str, mean_coverage: npt.ArrayLike) -> None:
    """Sets the bias of a head so that without any signal it predicts the mean of every track.

    A new head predicts softplus(0) = 0.69 everywhere. A short training would spend its first
    hundreds of steps on the mean alone, and bend the features to it.

    Args:
        model: Its bias is replaced.
        head: Name of the head.
        mean_coverage: Mean coverage of every track `[tracks]`, positive.

    Raises:
        UsageError: There is no such head, or the means do not suit it.
    """
    mean = np.asarray(mean_coverage, np.float64)
    tracks = model.config.head_tracks(head)
    if mean.shape != (tracks,) or not (np.isfinite(mean) & (mean > 0)).all():
        raise UsageError(
            f"mean coverage {mean.tolist()}; expected {tracks} positive numbers for head {head!r}"
        )
    bias: tf.Variable = model.heads[head].b
    # The inverse of softplus, log(e^m - 1), in a form that cannot overflow.
    bias.assign((mean + np.log(-np.expm1(-mean))).astype(np.float32))
