import numpy as np
import pytest
import tensorflow as tf

from effects.small_models import CONFIG, random_enformer
from tfgen.effects.local import BLOCK_BINS
from tfgen.effects.passes import EnformerPasses
from tfgen.genome import one_hot

ALL_BINS = (0, CONFIG.target_length)
# Graphs of other shapes round the last bits differently: 5e-6 seen on towers of up to 30.
CLOSE = {"rtol": 1e-5, "atol": 5e-5}


@pytest.fixture(scope="module")
def model():
    return random_enformer()


@pytest.fixture(scope="module")
def passes(model):
    """Passes of two windows, that is four predictions, over everything."""
    return EnformerPasses(model, "human", None, ALL_BINS, 2)


@pytest.fixture(scope="module")
def windows():
    return list(np.random.default_rng(1).integers(0, 5, (4, 4096)).astype(np.uint8))


@pytest.fixture(scope="module")
def towers(model, windows):
    return model.tower(one_hot(np.stack(windows)), False)


def test_towers_are_those_of_the_model(passes, windows, towers):
    for given in (windows[:1], windows[:2]):
        found = passes.towers(given)
        assert len(found) == len(given)
        for ours, plain in zip(found, towers, strict=False):
            np.testing.assert_allclose(ours, plain, **CLOSE)


def test_predictions_are_those_of_the_model(model, passes, windows, towers):
    plain = model(one_hot(np.stack(windows)), False)["human"]
    for n in (1, 3, 4):
        found = passes.predictions(tf.unstack(towers)[:n])
        assert len(found) == n
        for ours, expected in zip(found, plain, strict=False):
            np.testing.assert_allclose(ours, expected, **CLOSE)


def test_a_sequence_gets_the_same_bits_at_every_place_and_in_any_company(passes, windows, towers):
    tower = passes.towers(windows[:1])[0]
    np.testing.assert_array_equal(passes.towers(windows[:2])[0], tower)
    np.testing.assert_array_equal(passes.towers([windows[1], windows[0]])[1], tower)
    one, two, three, four = tf.unstack(towers)
    prediction = passes.predictions([one])[0]
    for place, company in enumerate(([one], [two, one], [four, two, one], [two, three, four, one])):
        np.testing.assert_array_equal(passes.predictions(company)[place], prediction)


def test_some_tracks_of_some_bins_of_a_head(model, windows, towers):
    some = EnformerPasses(model, "mouse", (2, 0), (5, 9), 2)
    whole = model(one_hot(np.stack(windows)), False)["mouse"].numpy()
    found = some.predictions(tf.unstack(towers))
    np.testing.assert_allclose(np.stack(found), whole[:, 5:9, [2, 0]], **CLOSE)


def test_changes_of_local_blocks_make_the_tower_of_the_alternative(model, passes, windows, towers):
    alternatives = [window.copy() for window in windows[:2]]
    first_bins = [10, 0]
    for codes, first in zip(alternatives, first_bins, strict=True):
        codes[first * 128 + 700] = (codes[first * 128 + 700] + 1) % 4
    blocks = [slice(first * 128, (first + BLOCK_BINS) * 128) for first in first_bins]
    changes = passes.changes(
        [codes[block] for codes, block in zip(windows, blocks, strict=False)],
        [codes[block] for codes, block in zip(alternatives, blocks, strict=True)],
    )
    whole = model.tower(one_hot(np.stack(alternatives)), False)
    for tower, change, first, expected in zip(towers, changes, first_bins, whole, strict=False):
        assert change.shape == (BLOCK_BINS, CONFIG.channels)
        # Base 700 is base 60 of bin 5: bins 3 to 7 change, and the margins not at all.
        assert np.flatnonzero(np.any(change != 0, axis=1)).tolist() == [3, 4, 5, 6, 7]
        np.testing.assert_allclose(passes.patched(tower, change, first), expected, **CLOSE)


def test_equal_alleles_change_nothing_at_all(passes, windows, towers):
    block = windows[0][: BLOCK_BINS * 128]
    change = passes.changes([block], [block.copy()])
    assert len(change) == 1
    assert not np.any(change[0])
    np.testing.assert_array_equal(passes.patched(towers[1], change[0], 20), towers[1])


def test_a_change_is_added_where_it_belongs(passes):
    change = tf.ones([BLOCK_BINS, CONFIG.channels])
    for first in (0, 7, CONFIG.num_bins - BLOCK_BINS):
        patched = passes.patched(tf.zeros([CONFIG.num_bins, CONFIG.channels]), change, first)
        expected = np.zeros(CONFIG.num_bins)
        expected[first : first + BLOCK_BINS] = 1
        np.testing.assert_array_equal(patched[:, 0], expected)


def test_the_bin_of_a_statistic_counts_in_the_whole_output(model):
    passes = EnformerPasses(model, "human", None, (5, 9), 1)
    reference = np.zeros((4, 5), np.float32)
    alternative = np.array([[1.0], [2], [4], [8]], np.float32) * np.ones((1, 5), np.float32)
    for first_bin, expected in ((5, 1.5), (6, 3), (7, 6)):
        values = passes.statistics(
            ("SAD", "tCRA"), tf.constant(reference), tf.constant(alternative), first_bin
        )
        np.testing.assert_array_equal(values["SAD"], [15] * 5)
        np.testing.assert_array_equal(values["tCRA"], [expected] * 5)
