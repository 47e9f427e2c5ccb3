"""Figures of coverage: what they show, read back from the figure."""

import numpy as np
import pytest

from tfgen.plots.tracks import AlleleCoverage, CoverageTrack, region_tracks, variant_tracks

RAMP = np.arange(1.0, 9.0)


def labelled(axes):
    """Label -> values of the steps in a panel."""
    return {patch.get_label(): patch.get_data().values for patch in axes.patches}


def test_a_panel_shows_what_is_known_of_its_track():
    tracks = [
        CoverageTrack("full", RAMP, RAMP + 1, RAMP * 2),
        CoverageTrack("blind", None, None, RAMP),
        CoverageTrack("no truth", RAMP[::-1], None, RAMP),
    ]
    figure = region_tracks(tracks, "chr1", 12_800, 128)
    full, blind, no_truth = figure.axes
    np.testing.assert_array_equal(labelled(full)["observed"], RAMP)
    np.testing.assert_array_equal(labelled(full)["true, without noise"], RAMP + 1)
    np.testing.assert_array_equal(labelled(full)["predicted"], RAMP * 2)
    assert list(labelled(blind)) == ["predicted"]
    titles = [axes.texts[0].get_text() for axes in figure.axes]
    assert titles == [
        "full   r = 1.00 with true coverage here",
        "blind",
        "no truth   r = -1.00 with observed coverage here",
    ]


def test_positions_are_kilobases_of_the_chromosome():
    figure = region_tracks([CoverageTrack("a", None, None, RAMP)], "chr1", 12_800, 128)
    axes = figure.axes[0]
    assert axes.get_xlim() == pytest.approx((12.8, 12.8 + 8 * 0.128))
    assert axes.get_xlabel() == "position on chr1 (kb)"


@pytest.fixture
def coverage():
    reference = np.stack([RAMP, RAMP[::-1]], axis=1)
    return AlleleCoverage(reference, reference * 1.5, reference * 0.4, 1280, 1793)


def test_a_variant_is_marked_at_its_position(coverage):
    figure = variant_tracks(["a", "b"], coverage, "chr1", 128, "chr1:1793 A>G")
    assert len(figure.axes) == 4
    for axes in figure.axes:
        marks = [line for line in axes.lines if len(set(line.get_xdata())) == 1]
        # The middle of the base with the 0-based number 1792.
        assert marks[0].get_xdata()[0] == pytest.approx(1.7925)


def test_both_alleles_and_the_changes_are_drawn(coverage):
    figure = variant_tracks(["a", "b"], coverage, "chr1", 128, "chr1:1793 A>G")
    left, right = figure.axes[2:]
    np.testing.assert_array_equal(labelled(left)["reference allele"], RAMP[::-1])
    np.testing.assert_array_equal(labelled(left)["alternative allele"], RAMP[::-1] * 1.5)
    np.testing.assert_allclose(labelled(right)["predicted change"], RAMP[::-1] * 0.5)
    np.testing.assert_allclose(labelled(right)["true change"], RAMP[::-1] * 0.4)
    assert figure.get_suptitle() == "chr1:1793 A>G"


def test_the_truth_may_be_unknown(coverage):
    blind = AlleleCoverage(coverage.reference, coverage.alternative, None, 1280, 1793)
    right = variant_tracks(["a", "b"], blind, "chr1", 128, "title").axes[1]
    assert list(labelled(right)) == ["predicted change"]
