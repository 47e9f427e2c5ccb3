"""Figures of coverage along the genome."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfgen.plots.style import COLOURS, FAINT, INK, QUIET, new_figure, note, text_size, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

_WIDTH, _ROW = 9.5, 1.35  # inches
_BASES_PER_KILOBASE = 1000


@dataclasses.dataclass(frozen=True)
class CoverageTrack:
    """Coverage of one track in a region.

    Attributes:
        name: Name of the track.
        observed: Observed coverage `[bins]`, or None.
        expected: Coverage without noise `[bins]`, or None.
        predicted: Predicted coverage `[bins]`.
    """

    name: str
    observed: FloatArray | None
    expected: FloatArray | None
    predicted: FloatArray


@dataclasses.dataclass(frozen=True)
class AlleleCoverage:
    """Coverage with either allele of a variant around it.

    Attributes:
        reference: Predictions with the reference allele `[bins, tracks]`.
        alternative: Predictions with the alternative allele `[bins, tracks]`.
        true_change: True change `[bins, tracks]`, or None where it is not known.
        start: 0-based first base of the first bin.
        position: 1-based position of the variant.
    """

    reference: FloatArray
    alternative: FloatArray
    true_change: FloatArray | None
    start: int
    position: int


def region_tracks(
    tracks: Sequence[CoverageTrack], chromosome: str, start: int, bin_size: int
) -> "Figure":
    """Observed, expected and predicted coverage of several tracks along a region.

    Args:
        tracks: The tracks, from top to bottom.
        chromosome: Name of the chromosome.
        start: 0-based first base of the region.
        bin_size: Bases per bin.
    """
    figure = new_figure(_WIDTH, _ROW * len(tracks) + 0.8)
    panels = figure.subplots(len(tracks), 1, sharex=True, squeeze=False)[:, 0]
    for axes, track in zip(panels, tracks, strict=True):
        edges = _edges(start, len(track.predicted), bin_size)
        if track.observed is not None:
            axes.stairs(track.observed, edges, fill=True, color=FAINT, label="observed")
        if track.expected is not None:
            _outline(axes, track.expected, edges, color=INK, width=1.0, label="true, without noise")
        _outline(axes, track.predicted, edges, color=COLOURS[1], width=1.3, label="predicted")
        tidy(axes)
        # Room for the note above the peaks.
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
        axes.margins(x=0)
        note(axes, track.name + _agreement(track), x=0.005, y=1.0)
    figure.supylabel("coverage per bin", fontsize=text_size("label"))
    tidy(panels[-1], x_label=_position_label(chromosome))
    _legend(figure, panels[0])
    return figure


def variant_tracks(
    tracks: Sequence[str], coverage: AlleleCoverage, chromosome: str, bin_size: int, title: str
) -> "Figure":
    """Predicted coverage with either allele of a variant, and its change.

    Args:
        tracks: Name of each track.
        coverage: Predictions and truth around the variant.
        chromosome: Name of the chromosome.
        bin_size: Bases per bin.
        title: What variant this is.
    """
    figure = new_figure(_WIDTH, _ROW * len(tracks) + 1.1)
    panels = figure.subplots(len(tracks), 2, sharex=True, squeeze=False)
    edges = _edges(coverage.start, len(coverage.reference), bin_size)
    middle = (coverage.position - 0.5) / _BASES_PER_KILOBASE
    for number, (name, (left, right)) in enumerate(zip(tracks, panels, strict=True)):
        before, after = coverage.reference[:, number], coverage.alternative[:, number]
        _outline(left, before, edges, color=COLOURS[0], width=1.4, label="reference allele")
        _outline(left, after, edges, color=COLOURS[1], width=1.4, label="alternative allele")
        left.set_ylim(0, 1.25 * max(before.max(), after.max()))
        right.stairs(after - before, edges, fill=True, color=COLOURS[5], label="predicted change")
        if coverage.true_change is not None:
            truth = coverage.true_change[:, number]
            _outline(right, truth, edges, color=INK, width=1.1, label="true change")
        right.axhline(0, color=QUIET, linewidth=0.8)
        right.margins(y=0.2)
        for axes in (left, right):
            tidy(axes)
            axes.margins(x=0)
            axes.axvline(middle, color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
        note(left, name, x=0.01, y=1.0)
    for axes in panels[-1]:
        tidy(axes, x_label=_position_label(chromosome))
    tidy(panels[0, 0], "Predicted coverage per bin")
    tidy(panels[0, 1], "Change by the variant")
    figure.suptitle(title, fontsize=text_size("title") + 1, x=0.01, ha="left")
    _legend(figure, *panels[0])
    return figure


def _outline(
    axes: "Axes", values: FloatArray, edges: FloatArray, *, color: str, width: float, label: str
) -> None:
    """Steps without the vertical lines to zero at both ends."""
    axes.stairs(values, edges, baseline=None, color=color, linewidth=width, label=label)


def _edges(start: int, n_bins: int, bin_size: int) -> FloatArray:
    """Edges of the bins in kilobases."""
    return (start + bin_size * np.arange(n_bins + 1)) / _BASES_PER_KILOBASE


def _agreement(track: CoverageTrack) -> str:
    """How well the prediction agrees with what is known, as text."""
    for name, values in (("true", track.expected), ("observed", track.observed)):
        if values is not None and np.ptp(values) > 0 and np.ptp(track.predicted) > 0:
            r = np.corrcoef(values, track.predicted)[0, 1]
            return f"   r = {r:.2f} with {name} coverage here"
    return ""


def _position_label(chromosome: str) -> str:
    return f"position on {chromosome} (kb)"


def _legend(figure: "Figure", *panels: "Axes") -> None:
    """One legend for the whole figure, above it."""
    found = [axes.get_legend_handles_labels() for axes in panels]
    handles = [handle for some, _ in found for handle in some]
    labels = [label for _, some in found for label in some]
    figure.legend(
        handles,
        labels,
        loc="outside upper right",
        ncols=len(labels),
        frameon=False,
        fontsize=text_size("note"),
    )
