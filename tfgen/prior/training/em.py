"""Expectation and maximisation: the exact likelihood by way of ordinary regression.

The E-step computes q_i = E[b_i^2 | z] for every variant of every block under the present prior. The
M-step regresses: it minimises the deviance ½[log f_i + q_i / f_i] of an exponential variable over
shuffled mini-batches of variants, as Keras does with any data. At the present prior the gradient of
the deviance is that of the likelihood, and a full M-step never lowers the likelihood (Dempster,
Laird and Rubin, 1977). A variant that lies in several windows is a row in each of them, which is
its mean target with their number as weight.

The noise has a closed form: sigma_new = (|y - Q mu|^2 + tr Q Cov Q') / k, the sum over the blocks
of which is sigma (1 - 2 g / k) with g the derivative of the likelihood by log sigma.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import NumericalError, UsageError
from tfgen.prior.likelihood import Tensor, block_terms
from tfgen.prior.posterior import posterior_of
from tfgen.prior.training.fit_loop import FitData, FitLoop
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.fit_state import EpochRecord

Batch = tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.float32]]

_SHUFFLE_ROWS = 1 << 16
_SEED = "seed"


@keras.saving.register_keras_serializable("tfgen")
class Deviance(keras.losses.Loss):
    """½[log f + q / f] of a target q >= 0, where f is given by its logarithm.

    Mean over variants, summed over traits.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Deviance of every variant [n] from q [n, T] and log f [n, T]."""
        return 0.5 * tf.reduce_sum(y_pred + y_true * tf.exp(-y_pred), -1)


class Regression(keras.Model):
    """A prior as Keras' `fit` wants it: the seed of dropout is one of its inputs."""

    def __init__(self, prior: Any) -> None:
        super().__init__(name="regression")
        self.prior = prior
        self.built = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Log f [n, T]."""
        features = {name: x for name, x in inputs.items() if name != _SEED}
        return self.prior(features, training=training, seed=inputs[_SEED][0])


class EmFit(FitLoop):
    """A fit by EM; an epoch is a round.

    On one machine the M-step is Keras' `fit`; over several machines, where that does not work, it
    is the same updates in a loop of our own.

    Args:
        model: The prior, made in the scope of the current strategy.
        log_sigma: Log noise of every trait [T].
        data: The blocks.
        options: The settings; `epochs` counts rounds.
        identity: What determines the fit, for its state on disk.
        own_loop: Use the loop of our own in any case.
    """

    def __init__(
        self,
        model: Any,
        log_sigma: tf.Variable,
        data: FitData,
        options: FitOptions,
        identity: str = "",
        own_loop: bool | None = None,
    ) -> None:
        if options.solver == "cg" or options.xla:
            raise UsageError(
                "the objective em has no conjugate gradients and no XLA; leave them out"
            )
        parameters = [variable.value for variable in model.trainable_variables]
        super().__init__(parameters, log_sigma, data, options, identity, "chol")
        self._model = model
        multiworker = isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self._own_loop = multiworker if own_loop is None else own_loop
        self._regression = Regression(model)
        self.optimizer = keras.optimizers.Adam(
            options.learning_rate, weight_decay=options.weight_decay or None
        )
        if options.weight_decay:
            # Biases and scales are no matrices: they are not decayed.
            vectors = [v for v in model.trainable_variables if len(v.shape) < 2]  # noqa: PLR2004
            self.optimizer.exclude_from_weight_decay(var_list=vectors)
        self._regression.compile(optimizer=self.optimizer, loss=Deviance())
        self.optimizer.build(model.trainable_variables)

    def variables(self) -> list[tf.Variable]:
        """Everything that training changes."""
        state = [getattr(v, "value", v) for v in self.optimizer.variables]
        return [*self.parameters, self.log_sigma, *state]

    def epoch(self, number: int, between_steps: Callable[[], None]) -> EpochRecord:
        """Runs one round, counted from 1."""
        targets, nll, slopes, rows, faults = self._expectation(between_steps)
        for passes in range(self.options.em_epochs):
            self._maximisation(targets, [number, passes])
            between_steps()
        if self.options.sigma == "trained":
            change = np.log(np.maximum(1.0 - 2.0 * slopes / rows, 0.1))
            self.log_sigma.assign_add(change.astype(np.float32))
        step = int(self.optimizer.iterations.numpy())
        return self.record(number, step, nll, float("nan"), faults)

    def _expectation(
        self, between_steps: Callable[[], None]
    ) -> tuple[dict[int, npt.NDArray[np.float32]], float, npt.NDArray[Any], npt.NDArray[Any], int]:
        """Targets of every training block [n, T]; likelihood; slopes by log sigma; rows; faults."""
        targets: dict[int, npt.NDArray[np.float32]] = {}
        log_sigma = self.log_sigma.numpy().astype(np.float64)
        total, slopes, n_rows = 0.0, np.zeros(len(log_sigma)), np.zeros(len(log_sigma))
        faults = 0
        for index in self.data.training:
            data = self.data.source.read(index)
            logf = self.log_f(data.inputs()).astype(np.float64)
            columns = []
            for i, trait in enumerate(data.traits):
                moments, nll, slope, jitter = _e_step(
                    logf[:, i], log_sigma[i], trait.q.astype(np.float64), trait.y
                )
                if not np.isfinite(nll):
                    raise NumericalError(
                        f"the likelihood of block {data.id} is {float(nll)}; lower "
                        "--learning_rate, or check the LD and the features"
                    )
                faults += int(jitter > 0)
                columns.append(moments.numpy())
                total += float(nll)
                slopes[i] += float(slope)
                n_rows[i] += len(trait.y)
            targets[index] = np.stack(columns, 1).astype(np.float32)
            between_steps()
        return targets, total, slopes, np.maximum(n_rows, 1.0), faults

    def _maximisation(self, targets: dict[int, npt.NDArray[np.float32]], key: list[int]) -> None:
        """One pass over all variants in shuffled mini-batches."""
        if not self._own_loop:
            data = tf.data.Dataset.from_generator(
                lambda: self._batches(targets, key), output_signature=self._signature(targets)
            )
            # Without it Keras does not see the end coming, and warns.
            data = data.apply(
                tf.data.experimental.assert_cardinality(self._n_batches(targets, key))
            )
            self._regression.fit(data, epochs=1, shuffle=False, verbose=0)
            return
        for inputs, q in self._batches(targets, key):
            features = {name: tf.convert_to_tensor(x) for name, x in inputs.items()}
            self._own_update(features, tf.convert_to_tensor(q))

    @tf.function(reduce_retracing=True, autograph=False)
    def _own_update(self, inputs: dict[str, Tensor], targets: Tensor) -> None:
        self.strategy.run(self._replica_update, args=(inputs, targets))

    def _replica_update(self, inputs: dict[str, Tensor], targets: Tensor) -> None:
        """Every replica takes its share of the batch; gradients are summed."""
        context = tf.distribute.get_replica_context()
        replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
        n, parts = tf.shape(targets)[0], context.num_replicas_in_sync
        rows = slice(n * replica // parts, n * (replica + 1) // parts)
        part = {name: x if name == _SEED else x[rows] for name, x in inputs.items()}
        with tf.GradientTape() as tape:
            log_f = self._regression(part, training=True)
            loss = tf.reduce_sum(Deviance().call(targets[rows], log_f)) / tf.cast(n, tf.float32)
        gradients = tape.gradient(loss, self.parameters, unconnected_gradients="zero")
        # The optimizer sums over the replicas.
        self.optimizer.apply(gradients, self._model.trainable_variables)

    def _batches(
        self, targets: dict[int, npt.NDArray[np.float32]], key: list[int]
    ) -> Iterator[Batch]:
        """Mini-batches over groups of shuffled blocks, the same for the same key."""
        rng = np.random.default_rng([self.options.seed, *key])
        for group in self._groups(targets, rng):
            parts = [(self.data.source.read_inputs(i), targets[i]) for i in group]
            yield from self._shuffled(parts, rng)

    def _n_batches(self, targets: dict[int, npt.NDArray[np.float32]], key: list[int]) -> int:
        """How many mini-batches `_batches` gives for a key."""
        rng = np.random.default_rng([self.options.seed, *key])
        sizes = [sum(len(targets[i]) for i in group) for group in self._groups(targets, rng)]
        return sum(-(-size // self.options.em_batch) for size in sizes)

    @staticmethod
    def _groups(
        targets: dict[int, npt.NDArray[np.float32]], rng: np.random.Generator
    ) -> list[list[int]]:
        """Blocks in random order, in groups whose variants fit the memory."""
        groups: list[list[int]] = [[]]
        size = 0
        for index in rng.permutation(list(targets)).tolist():
            if size >= _SHUFFLE_ROWS:
                groups.append([])
                size = 0
            groups[-1].append(index)
            size += len(targets[index])
        return groups

    def _shuffled(self, group: list[Batch], rng: np.random.Generator) -> Iterator[Batch]:
        inputs = {name: np.concatenate([part[0][name] for part in group]) for name in group[0][0]}
        q = np.concatenate([part[1] for part in group])
        order = rng.permutation(len(q))
        # Of nearly equal size: a last one of a single row would weigh as much as a full one.
        for rows in np.array_split(order, -(-len(q) // self.options.em_batch)):
            seed = rng.integers(0, 2**31 - 1, 2).astype(np.int32)
            batch = {name: x[rows] for name, x in inputs.items()}
            batch[_SEED] = np.repeat(seed[None], len(rows), 0)
            yield batch, q[rows]

    def _signature(self, targets: dict[int, npt.NDArray[np.float32]]) -> Any:
        first = next(iter(targets))
        inputs = self.data.source.read_inputs(first)
        specs = {
            name: tf.TensorSpec((None, *x.shape[1:]), x.dtype.name) for name, x in inputs.items()
        }
        specs[_SEED] = tf.TensorSpec((None, 2), tf.int32)
        return specs, tf.TensorSpec((None, targets[first].shape[1]), tf.float32)

    def log_f(self, inputs: dict[str, Any]) -> npt.NDArray[np.floating[Any]]:
        """Log f of all variants of a block [n, T], without dropout."""
        width = self.options.micro_batch
        n = len(inputs["frequency"])
        parts = [
            self._predict({name: x[i : i + width] for name, x in inputs.items()}).numpy()
            for i in range(0, n, width)
        ]
        return np.concatenate(parts)

    @tf.function(reduce_retracing=True, autograph=False)
    def _predict(self, inputs: dict[str, Tensor]) -> Tensor:
        return self._model(inputs, training=False)


@tf.function(reduce_retracing=True, autograph=False)
def _e_step(logf: Any, log_sigma: Any, q: Any, y: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """E[b^2] [n], the likelihood, its slope by log sigma, and the jitter."""
    terms = block_terms(logf, log_sigma, q, y)
    moments = posterior_of(logf, terms).second_moment
    return moments, terms.nll, terms.d_log_sigma, terms.jitter
