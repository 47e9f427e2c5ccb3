"""Figures of the evaluation of a functional prior: what it gains, and whether it is calibrated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfgen.plots.style import COLOURS, FAINT, QUIET, new_figure, note, text_size, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = 4


@dataclass(frozen=True)
class GainPoints:
    """The gains of one trait, in nats per 1,000 variants.

    Attributes:
        trait: Its name.
        rows: Baseline, gain, and both ends of its 95 % interval.
        blocks: Gain over the constant prior in every block, in genome order.
    """

    trait: str
    rows: Sequence[tuple[str, float, float, float]]
    blocks: Sequence[float]


@dataclass(frozen=True)
class CalibrationPoints:
    """What is drawn of one trait.

    Attributes:
        trait: Its name.
        normal: Quantiles of N(0, 1) [points].
        residuals: Quantiles of the standardised residuals [points].
        k: Degrees of freedom of every block.
        mahalanobis_per_k: Of every block.
        mean_f: Mean prior variance of each group of variants.
        z_ratio: Observed over expected squared z-score of each group, and its standard error.
        em_ratio: E[b^2] over f of each group, and its standard error.
    """

    trait: str
    normal: Sequence[float]
    residuals: Sequence[float]
    k: Sequence[int]
    mahalanobis_per_k: Sequence[float]
    mean_f: Sequence[float]
    z_ratio: Sequence[tuple[float, float]]
    em_ratio: Sequence[tuple[float, float]]


def gains(traits: Sequence[GainPoints]) -> "Figure":
    """Gains with their intervals, and the gain over the constant prior block by block."""
    n_rows = sum(len(trait.rows) for trait in traits)
    figure = new_figure(10.0, max(3.0, 1.2 + 0.4 * n_rows))
    left, right = figure.subplots(1, 2)
    labels: list[str] = []
    for number, trait in enumerate(traits):
        colour = COLOURS[number % len(COLOURS)]
        for name, gain, low, high in trait.rows:
            row = len(labels)
            left.plot([low, high], [row, row], color=colour, linewidth=1.5)
            left.plot([gain], [row], "o", color=colour, markersize=5)
            labels.append(f"{trait.trait}: {name.replace('_', ' ')}")
        places = range(1, len(trait.blocks) + 1)
        right.plot(places, trait.blocks, "o", color=colour, markersize=3.5, label=trait.trait)
    left.axvline(0, color=QUIET, linewidth=0.8)
    left.set_yticks(range(len(labels)), labels)
    left.set_ylim(len(labels) - 0.5, -0.5)
    tidy(left, "Gain over", "nats per 1,000 variants (95 % interval)")
    right.axhline(0, color=QUIET, linewidth=0.8)
    tidy(right, "Over the constant prior", "block in genome order", "nats per 1,000 variants")
    _legend(right, len(traits))
    return figure


def calibration(traits: Sequence[CalibrationPoints]) -> "Figure":
    """Four panels: residuals, blocks, squared z-scores and effects against what is expected."""
    figure = new_figure(11.0, 7.0)
    qq, blocks, z, em = figure.subplots(2, _PANELS // 2).ravel()
    for number, trait in enumerate(traits):
        colour = COLOURS[number % len(COLOURS)]
        qq.plot(trait.normal, trait.residuals, ".", color=colour, markersize=3, label=trait.trait)
        blocks.plot(trait.k, trait.mahalanobis_per_k, "o", color=colour, markersize=4)
        for axes, pairs in ((z, trait.z_ratio), (em, trait.em_ratio)):
            values, errors = [pair[0] for pair in pairs], [1.96 * pair[1] for pair in pairs]
            axes.errorbar(
                trait.mean_f, values, errors, color=colour, fmt="o-", markersize=4, linewidth=1.2
            )
    reach = max((abs(x) for trait in traits for x in trait.normal), default=1.0)
    qq.plot([-reach, reach], [-reach, reach], color=QUIET, linewidth=0.9)
    tidy(qq, "Standardised residuals", "normal quantile", "observed quantile")
    tidy(blocks, "Blocks", "k", "Mahalanobis / k")
    tidy(z, "Squared z-scores by prior variance", "mean prior variance f", "observed / expected")
    tidy(em, "Effects by prior variance", "mean prior variance f", "E[b²] / f")
    for axes in (blocks, z, em):
        axes.axhline(1, color=QUIET, linewidth=0.9)
    for axes in (z, em):
        axes.set_xscale("log")
    note(em, "bars: 95 %")
    _legend(qq, len(traits))
    return figure


def _legend(axes: "Axes", n: int) -> None:
    axes.grid(True, color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    if n > 1:
        axes.legend(frameon=False, fontsize=text_size("note"), loc="best")
