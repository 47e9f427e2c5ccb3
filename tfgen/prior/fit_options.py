"""How a prior is fitted: everything that decides the result besides data and architecture."""

from dataclasses import dataclass
from typing import Literal, get_args

from tfgen.errors import UsageError

Objective = Literal["mll", "em", "ldsr"]
SolverName = Literal["auto", "chol", "cg"]
SigmaMode = Literal["fixed", "trained"]
StrategyName = Literal["one", "mirrored", "multiworker"]

_POSITIVE = (
    "learning_rate",
    "start_sigma",
    "epochs",
    "blocks_per_step",
    "micro_batch",
    "em_epochs",
    "em_batch",
    "cg_probes",
    "cg_tolerance",
    "cg_max_iterations",
)
_NOT_NEGATIVE = (
    "sigma_learning_rate",
    "warmup_steps",
    "clip_norm",
    "weight_decay",
    "patience",
    "min_gain",
    "start_mean_f",
)


@dataclass(frozen=True)
class FitOptions:
    """Settings of a fit.

    Attributes:
        objective: `mll`: the exact likelihood of all z-scores. `em`: the same by expectation and
            maximisation, the latter an ordinary regression. `ldsr`: LD-score regression.
        solver: `chol`: exact. `cg`: conjugate gradients with random probes. `auto`: by cost.
        sigma: Whether the noise is `start_sigma`, or trained (`mll` and `em`).
        start_sigma: Noise on the z scale; 1 without confounding.
        start_mean_f: Mean prior variance where training starts; 0 estimates it from the data.
        epochs: Most passes over the training blocks; for `em` the rounds.
        blocks_per_step: Blocks behind one update.
        learning_rate: Of Adam, after the warm-up.
        sigma_learning_rate: Of log sigma and the frequency exponent.
        warmup_steps: Updates over which the learning rate rises linearly.
        clip_norm: Largest norm of the gradient per z-score; 0 does not clip.
        weight_decay: Decoupled, of the matrices of the network.
        patience: Epochs without a better held-out likelihood after which training stops; 0 never.
        min_gain: Smallest gain per 1,000 z-scores that counts as better.
        micro_batch: Variants that go through the network at once.
        seed: Of the initial weights, the order of blocks, dropout and probes.
        em_epochs: Passes over the variants in one round of `em`.
        em_batch: Variants of a mini-batch of `em`.
        cg_probes: Random probes of `cg`.
        cg_tolerance: Relative residual of `cg`.
        cg_max_iterations: Most iterations of `cg`.
        xla: Compile the likelihood with XLA, blocks padded to few sizes.

    Raises:
        UsageError: A value has no meaning.
    """

    objective: Objective = "mll"
    solver: SolverName = "auto"
    sigma: SigmaMode = "fixed"
    start_sigma: float = 1.0
    start_mean_f: float = 0.0
    epochs: int = 50
    blocks_per_step: int = 4
    learning_rate: float = 3e-3
    sigma_learning_rate: float = 1e-2
    warmup_steps: int = 20
    clip_norm: float = 1.0
    weight_decay: float = 0.0
    patience: int = 8
    min_gain: float = 0.0
    micro_batch: int = 8192
    seed: int = 0
    em_epochs: int = 3
    em_batch: int = 1024
    cg_probes: int = 16
    cg_tolerance: float = 1e-2
    cg_max_iterations: int = 200
    xla: bool = False

    def __post_init__(self) -> None:
        for name, choices in (
            ("objective", get_args(Objective)),
            ("solver", get_args(SolverName)),
            ("sigma", get_args(SigmaMode)),
        ):
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"{name} is {getattr(self, name)!r}; use one of {', '.join(choices)}"
                )
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a number above 0")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if self.objective == "ldsr" and self.sigma == "trained":
            raise UsageError(
                "sigma is trained and the objective ldsr, which has no likelihood of sigma; use "
                "--sigma=fixed or another objective"
            )
