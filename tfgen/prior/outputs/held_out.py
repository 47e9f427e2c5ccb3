"""The exact likelihood of blocks that a prior never saw, and of what it must beat, in float64."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen.errors import UsageError
from tfgen.prior.constant_fit import ConstantPrior, Spectrum, fit_constant
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.likelihood import Tensor, block_terms
from tfgen.prior.outputs.calibration import VariantFigures, enrichment_sums
from tfgen.prior.outputs.trained_prior import TrainedPrior
from tfgen.prior.posterior import posterior_of
from tfgen.prior.training.block_data import BlockData, BlockSize
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.traits import Trait

Doubles = npt.NDArray[np.float64]

NO_EFFECTS, CONSTANT, CONSTANT_SAME_SIGMA = "no_effects", "constant", "constant_same_sigma"
BASELINES = (NO_EFFECTS, CONSTANT, CONSTANT_SAME_SIGMA)
"""What a prior is compared with: f = 0 at its own sigma; the constant prior whose f and sigma were
fitted to the blocks that its fold learned from; and the same with sigma as the prior has it."""


@dataclass(frozen=True)
class TraitBlock:
    """One trait in one block under the prior.

    Attributes:
        block: Where it lies.
        fold: The model.
        sigma: Its noise.
        n_observed: z-scores.
        k: Rows of y.
        nll: Negative log-likelihood in nats.
        baselines: The same of each of `BASELINES`.
        residuals: L^-1 y, N(0, 1) under the model [k].
        mean_f: Mean prior variance of all variants of the block.
        observed: Variants with a z-score.
        enrichment: See `calibration.enrichment_sums`, of the observed variants.
    """

    block: BlockSize
    fold: str
    sigma: float
    n_observed: int
    k: int
    nll: float
    baselines: Mapping[str, float]
    residuals: Doubles
    mean_f: float
    observed: VariantFigures
    enrichment: Doubles

    @property
    def mahalanobis(self) -> float:
        """y'K^-1 y."""
        return float(self.residuals @ self.residuals)


@dataclass(frozen=True)
class TraitResult:
    """A trait in all blocks that were scored.

    Attributes:
        trait: The trait.
        blocks: The blocks in genome order.
        constant: The constant prior of each fold.
        constant_same_sigma: The same with the noise of the fold's model.
    """

    trait: Trait
    blocks: tuple[TraitBlock, ...]
    constant: Mapping[str, ConstantPrior]
    constant_same_sigma: Mapping[str, ConstantPrior]


def score_held_out(
    prior: TrainedPrior,
    store: LdStore,
    source: DiskBlocks,
    traits: Sequence[Trait],
    in_sample: bool = False,
    between_blocks: Callable[[], None] = lambda: None,
) -> tuple[TraitResult, ...]:
    """Scores the blocks that no model of a fold saw.

    Args:
        prior: The prior.
        store: The LD.
        source: Its blocks with the same traits, made `with_ld`.
        traits: The traits, some of those of the prior.
        in_sample: Score the blocks that every model saw, instead.
        between_blocks: Called after every block; may raise to stop.

    Raises:
        UsageError: There is no block to score, or nothing to fit the constant prior to.
    """
    sizes = source.sizes
    chosen = scored_blocks(prior, sizes, in_sample)
    pass_ = _Pass(prior, store, source, traits, in_sample)
    for index in range(len(sizes)):
        pass_.read(index, index in chosen)
        between_blocks()
    return tuple(pass_.result(number) for number in range(len(traits)))


def scored_blocks(
    prior: TrainedPrior, sizes: Sequence[BlockSize], in_sample: bool
) -> frozenset[int]:
    """Which blocks are scored.

    Raises:
        UsageError: None.
    """
    tested = prior.index.fold_of
    chosen = [i for i, s in enumerate(sizes) if (s.id in tested) != in_sample and s.n_observed]
    if chosen:
        return frozenset(chosen)
    if in_sample:
        raise UsageError(
            f"{prior.folder}: every block with z-scores was kept out of the training of a fold; "
            "leave out --in_sample"
        )
    raise UsageError(
        f"{prior.folder}: no block with z-scores was kept out of the training; train with --folds "
        "or --test_chrom and use the LD of the training, or pass --in_sample"
    )


def learned_blocks(prior: TrainedPrior, sizes: Sequence[BlockSize], fold: str) -> list[int]:
    """Blocks that a fold may have learned from or stopped by: all that do not touch its test.

    Those of chromosomes that were kept out of everything are none of them.
    """
    tests = next((set(f.test) for f in prior.index.folds if f.name == fold), set())
    chroms = prior.cards[fold].training.get("test_chrom", ()) if fold in prior.cards else ()
    test = [size for size in sizes if size.id in tests]
    return [
        i
        for i, size in enumerate(sizes)
        if size.n_observed
        and size.id not in tests
        and size.chrom not in chroms
        and not any(_overlap(size, other) for other in test)
    ]


def _overlap(one: BlockSize, other: BlockSize) -> bool:
    return one.chrom == other.chrom and one.start < other.end and other.start < one.end


