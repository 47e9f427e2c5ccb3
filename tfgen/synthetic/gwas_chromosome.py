"""One chromosome of a synthetic GWAS: variants, people, features, effects and z-scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tfgen.genome import VariantTable
from tfgen.prior.simulation.truths import TruthInputs
from tfgen.synthetic.gwas_config import GwasConfig
from tfgen.synthetic.haplotype_panel import panel_genotypes

SEGMENT: Final = 15
"""Most variants of a stretch with one tree of founders."""

SIGNAL_BIN: Final = 128
"""Bases of a bin of the signal track."""

FEATURES: Final = ("sad", "peak", "conserved", "signal")
"""What the truth may read, in the order of `Chromosome.features`."""

_MARGIN = 10_000
_PEAK_EVERY = 4_000
_PEAK_WIDTHS = (300, 1200)
_TRANSITIONS: Mapping[str, str] = {"A": "G", "G": "A", "C": "T", "T": "C"}
_TRANSVERSIONS: Mapping[str, str] = {"A": "CT", "G": "CT", "C": "AG", "T": "AG"}
_TRANSITION_SHARE = 2 / 3
_UNSCORED_SHARE = 0.01
_CODING_SHARE = 0.03
_SAD_IN_PEAKS = 1.5
_SAD_CORRELATION = 0.6  # of the second track with the first

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chromosome:
    """One chromosome with everything but effects; n variants by position.

    Attributes:
        name: Its name.
        length: Bases.
        blocks: Start, end (0-based, half-open) and number of variants of each LD block.
        variants: The variants; `alt` is the allele that genotypes count, `af` its frequency [n].
        genotypes: Copies of `alt` [people, n].
        peaks: Start and end of each interval, 0-based and half-open [peaks, 2].
        signal: Mean signal of bins of `SIGNAL_BIN` bases from 0 on [bins] float32.
        sad: Scores of `score_alt` minus `score_ref` [n, tracks] float32; NaN without a score.
        score_ref: First allele in the score store [n].
        score_alt: Second allele in the score store [n].
        conserved: Conservation [n].
        coding: 1 in coding sequence, else 0 [n].
    """

    name: str
    length: int
    blocks: tuple[tuple[int, int, int], ...]
    variants: VariantTable
    genotypes: npt.NDArray[np.int8]
    peaks: npt.NDArray[np.int64]
    signal: npt.NDArray[np.float32]
    sad: npt.NDArray[np.float32]
    score_ref: npt.NDArray[np.object_]
    score_alt: npt.NDArray[np.object_]
    conserved: Floats
    coding: npt.NDArray[np.int64]

    @property
    def features(self) -> TruthInputs:
        """`FEATURES` of the variants as `prior_features.py` makes them from the files."""
        columns = (
            np.abs(self.sad[:, 0]),
            in_peaks(self.variants.pos, self.peaks),
            self.conserved,
            self.signal[(self.variants.pos - 1) // SIGNAL_BIN],
        )
        return TruthInputs(np.stack(columns, axis=1).astype(np.float32), self.variants.af)


def draw_chromosome(config: GwasConfig, index: int) -> Chromosome:
    """Draws one chromosome.

    Args:
        config: What decides it.
        index: Its number from 0.

    Raises:
        UsageError: People or founders are too few for the frequencies.
    """
    name = config.names[index]
    sites, panel, annotations = (
        config.generators(purpose)[index] for purpose in ("sites", "panel", "annotations")
    )
    sizes = _block_sizes(config, sites)
    n = sum(sizes)
    pos = _MARGIN + np.cumsum(sites.geometric(1 / config.spacing, n))
    genotypes = panel_genotypes(
        sizes, config.people, config.founders, SEGMENT, config.min_frequency, panel
    )
    ref, alt = _alleles(n, sites)
    variants = VariantTable.of(
        [name] * n,
        pos,
        ref,
        alt,
        [f"rs{name}{i:06d}" for i in range(n)],
        genotypes.mean(axis=0, dtype=np.float64) / 2,
    )
    length = -(-(int(pos[-1]) + _MARGIN) // SIGNAL_BIN) * SIGNAL_BIN
    peaks = _peaks(length, annotations)
    sad = _scores(config, pos, peaks, annotations)
    as_in_panel = annotations.random(n) < 0.5  # noqa: PLR2004
    return Chromosome(
        name=name,
        length=length,
        blocks=_spans(pos, sizes),
        variants=variants,
        genotypes=genotypes,
        peaks=peaks,
        signal=_signal(length, peaks, annotations),
        sad=sad,
        score_ref=np.where(as_in_panel, variants.ref, variants.alt),
        score_alt=np.where(as_in_panel, variants.alt, variants.ref),
        conserved=annotations.normal(0, 1, n).round(4),
        coding=(annotations.random(n) < _CODING_SHARE).astype(np.int64),
    )


def draw_z(chromosome: Chromosome, b: Floats, sigma: float, rng: np.random.Generator) -> Floats:
    """Draws z = R b + noise of covariance sigma R, block by block; R is the LD of all people.

    With X the standardised genotypes of N people R = X'X / N, so that R b = X'(X b) / N and
    X'e / sqrt(N) with e ~ N(0, I) has the covariance R.

    Args:
        chromosome: The chromosome.
        b: Joint effects on the z scale [n].
        sigma: Variance of the noise.
        rng: Random numbers.

    Returns:
        [n].
    """
    z = np.empty(len(b))
    start = 0
    for _, _, size in chromosome.blocks:
        rows = slice(start, start + size)
        start += size
        x = chromosome.genotypes[:, rows].astype(np.float64)
        x -= x.mean(axis=0)
        x /= np.sqrt(np.mean(x**2, axis=0))
        noise = np.sqrt(sigma * len(x)) * rng.standard_normal(len(x))
        z[rows] = x.T @ (x @ b[rows] + noise) / len(x)
    return z


def in_peaks(pos: npt.NDArray[np.int64], peaks: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether 1-based positions lie in intervals that do not overlap, 0-based half-open [n]."""
    index = np.searchsorted(peaks[:, 0], pos - 1, side="right") - 1
    return (index >= 0) & (pos - 1 < peaks[np.maximum(index, 0), 1])


