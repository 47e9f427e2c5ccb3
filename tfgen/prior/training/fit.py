"""Fits a prior to blocks by gradient steps, on one device or many."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import NumericalError, UsageError
from tfgen.linalg.choice import choose_solver
from tfgen.prior.cg_likelihood import CgOptions
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.training.block_step import BlockStep, ObjectiveFunction, StepResult
from tfgen.prior.training.block_tensors import BlockArrays, block_arrays, empty_block
from tfgen.prior.training.distribution import local_replicas, read_ahead, share_out
from tfgen.prior.training.fit_loop import FitData, FitLoop
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.fit_state import EpochRecord, FitState
from tfgen.prior.training.objectives import cg_likelihood_terms, ldsr_terms, likelihood_terms

_EXPECTED_ITERATIONS = 20  # of a solve to a training tolerance at realistic prior variances

_NOT_IN_GRAPHS = (
    *("learning_rate", "sigma_learning_rate", "warmup_steps", "seed"),
    *("epochs", "patience", "min_gain"),
)


class Fit(FitLoop):
    """A fit by the gradient of an objective.

    Args:
        model: The prior, made in the scope of the current strategy.
        log_sigma: Log noise of every trait [T], a variable made in the same scope.
        data: The blocks.
        options: The settings.
        identity: What determines the fit, for its state on disk.
    """

    def __init__(
        self,
        model: Any,
        log_sigma: tf.Variable,
        data: FitData,
        options: FitOptions,
        identity: str = "",
    ) -> None:
        solver = _solver(data, options)
        parameters = [variable.value for variable in model.trainable_variables]
        super().__init__(parameters, log_sigma, data, options, identity, solver)
        self._costs = [size.cost for size in data.source.sizes]
        objective = _objective(solver, data, options)
        self.step = BlockStep(model, log_sigma, objective, options, self._observed_per_step())

    def reset(self, data: FitData, options: FitOptions) -> None:
        """Makes this another fit that needs no new graphs: the same blocks with other z-scores.

        It starts from the parameters that the model and log sigma have now, and gives what a new
        `Fit` would.

        Args:
            data: Blocks of the same sizes, the same of them learned from.
            options: The settings; rates, warm-up, seed, epochs, patience and `min_gain` may differ.

        Raises:
            UsageError: Something else differs.
        """
        may_differ = {name: getattr(options, name) for name in _NOT_IN_GRAPHS}
        same_blocks = data.training == self.data.training and (
            list(data.source.sizes) == list(self.data.source.sizes)
        )
        if replace(self.options, **may_differ) != options or not same_blocks:
            raise UsageError("the graphs of a fit are made for other blocks or settings; make anew")
        if data.n_over_m != self.data.n_over_m:
            raise UsageError("the graphs of a fit are made for another N / M; make a new fit")
        self.data, self.options = data, options
        self.step.reset(options)
        self.state = FitState()

    def variables(self) -> list[tf.Variable]:
        """Everything that training changes."""
        return self.step.variables()

    def log_f(self, inputs: dict[str, Any]) -> npt.NDArray[np.floating[Any]]:
        """Log f of all variants of a block [n, T], without dropout."""
        return self.step.log_f(inputs).numpy()

    def epoch(self, number: int, between_steps: Callable[[], None]) -> EpochRecord:
        """Runs one epoch, counted from 1."""
        step = self.state.step
        results: list[StepResult] = []
        steps = self._steps(number)
        for indices, rounds in zip(steps, self._rounds(steps), strict=True):
            results.append(self.step.update(rounds, step))
            if not np.isfinite(results[-1].value):
                raise NumericalError(
                    f"the objective is {results[-1].value} in epoch {number}, update {step} "
                    f"({self._culprit(indices)}); lower --learning_rate, or check the LD and the "
                    "features"
                )
            step += 1
            between_steps()
        return self.record(
            number,
            step,
            sum(result.value for result in results),
            float(np.mean([result.gradient_norm for result in results])),
            sum(result.faults for result in results),
        )

    def _steps(self, epoch: int) -> list[list[int]]:
        """The blocks of every update of an epoch, in a random order of its own."""
        order = np.random.default_rng([self.options.seed, epoch]).permutation(self.data.training)
        size = self.options.blocks_per_step
        return [order[i : i + size].tolist() for i in range(0, len(order), size)]

    def _rounds(self, steps: Sequence[Sequence[int]]) -> Iterator[Iterator[list[BlockArrays]]]:
        """For every update its rounds: one block per replica of this process at a time.

        No more than the blocks of a round and those read ahead are in the memory; the rounds of an
        update must be taken before the next one is asked for.
        """
        n_replicas = self.strategy.num_replicas_in_sync
        mine = local_replicas(self.strategy)
        plan = [share_out(step, self._costs, n_replicas) for step in steps]
        flat = [entry for step in plan for row in step for entry in row[mine.start : mine.stop]]
        blocks = read_ahead(flat, self._read)
        empty = empty_block(self._read(self.data.training[0])) if None in flat else None

        def next_row() -> list[BlockArrays]:
            row = [next(blocks) for _ in mine]
            return [block for block in (x or empty for x in row) if block is not None]

        for step in plan:
            yield (next_row() for _ in step)

    def _read(self, index: int) -> BlockArrays:
        return block_arrays(self.data.source.read(index), index, pad=self.options.xla)

    def _culprit(self, indices: Sequence[int]) -> str:
        """Which of some blocks cannot be right."""
        for index in indices:
            data = self.data.source.read(index)
            if not np.isfinite(self.log_f(data.inputs())).all():
                return f"log f of block {data.id} is not finite"
        log_sigma = self.log_sigma.numpy().astype(np.float64)
        try:
            score_blocks(
                self.data.source,
                indices,
                lambda data: self.log_f(data.inputs()).astype(np.float64),
                log_sigma,
            )
        except NumericalError as error:
            return str(error)
        return "in single precision only"

    def _observed_per_step(self) -> float:
        observed = [self.data.source.sizes[i].n_observed for i in self.data.training]
        return float(np.mean(observed)) * min(self.options.blocks_per_step, len(observed))


def _solver(data: FitData, options: FitOptions) -> str:
    if options.xla:
        # Padding and the quadrature of conjugate gradients are not made for each other.
        return "chol"
    largest = max((data.source.sizes[i] for i in data.training), key=lambda size: size.cost)
    return choose_solver(
        max(1, largest.k), largest.n, options.cg_probes, _EXPECTED_ITERATIONS, options.solver
    )


def _objective(solver: str, data: FitData, options: FitOptions) -> ObjectiveFunction:
    if options.objective == "ldsr":
        n_over_m = np.asarray(data.n_over_m, np.float32)
        return lambda logf, log_sigma, traits, _: ldsr_terms(logf, log_sigma, traits, n_over_m)
    if solver == "cg":
        cg = CgOptions(
            options.cg_probes,
            options.cg_tolerance,
            options.cg_max_iterations,
            options.cg_preconditioner,
        )
        return lambda logf, log_sigma, traits, block: cg_likelihood_terms(
            logf, log_sigma, traits, cg, block
        )
    return lambda logf, log_sigma, traits, _: likelihood_terms(logf, log_sigma, traits)
