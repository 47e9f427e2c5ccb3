import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from bench import plain_enformer
from enformer.numpy_enformer import NumpyEnformer
from enformer.small import SMALL, TINY, in_a_graph, random_one_hot, randomise, values_of
from tfgen.enformer.config import EnformerConfig
from tfgen.enformer.keys import published_variables
from tfgen.enformer.model import Enformer
from tfgen.errors import UsageError

MARGIN = 3
FIELD = 646


def elements(variables):
    return sum(math.prod(variable.shape) for variable in variables)


def as_graph(function):
    return tf.function(function, autograph=False)


@pytest.fixture(scope="module")
def narrow():
    """A random tower of 12 channels; the rest is as small as can be."""
    config = EnformerConfig(
        channels=12,
        num_transformer_layers=0,
        num_heads=1,
        heads=(("human", 1),),
        sequence_length=2048,
        target_length=16,
        divisible_by=2,
        basis_length=16,
    )
    return randomise(Enformer(config), seed=5)


# Counted on the published code.
@pytest.mark.parametrize(
    ("config", "variables", "trainable", "trainable_elements", "all_elements"),
    [
        (EnformerConfig(), 329, 245, 251_221_292, 251_280_712),
        (
            EnformerConfig(channels=384, num_transformer_layers=1),
            169,
            85,
            10_620_332,
            10_636_232,
        ),
    ],
)
def test_counts_are_the_published_ones(
    config, variables, trainable, trainable_elements, all_elements
):
    model, _ = in_a_graph(config)
    assert len(model.variables) == len({id(v) for v in model.variables}) == variables
    assert len(model.trainable_variables) == trainable
    assert elements(model.trainable_variables) == trainable_elements
    assert elements(model.variables) == all_elements


def test_parts_of_the_full_model_have_the_published_sizes():
    model, _ = in_a_graph(EnformerConfig())
    assert elements(model.stem.trainable_variables) == 1_228_800
    assert sum(elements(stage.trainable_variables) for stage in model.stages) == 49_649_152
    assert {elements(block.trainable_variables) for block in model.blocks} == {15_840_256}
    assert elements(model.final.trainable_variables) == 4_724_736
    assert elements(model.heads["human"].trainable_variables) == 16_326_849
    assert elements(model.heads["mouse"].trainable_variables) == 5_048_939
    # 14 batch norms x (mean and variance) x (counter, hidden, average)
    assert len(model.variables) - len(model.trainable_variables) == 84


def test_a_model_of_one_head_lacks_only_the_other():
    model, _ = in_a_graph(EnformerConfig(heads=(("human", 5313),)))
    assert elements(model.trainable_variables) == 246_172_353


def test_the_whole_model_is_that_of_the_formulas_in_float64(tiny):
    sequences = random_one_hot(2, 1024)
    oracle = NumpyEnformer(values_of(tiny), TINY.num_heads, TINY.basis_length, layers=2)
    expected = np.stack([oracle.predict(sequence, 4, "human") for sequence in sequences])
    found = tiny(tf.constant(sequences), False)
    assert set(found) == {"human"}
    np.testing.assert_allclose(found["human"], expected, atol=5e-6)
    # The test would be empty if the bins did not differ.
    assert expected.std(axis=1).min() > 1e-3


def test_a_shorter_input_uses_the_centre_of_the_basis(tiny):
    tower = np.random.default_rng(0).standard_normal((1, 6, 24))
    oracle = NumpyEnformer(values_of(tiny), TINY.num_heads, TINY.basis_length, layers=2)
    expected = oracle.embed_tower(tower[0], 4)
    found = tiny.embed_tower(tf.constant(tower, tf.float32), False)[0]
    np.testing.assert_allclose(found, expected, atol=2e-5)
    rescaled = NumpyEnformer(values_of(tiny), TINY.num_heads, 6, layers=2)
    assert np.abs(rescaled.embed_tower(tower[0], 4) - expected).max() > 1e-3


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_the_model_agrees_with_the_formulas_written_one_by_one(small, organism):
    sequence = tf.constant(random_one_hot(1, 4096, seed=1))
    plain = as_graph(lambda x: plain_enformer.forward(small, x, organism))(sequence)
    found = as_graph(lambda x: small(x, False)[organism])(sequence)
    assert found.shape == (1, 16, dict(SMALL.heads)[organism])
    np.testing.assert_allclose(found, plain, atol=1e-5)


