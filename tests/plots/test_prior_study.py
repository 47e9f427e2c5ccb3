import math

import pytest

from tfgen.plots.prior_study import prior_study_gains

pytest.importorskip("matplotlib")


def test_every_truth_is_a_panel_and_every_model_a_line_with_intervals():
    curves = {
        "ushape": {
            "mll-mlp": [(0.2, 3.0, 2.0, 4.0), (2.0, 9.0, 8.0, 10.0)],
            "oracle": [(0.2, 5.0, math.nan, math.nan), (2.0, 12.0, 11.0, 13.0)],
        },
        "linear": {"other": [(0.5, 1.0, 0.0, 2.0)]},
    }
    left, right = prior_study_gains(curves).axes
    lines = {line.get_label(): line.get_ydata() for line in left.lines}
    assert list(lines["mlp, likelihood"]) == [3.0, 9.0]
    assert list(lines["truth"]) == [5.0, 12.0]
    bars = [list(line.get_ydata()) for line in left.lines if len(set(line.get_xdata())) == 1]
    assert bars == [[2.0, 4.0], [8.0, 10.0], [11.0, 13.0]]
    assert [tick.get_text() for tick in left.get_xticklabels()] == ["0.2", "2"]
    assert right.get_title(loc="left") == "Truth: linear"
    assert "other" in {line.get_label() for line in right.lines}
