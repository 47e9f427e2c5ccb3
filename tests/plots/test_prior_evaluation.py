"""Figures of an evaluation: what they show, read back from the figure."""

import numpy as np
import pytest

from tfgen.plots.prior_evaluation import CalibrationPoints, GainPoints, calibration, gains

pytest.importorskip("matplotlib")

HEIGHT = CalibrationPoints(
    "height", [-1.0, 0.0, 1.0], [-1.2, 0.1, 0.9], [10, 20], [0.9, 1.2],
    [0.1, 1.0], [(1.1, 0.1), (0.9, 0.2)], [(1.0, 0.05), (0.8, 0.1)],
)  # fmt: skip


def test_gains_have_their_intervals_and_blocks():
    traits = [
        GainPoints("height", [("no_effects", 5, 3, 7), ("constant", 1, -1, 2)], [1.0, -0.5, 2.0]),
        GainPoints("bmi", [("no_effects", 2, 1, 3)], [0.1]),
    ]
    left, right = gains(traits).axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == ["height: no effects", "height: constant", "bmi: no effects"]
    bars = [list(line.get_xdata()) for line in left.lines if len(line.get_xdata()) == 2]
    assert bars[:3] == [[3, 7], [-1, 2], [1, 3]]
    assert list(right.lines[0].get_ydata()) == [1.0, -0.5, 2.0]
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["height", "bmi"]


def test_calibration_has_four_panels():
    qq, blocks, z, em = calibration([HEIGHT]).axes
    np.testing.assert_array_equal(qq.lines[0].get_xydata(), [[-1, -1.2], [0, 0.1], [1, 0.9]])
    np.testing.assert_array_equal(blocks.lines[0].get_xydata(), [[10, 0.9], [20, 1.2]])
    np.testing.assert_array_equal(z.lines[0].get_xydata(), [[0.1, 1.1], [1.0, 0.9]])
    np.testing.assert_array_equal(em.lines[0].get_xydata(), [[0.1, 1.0], [1.0, 0.8]])
    assert z.get_xscale() == "log"
    assert qq.get_legend() is None
    assert em.get_ylabel() == "E[b²] / f"