def test_max_pooling_takes_the_larger_of_two_positions():
    model = randomise(Enformer(dataclasses.replace(TINY, pooling_type="max")), seed=3)
    sequence = tf.constant(random_one_hot(1, 1024))
    x = model.stem.convolution(sequence)
    x = x + model.stem.pointwise(x, False)
    expected = np.maximum(x[:, ::2], x[:, 1::2])
    np.testing.assert_allclose(model.stem(sequence, False), expected, atol=1e-6)
    assert model(sequence, False)["human"].shape == (1, 4, 3)


def test_eager_graph_and_xla_agree(tiny):
    sequence = tf.constant(random_one_hot(2, 1024))
    eager = tiny(sequence, False)["human"]
    call = lambda x: tiny(x, False)["human"]  # noqa: E731
    np.testing.assert_allclose(as_graph(call)(sequence), eager, atol=1e-5)
    compiled = tf.function(call, autograph=False, jit_compile=True)
    np.testing.assert_allclose(compiled(sequence), eager, atol=1e-5)


def test_a_batch_is_its_sequences_one_by_one(small):
    sequences = random_one_hot(2, 4096, seed=2)
    call = as_graph(lambda x: small(x, False)["human"])
    singles = np.concatenate([call(tf.constant(sequences[i : i + 1])) for i in range(2)])
    np.testing.assert_allclose(call(tf.constant(sequences)), singles, atol=1e-5)


@pytest.mark.parametrize("bins", [(0, 16), (0, 1), (15, 16), (7, 9), (3, 14)])
def test_wanted_bins_are_those_of_the_whole_output(small, bins):
    tower = small.tower(tf.constant(random_one_hot(1, 4096)), False)
    whole = small.embed_tower(tower, False)
    part = small.embed_tower(tower, False, bins=bins)
    np.testing.assert_allclose(part, whole[:, slice(*bins)], atol=2e-5)


def test_wanted_bins_of_a_model_without_transformer(narrow):
    tower = narrow.tower(tf.constant(random_one_hot(1, 2048)), False)
    whole = narrow.embed_tower(tower, False)
    np.testing.assert_allclose(
        narrow.embed_tower(tower, False, bins=(3, 5)), whole[:, 3:5], atol=1e-6
    )


def test_wanted_tracks_are_those_of_the_whole_head(small):
    embedding = tf.random.stateless_normal([2, 16, 192], seed=[1, 2])
    whole = small.predict_head(embedding, "human").numpy()
    assert whole.shape == (2, 16, 7)
    assert whole.min() > 0
    tracks = [5, 0, 0]
    part = small.predict_head(embedding, "human", tf.constant(tracks))
    np.testing.assert_allclose(part, whole[:, :, tracks], atol=1e-6)


def test_relative_keys_may_be_kept_between_calls(small):
    tower = small.tower(tf.constant(random_one_hot(1, 4096)), False)
    kept = small.relative_keys()
    assert len(kept) == 2
    np.testing.assert_array_equal(
        small.embed_tower(tower, False, kept), small.embed_tower(tower, False)
    )


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float16, np.float64])
def test_one_hot_of_other_types_is_accepted(tiny, dtype):
    sequence = random_one_hot(1, 256)
    expected = tiny.tower(tf.constant(sequence), False)
    np.testing.assert_array_equal(tiny.tower(sequence.astype(dtype), False), expected)


# What the published model does: 6 bins for phases 0-2 and 125-127, 5 bins for the others.
def changed_bins(phase):
    return range(-2 - (phase < 3), 3 + (phase > 124))


def test_one_base_changes_its_own_bins_alone_in_all_128_phases(narrow):
    sequence = random_one_hot(1, 2048, seed=4)[0]
    position = 128 * 8 + np.arange(128)
    reference = np.repeat(sequence[np.newaxis], 128, axis=0)
    alternative = reference.copy()
    for row, where in enumerate(position):
        alternative[row, where] = np.roll(sequence[where], 1) if sequence[where].any() else 0.25
    tower = as_graph(lambda x: narrow.tower(x, False))
    differs = tower(tf.constant(reference)).numpy() != tower(tf.constant(alternative)).numpy()
    for phase in range(128):
        assert set(np.flatnonzero(differs[phase].any(axis=1)) - 8) == set(changed_bins(phase))


def test_a_bin_depends_on_646_bases(narrow):
    sequence = tf.constant(random_one_hot(1, 2048, seed=4))
    with tf.GradientTape() as tape:
        tape.watch(sequence)
        middle = tf.reduce_sum(narrow.tower(sequence, False)[0, 8])
    seen = np.flatnonzero(np.abs(tape.gradient(middle, sequence)[0]).max(axis=1))
    assert (seen.min(), seen.max()) == (128 * 8 - 259, 128 * 8 + 386)
    assert len(seen) == FIELD


