"""Figures of training: what they show, read back from the figure."""

import numpy as np

from tfgen.plots.training import training_curves

STEPS = np.array([10.0, 20.0, 30.0, 40.0])


def test_loss_and_validation_are_drawn_by_step():
    nan = float("nan")
    validation = {"a": np.array([nan, 0.5, nan, 0.7]), "b": np.array([nan, -0.2, nan, 0.3])}
    left, right = training_curves(STEPS, STEPS / 100, validation).axes
    np.testing.assert_array_equal(left.lines[0].get_xydata(), np.stack([STEPS, STEPS / 100], 1))
    assert [line.get_label() for line in right.lines] == ["a", "b"]
    np.testing.assert_array_equal(right.lines[0].get_xydata(), [[20, 0.5], [40, 0.7]])
    assert right.get_ylim()[0] < -0.2
    assert right.get_ylim()[1] == 1


def test_a_run_without_validation_has_a_loss():
    left, right = training_curves(STEPS, STEPS, {}).axes
    assert len(left.lines) == 1
    assert right.get_legend() is None
