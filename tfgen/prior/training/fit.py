"""Fits a prior to blocks by gradient steps, on one device or many."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.errors import NumericalError, UsageError
from tfgen.linalg.choice import choose_solver
from tfgen.prior.cg_likelihood import CgOptions
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.training.block_data import BlockSource
from tfgen.prior.training.block_step import BlockStep, ObjectiveFunction, StepResult
from tfgen.prior.training.block_tensors import BlockArrays, block_arrays, empty_block
from tfgen.prior.training.distribution import is_chief, local_replicas, read_ahead, share_out
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.fit_state import EpochRecord, FitState
from tfgen.prior.training.objectives import cg_likelihood_terms, ldsr_terms, likelihood_terms

_EXPECTED_ITERATIONS = 20  # of a solve to a training tolerance at realistic prior variances

_NOT_IN_GRAPHS = (
    *("learning_rate", "sigma_learning_rate", "warmup_steps", "seed"),
    *("epochs", "patience", "min_gain"),
)

OnEpoch = Callable[[EpochRecord], None]


@dataclass(frozen=True)
class FitResult:
    """What a fit came to; the model has the parameters of the best epoch.

    Attributes:
        records: One per epoch.
        best_epoch: The epoch whose parameters were kept; 0 if training never helped.
        best_held_out: Negative log-likelihood per held-out z-score there; NaN without any.
        log_sigma: Log noise of every trait.
        stopped_early: Whether patience ended it.
        solver: `chol` or `cg`.
        converged: Whether the training objective had nothing left to gain (`gain_to_come`).
    """

    records: tuple[EpochRecord, ...]
    best_epoch: int
    best_held_out: float
    log_sigma: tuple[float, ...]
    stopped_early: bool
    solver: str
    converged: bool


@dataclass(frozen=True)
class FitData:
    """Which blocks a fit uses.

    Attributes:
        source: Where they are.
        training: Blocks to learn from.
        held_out: Blocks that decide when to stop; none runs all epochs.
        n_over_m: N / M of every trait [T], for `ldsr`.

    Raises:
        UsageError: A block is in both, or there is none to learn from.
    """

    source: BlockSource
    training: tuple[int, ...]
    held_out: tuple[int, ...]
    n_over_m: tuple[float, ...]

    def __post_init__(self) -> None:
        both = set(self.training) & set(self.held_out)
        if both:
            name = self.source.sizes[min(both)].id
            raise UsageError(f"block {name} is to be learned from and held out; choose one")
        if not any(self.source.sizes[i].n_observed for i in self.training):
            raise UsageError("no training block has a z-score; check traits, LD and folds")


class Fit:
    """A fit under way.

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
        self._strategy = tf.distribute.get_strategy()
        self._data, self._options, self._identity = data, options, identity
        self._costs = [size.cost for size in data.source.sizes]
        self.solver = _solver(data, options)
        objective = _objective(self.solver, data, options)
        self.step = BlockStep(model, log_sigma, objective, options, self._observed_per_step())
        self._parameters = [v.value for v in model.trainable_variables] + [log_sigma]
        self.state = FitState()

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
        same_blocks = data.training == self._data.training and (
            list(data.source.sizes) == list(self._data.source.sizes)
        )
        if replace(self._options, **may_differ) != options or not same_blocks:
            raise UsageError("the graphs of a fit are made for other blocks or settings; make anew")
        if data.n_over_m != self._data.n_over_m:
            raise UsageError("the graphs of a fit are made for another N / M; make a new fit")
        self._data, self._options = data, options
        self.step.reset(options)
        self.state = FitState()

    def run(
        self,
        state_path: Path | None = None,
        on_epoch: OnEpoch = lambda _: None,
        between_steps: Callable[[], None] = lambda: None,
    ) -> FitResult:
        """Runs to the last epoch, or until patience ends.

        Args:
            state_path: Where the state is kept after every epoch, and taken up from.
            on_epoch: Called with the record of every epoch of this call.
            between_steps: Called after every update; may raise to stop.

        Raises:
            NumericalError: The objective is not finite.
            InputMismatchError: The state on disk is that of another fit.
        """
        options = self._options
        if state_path is not None:
            self.state = FitState.load(state_path, self.step.variables(), self._identity)
        if not self.state.records:
            self._keep_if_better(0, self._held_out())
        stopped = self._is_over()
        while self.state.epoch < options.epochs and not stopped:
            record = self._epoch(self.state.epoch + 1, between_steps)
            self.state.records.append(record)
            self._keep_if_better(record.epoch, record.held_out)
            if state_path is not None and is_chief(self._strategy):
                self.state.save(state_path, self.step.variables(), self._identity)
            on_epoch(record)
            stopped = self._is_over()
        for variable, value in zip(self._parameters, self.state.best, strict=True):
            variable.assign(value)
        return FitResult(
            tuple(self.state.records),
            self.state.best_epoch,
            self.state.best_held_out,
            tuple(float(x) for x in self.step.log_sigma.numpy()),
            stopped,
            self.solver,
            self.state.converged,
        )

    def _epoch(self, epoch: int, between_steps: Callable[[], None]) -> EpochRecord:
        options, step = self._options, self.state.step
        results: list[StepResult] = []
        for rounds in self._rounds(epoch):
            results.append(self.step.update(rounds, step))
            if not np.isfinite(results[-1].value):
                raise NumericalError(
                    f"the objective is {results[-1].value} in epoch {epoch}, update {step}; lower "
                    "--learning_rate, or check the LD and the features"
                )
            step += 1
            between_steps()
        n_observed = sum(self._data.source.sizes[i].n_observed for i in self._data.training)
        sigma = tuple(float(x) for x in np.exp(self.step.log_sigma.numpy()))
        return EpochRecord(
            epoch=epoch,
            step=step,
            training=sum(result.value for result in results) / n_observed,
            held_out=self._held_out(),
            sigma=sigma if options.objective != "ldsr" else (options.start_sigma,) * len(sigma),
            gradient_norm=float(np.mean([result.gradient_norm for result in results])),
            faults=sum(result.faults for result in results),
        )

    def _rounds(self, epoch: int) -> Iterator[list[list[BlockArrays]]]:
        """The blocks of every update of an epoch, those of this process only."""
        order = np.random.default_rng([self._options.seed, epoch]).permutation(self._data.training)
        size = self._options.blocks_per_step
        steps = [order[i : i + size].tolist() for i in range(0, len(order), size)]
        n_replicas = self._strategy.num_replicas_in_sync
        mine = local_replicas(self._strategy)
        plan = [share_out(step, self._costs, n_replicas) for step in steps]
        flat = [entry for step in plan for row in step for entry in row[mine.start : mine.stop]]
        blocks = read_ahead(flat, self._read)
        like: BlockArrays | None = None
        for step in plan:
            rounds = []
            for _ in step:
                row = [next(blocks) for _ in mine]
                like = next((block for block in row if block is not None), like)
                if like is None:
                    like = self._read(self._data.training[0])
                rounds.append([empty_block(like) if block is None else block for block in row])
            yield rounds

    def _read(self, index: int) -> BlockArrays:
        return block_arrays(
            self._data.source.read(index),
            index,
            pad=self._options.xla,
        )

    def _held_out(self) -> float:
        """Negative log-likelihood per held-out z-score, exact, in float64."""
        if not self._data.held_out:
            return float("nan")
        scores = score_blocks(
            self._data.source,
            self._data.held_out,
            lambda data: self.step.log_f(data.inputs()).numpy(),
            self.step.log_sigma.numpy().astype(np.float64),
        )
        return scores.nll_per_z()

    def _keep_if_better(self, epoch: int, held_out: float) -> None:
        """Without held-out blocks the last parameters are the best."""
        state = self.state
        gain = 1000.0 * (state.best_held_out - held_out)
        if not self._data.held_out or gain > self._options.min_gain or not state.best:
            state.best = [variable.numpy() for variable in self._parameters]
            state.best_epoch = epoch
            state.best_held_out = held_out

    def _is_over(self) -> bool:
        patience = self._options.patience
        has_held_out = bool(self._data.held_out) and patience > 0
        return has_held_out and self.state.epoch - self.state.best_epoch >= patience

    def _observed_per_step(self) -> float:
        observed = [self._data.source.sizes[i].n_observed for i in self._data.training]
        return float(np.mean(observed)) * min(self._options.blocks_per_step, len(observed))


def _solver(data: FitData, options: FitOptions) -> str:
    largest = max((data.source.sizes[i] for i in data.training), key=lambda size: size.cost)
    return choose_solver(
        max(1, largest.k), largest.n, options.cg_probes, _EXPECTED_ITERATIONS, options.solver
    )


def _objective(solver: str, data: FitData, options: FitOptions) -> ObjectiveFunction:
    if options.objective == "ldsr":
        n_over_m = np.asarray(data.n_over_m, np.float32)
        return lambda logf, log_sigma, traits, _: ldsr_terms(logf, log_sigma, traits, n_over_m)
    if solver == "cg":
        cg = CgOptions(options.cg_probes, options.cg_tolerance, options.cg_max_iterations)
        return lambda logf, log_sigma, traits, block: cg_likelihood_terms(
            logf, log_sigma, traits, cg, block
        )
    return lambda logf, log_sigma, traits, _: likelihood_terms(logf, log_sigma, traits)
