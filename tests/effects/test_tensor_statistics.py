import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfgen.effects.statistics import STATISTICS, compute_statistics
from tfgen.effects.tensor_statistics import needed_bins, tensor_statistics
from tfgen.effects.windows import WindowGeometry
from tfgen.errors import UsageError
from tfgen.genome import Variant

NAMES = tuple(STATISTICS)

predictions = hnp.arrays(
    np.float32,
    (6, 3),
    elements=st.one_of(
        st.just(0.0),
        st.floats(0, 1, width=32, allow_subnormal=False),
        st.floats(0, 2.0**17, width=32, allow_subnormal=False),
    ),
)


def both_ways(reference, alternative, first_bin):
    ours = tensor_statistics(
        NAMES, tf.constant(reference), tf.constant(alternative), tf.constant(first_bin)
    )
    offset = (first_bin + 1) * 128
    plain = compute_statistics(NAMES, reference, alternative, offset)
    return {name: value.numpy() for name, value in ours.items()}, plain


@given(predictions, predictions, st.integers(0, 4))
def test_every_statistic_equals_its_definition(reference, alternative, first_bin):
    ours, plain = both_ways(reference, alternative, first_bin)
    assert list(ours) == list(NAMES)
    # Differences are float32 and sums float64 in both, so that only the last bit can differ;
    # TensorFlow makes zeros of subnormal numbers.
    np.testing.assert_allclose(ours["SAD"], plain["SAD"], rtol=2e-7, atol=1e-37)
    np.testing.assert_allclose(ours["tCRA"], plain["tCRA"], rtol=2e-7, atol=1e-37)
    # log1p of up to 12 rounds by 1e-6 in either implementation, in each of 6 bins.
    np.testing.assert_allclose(ours["SAR"], plain["SAR"], rtol=1e-6, atol=1e-5)


@given(predictions, st.integers(0, 4))
def test_equal_predictions_score_exactly_zero(same, first_bin):
    ours, _ = both_ways(same, same.copy(), first_bin)
    for value in ours.values():
        np.testing.assert_array_equal(value, np.zeros(3, np.float32))


def test_known_values():
    reference = np.zeros((6, 1), np.float32)
    alternative = np.array([[1], [3], [7], [0], [0], [15]], np.float32)
    ours, _ = both_ways(reference, alternative, 1)
    assert (ours["SAD"], ours["SAR"], ours["tCRA"]) == (26, 1 + 2 + 3 + 4, (3 + 7) / 2)


def test_sums_are_taken_in_float64():
    # In float32 every addition of 1 to 2**24 is lost.
    alternative = np.ones((1000, 1), np.float32)
    alternative[0] = 2**24
    ours, _ = both_ways(np.zeros_like(alternative), alternative, 0)
    assert ours["SAD"][0] == np.float32(2**24 + 999)


def test_results_are_float32_of_the_statistics_asked_for():
    values = tensor_statistics(["tCRA", "SAD"], tf.ones([4, 2]), tf.ones([4, 2]), tf.constant(0))
    assert list(values) == ["tCRA", "SAD"]
    assert all((v.dtype, v.shape) == (tf.float32, [2]) for v in values.values())


PUBLISHED = WindowGeometry(196_608, 896)


@pytest.mark.parametrize("mode", ["centred", "shared"])
@pytest.mark.parametrize("names", [("SAD",), ("tCRA", "SAR"), NAMES])
def test_sums_need_all_bins(names, mode):
    assert needed_bins(names, PUBLISHED, mode) == (0, 896)


def test_tcra_of_a_centred_variant_needs_two_bins():
    assert needed_bins(["tCRA"], PUBLISHED, "centred") == (447, 449)


def test_tcra_in_a_shared_window_needs_the_bins_of_one_tile():
    # A tile is 128 bins of 896; the variant lies anywhere in it.
    assert needed_bins(["tCRA"], PUBLISHED, "shared") == (383, 514)


geometries = st.builds(
    lambda bins, extra: WindowGeometry(128 * (bins + 2 * extra), bins),
    st.integers(4, 1000),
    st.integers(0, 300),
)


@given(geometries, st.integers(1, 250_000_000), st.sampled_from(["centred", "shared"]))
def test_the_needed_bins_hold_the_central_bins_of_any_variant(geometry, pos, mode):
    start, stop = needed_bins(["tCRA"], geometry, mode)
    assert 0 <= start < stop <= geometry.target_length
    for variant in (Variant("1", pos, "A", "C"), Variant("1", pos, "A", "CT")):
        window = geometry.window(variant, mode)
        first, second = geometry.central_bins(variant.start - window.start)
        assert start <= first
        assert second < stop


@pytest.mark.parametrize("mode", ["centred", "shared"])
def test_a_model_with_too_few_bins_has_no_tcra(mode):
    with pytest.raises(UsageError, match="tCRA needs a model with more output bins"):
        needed_bins(["tCRA"], WindowGeometry(1024, 1 if mode == "centred" else 2), mode)
