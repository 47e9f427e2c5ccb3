"""The figures of the demo."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfgen.enformer.training_log import read_training_log
from tfgen.genome import (
    ContigNames,
    Fasta,
    Interval,
    Variant,
    centred_window,
    check_variant,
    variant_window,
)
from tfgen.plots import (
    AlleleCoverage,
    CoverageTrack,
    correlation_bars,
    effect_scatter,
    region_tracks,
    save_figure,
    training_curves,
    variant_tracks,
)
from tfgen.synthetic.effects import TrueEffects
from tfgen.synthetic.grammar import BIN_SIZE
from tfgen.synthetic.scorecard import Scorecard, rows_by_class
from tfgen.synthetic.truth import expected_coverage
from tfgen.synthetic.world import World

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Base codes `[batch, sequence_length]` -> coverage `[batch, target_length, tracks]`."""

FIGURES = ("effects.png", "correlations.png", "tracks.png", "variant.png", "training.png")
"""Names of the files."""

_REGION_WINDOWS = 10


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What the figures of effects show.

    Attributes:
        predicted: Predicted effects `[variants, tracks]`.
        truth: The same variants.
        trained: Agreement of the trained model.
        untrained: Agreement of the model before training.
    """

    predicted: npt.NDArray[np.float64]
    truth: TrueEffects
    trained: Scorecard
    untrained: Scorecard


def draw_figures(
    folder: Path, world: World, comparison: Comparison, predict: Predict, log: Path
) -> None:
    """Draws all figures of the demo into a folder.

    Args:
        folder: An existing folder.
        world: The world.
        comparison: Predicted and true effects.
        predict: The trained model.
        log: Log of the training.

    Raises:
        UsageError: matplotlib is not installed.
        OutputError: A file cannot be written.
    """
    labels = [track.description for track in world.tracks]
    truth = comparison.truth
    shown = truth.variants[_showcase(truth)]
    figures = (
        effect_scatter(
            comparison.predicted,
            truth.sad,
            rows_by_class(truth),
            labels,
            "SAD: change of coverage, summed over the window",
        ),
        _bars(comparison),
        _region(world, shown, predict, labels),
        _variant(world, shown, predict, labels),
        _curves(log, labels),
    )
    for name, figure in zip(FIGURES, figures, strict=True):
        save_figure(figure, folder / name)


def _showcase(truth: TrueEffects) -> int:
    """The substitution with the largest true effect, in a distal enhancer if there is one."""
    distal = truth.variant_class == "distal"
    substitution = np.array([variant.is_substitution for variant in truth.variants])
    size = np.abs(truth.sad).sum(axis=1)
    return int(np.lexsort((size, substitution, distal))[-1])


def _bars(comparison: Comparison) -> "Figure":
    """Correlations per class, before and after training."""
    groups = ["all", "in motifs", *comparison.trained.by_class]

    def values(card: Scorecard) -> list[float]:
        return [card.pearson_r, card.pearson_r_motif, *card.by_class.values()]

    models = {"trained": values(comparison.trained), "untrained": values(comparison.untrained)}
    return correlation_bars(groups, models, "Pearson r of predicted with true effect")


def _region(world: World, shown: Variant, predict: Predict, labels: Sequence[str]) -> "Figure":
    """Observed, true and predicted coverage around a variant."""
    config = world.config
    window, output = config.sequence_length, config.target_length * BIN_SIZE
    crop = (window - output) // 2
    length = {c.name: c.length for c in world.chromosomes()}[shown.chrom]
    width = min(_REGION_WINDOWS * output, (length - window) // output * output)
    start = (shown.start - width // 2) // BIN_SIZE * BIN_SIZE
    start = min(max(start, crop), (length - width - crop) // BIN_SIZE * BIN_SIZE)
    with Fasta(world.fasta) as fasta:
        whole = fasta.codes(Interval(shown.chrom, start - crop, start + width + crop))
    codes = np.lib.stride_tricks.sliding_window_view(whole, window)[::output]
    predicted = predict(np.ascontiguousarray(codes)).reshape(-1, len(labels))
    expected = expected_coverage(whole)[crop // BIN_SIZE :][: len(predicted)]
    first = start // BIN_SIZE
    observed = np.array(world.coverage(shown.chrom)[first : first + len(predicted)])
    tracks = [
        CoverageTrack(
            label, *(values[:, t].astype(np.float64) for values in (observed, expected, predicted))
        )
        for t, label in enumerate(labels)
    ]
    return region_tracks(tracks, shown.chrom, start, BIN_SIZE)


def _variant(world: World, shown: Variant, predict: Predict, labels: Sequence[str]) -> "Figure":
    """Predicted coverage with either allele of a variant."""
    config = world.config
    with Fasta(world.fasta) as fasta:
        checked = check_variant(shown, fasta, ContigNames(fasta.contigs))
        window = variant_window(fasta, checked, centred_window(shown, config.sequence_length))
    reference, alternative = predict(np.stack([window.ref_codes, window.alt_codes])).astype(
        np.float64
    )
    before, after = (
        expected_coverage(codes)[config.output_bins].astype(np.float64)
        for codes in (window.ref_codes, window.alt_codes)
    )
    coverage = AlleleCoverage(
        reference,
        alternative,
        after - before,
        window.window.start + config.output_bins.start * BIN_SIZE,
        shown.pos,
    )
    title = f"{shown.chrom}:{shown.pos:,} {shown.ref}>{shown.alt}, held out"
    return variant_tracks(labels, coverage, shown.chrom, BIN_SIZE, title)


def _curves(log: Path, labels: Sequence[str]) -> "Figure":
    """Loss and validation by step."""
    table = read_training_log(log)
    r = [values for name, values in table.items() if name.startswith("validation_r_")]
    return training_curves(table["step"], table["loss"], dict(zip(labels, r, strict=True)))
