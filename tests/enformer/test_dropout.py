"""Masks that follow from a seed."""

import numpy as np
import tensorflow as tf

from tfgen.enformer.dropout import dropout, dropout_seed

ONES = tf.ones([4, 1000])


def drawn(seed, rate=0.25, times=1):
    with dropout_seed(tf.constant(seed, tf.int64)):
        return [dropout(ONES, rate).numpy() for _ in range(times)]


def test_a_seed_gives_the_same_masks_again():
    for first, again in zip(drawn([1, 7], times=3), drawn([1, 7], times=3), strict=True):
        np.testing.assert_array_equal(first, again)


def test_every_layer_and_every_seed_has_a_mask_of_its_own():
    first, second = drawn([1, 7], times=2)
    assert (first != second).any()
    assert (first != drawn([1, 8])[0]).any()
    assert (first != drawn([2, 7])[0]).any()


def test_a_graph_draws_the_masks_of_eager_execution():
    @tf.function
    def graph(seed):
        with dropout_seed(seed):
            return dropout(ONES, 0.25), dropout(ONES, 0.25)

    for mask, eager in zip(
        graph(tf.constant([1, 7], tf.int64)), drawn([1, 7], times=2), strict=True
    ):
        np.testing.assert_array_equal(mask, eager)


def test_the_share_and_the_scale_are_right():
    (values,) = drawn([3, 4])
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((values == 0).mean() - 0.25) < 0.03


def test_without_a_seed_no_two_passes_are_alike():
    first, second = dropout(ONES, 0.5).numpy(), dropout(ONES, 0.5).numpy()
    assert (first != second).any()


def test_blocks_nest():
    with dropout_seed(tf.constant([1, 7], tf.int64)):
        first = dropout(ONES, 0.25).numpy()
        drawn([5, 5])
        second = dropout(ONES, 0.25).numpy()
    np.testing.assert_array_equal([first, second], drawn([1, 7], times=2))
