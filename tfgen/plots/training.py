"""Figures of training."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tfgen.plots.style import COLOURS, FAINT, new_figure, text_size, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]


def training_curves(
    step: FloatArray, loss: FloatArray, validation: dict[str, FloatArray]
) -> "Figure":
    """Loss and validation correlation by step, side by side.

    Args:
        step: Updates made `[rows]`.
        loss: Training loss `[rows]`.
        validation: Track -> Pearson r `[rows]`; NaN where it was not computed.
    """
    figure = new_figure(9.5, 3.2)
    left, right = figure.subplots(1, 2)
    left.plot(step, loss, color=COLOURS[0], linewidth=1.5)
    tidy(left, "Training loss", "step", "Poisson loss (mean of the interval)")
    for number, (track, values) in enumerate(validation.items()):
        known = np.isfinite(values)
        right.plot(
            step[known],
            values[known],
            color=COLOURS[number % len(COLOURS)],
            linewidth=1.5,
            marker="o",
            markersize=3.5,
            label=track,
        )
    tidy(right, "Validation chromosome", "step", "Pearson r with observed coverage")
    right.set_ylim(min(0.0, right.get_ylim()[0]), 1)
    for axes in (left, right):
        axes.set_xlim(0, None)
        axes.grid(True, color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
    if validation:
        right.legend(frameon=False, fontsize=text_size("note"), loc="best")
    return figure