def _block_sizes(config: GwasConfig, rng: np.random.Generator) -> list[int]:
    """Variants of each block, their sum as asked for."""
    n_blocks = max(1, round(config.variants / config.block_variants))
    weights = rng.uniform(0.7, 1.3, n_blocks)
    ends = np.round(np.cumsum(weights) / weights.sum() * config.variants).astype(np.int64)
    return [int(size) for size in np.diff(ends, prepend=0)]


def _spans(pos: npt.NDArray[np.int64], sizes: list[int]) -> tuple[tuple[int, int, int], ...]:
    """Blocks side by side; each begins at its first variant."""
    firsts = np.cumsum([0, *sizes[:-1]])
    starts = [int(pos[first]) - 1 for first in firsts]
    ends = [*starts[1:], int(pos[-1])]
    return tuple(zip(starts, ends, sizes, strict=True))


def _alleles(n: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Two different bases per variant, as often a transition as in people."""
    ref = rng.choice(list("ACGT"), n).tolist()
    transitions = (rng.random(n) < _TRANSITION_SHARE).tolist()
    choices = rng.integers(0, 2, n).tolist()
    alt = [
        _TRANSITIONS[base] if transition else _TRANSVERSIONS[base][choice]
        for base, transition, choice in zip(ref, transitions, choices, strict=True)
    ]
    return ref, alt


def _peaks(length: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Intervals that do not overlap, about a fifth of the chromosome."""
    n = max(1, length // _PEAK_EVERY)
    slots = np.arange(n) * _PEAK_EVERY
    widths = rng.integers(*_PEAK_WIDTHS, n)
    starts = slots + rng.integers(0, _PEAK_EVERY - widths)
    return np.stack([starts, np.minimum(starts + widths, length)], axis=1)


def _signal(
    length: int, peaks: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Signal that is noisy everywhere and higher in peaks [bins]."""
    middles = np.arange(length // SIGNAL_BIN) * SIGNAL_BIN + SIGNAL_BIN // 2
    inside = in_peaks(middles, peaks)
    return (rng.gamma(2.0, 0.5, len(middles)) + 2.0 * inside).round(3).astype(np.float32)


def _scores(
    config: GwasConfig,
    pos: npt.NDArray[np.int64],
    peaks: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Scores of a sequence model: larger in peaks, missing for some [n, tracks]."""
    n = len(pos)
    draws = rng.standard_normal((n, config.tracks))
    if config.tracks > 1:
        rest = np.sqrt(1 - _SAD_CORRELATION**2)
        draws[:, 1] = _SAD_CORRELATION * draws[:, 0] + rest * draws[:, 1]
    scale = np.where(in_peaks(pos, peaks), _SAD_IN_PEAKS, 1.0)
    scores = (0.1 * scale[:, None] * draws).astype(np.float32)
    scores[rng.random(n) < _UNSCORED_SHARE] = np.nan
    return scores