class _Pass:
    """One pass over the blocks, then the baselines, which need all of them."""

    def __init__(
        self,
        prior: TrainedPrior,
        store: LdStore,
        source: DiskBlocks,
        traits: Sequence[Trait],
        in_sample: bool,
    ) -> None:
        self._prior, self._store, self._source = prior, store, source
        self._traits, self._in_sample = traits, in_sample
        self._columns = prior.trait_columns([trait.name for trait in traits])
        self._shift = sample_size_shift(prior, traits)
        self._spectra: dict[tuple[int, int], Spectrum] = {}
        self._found: dict[tuple[int, int], TraitBlock] = {}

    def read(self, index: int, is_scored: bool) -> None:
        """Reads one block."""
        data = self._source.read(index)
        for number, rows in enumerate(data.traits):
            if len(rows.y):
                self._spectra[index, number] = Spectrum.of(rows.q, rows.y)
        if not is_scored:
            return
        log_f = self._prior.log_f(data, self._in_sample)[:, self._columns] + self._shift
        sigma = self._prior.sigma(data.id, self._in_sample)[self._columns]
        for number in range(len(data.traits)):
            if len(data.traits[number].y):
                self._found[index, number] = self._score(
                    index, data, number, log_f[:, number], float(sigma[number])
                )

    def _score(
        self, index: int, data: BlockData, number: int, log_f: Doubles, sigma: float
    ) -> TraitBlock:
        rows = data.traits[number]
        if rows.ld is None or rows.z is None:
            raise UsageError("the blocks have no LD of the observed variants; read them with_ld")
        q, f = rows.q.astype(np.float64), np.exp(log_f)
        terms = block_terms(log_f, np.float64(np.log(sigma)), q, rows.y)
        moments = posterior_of(log_f, terms).second_moment.numpy()
        ld, z = rows.ld.astype(np.float64), rows.z.astype(np.float64)
        observed = np.flatnonzero(~np.isnan(self._traits[number].z[data.id]))
        return TraitBlock(
            block=self._source.sizes[index],
            fold=self._prior.fold(data.id, self._in_sample),
            sigma=sigma,
            n_observed=rows.n_observed,
            k=len(rows.y),
            nll=float(terms.nll),
            baselines={NO_EFFECTS: float(terms.null)},
            residuals=_residuals(q, f, sigma, rows.y),
            mean_f=float(f.mean()),
            # The diagonal of R is 1, whatever share of its variance was kept.
            observed=VariantFigures(f[observed], z**2, ld**2 @ f + sigma, moments[observed]),
            enrichment=enrichment_sums(f[observed], data.annotations[observed]),
        )

    def result(self, number: int) -> TraitResult:
        """The blocks of one trait, with their baselines."""
        name = self._traits[number].name
        found = {index: block for (index, t), block in self._found.items() if t == number}
        constant: dict[str, ConstantPrior] = {}
        same_sigma: dict[str, ConstantPrior] = {}
        for block in found.values():
            if block.fold not in constant:
                spectra = self._learned(block.fold, number)
                if not spectra:
                    raise UsageError(
                        f"{name}: {self._store.path} has no block that fold {block.fold} learned "
                        "from, so that there is no constant prior to compare with; give the LD of "
                        "the training"
                    )
                constant[block.fold] = fit_constant(spectra)
                same_sigma[block.fold] = fit_constant(spectra, block.sigma)
        blocks = []
        for index, block in found.items():
            spectrum = self._spectra[index, number]
            pair = constant[block.fold], same_sigma[block.fold]
            values = [spectrum.nll(other.f, other.sigma) for other in pair]
            baselines = dict(zip(BASELINES, [block.baselines[NO_EFFECTS], *values], strict=True))
            blocks.append(replace(block, baselines=baselines))
        return TraitResult(self._traits[number], tuple(blocks), constant, same_sigma)

    def _learned(self, fold: str, number: int) -> list[Spectrum]:
        indices = learned_blocks(self._prior, self._source.sizes, fold)
        return [self._spectra[i, number] for i in indices if (i, number) in self._spectra]


def sample_size_shift(prior: TrainedPrior, traits: Sequence[Trait]) -> Doubles:
    """What log f gains where statistics are of another sample size than those of training [T].

    f is N times the variance of an effect, so that it grows with N.
    """
    scales = [prior.index.traits[i] for i in prior.trait_columns([t.name for t in traits])]
    pairs = zip(traits, scales, strict=True)
    return np.array([np.log(trait.n_eff / scale.n_eff) for trait, scale in pairs], np.float64)


def _residuals(q: Doubles, f: Doubles, sigma: float, y: Doubles) -> Doubles:
    """L^-1 y with L L' = Q diag(f) Q' + sigma I."""
    kernel: Any = (q * f) @ q.T + sigma * np.eye(len(y))
    factor: Tensor = tf.linalg.cholesky(kernel)
    return np.asarray(tf.linalg.triangular_solve(factor, y[:, np.newaxis]).numpy()[:, 0])
