"""The figure of the study of when larger priors help."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tfgen.plots.style import COLOURS, FAINT, INK, QUIET, new_figure, text_size, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, Mapping[str, Sequence[tuple[float, float, float, float]]]]

_STYLES = {
    "mll-mlp": ("mlp, likelihood", COLOURS[0], "-", "o"),
    "mll-linear": ("linear, likelihood", COLOURS[5], "--", "o"),
    "ldsr-mlp": ("mlp, LD-score regression", COLOURS[1], "-", "s"),
    "ldsr-linear": ("linear, LD-score regression", COLOURS[4], "--", "s"),
    "oracle": ("truth", INK, ":", "D"),
}
_SPREAD = 0.08  # between models, so that intervals do not cover each other


def prior_study_gains(curves: Curves) -> "Figure":
    """Gain over the constant prior by mean f, one panel per truth.

    Args:
        curves: Truth -> model -> points (mean f, mean gain, lower and upper end of its interval),
            per 1,000 test z-scores. Ends may be NaN.
    """
    figure = new_figure(4.6 * max(1, len(curves)) + 0.4, 4.0)
    panels = figure.subplots(1, max(1, len(curves)), squeeze=False)[0]
    for axes, (truth, models) in zip(panels, curves.items(), strict=False):
        means = sorted({point[0] for points in models.values() for point in points})
        for number, (name, points) in enumerate(models.items()):
            label, colour, line, marker = _STYLES.get(name, (name, QUIET, "-", "o"))
            shift = _SPREAD * (number - (len(models) - 1) / 2)
            x = [means.index(point[0]) + shift for point in points]
            y = [point[1] for point in points]
            axes.plot(
                x,
                y,
                color=colour,
                linestyle=line,
                marker=marker,
                markersize=4,
                linewidth=1.2,
                label=label,
            )
            for at, (_, _, low, high) in zip(x, points, strict=True):
                if math.isfinite(low) and math.isfinite(high):
                    axes.plot([at, at], [low, high], color=colour, linewidth=1.2)
        axes.axhline(0.0, color=QUIET, linewidth=0.8)
        axes.set_xticks(range(len(means)), [f"{mean:g}" for mean in means])
        tidy(axes, f"Truth: {truth}", "mean f", "gain per 1,000 z-scores over the constant")
        axes.grid(True, axis="y", color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
    handles, labels = panels[0].get_legend_handles_labels()
    place = {"loc": "outside lower center", "ncols": 3, "frameon": False}
    figure.legend(handles, labels, fontsize=text_size("note"), **place)
    return figure
