"""The exact likelihood of blocks that a prior never saw, and of what it must beat, in float64."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from tfgen.errors import UsageError
from tfgen.prior.constant_fit import ConstantPrior, Spectrum, fit_constant
from tfgen.prior.evaluation import exact_terms
from tfgen.prior.ld.ld_store import LdStore
from tfgen.prior.outputs.block_pieces import Arrays, BlockPieces
from tfgen.prior.outputs.calibration import VariantFigures, enrichment_sums
from tfgen.prior.outputs.trained_prior import FINAL, IN_SAMPLE, TrainedPrior
from tfgen.prior.posterior import posterior_of
from tfgen.prior.training.block_data import BlockData, BlockSize
from tfgen.prior.training.disk_blocks import DiskBlocks
from tfgen.prior.training.prior_folder import overlap
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
        test: How it is tested: `trained_prior.FOLDS`, `FINAL` or `IN_SAMPLE`.
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
    test: str
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

    def by_test(self) -> "tuple[TraitResult, ...]":
        """The blocks that are tested in the same way, those of a final test last."""
        tests = sorted({block.test for block in self.blocks}, key=lambda test: test == FINAL)
        return tuple(
            replace(self, blocks=tuple(b for b in self.blocks if b.test == test)) for test in tests
        )


def score_held_out(
    prior: TrainedPrior,
    store: LdStore,
    source: DiskBlocks,
    traits: Sequence[Trait],
    in_sample: bool = False,
    between_blocks: Callable[[], None] = lambda: None,
    pieces: BlockPieces | None = None,
) -> tuple[TraitResult, ...]:
    """Scores the blocks that a fold, or all of them, never saw.

    Args:
        prior: The prior.
        store: The LD.
        source: Its blocks with the same traits, made `with_ld`.
        traits: The traits, some of those of the prior.
        in_sample: Score the blocks that every model saw, instead.
        between_blocks: Called after every block; may raise to stop.
        pieces: What was found in blocks, perhaps by a former run; computed anew by default.

    Raises:
        NumericalError: The likelihood of a block is not finite.
        OutputError: A piece cannot be written.
        UsageError: There is no block to score, or nothing to fit the constant prior to.
    """
    sizes = source.sizes
    chosen = scored_blocks(prior, sizes, in_sample)
    pieces = pieces or BlockPieces(source)
    pass_ = _Pass(prior, store, sizes, traits, in_sample)
    for index in range(len(sizes)):
        is_scored = index in chosen
        pass_.take(index, pieces.get(index, partial(pass_.compute, is_scored=is_scored)))
        between_blocks()
    return tuple(pass_.result(number) for number in range(len(traits)))


def scored_blocks(
    prior: TrainedPrior, sizes: Sequence[BlockSize], in_sample: bool
) -> frozenset[int]:
    """Which blocks are scored.

    Raises:
        UsageError: None.
    """
    chosen = [
        i
        for i, size in enumerate(sizes)
        if (prior.test_of(size.id) == IN_SAMPLE) == in_sample and size.n_observed
    ]
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

    Those that were kept out of every fold, and what touches them, are none of them. For `mean` it
    is what any fold may have learned from.
    """
    tests = {block for f in prior.index.folds if f.name == fold for block in f.test}
    # A prior of format 1.0 does not say what was kept out.
    chroms = prior.card.training.get("test_chrom", ())
    apart = [size for size in sizes if size.id in tests or prior.test_of(size.id) == FINAL]
    return [
        i
        for i, size in enumerate(sizes)
        if size.n_observed
        and size.chrom not in chroms
        and not any(size is other or overlap(size, other) for other in apart)
    ]