def test_a_local_window_with_three_margin_bins_is_exact_and_with_two_is_not(narrow):
    sequence = random_one_hot(1, 2048, seed=4)
    whole = narrow.tower(tf.constant(sequence), False).numpy()
    third_bins = []
    for start, stop in [(2, 14), (3, 10), (0, 7), (9, 16)]:
        local = narrow.tower(tf.constant(sequence[:, 128 * start : 128 * stop]), False).numpy()
        error = np.abs(local - whole[:, start:stop]).max(axis=(0, 2))
        # An end that is the end of the sequence as well needs no margin.
        low, high = (0 if start == 0 else MARGIN), (len(error) if stop == 16 else -MARGIN)
        assert error[low:high].max() < 5e-6
        third_bins += [] if start == 0 else [error[MARGIN - 1]]
        third_bins += [] if stop == 16 else [error[-MARGIN]]
    # Few bases near the seam reach the third bin, so that it is not wrong in every window.
    assert max(third_bins) > 1e-4


def test_an_untrained_model_stays_finite():
    # With the published zero variance outputs reach 1e32.
    model = Enformer(SMALL)
    prediction = model(tf.constant(random_one_hot(1, 4096)), False)["human"].numpy()
    assert np.isfinite(prediction).all()
    assert prediction.max() < 100


def test_training_updates_the_averages_and_drops_out():
    model = Enformer(TINY)
    sequence = tf.constant(random_one_hot(2, 1024))
    first, second = (model(sequence, True)["human"].numpy() for _ in range(2))
    assert np.isfinite(first).all()
    assert (first != second).any()
    counters = [i.variable for i in published_variables(model) if i.sonnet.endswith("_counter")]
    assert [int(counter) for counter in counters] == [2] * 28


def test_training_without_dropout_depends_on_the_batch_alone():
    rates = ("dropout_rate", "attention_dropout_rate", "positional_dropout_rate")
    model = Enformer(dataclasses.replace(TINY, **dict.fromkeys(rates, 0.0)))
    sequence = tf.constant(random_one_hot(2, 1024))
    first, second = (model(sequence, True)["human"].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_gradients_reach_every_trainable_variable(tiny):
    sequence = tf.constant(random_one_hot(1, 1024))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tiny(sequence, False)["human"])
    gradients = tape.gradient(loss, tiny.trainable_variables)
    assert all(gradient is not None for gradient in gradients)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 200, 4), "sequence length 200 is not a positive multiple of 128"),
        ((1, 0, 4), "sequence length 0 is not"),
        ((1, 256, 8), r"sequence is \(1, 256, 8\); expected \[batch, length, 4\]"),
        ((256, 4), r"sequence is \(256, 4\); expected \[batch, length, 4\]"),
        ((1, 1, 256, 4), r"expected \[batch, length, 4\]"),
    ],
)
def test_what_is_no_batch_of_sequences_is_refused(tiny, shape, message):
    with pytest.raises(UsageError, match=message):
        tiny.tower(tf.zeros(shape), False)


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        (2, "the tower has 2 bins; expected 4 to 16, with equal crops"),
        (5, "the tower has 5 bins; expected 4 to 16, with equal crops"),
        (18, "the tower has 18 bins; expected 4 to 16"),
    ],
)
def test_a_tower_that_does_not_suit_the_model_is_refused(tiny, bins, message):
    with pytest.raises(UsageError, match=message):
        tiny.embed_tower(tf.zeros([1, bins, 24]), False)


def test_a_tower_of_unknown_length_is_refused(tiny):
    call = as_graph(lambda x: tiny.embed_tower(x, False))
    with pytest.raises(UsageError, match="number of tower bins is unknown; give .* static"):
        call.get_concrete_function(tf.TensorSpec([1, None, 24]))


@pytest.mark.parametrize("bins", [(-1, 2), (0, 5), (2, 2), (3, 1)])
def test_bins_outside_the_output_are_refused(tiny, bins):
    with pytest.raises(UsageError, match=f"bins {bins[0]} to {bins[1]} are asked for; .* 0 to 4"):
        tiny.embed_tower(tf.zeros([1, 8, 24]), False, bins=bins)


def test_a_head_that_is_not_there_is_refused(tiny):
    with pytest.raises(UsageError, match="no head is called 'mouse'; this model has human"):
        tiny.predict_head(tf.zeros([1, 4, 48]), "mouse")
