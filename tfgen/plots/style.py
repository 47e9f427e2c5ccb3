"""What all figures share: colours, sizes, and how a figure is made and saved."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfgen.errors import UsageError
from tfgen.io import publish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Colours that are told apart with any colour vision (Okabe and Ito 2008)."""

INK, QUIET, FAINT = "#222222", "#767676", "#DDDDDD"

_DOTS_PER_INCH = 150
_TEXT = {"title": 11.0, "label": 9.5, "tick": 8.5, "note": 8.5}


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure that no other code sees: pyplot and its settings are not touched.

    Args:
        width: Inches.
        height: Inches.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "figures need matplotlib, which is not installed; run: pip install 'tfgen[plot]'"
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def text_size(role: str) -> float:
    """Points of a `title`, `label`, `tick` or `note`."""
    return _TEXT[role]


def tidy(axes: "Axes", title: str = "", x_label: str = "", y_label: str = "") -> None:
    """Gives axes their labels, two spines and quiet ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(labelsize=_TEXT["tick"], color=QUIET, labelcolor=INK, length=3)
    if title:
        axes.set_title(title, fontsize=_TEXT["title"], loc="left", color=INK)
    axes.set_xlabel(x_label, fontsize=_TEXT["label"], color=INK)
    axes.set_ylabel(y_label, fontsize=_TEXT["label"], color=INK)


def note(axes: "Axes", text: str, **place: Any) -> None:
    """Writes a line into the upper left corner of axes, or elsewhere in their coordinates."""
    options = {"x": 0.03, "y": 0.97, "ha": "left", "va": "top", **place}
    axes.text(
        options.pop("x"),
        options.pop("y"),
        text,
        transform=axes.transAxes,
        fontsize=_TEXT["note"],
        color=INK,
        **options,
    )


def save_figure(figure: "Figure", path: Path) -> None:
    """Writes a figure in one step; the suffix of `path` decides the format.

    Raises:
        OutputError: The file cannot be written.
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    figure.savefig(partial, dpi=_DOTS_PER_INCH)
    publish(partial, path)
