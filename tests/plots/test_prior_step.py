import pytest

from tfgen.plots.prior_step import step_cost_figure

pytest.importorskip("matplotlib")


def test_estimates_are_told_apart_from_measurements():
    seconds = {"published": {10: 0.1, 100: 9.0}, "ours": {10: 0.01, 100: 0.02, 1000: 0.3}}
    (axes,) = step_cost_figure(seconds, {1000: 900.0}).axes
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["published", "published, estimated", "ours"]
    measured = axes.lines[0]
    assert list(measured.get_xdata()) == [10, 100]
    hollow = axes.lines[2]
    assert list(hollow.get_ydata()) == [900.0]
    assert hollow.get_markerfacecolor() == "white"
    assert axes.get_xscale() == axes.get_yscale() == "log"
