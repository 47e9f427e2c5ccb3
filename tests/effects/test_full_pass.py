import numpy as np
import pytest

from effects.linear_models import BINS, CROP, LENGTH, WEIGHTS, linear_predictions, save_linear_model
from effects.small_models import STATISTICS, SmallGenome, random_contig
from tfgen.effects.full_pass import FullPassEngine
from tfgen.effects.windows import WindowGeometry
from tfgen.enformer.saved_model import ForeignModel
from tfgen.errors import UsageError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return ForeignModel(save_linear_model(tmp_path_factory.mktemp("foreign") / "model"))


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Substitutions and indels in centred windows, some reaching past the contig."""
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    genome = SmallGenome(path, {"chr1": random_contig(5000, 1)})
    variants = [genome.substitution("chr1", pos) for pos in (1, 700, 2500, 5000)]
    variants += [genome.substitution("chr1", 3000, 150), genome.variant("chr1", 2000, 1, "GATTACA")]
    variants += [genome.variant("chr1", 2100, 40, "G")]
    geometry = WindowGeometry(LENGTH, BINS)
    return [genome.window(v, geometry.window(v, "centred")) for v in variants]


def expected_scores(window, organism="human"):
    """By the definitions, from counted bases."""
    reference = linear_predictions(window.ref_codes, organism).astype(float)
    alternative = linear_predictions(window.alt_codes, organism).astype(float)
    difference = alternative - reference
    # The variant begins at the middle of the window: the first base of bin 3.
    assert window.offset - CROP == 3 * 128
    return {
        "SAD": difference.sum(axis=0),
        "SAR": (np.log2(alternative + 1) - np.log2(reference + 1)).sum(axis=0),
        "tCRA": difference[2:4].mean(axis=0),
    }


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_scores_are_those_of_the_definitions(model, windows, organism):
    engine = FullPassEngine(model, organism, STATISTICS)
    assert engine.n_tracks == WEIGHTS[organism].shape[1]
    found = engine.score(windows)
    assert list(found) == list(STATISTICS)
    for row, window in enumerate(windows):
        for name, values in expected_scores(window, organism).items():
            assert found[name].dtype == np.float32
            # Whole numbers are exact; log2 of counts up to 51,200 rounds by 1e-6 in each bin.
            np.testing.assert_allclose(
                found[name][row], values, rtol=0, atol=1e-5 if name == "SAR" else 0
            )


def test_one_substituted_base_counts_once(model, windows):
    window = windows[2]
    codes = window.ref_codes[window.offset], window.alt_codes[window.offset]
    scores = FullPassEngine(model, "human", ["SAD", "tCRA"]).score([window])
    step = WEIGHTS["human"][codes[1]] - WEIGHTS["human"][codes[0]]
    np.testing.assert_array_equal(scores["SAD"][0], step)
    np.testing.assert_array_equal(scores["tCRA"][0], step / 2)


def test_tracks_are_those_asked_for_in_that_order(model, windows):
    engine = FullPassEngine(model, "human", ["SAD"], tracks=(2, 0))
    assert engine.n_tracks == 2
    whole = FullPassEngine(model, "human", ["SAD"]).score(windows)
    np.testing.assert_array_equal(engine.score(windows)["SAD"], whole["SAD"][:, [2, 0]])


def test_a_full_check_is_the_same(model, windows):
    engine = FullPassEngine(model, "human", STATISTICS)
    found, again = engine.score(windows), engine.score_in_full(windows)
    for name in STATISTICS:
        np.testing.assert_array_equal(found[name], again[name])


def test_the_lengths_are_those_of_the_model(model):
    engine = FullPassEngine(model, "human", STATISTICS)
    assert (engine.sequence_length, engine.target_length) == (LENGTH, BINS)
    assert engine.statistics == STATISTICS


def test_an_unknown_head_is_refused(model):
    with pytest.raises(UsageError, match="no head is called 'yeast'; this model has human, mouse"):
        FullPassEngine(model, "yeast", STATISTICS)
