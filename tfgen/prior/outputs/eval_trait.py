"""The figures of one trait: gains over the baselines with their uncertainty, and calibration."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfgen.prior.constant_fit import ConstantPrior
from tfgen.prior.ld.block_fit import ALPHA, BlockStatistic, chi2_statistic
from tfgen.prior.outputs.calibration import RATIO_RANGE, is_mismatch, mahalanobis_p
from tfgen.prior.outputs.held_out import BASELINES, TraitBlock, TraitResult
from tfgen.prior.outputs.jackknife import Interval, block_groups, interval
from tfgen.prior.outputs.trained_prior import FINAL

_NAMES = {
    "no_effects": "no effects",
    "constant": "the constant prior",
    "constant_same_sigma": "the constant prior with the same noise",
}


@dataclass(frozen=True)
class Gain:
    """What the prior gains over a baseline on the blocks that were scored.

    Attributes:
        baseline: One of `held_out.BASELINES`.
        nats: Sum of the log-likelihood ratios.
        per_1000: Per 1,000 observed variants.
    """

    baseline: str
    nats: float
    per_1000: Interval

    @property
    def bits_per_variant(self) -> float:
        """The gain in the unit of information."""
        return self.per_1000.estimate / 1000 / math.log(2)

    def text(self) -> str:
        """One line in words."""
        x = self.per_1000
        verdict = "above zero" if x.is_above_zero else "not above zero"
        if math.isnan(x.se):
            verdict = "not known to be above zero: too few blocks"
        return (
            f"gain over {_NAMES[self.baseline]}: {x.estimate:.4g} nats per 1,000 variants "
            f"[{x.low:.4g}, {x.high:.4g}], {self.bits_per_variant:.3g} bits per variant: {verdict}"
        )


@dataclass(frozen=True)
class TraitEvaluation:
    """The figures of one trait on blocks that are tested in the same way.

    Attributes:
        result: Its blocks.
        n_groups: Groups of blocks behind the standard errors.
        gains: One per baseline.
        fit: y'K^-1 y of all blocks, chi-square with k degrees of freedom if the prior is right.
        flagged: Blocks whose own statistic is beyond chance, for all blocks together.
    """

    result: TraitResult
    n_groups: int
    gains: tuple[Gain, ...]
    fit: BlockStatistic
    flagged: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the trait."""
        return self.result.trait.name

    @property
    def test(self) -> str:
        """How the blocks are tested: `trained_prior.FOLDS`, `FINAL` or `IN_SAMPLE`."""
        return self.result.blocks[0].test

    @property
    def label(self) -> str:
        """The trait, and that it is a final test."""
        return f"{self.name}, final test" if self.test == FINAL else self.name

    @property
    def mahalanobis_per_k(self) -> float:
        """1 if the prior and the LD are right."""
        return self.fit.chi2 / self.fit.k

    @property
    def is_mismatch(self) -> bool:
        """Whether it is too far from 1, and not by chance."""
        return is_mismatch(self.mahalanobis_per_k, self.fit.k)

    @property
    def mahalanobis_p(self) -> float:
        """Two-sided chi-square probability of that."""
        return mahalanobis_p(self.mahalanobis_per_k, self.fit.k)

    def mismatch_text(self) -> str:
        """What that means."""
        low, high = RATIO_RANGE
        return (
            f"MISMATCH: {self.label}: Mahalanobis/k is {self.mahalanobis_per_k:.4g} "
            f"(p {self.mahalanobis_p:.3g}), expected {low} to {high}: LD, noise and z-scores do "
            "not belong together; see prior_check_ld.py"
        )

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        blocks = self.result.blocks
        return {
            "n_blocks": len(blocks),
            "n_groups": self.n_groups,
            "n_observed": sum(block.n_observed for block in blocks),
            "k": self.fit.k,
            "nll_per_z": sum(b.nll for b in blocks) / sum(b.n_observed for b in blocks),
            "gains": {
                gain.baseline: {
                    "nats": gain.nats,
                    "per_1000": dataclasses.asdict(gain.per_1000),
                    "bits_per_variant": gain.bits_per_variant,
                    "above_zero": gain.per_1000.is_above_zero,
                    "text": gain.text(),
                }
                for gain in self.gains
            },
            "mahalanobis_per_k": self.mahalanobis_per_k,
            "p": self.mahalanobis_p,
            "p_upper": self.fit.p_upper,
            "p_lower": self.fit.p_lower,
            "mismatch": self.is_mismatch,
            "flagged_blocks": list(self.flagged),
            "folds": {block.fold: self._fold(block) for block in blocks},
        }

    def _fold(self, block: TraitBlock) -> dict[str, Any]:
        return {
            "sigma": block.sigma,
            "constant": _constant(self.result.constant[block.fold]),
            "constant_same_sigma": _constant(self.result.constant_same_sigma[block.fold]),
        }


def evaluate_trait(result: TraitResult) -> TraitEvaluation:
    """The figures of a trait from its blocks, all of one test.

    Raises:
        UsageError: There is no block.
    """
    blocks = result.blocks
    observed = np.array([block.n_observed for block in blocks], np.float64)
    groups = block_groups([block.block for block in blocks])
    gains = []
    for baseline in BASELINES:
        nats = np.array([block.baselines[baseline] - block.nll for block in blocks], np.float64)
        gains.append(Gain(baseline, float(nats.sum()), interval(1000 * nats, observed, groups)))
    tails = {block.block.id: chi2_statistic(block.residuals) for block in blocks}
    least = {name: min(found.p_upper, found.p_lower) for name, found in tails.items()}
    limit = ALPHA / 2 / max(1, len(blocks))
    flagged = tuple(name for name, p in least.items() if p < limit)
    residuals = np.concatenate([block.residuals for block in blocks])
    fit = chi2_statistic(residuals)
    return TraitEvaluation(result, len(np.unique(groups)), tuple(gains), fit, flagged)


def _constant(prior: ConstantPrior) -> dict[str, float]:
    return {"f": prior.f, "sigma": prior.sigma}
