import pytest

from tfgen.plots.prior_training import prior_training_curves

pytest.importorskip("matplotlib")


def test_every_fold_is_a_line_in_both_panels():
    curves = {"chr1": ([1, 2], [0.5, 0.4], [0.6, 0.5]), "chr2": ([1], [0.7], [float("nan")])}
    left, right = prior_training_curves(curves).axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[0.5, 0.4], [0.7]]
    assert [line.get_label() for line in right.lines] == ["chr1", "chr2"]
    assert right.get_ylabel() == "negative log-likelihood per z-score"
