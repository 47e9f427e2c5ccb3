"""What decides a synthetic GWAS."""

import dataclasses
import math
from typing import Any, Literal, get_args

import numpy as np

from tfgen.errors import UsageError

WorldTruth = Literal["linear", "ushape", "null"]

PURPOSES = ("panel", "sites", "annotations", "effects", "noise", "file")
"""Each has random numbers of its own; a new purpose goes to the end, so that worlds stay alike."""


def _option(default: Any, text: str, lower: float, upper: float | None = None) -> Any:
    """A field with the range and the help that its flag has too."""
    metadata: dict[str, Any] = {"help": text, "lower": lower}
    if upper is not None:
        metadata["upper"] = upper
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class GwasConfig:
    """Size and truth of a synthetic GWAS.

    The `help` in the metadata of each field says what it is.

    Raises:
        UsageError: A value is out of range, or there is no room for the blocks.
    """

    seed: int = _option(1, "Seed of everything random.", 0)
    truth: WorldTruth = dataclasses.field(
        default="linear",
        metadata={
            "help": "log f: linear in |SAD| and peaks; ushape, quadratic in conservation with the "
            "product of |SAD| and signal; or null, no effects."
        },
    )
    chromosomes: int = _option(4, "Chromosomes, named 1, 2, ...", 1, 22)
    variants: int = _option(1500, "Variants of a chromosome.", 40)
    block_variants: int = _option(220, "Mean number of variants of an LD block.", 20)
    spacing: int = _option(600, "Mean distance in bases between variants.", 10)
    people: int = _option(1200, "People whose LD the statistics have.", 100)
    panel_people: int = _option(
        0, "People of the panel: the first of them; 0 takes all, in-sample LD.", 0
    )
    founders: int = _option(120, "Founder haplotypes that people are mosaics of.", 10)
    min_frequency: float = _option(
        0.02, "Least frequency of the rarer allele among founders.", 0.0, 0.4
    )
    n: int = _option(400_000, "Sample size of the GWAS.", 100)
    mean_f: float = _option(0.5, "Mean prior variance of effects on the z scale.", 1e-6)
    sd: float = _option(1.2, "Standard deviation of log f that the features make.", 0.0)
    freq_exponent: float = _option(0.7, "Exponent of 2p(1-p) in f.", -2.0, 2.0)
    sigma: float = _option(1.0, "Variance of the noise on the z scale.", 0.01)
    tracks: int = _option(4, "Tracks of the score store; the first one counts.", 1)

    def __post_init__(self) -> None:
        if self.truth not in get_args(WorldTruth):
            raise UsageError(
                f"truth is {self.truth!r}; use one of {', '.join(get_args(WorldTruth))}"
            )
        for field in dataclasses.fields(self):
            value, lower = getattr(self, field.name), field.metadata.get("lower")
            upper = field.metadata.get("upper", math.inf)
            if lower is not None and not lower <= value <= upper:
                raise UsageError(f"{field.name} is {value}; expected {lower} to {upper}")
        if self.panel_people > self.people:
            raise UsageError(
                f"panel_people is {self.panel_people}; expected no more than people, {self.people}"
            )
        if 0 < self.panel_people < 20:  # noqa: PLR2004  fewer have no LD to speak of
            raise UsageError(f"panel_people is {self.panel_people}; expected 20 or more, or 0")
        if self.block_variants > self.variants:
            raise UsageError(
                f"block_variants is {self.block_variants}; expected no more than variants, "
                f"{self.variants}"
            )

    @property
    def n_panel(self) -> int:
        """People of the panel."""
        return self.panel_people or self.people

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the chromosomes."""
        return tuple(str(i + 1) for i in range(self.chromosomes))

    def generators(self, purpose: str) -> list[np.random.Generator]:
        """A fresh random generator per chromosome for one of `PURPOSES`."""
        key = PURPOSES.index(purpose)
        return [
            np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(key, index)))
            for index in range(self.chromosomes)
        ]


QUICK = dataclasses.replace(
    GwasConfig(), seed=2, chromosomes=4, variants=600, block_variants=100, people=400, founders=80
)
"""A world for a first look: a second to make, and enough of it that a prior can be learned."""
