"""Figures of variant effects: predicted against true."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfgen.plots.style import COLOURS, FAINT, QUIET, new_figure, note, text_size, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

_COLUMNS = 3
_PANEL = 2.9  # inches


def effect_scatter(
    predicted: FloatArray,
    true: FloatArray,
    groups: Mapping[str, npt.NDArray[np.bool_]],
    tracks: Sequence[str],
    unit: str,
) -> "Figure":
    """Predicted against true effects: one panel for all variants and one per group.

    Every panel states Pearson r, the mean over the tracks. Both axes of a panel have one scale,
    and the line is where prediction and truth agree.

    Args:
        predicted: Predicted effects `[variants, tracks]`.
        true: True effects `[variants, tracks]`.
        groups: Name of a group -> which variants `[variants]` belong to it, in the order to show.
        tracks: Name of each track.
        unit: What an effect counts, for the labels of the axes.
    """
    panels = {"all variants": np.ones(len(true), np.bool_), **groups}
    rows = -(-len(panels) // _COLUMNS)
    figure = new_figure(_PANEL * _COLUMNS, _PANEL * rows + 0.4)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for number, (name, chosen) in enumerate(panels.items()):
        axes = grid[number]
        _scatter(axes, predicted[chosen], true[chosen])
        tidy(axes, f"{name} ({int(chosen.sum()):,})")
    for label, text in (("supxlabel", f"true effect ({unit})"), ("supylabel", "predicted effect")):
        getattr(figure, label)(text, fontsize=text_size("label"))
    handles, _ = grid[0].get_legend_handles_labels()
    figure.legend(
        handles,
        tracks,
        loc="outside upper right",
        ncols=len(tracks),
        frameon=False,
        fontsize=text_size("note"),
        markerscale=1.8,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    return figure


def _scatter(axes: "Axes", predicted: FloatArray, true: FloatArray) -> None:
    """One panel; a point per variant and track."""
    reach = 1.05 * max(float(np.abs(predicted).max()), float(np.abs(true).max()), 1e-6)
    axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.axvline(0, color=FAINT, linewidth=0.8, zorder=0)
    axes.plot([-reach, reach], [-reach, reach], color=QUIET, linewidth=0.9, zorder=1)
    # Drawn track by track, the last one would hide the others.
    order = np.random.default_rng(0).permutation(true.size)
    colours = np.tile([COLOURS[t % len(COLOURS)] for t in range(true.shape[1])], len(true))
    axes.scatter(
        true.ravel()[order],
        predicted.ravel()[order],
        c=colours[order],
        s=9,
        alpha=0.6,
        linewidths=0,
        zorder=2,
    )
    for track in range(true.shape[1]):
        axes.scatter([], [], color=COLOURS[track % len(COLOURS)], s=9, label=str(track))
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    note(axes, f"r = {_mean_r(predicted, true):.3f}")


def _mean_r(predicted: FloatArray, true: FloatArray) -> float:
    """Pearson r, the mean over the tracks where both sides vary; NaN if there is none."""
    varying = (np.ptp(predicted, axis=0) > 0) & (np.ptp(true, axis=0) > 0)
    if not varying.any():
        return float("nan")
    r = [np.corrcoef(predicted[:, t], true[:, t])[0, 1] for t in np.flatnonzero(varying)]
    return float(np.mean(r))


def correlation_bars(
    groups: Sequence[str], models: Mapping[str, Sequence[float]], y_label: str
) -> "Figure":
    """Correlations of one or more models, side by side for each group of variants.

    Args:
        groups: Names of the groups.
        models: Model name -> correlation per group; NaN leaves a gap.
        y_label: What is correlated.
    """
    figure = new_figure(1.2 + 1.15 * len(groups), 3.2)
    axes = figure.subplots()
    width = 0.8 / len(models)
    for number, (name, values) in enumerate(models.items()):
        heights = np.asarray(values, np.float64)
        places = np.arange(len(groups)) + (number - (len(models) - 1) / 2) * width
        axes.bar(places, heights, width * 0.92, color=COLOURS[number], label=name, zorder=2)
        for place, height in zip(places, heights, strict=True):
            if np.isfinite(height):
                axes.annotate(
                    f"{height:.2f}",
                    (place, height),
                    xytext=(0, 2 if height >= 0 else -2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom" if height >= 0 else "top",
                    fontsize=text_size("tick"),
                )
    tidy(axes, y_label=y_label)
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(min(0.0, axes.get_ylim()[0] - 0.06), 1.05)
    axes.yaxis.grid(True, color=FAINT, linewidth=0.8, zorder=0)
    figure.legend(
        loc="outside upper right", ncols=len(models), frameon=False, fontsize=text_size("note")
    )
    return figure
