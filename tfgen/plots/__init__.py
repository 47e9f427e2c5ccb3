"""Figures: functions that take arrays and return a matplotlib figure.

matplotlib is imported when a figure is made; `pip install 'tfgen[plot]'` installs it.
"""

from tfgen.plots.effects import correlation_bars, effect_scatter
from tfgen.plots.style import save_figure
from tfgen.plots.tracks import AlleleCoverage, CoverageTrack, region_tracks, variant_tracks
from tfgen.plots.training import training_curves

__all__ = [
    "AlleleCoverage",
    "CoverageTrack",
    "correlation_bars",
    "effect_scatter",
    "region_tracks",
    "save_figure",
    "training_curves",
    "variant_tracks",
]
