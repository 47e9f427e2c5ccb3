"""How a prior is fitted: everything that decides the result besides data and architecture."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tfgen.errors import UsageError

Objective = Literal["mll", "em", "ldsr"]
SolverName = Literal["auto", "chol", "cg"]
SigmaMode = Literal["fixed", "trained"]
PreconditionerName = Literal["eigen", "jacobi", "pivchol", "none"]
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


def _setting(help_text: str, default: Any) -> Any:
    """A field with the help of the flag of the same name."""
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class FitOptions:
    """Settings of a fit.

    Of those about updates the objective `em` uses `learning_rate`, `weight_decay`, `em_epochs` and
    `em_batch`; it neither warms up nor clips.

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
        cg_preconditioner: `eigen`: the diagonal of sigma I + mean(f) QQ', which does not depend on
            the prior and is exact for equal f where a block has no flanks. `jacobi`: the diagonal
            of sigma I + Q F Q'. `pivchol`: pivoted Cholesky of rank 15.
        xla: Compile the likelihood with XLA, blocks padded to few sizes.

    Raises:
        UsageError: A value has no meaning.
    """

    objective: Objective = _setting(
        "Minimise the exact likelihood (mll), the same by EM (em), or LD-score regression (ldsr).",
        "mll",
    )
    solver: SolverName = _setting(
        "Exact Cholesky, conjugate gradients with random probes, or the cheaper one.",
        "auto",
    )
    sigma: SigmaMode = _setting("Whether the noise is --start_sigma or trained.", "fixed")
    start_sigma: float = _setting("Noise on the z scale; 1 without confounding.", 1.0)
    start_mean_f: float = _setting(
        "Mean prior variance where training starts; 0 estimates it from the data.",
        0.0,
    )
    epochs: int = _setting("Most passes over the training blocks, or rounds of em.", 50)
    blocks_per_step: int = _setting("Blocks behind one update.", 4)
    learning_rate: float = _setting("Rate of Adam after the warm-up.", 3e-3)
    sigma_learning_rate: float = _setting("Rate of log sigma and of the frequency exponent.", 1e-2)
    warmup_steps: int = _setting("Updates over which the rate rises.", 20)
    clip_norm: float = _setting("Largest norm of the gradient per z-score; 0 does not clip.", 1.0)
    weight_decay: float = _setting("Decoupled weight decay.", 0.0)
    patience: int = _setting(
        "Epochs without a better held-out likelihood after which training stops; 0 never stops.",
        20,
    )
    min_gain: float = _setting("Smallest gain per 1,000 z-scores that counts as better.", 0.0)
    micro_batch: int = _setting(
        "Variants that go through the network at once; bounds the memory.",
        8192,
    )
    seed: int = _setting("Seed of weights, order, dropout and probes.", 0)
    em_epochs: int = _setting("Passes over the variants in one round of em.", 3)
    em_batch: int = _setting("Variants of a mini-batch of em.", 1024)
    cg_probes: int = _setting("Random probes of conjugate gradients.", 16)
    cg_tolerance: float = _setting("Relative residual of conjugate gradients.", 1e-2)
    cg_max_iterations: int = _setting("Most iterations of conjugate gradients.", 200)
    cg_preconditioner: PreconditionerName = _setting(
        "Preconditioner of conjugate gradients.", "eigen"
    )
    xla: bool = _setting("Compile the likelihood with XLA; pays on a GPU, not on a CPU.", False)

    def __post_init__(self) -> None:
        for name, choices in (
            ("objective", get_args(Objective)),
            ("solver", get_args(SolverName)),
            ("sigma", get_args(SigmaMode)),
            ("cg_preconditioner", get_args(PreconditionerName)),
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
        if not 0 <= self.seed < 2**31:
            raise UsageError(f"seed is {self.seed}; expected 0 to {2**31 - 1}")
        if self.xla and self.solver == "cg":
            raise UsageError(
                "xla pads blocks, which the solver cg cannot do; leave one of them out"
            )
        if self.objective == "ldsr" and self.sigma == "trained":
            raise UsageError(
                "sigma is trained and the objective ldsr, which has no likelihood of sigma; use "
                "--sigma=fixed or another objective"
            )
