"""One update of an Enformer, on one device or on several."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import sonnet as snt
import tensorflow as tf

from tfgen.enformer.augmentation import reverse_windows
from tfgen.enformer.dropout import dropout_seed
from tfgen.enformer.loss import poisson_loss
from tfgen.enformer.model import Enformer
from tfgen.enformer.sampling import Batch
from tfgen.errors import UsageError

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What one update saw.

    Attributes:
        loss: Mean loss of the batch before the update.
        gradient_norm: Global norm of the gradient before it was clipped.
    """

    loss: float
    gradient_norm: float


class TrainingStep:
    """Poisson loss, gradients averaged over the replicas, clipping by global norm, Adam.

    Adam has the published constants (0.9, 0.999, 1e-8). The heads that a step does not train, and
    their moments, stay as they are.

    With a strategy, model and step must both be made inside its scope, and each replica gets an
    equal part of the batch. Sonnet needs `snt.distribute.Replicator`; on CPU give it
    `cross_device_ops=tf.distribute.ReductionToOneDevice()`, because the default collectives of
    the gradients and of the batch statistics run into each other there.

    Args:
        model: The model; its variables are updated in place.
        one_hot_table: One-hot row of every base code, float32 `[codes, 4]`.
        clip_norm: Largest global norm of the gradient; None does not clip. The published value
            is 0.2.
        seed: Seed of the dropout masks.
        strategy: None for a single device.

    Attributes:
        optimizer: The optimizer, with a slot for every trainable variable.
    """

    def __init__(
        self,
        model: Enformer,
        one_hot_table: npt.NDArray[np.float32],
        *,
        clip_norm: float | None,
        seed: int = 0,
        strategy: tf.distribute.Strategy | None = None,
    ) -> None:
        if clip_norm is not None and not clip_norm > 0:
            raise UsageError(f"clip_norm is {clip_norm}; expected a positive number")
        self._model = model
        self._table = tf.constant(one_hot_table)
        self._clip_norm = clip_norm
        self._seed = seed
        self._strategy = strategy
        self._variables = model.trainable_variables
        self._learning_rate = tf.Variable(0.0, trainable=False, name="learning_rate")
        self.optimizer = snt.optimizers.Adam(self._learning_rate, _BETA_1, _BETA_2, _EPSILON)
        # Slots that were first made within a tf.function could not be placed on the replicas.
        self.optimizer._initialize(self._variables)
        self._functions: dict[str, Callable[..., Any]] = {}

    def __call__(self, batch: Batch, step: int, head: str, learning_rate: float) -> StepResult:
        """Updates the model by one batch.

        Args:
            batch: Windows with as many tracks as the head has.
            step: Number of the step; with the seed it decides the dropout masks.
            head: The head to train.
            learning_rate: Learning rate of this update.

        Returns:
            Loss and gradient norm, averaged over the replicas.

        Raises:
            UsageError: There is no such head, the tracks are not its tracks, or the batch cannot
                be divided among the replicas.
        """
        tracks = self._model.config.head_tracks(head)
        if batch.targets.shape[2] != tracks:
            raise UsageError(
                f"the batch has {batch.targets.shape[2]} tracks, but head {head!r} has {tracks}"
            )
        if head not in self._functions:
            self._functions[head] = self._compiled(head)
        self._learning_rate.assign(learning_rate)
        seed = tf.constant([self._seed, step], tf.int64)
        loss, norm = self._functions[head](*self._arguments(batch), seed)
        return StepResult(float(loss), float(norm))

    def _compiled(self, head: str) -> Callable[..., Any]:
        """The update as a graph for one head."""

        def update(
            codes: tf.Tensor, targets: tf.Tensor, other_strand: tf.Tensor, seed: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            return self._update(codes, targets, other_strand, seed, head)

        strategy = self._strategy
        return tf.function(update if strategy is None else _distributed(update, strategy))

    def _update(
        self,
        codes: tf.Tensor,
        targets: tf.Tensor,
        other_strand: tf.Tensor,
        seed: tf.Tensor,
        head: str,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The update of one replica."""
        context = tf.distribute.get_replica_context()
        sequence = tf.gather(self._table, tf.cast(codes, tf.int32))
        sequence, targets = reverse_windows(sequence, targets, other_strand)
        seed = tf.random.experimental.stateless_fold_in(
            seed, tf.cast(context.replica_id_in_sync_group, tf.int64)
        )
        with tf.GradientTape() as tape, dropout_seed(seed):
            embedding = self._model.embed(sequence, is_training=True)
            loss = poisson_loss(self._model.predict_head(embedding, head), targets)
        gradients = tape.gradient(loss, self._variables)
        gradients = _replica_mean(gradients, context)
        norm = tf.linalg.global_norm(gradients)
        if self._clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm, norm)
        # Sonnet pairs gradients with moments by position: those of other heads stay None.
        self.optimizer.apply(gradients, self._variables)
        return loss, norm

    def _arguments(self, batch: Batch) -> tuple[Any, ...]:
        """The arrays of a batch, divided among the replicas if there are several."""
        names = ("codes", "targets", "other_strand")
        strategy = self._strategy
        if strategy is None:
            return tuple(getattr(batch, name) for name in names)
        parts = [
            batch.part(i, strategy.num_replicas_in_sync)
            for i in range(strategy.num_replicas_in_sync)
        ]
        return tuple(
            strategy.experimental_distribute_values_from_function(
                lambda context, name=name: tf.constant(
                    getattr(parts[context.replica_id_in_sync_group], name)
                )
            )
            for name in names
        )


def _distributed(
    update: Callable[..., Any], strategy: tf.distribute.Strategy
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """The update of every replica; loss and norm are their means."""

    def distributed(*arguments: Any) -> tuple[tf.Tensor, tf.Tensor]:
        loss, norm = strategy.run(update, args=arguments)
        mean = tf.distribute.ReduceOp.MEAN
        return strategy.reduce(mean, loss, axis=None), strategy.reduce(mean, norm, axis=None)

    return distributed


def _replica_mean(
    gradients: list[tf.Tensor | None], context: tf.distribute.ReplicaContext
) -> list[tf.Tensor | None]:
    """Mean of each gradient over the replicas; None stays None."""
    if context.num_replicas_in_sync == 1:
        return gradients
    known = [gradient for gradient in gradients if gradient is not None]
    reduced = iter(context.all_reduce(tf.distribute.ReduceOp.MEAN, known))
    return [None if gradient is None else next(reduced) for gradient in gradients]
