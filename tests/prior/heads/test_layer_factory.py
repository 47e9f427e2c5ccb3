"""Starting weights and dropout masks that follow from seeds."""

import numpy as np
import tensorflow as tf

from tfgen.prior.heads.layer_factory import LayerFactory, StatelessDropout

ONES = tf.ones([4, 1000])
SEED = tf.constant([1, 7], tf.int32)


def test_a_seed_gives_the_same_mask_again():
    dropout = StatelessDropout(0.25, 3)
    first = dropout(ONES, SEED).numpy()
    np.testing.assert_array_equal(dropout(ONES, SEED), first)
    assert (dropout(ONES, tf.constant([1, 8], tf.int32)).numpy() != first).any()
    np.testing.assert_array_equal(tf.function(dropout)(ONES, SEED), first)
    np.testing.assert_array_equal(tf.function(dropout, jit_compile=True)(ONES, SEED), first)


def test_every_dropout_of_a_model_has_a_stream_of_its_own():
    factory = LayerFactory(0)
    masks = [factory.dropout(0.5)(ONES, SEED).numpy() for _ in range(3)]
    assert (masks[0] != masks[1]).any()
    assert (masks[1] != masks[2]).any()


def test_the_share_and_the_scale_are_right():
    values = StatelessDropout(0.25, 1)(ONES, SEED).numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((values == 0).mean() - 0.25) < 0.03


def test_without_a_seed_or_a_rate_nothing_is_dropped():
    assert StatelessDropout(0.25, 1)(ONES, None) is ONES
    assert StatelessDropout(0.0, 1)(ONES, SEED) is ONES


def test_weights_follow_from_the_seed_and_differ_between_layers():
    def kernels(seed):
        factory = LayerFactory(seed)
        return [factory.dense(5, 6, name).kernel.numpy() for name in "ab"]

    first, again, other = kernels(1), kernels(1), kernels(2)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).all()
    assert (first[0] != other[0]).all()


def test_layers_are_built_under_their_names():
    factory = LayerFactory(0)
    layers = [
        factory.dense(3, 4, "plain", bias=False, start="zeros"),
        factory.convolution(3, 4, 5, "wide"),
        factory.norm(4, "norm"),
    ]
    paths = [[weight.path for weight in layer.weights] for layer in layers]
    assert paths == [
        ["plain/kernel"],
        ["wide/kernel", "wide/bias"],
        ["norm/gamma", "norm/beta"],
    ]
    assert not layers[0].kernel.numpy().any()


def test_the_mask_of_a_variant_does_not_depend_on_those_behind_it():
    dropout = StatelessDropout(0.5, 1)
    np.testing.assert_array_equal(dropout(ONES[:3], SEED), dropout(ONES, SEED)[:3])
