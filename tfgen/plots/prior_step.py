"""The figure of what a training step of the functional prior costs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfgen.plots.style import COLOURS, FAINT, new_figure, text_size, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def step_cost_figure(
    seconds: Mapping[str, Mapping[int, float]], estimated: Mapping[int, float]
) -> "Figure":
    """Seconds of a step by the number of variants, both on log scales.

    Args:
        seconds: Form -> variants -> seconds, as measured. The first form is the one that
            `estimated` goes on from.
        estimated: Variants -> seconds that were not measured; drawn hollow and dashed.
    """
    figure = new_figure(6.2, 4.0)
    axes = figure.subplots()
    for number, (form, values) in enumerate(seconds.items()):
        n, s = list(values), list(values.values())
        axes.plot(n, s, color=COLOURS[number], marker="o", markersize=4, linewidth=1.5, label=form)
        if not number and estimated and values:
            n, s = [n[-1], *estimated], [s[-1], *estimated.values()]
            axes.plot(n, s, color=COLOURS[0], linewidth=1.2, linestyle="--")
            axes.plot(
                n[1:],
                s[1:],
                color=COLOURS[0],
                marker="o",
                markersize=5,
                markerfacecolor="white",
                linestyle="none",
                label=f"{form}, estimated",
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    tidy(axes, "Likelihood and gradient of one window", "variants in the window", "seconds")
    axes.grid(True, which="major", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=text_size("note"), loc="upper left")
    return figure