class _Pass:
    """One pass over the blocks, then the baselines, which need all of them."""

    def __init__(
        self,
        prior: TrainedPrior,
        store: LdStore,
        sizes: Sequence[BlockSize],
        traits: Sequence[Trait],
        in_sample: bool,
    ) -> None:
        self._prior, self._store, self._sizes = prior, store, sizes
        self._traits, self._in_sample = traits, in_sample
        self._columns = prior.trait_columns([trait.name for trait in traits])
        self._shift = sample_size_shift(prior, traits)
        self._spectra: dict[tuple[int, int], Spectrum] = {}
        self._found: dict[tuple[int, int], TraitBlock] = {}

    def compute(self, data: BlockData, is_scored: bool) -> Arrays:
        """What a block gives, by `TRAIT.NAME`."""
        arrays: Arrays = {}
        for number, rows in enumerate(data.traits):
            if len(rows.y):
                spectrum = Spectrum.of(rows.q, rows.y)
                arrays[f"{number}.eigenvalues"] = spectrum.eigenvalues
                arrays[f"{number}.squares"] = spectrum.squares
        if not is_scored:
            return arrays
        log_f = self._prior.log_f(data, self._in_sample)[:, self._columns] + self._shift
        sigma = self._prior.sigma(data.id, self._in_sample)[self._columns]
        for number, rows in enumerate(data.traits):
            if len(rows.y):
                found = self._score(data, number, log_f[:, number], float(sigma[number]))
                arrays |= {f"{number}.{name}": values for name, values in found.items()}
        return arrays

    def _score(self, data: BlockData, number: int, log_f: Doubles, sigma: float) -> Arrays:
        rows = data.traits[number]
        if rows.ld is None or rows.z is None:
            raise UsageError("the blocks have no LD of the observed variants; read them with_ld")
        terms = exact_terms(data.id, rows, log_f, float(np.log(sigma)))
        f = np.exp(log_f)
        moments = posterior_of(log_f, terms).second_moment.numpy()
        ld, z = rows.ld.astype(np.float64), rows.z.astype(np.float64)
        observed = np.flatnonzero(~np.isnan(self._traits[number].z[data.id]))
        # The diagonal of R is 1, whatever share of its variance was kept.
        expected = ld**2 @ f + sigma
        figures = (sigma, rows.n_observed, float(terms.nll), float(terms.null), f.mean())
        return {
            "figures": np.array(figures, np.float64),
            "residuals": terms.whitened.numpy(),
            "observed": np.stack([f[observed], z**2, expected, moments[observed]]),
            "enrichment": enrichment_sums(f[observed], data.annotations[observed]),
        }

    def take(self, index: int, arrays: Arrays) -> None:
        """Takes what `compute` gave for a block."""
        for number in range(len(self._traits)):
            own = {
                name.partition(".")[2]: values
                for name, values in arrays.items()
                if name.startswith(f"{number}.")
            }
            if own:
                spectrum = Spectrum(own["eigenvalues"], own["squares"])
                self._spectra[index, number] = spectrum
            if "figures" in own:
                self._found[index, number] = self._block(self._sizes[index], own)

    def _block(self, size: BlockSize, own: Arrays) -> TraitBlock:
        sigma, n_observed, nll, null, mean_f = own["figures"].tolist()
        return TraitBlock(
            block=size,
            test=self._prior.test_of(size.id),
            fold=self._prior.fold(size.id, self._in_sample),
            sigma=sigma,
            n_observed=int(n_observed),
            k=len(own["residuals"]),
            nll=nll,
            baselines={NO_EFFECTS: null},
            residuals=own["residuals"],
            mean_f=mean_f,
            observed=VariantFigures(*own["observed"]),
            enrichment=own["enrichment"],
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
        indices = learned_blocks(self._prior, self._sizes, fold)
        return [self._spectra[i, number] for i in indices if (i, number) in self._spectra]


def sample_size_shift(prior: TrainedPrior, traits: Sequence[Trait]) -> Doubles:
    """What log f gains where statistics are of another sample size than those of training [T].

    f is N times the variance of an effect, so that it grows with N.
    """
    scales = [prior.index.traits[i] for i in prior.trait_columns([t.name for t in traits])]
    pairs = zip(traits, scales, strict=True)
    return np.array([np.log(trait.n_eff / scale.n_eff) for trait, scale in pairs], np.float64)
