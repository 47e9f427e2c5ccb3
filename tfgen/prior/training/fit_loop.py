"""What every fit has in common: epochs, the state on disk, early stopping, the best parameters."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.prior.evaluation import score_blocks
from tfgen.prior.training.block_data import BlockSource
from tfgen.prior.training.distribution import is_chief, require_agreement
from tfgen.prior.training.fit_options import FitOptions
from tfgen.prior.training.fit_state import EpochRecord, FitState

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


class FitLoop(ABC):
    """A fit under way.

    Args:
        parameters: The variables of the network.
        log_sigma: Log noise of every trait [T], a variable made in the same scope.
        data: The blocks.
        options: The settings.
        identity: What determines the fit, for its state on disk.
        solver: `chol` or `cg`, for the result.
    """

    def __init__(
        self,
        parameters: Sequence[tf.Variable],
        log_sigma: tf.Variable,
        data: FitData,
        options: FitOptions,
        identity: str,
        solver: str,
    ) -> None:
        self.strategy = tf.distribute.get_strategy()
        self.parameters, self.log_sigma = list(parameters), log_sigma
        self.data, self.options, self.solver = data, options, solver
        self._identity = identity
        self.state = FitState()

    @abstractmethod
    def variables(self) -> list[tf.Variable]:
        """Everything that training changes."""

    @abstractmethod
    def log_f(self, inputs: dict[str, Any]) -> npt.NDArray[np.floating[Any]]:
        """Log f of all variants of a block [n, T], without dropout."""

    @abstractmethod
    def epoch(self, number: int, between_steps: Callable[[], None]) -> EpochRecord:
        """Runs one epoch, counted from 1."""

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
            InputMismatchError: The state on disk is that of another fit, or is not the same for all
                workers.
        """
        if state_path is not None:
            self.state = FitState.load(state_path, self.variables(), self._identity)
        # Workers that start at different epochs would wait for each other for ever.
        require_agreement(self.strategy, self.state.epoch, f"{state_path}: epochs that are done")
        state = self.state
        if not state.records:
            self._keep_if_better(0, self._held_out())
        stopped = self._is_over()
        while state.epoch < self.options.epochs and not stopped:
            record = self.epoch(state.epoch + 1, between_steps)
            state.records.append(record)
            self._keep_if_better(record.epoch, record.held_out)
            if state_path is not None and is_chief(self.strategy):
                state.save(state_path, self.variables(), self._identity)
            on_epoch(record)
            stopped = self._is_over()
        for variable, value in zip([*self.parameters, self.log_sigma], state.best, strict=True):
            variable.assign(value)
        return FitResult(
            tuple(state.records),
            state.best_epoch,
            state.best_held_out,
            tuple(float(x) for x in self.log_sigma.numpy()),
            stopped,
            self.solver,
            state.converged,
        )

    @property
    def n_observed(self) -> int:
        """z-scores of the training blocks."""
        return sum(self.data.source.sizes[i].n_observed for i in self.data.training)

    def record(
        self, number: int, step: int, training: float, norm: float, faults: int
    ) -> EpochRecord:
        """The line of the log for an epoch, with the held-out likelihood at its end.

        Args:
            number: Of the epoch.
            step: Updates so far.
            training: Objective of the training blocks, summed.
            norm: Mean norm of the gradient.
            faults: What had to be mended.
        """
        return EpochRecord(
            epoch=number,
            step=step,
            training=training / self.n_observed,
            held_out=self._held_out(),
            sigma=tuple(float(x) for x in np.exp(self.log_sigma.numpy())),
            gradient_norm=norm,
            faults=faults,
        )

    def _held_out(self) -> float:
        """Negative log-likelihood per held-out z-score, exact, in float64."""
        if not self.data.held_out:
            return float("nan")
        scores = score_blocks(
            self.data.source,
            self.data.held_out,
            lambda data: self.log_f(data.inputs()).astype(np.float64),
            self.log_sigma.numpy().astype(np.float64),
        )
        return scores.nll_per_z()

    def _keep_if_better(self, epoch: int, held_out: float) -> None:
        """Without held-out blocks the last parameters are the best."""
        state = self.state
        gain = 1000.0 * (state.best_held_out - held_out)
        if not self.data.held_out or gain > self.options.min_gain or not state.best:
            state.best = [variable.numpy() for variable in (*self.parameters, self.log_sigma)]
            state.best_epoch = epoch
            state.best_held_out = held_out

    def _is_over(self) -> bool:
        patience = self.options.patience
        has_held_out = bool(self.data.held_out) and patience > 0
        return has_held_out and self.state.epoch - self.state.best_epoch >= patience
