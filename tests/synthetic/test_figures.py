"""The figures of the demo, with a prediction that is known."""

import numpy as np
import pytest

from tfgen.enformer.training_log import TrainingLog
from tfgen.synthetic import figures
from tfgen.synthetic.figures import FIGURES, Comparison, draw_figures
from tfgen.synthetic.grammar import BIN_SIZE
from tfgen.synthetic.scorecard import score_card, select
from tfgen.synthetic.truth import expected_coverage


@pytest.fixture(scope="module")
def drawn(tiny_world, tmp_path_factory):
    """The figures of a prediction that is the truth, twice as large, by name."""
    folder = tmp_path_factory.mktemp("figures")
    output_bins = tiny_world.config.output_bins
    everything = tiny_world.true_effects()
    truth = select(everything, everything.split == "test")
    card = score_card(2 * truth.sad, truth)
    log = TrainingLog(folder / "log.csv", [track.identifier for track in tiny_world.tracks], 0)
    for step in (10, 20):
        log.add(step, 1e-3, 1 / step, 1.0, np.full(4, step / 40))
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save_figure", lambda figure, path: seen.update({path.name: figure}))
        draw_figures(
            folder,
            tiny_world,
            Comparison(2 * truth.sad, truth, card, card),
            lambda codes: np.stack([2 * expected_coverage(row)[output_bins] for row in codes]),
            folder / "log.csv",
        )
    return seen, truth


def steps(axes):
    return {patch.get_label(): patch.get_data() for patch in axes.patches}


def test_every_figure_is_drawn(drawn):
    assert tuple(drawn[0]) == FIGURES


def test_prediction_and_truth_are_drawn_at_the_same_place(drawn, tiny_world):
    panels = drawn[0]["tracks.png"].axes
    for track, axes in enumerate(panels):
        shown = steps(axes)
        observed, predicted = shown["observed"], shown["predicted"]
        first = round(predicted.edges[0] * 1000 / BIN_SIZE)
        coverage = tiny_world.coverage("chrB")[first : first + len(observed.values), track]
        np.testing.assert_array_equal(observed.values, coverage)
        # A model sees its own window alone, and so does the truth that is drawn.
        np.testing.assert_allclose(
            predicted.values, 2 * shown["true, without noise"].values, rtol=1e-4
        )


def test_the_variant_shown_is_a_strong_distal_one(drawn):
    seen, truth = drawn
    title = seen["variant.png"].get_suptitle()
    distal = np.flatnonzero(truth.variant_class == "distal")
    substitutions = [row for row in distal if truth.variants[row].is_substitution]
    size = np.abs(truth.sad).sum(axis=1)
    best = truth.variants[max(substitutions, key=lambda row: size[row])]
    assert title == f"chrB:{best.pos:,} {best.ref}>{best.alt}, held out"


def test_the_change_of_the_variant_is_predicted_beside_the_true_one(drawn):
    for axes in drawn[0]["variant.png"].axes[1::2]:
        shown = steps(axes)
        np.testing.assert_allclose(
            shown["predicted change"].values, 2 * shown["true change"].values, atol=1e-5
        )


def test_a_perfect_correlation_is_shown(drawn):
    bars = drawn[0]["correlations.png"].axes[0]
    labels = [label.get_text() for label in bars.get_xticklabels()]
    assert labels[:2] == ["all", "in motifs"]
    np.testing.assert_allclose([bar.get_height() for bar in bars.patches][:2], 1)


def test_the_log_is_drawn(drawn):
    loss, validation = drawn[0]["training.png"].axes
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [0.1, 0.05])
    assert [line.get_label() for line in validation.lines][0] == "DNASE:alpha"
