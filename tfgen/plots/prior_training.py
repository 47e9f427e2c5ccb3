"""Figures of the training of a functional prior."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tfgen.plots.style import COLOURS, FAINT, new_figure, text_size, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curves = Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]]


def prior_training_curves(curves: Curves) -> "Figure":
    """Objective of the training blocks and likelihood of the held-out ones, by epoch.

    Args:
        curves: Fold -> epochs, objective per training z-score, negative log-likelihood per held-out
            z-score (NaN where there are none).
    """
    figure = new_figure(9.5, 3.2)
    panels = figure.subplots(1, 2)
    titles = ("Training blocks", "Held-out blocks")
    labels = ("objective per z-score", "negative log-likelihood per z-score")
    for number, (fold, (epochs, training, held_out)) in enumerate(curves.items()):
        for axes, values in zip(panels, (training, held_out), strict=True):
            colour = COLOURS[number % len(COLOURS)]
            axes.plot(epochs, values, color=colour, linewidth=1.5, label=fold)
    for axes, title, label in zip(panels, titles, labels, strict=True):
        tidy(axes, title, "epoch", label)
        axes.grid(True, color=FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
    panels[1].legend(frameon=False, fontsize=text_size("note"), loc="best")
    return figure
