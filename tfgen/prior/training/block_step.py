"""One update of a prior: gradients of some blocks, summed over replicas, then Adam.

The network is run twice. The first pass gives log f of all variants of a block, without a tape; the
likelihood turns them into g = d value / d log f; the second pass goes through the same variants in
micro-batches and propagates sum_i g_i log f_i. The sum of these is the exact gradient, and memory
is that of one micro-batch whatever the size of the block. It needs a network without connections
between variants, and dropout that draws the same masks twice.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf

from tfgen.prior.likelihood import Tensor
from tfgen.prior.training.block_tensors import BlockArrays
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.objectives import ObjectiveTerms, TraitTensors

ObjectiveFunction = Callable[[Tensor, Tensor, Sequence[TraitTensors], Tensor], ObjectiveTerms]


class Prior(Protocol):
    """A network from features to log f, `prior_model.PriorModel` or like it."""

    @property
    def trainable_variables(self) -> list[Any]:
        """Its Keras variables."""
        ...

    def __call__(self, inputs: dict[str, Tensor], training: bool, seed: Tensor) -> Tensor:
        """Log f [n, T]."""
        ...


class StepResult(NamedTuple):
    """What an update came to.

    Attributes:
        value: Sum of the objective over the blocks.
        gradient_norm: Norm of the gradient per z-score, before clipping.
        faults: Traits of blocks that needed jitter or did not converge.
    """

    value: float
    gradient_norm: float
    faults: int


class BlockStep:
    """Accumulates gradients of blocks and applies them; make it inside `strategy.scope()`.

    Args:
        model: The prior; its output has one column per trait.
        log_sigma: Log noise [T], a variable.
        objective: Value and gradients with respect to log f and log sigma.
        options: Learning rates, clipping, micro-batches, whether sigma is trained.
        observed_per_step: What gradients are divided by: the mean number of z-scores of a step, the
            same for all steps, so that every z-score weighs the same.
        slow: Variables of the network that learn at `sigma_learning_rate`, by their names.
    """

    def __init__(
        self,
        model: Prior,
        log_sigma: tf.Variable,
        objective: ObjectiveFunction,
        options: FitOptions,
        observed_per_step: float,
        slow: Sequence[str] = ("frequency_exponent",),
    ) -> None:
        self._strategy = tf.distribute.get_strategy()
        self._model = model
        self._objective = (
            tf.function(objective, jit_compile=True, autograph=False) if options.xla else objective
        )
        self._options = options
        self._scale = 1.0 / observed_per_step
        self.log_sigma = log_sigma
        self._variables = [variable.value for variable in model.trainable_variables]
        slow_ones = [variable.name in slow for variable in model.trainable_variables]
        if options.sigma == "trained":
            self._variables.append(log_sigma)
            slow_ones.append(True)
        self.optimizers = [
            keras.optimizers.Adam(0.0, weight_decay=options.weight_decay or None),
            keras.optimizers.Adam(0.0),
        ]
        self._groups = [
            [i for i, is_slow in enumerate(slow_ones) if is_slow == group]
            for group in (False, True)
        ]
        for optimizer, group in zip(self.optimizers, self._groups, strict=True):
            optimizer.build([self._variables[i] for i in group])
        self._exclude_from_decay()
        self._sums = [self._accumulator(variable.shape) for variable in self._variables]
        self._totals = self._accumulator((2,))

    def update(self, rounds: Iterable[Sequence[BlockArrays]], step: int) -> StepResult:
        """Accumulates the gradients of some blocks and makes one update.

        Args:
            rounds: For every round one block per replica of this process, empty ones included.
            step: Number of the update, from 0; decides rate and dropout.
        """
        seed = np.array([self._options.seed, step], np.int32)
        for blocks in rounds:
            arrays = self._distribute([(b, seed) for b in blocks])
            self._run_accumulate(*arrays)
        warm = min(1.0, (step + 1) / max(1, self._options.warmup_steps))
        rates = (self._options.learning_rate, self._options.sigma_learning_rate)
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            optimizer.learning_rate.assign(rate * warm)
        local = self._strategy.experimental_local_results(self._run_apply())[0]
        value, faults, norm = (float(x) for x in local.numpy())
        return StepResult(value, norm, round(faults))

    def reset(self, options: FitOptions) -> None:
        """Forgets all updates, but not the graphs; parameters stay what they are.

        Args:
            options: The settings from now on; only rates, warm-up and seed may be others.
        """
        self._options = options
        state = [v for optimizer in self.optimizers for v in optimizer.variables]
        for variable in (*state, *self._sums, self._totals):
            variable.assign(tf.zeros(variable.shape, variable.dtype))

    def log_f(self, inputs: dict[str, Any]) -> Tensor:
        """Log f of all variants of a block [n, T], without dropout."""
        return self._forward_only({name: tf.convert_to_tensor(x) for name, x in inputs.items()})

    def variables(self) -> list[tf.Variable]:
        """Everything that training changes: parameters, then the state of the optimizers."""
        kept = [*self._variables]
        for optimizer in self.optimizers:
            kept += [getattr(v, "value", v) for v in optimizer.variables]
        return kept

    def _accumulator(self, shape: Any) -> tf.Variable:
        return tf.Variable(
            tf.zeros(shape),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )

    def _exclude_from_decay(self) -> None:
        """Biases, scales and the output's bias are no matrices: they are not decayed."""
        if self._options.weight_decay:
            vectors = [v for i, v in enumerate(self._variables) if len(v.shape) < 2]  # noqa: PLR2004
            fast = {id(self._variables[i]) for i in self._groups[0]}
            chosen = [v for v in vectors if id(v) in fast]
            self.optimizers[0].exclude_from_weight_decay(var_list=chosen)

    def _distribute(self, items: list[tuple[BlockArrays, Any]]) -> tuple[Any, ...]:
        """The arguments of a step, one value for every replica of this process."""
        flat = [tf.nest.flatten(item) for item in items]
        structure = items[0]
        if len(items) == 1 and self._strategy.num_replicas_in_sync == 1:
            tensors = [tf.convert_to_tensor(x) for x in flat[0]]
        else:
            tensors = []
            for i in range(len(flat[0])):
                values = iter([tf.convert_to_tensor(leaves[i]) for leaves in flat])
                tensors.append(
                    self._strategy.experimental_distribute_values_from_function(
                        lambda _, values=values: next(values)
                    )
                )
        return tuple(tf.nest.pack_sequence_as(structure, tensors))

    @tf.function(reduce_retracing=True, autograph=False)
    def _run_accumulate(self, arrays: Any, seed: Tensor) -> None:
        self._strategy.run(self._accumulate, args=(arrays, seed))

    def _accumulate(self, arrays: BlockArrays, seed: Tensor) -> None:
        """Adds the gradients of one block."""
        traits = tuple(TraitTensors(*trait) for trait in arrays.traits)
        dtype = traits[0].Q.dtype
        seed = tf.stack([seed[0] * 1_000_003 + arrays.block, seed[1]])
        logf = self._forward(arrays.inputs, True, seed)
        terms = self._objective(
            tf.cast(logf, dtype), tf.cast(self.log_sigma, dtype), traits, arrays.block
        )
        gradients = self._backward(arrays.inputs, tf.cast(terms.d_logf, tf.float32), seed)
        if self._options.sigma == "trained":
            gradients.append(tf.cast(terms.d_log_sigma, tf.float32))
        for total, gradient in zip(self._sums, gradients, strict=True):
            total.assign_add(arrays.weight * gradient)
        totals = tf.stack([tf.cast(terms.value, tf.float32), tf.cast(terms.faults, tf.float32)])
        self._totals.assign_add(arrays.weight * totals)

    @tf.function(autograph=False)
    def _run_apply(self) -> Any:
        return self._strategy.run(self._apply)

    def _apply(self) -> Tensor:
        """Sums over the replicas, clips, updates, and clears the sums."""
        context = tf.distribute.get_replica_context()
        gradients = [
            self._scale * context.all_reduce(tf.distribute.ReduceOp.SUM, total.read_value())
            for total in self._sums
        ]
        totals = context.all_reduce(tf.distribute.ReduceOp.SUM, self._totals.read_value())
        norm = tf.linalg.global_norm(gradients)
        if self._options.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self._options.clip_norm, norm)
        # Keras sums over the replicas once more.
        n_replicas = tf.cast(context.num_replicas_in_sync, tf.float32)
        gradients = [gradient / n_replicas for gradient in gradients]
        for optimizer, group in zip(self.optimizers, self._groups, strict=True):
            if group:
                optimizer.apply([gradients[i] for i in group], [self._variables[i] for i in group])
        for total in (*self._sums, self._totals):
            total.assign(tf.zeros_like(total.read_value()))
        return tf.concat([totals, [norm]], 0)

    @tf.function(reduce_retracing=True, autograph=False)
    def _forward_only(self, inputs: dict[str, Tensor]) -> Tensor:
        return self._forward(inputs, False, tf.zeros(2, tf.int32))

    def _forward(self, inputs: dict[str, Tensor], training: bool, seed: Tensor) -> Tensor:
        """Log f of all variants [n, T], in micro-batches."""
        n, width = tf.shape(inputs["frequency"])[0], self._options.micro_batch

        def part(index: Tensor) -> Tensor:
            rows = _rows(inputs, index, width)
            return self._model(rows, training=training, seed=_part_seed(seed, index))

        def more(index: Tensor, parts: tf.TensorArray) -> tuple[Tensor, tf.TensorArray]:
            return index + 1, parts.write(index, part(index))

        count = (n + width - 1) // width
        parts = tf.TensorArray(tf.float32, size=count, infer_shape=False)
        _, parts = tf.while_loop(
            lambda index, _: index < count, more, (0, parts), parallel_iterations=1
        )
        return tf.reshape(parts.concat(), [n, self.log_sigma.shape[0]])

    def _backward(self, inputs: dict[str, Tensor], d_logf: Tensor, seed: Tensor) -> list[Tensor]:
        """Gradient of sum_i d_logf_i log f_i for the variables of the network."""
        n, width = tf.shape(inputs["frequency"])[0], self._options.micro_batch
        variables = self._variables[: len(self._model.trainable_variables)]

        def more(index: Tensor, *sums: Tensor) -> tuple[Tensor, ...]:
            with tf.GradientTape() as tape:
                rows = _rows(inputs, index, width)
                logf = self._model(rows, training=True, seed=_part_seed(seed, index))
            here = d_logf[index * width : (index + 1) * width]
            gradients = tape.gradient(
                logf, variables, output_gradients=here, unconnected_gradients="zero"
            )
            return (index + 1, *(a + b for a, b in zip(sums, gradients, strict=True)))

        count = (n + width - 1) // width
        start = (0, *(tf.zeros(variable.shape) for variable in variables))
        _, *sums = tf.while_loop(
            lambda index, *_: index < count, more, start, parallel_iterations=1
        )
        return list(sums)


def _rows(inputs: dict[str, Tensor], index: Tensor, width: int) -> dict[str, Tensor]:
    return {name: x[index * width : (index + 1) * width] for name, x in inputs.items()}


def _part_seed(seed: Tensor, index: Tensor) -> Tensor:
    return seed + tf.stack([0, 65_537 * index])
