"""The Poisson loss, against Keras and a loop."""

import math

import keras
import numpy as np
import pytest

from tfgen.enformer.loss import poisson_loss


@pytest.fixture
def values():
    rng = np.random.default_rng(3)
    prediction = rng.gamma(1.0, 2.0, (2, 5, 3)).astype(np.float32)
    target = rng.poisson(2.0, (2, 5, 3)).astype(np.float32)
    return prediction, target


def test_it_is_the_poisson_loss_of_keras(values):
    prediction, target = values
    ours = float(poisson_loss(prediction, target))
    theirs = float(np.mean(keras.losses.poisson(target, prediction)))
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_it_is_the_mean_over_everything(values):
    terms = [p - t * math.log(p + 1e-7) for p, t in zip(*(v.ravel() for v in values), strict=True)]
    assert float(poisson_loss(*values)) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_a_prediction_of_zero_stays_finite():
    assert float(
        poisson_loss(np.zeros((1, 1, 1), np.float32), np.full((1, 1, 1), 2.0, np.float32))
    ) == pytest.approx(-2 * math.log(1e-7))
