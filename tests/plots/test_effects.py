"""Figures of variant effects: what they show, read back from the figure."""

import numpy as np
import pytest

from tfgen.plots.effects import correlation_bars, effect_scatter

FIRST = np.arange(100) < 40
GROUPS = {"b": ~FIRST, "a": FIRST}


@pytest.fixture
def effects():
    rng = np.random.default_rng(1)
    true = rng.normal(0, 3, (100, 2))
    return true + rng.normal(0, 1, true.shape), true


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_every_group_has_a_panel_with_its_correlation_in_the_given_order(effects):
    predicted, true = effects
    figure = effect_scatter(predicted, true, GROUPS, ["one", "two"], "reads")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == [
        "all variants (100)",
        "b (60)",
        "a (40)",
    ]
    for axes, rows in zip(panels, (slice(None), slice(40, 100), slice(0, 40)), strict=True):
        r = np.mean([np.corrcoef(predicted[rows, t], true[rows, t])[0, 1] for t in range(2)])
        assert f"r = {r:.3f}" in texts(axes)


def test_every_point_lies_at_true_and_predicted(effects):
    predicted, true = effects
    axes = effect_scatter(predicted, true, GROUPS, ["one", "two"], "reads").axes[0]
    points = axes.collections[0].get_offsets()
    expected = np.stack([true.ravel(), predicted.ravel()], axis=1)
    assert sorted(map(tuple, points.tolist())) == sorted(map(tuple, expected.tolist()))
    assert axes.get_xlim() == axes.get_ylim()


def test_labels_and_legend_are_there(effects):
    figure = effect_scatter(*effects, GROUPS, ["one", "two"], "reads")
    assert figure.get_supxlabel() == "true effect (reads)"
    assert figure.get_supylabel() == "predicted effect"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_unused_panels_are_hidden(effects):
    groups = {name: np.arange(100) % 4 == i for i, name in enumerate("abcd")}
    figure = effect_scatter(*effects, groups, ["one", "two"], "reads")
    assert [axes.get_visible() for axes in figure.axes] == [True] * 5 + [False]


def test_effects_that_do_not_vary_have_no_correlation():
    zeros = np.zeros((4, 2))
    figure = effect_scatter(zeros, zeros, {}, ["one", "two"], "reads")
    assert "r = nan" in texts(figure.axes[0])


def test_bars_have_their_heights_and_numbers():
    models = {"trained": [0.9, -0.2], "untrained": [0.1, float("nan")]}
    figure = correlation_bars(["all", "pair"], models, "Pearson r")
    axes = figure.axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    np.testing.assert_equal(heights, [0.9, -0.2, 0.1, float("nan")])
    assert texts(axes) == ["0.90", "-0.20", "0.10"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["all", "pair"]
    assert axes.get_ylabel() == "Pearson r"
    assert axes.get_ylim()[0] < -0.2
