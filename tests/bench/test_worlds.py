"""The models and windows of the benchmarks are of the kind that they stand for."""

import dataclasses

import numpy as np
import tensorflow as tf

from bench import plain_enformer
from bench.worlds import calibrated_model, centred_windows, random_codes, shared_windows
from effects.small_models import CONFIG
from tfgen.genome import one_hot

WIDE = dataclasses.replace(CONFIG, channels=192, sequence_length=16_384, basis_length=128)


def test_nothing_is_damped_or_blown_up_on_the_way_through_the_model():
    model = calibrated_model(WIDE)
    sequence = one_hot(random_codes(WIDE.sequence_length, 7)[np.newaxis])
    tower = model.tower(tf.constant(sequence), False)
    prediction = model(sequence, False)["human"].numpy()
    assert 0.3 < np.std(tower) < 3
    assert 0.1 < prediction.mean() < 0.5
    assert prediction.max() < 10


def test_the_plain_form_is_the_same_model():
    model = calibrated_model(WIDE)
    sequence = tf.constant(one_hot(random_codes(WIDE.sequence_length, 8)[np.newaxis]))
    np.testing.assert_allclose(
        plain_enformer.forward(model, sequence, "human"),
        model(sequence, False)["human"],
        atol=2e-5,
    )


def test_shared_variants_have_one_window_and_others_each_their_own():
    shared = shared_windows(CONFIG, 12)
    assert len({window.window for window in shared}) == 1
    assert len({window.offset for window in shared}) == 12
    apart = centred_windows(CONFIG, 3)
    assert len({window.window for window in apart}) == 3
    for window in (*shared, *apart):
        assert np.flatnonzero(window.ref_codes != window.alt_codes).tolist() == [window.offset]
