"""The bias of a new head."""

import numpy as np
import pytest
import tensorflow as tf

from enformer.training_toys import tiny_model
from tfgen.enformer.head_bias import set_head_bias
from tfgen.errors import UsageError


@pytest.mark.parametrize("mean", [[0.001, 0.7, 2.5], [3, 40, 1000]])
def test_without_signal_the_mean_is_predicted(mean):
    model = tiny_model()
    set_head_bias(model, "human", mean)
    silence = tf.zeros([1, 2, 24])
    np.testing.assert_allclose(model.predict_head(silence, "human")[0], [mean, mean], rtol=1e-5)


def test_other_heads_stay():
    model = tiny_model()
    before = model.heads["mouse"].b.numpy()
    set_head_bias(model, "human", [1, 2, 3])
    np.testing.assert_array_equal(model.heads["mouse"].b, before)


@pytest.mark.parametrize("mean", [[1.0, 2.0], [1.0, 0.0, 2.0], [1.0, np.nan, 2.0], 3.0])
def test_means_that_do_not_suit_the_head_are_refused(mean):
    with pytest.raises(UsageError, match="expected 3 positive numbers for head 'human'"):
        set_head_bias(tiny_model(), "human", mean)


def test_an_unknown_head_is_refused():
    with pytest.raises(UsageError, match="no head is called 'yeast'"):
        set_head_bias(tiny_model(), "yeast", [1.0])
