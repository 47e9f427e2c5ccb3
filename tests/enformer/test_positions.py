"""The basis at the published size: 1,536 bins, 192 columns, so 32 functions in each family."""

import numpy as np
import pytest

from enformer.numpy_enformer import gamma_density, gamma_peaks, grid, position_features
from tfgen.enformer.positions import position_basis
from tfgen.errors import UsageError

T, COLUMNS, F = 1536, 192, 32
EXPONENTIAL, MASK, GAMMA = slice(0, F), slice(F, 2 * F), slice(2 * F, 3 * F)


@pytest.fixture(scope="module")
def exact():
    return position_basis(T, COLUMNS, "float64")


@pytest.fixture(scope="module")
def reference():
    return position_basis(T, COLUMNS, "reference")


@pytest.fixture(scope="module")
def by_loops():
    """Every distance and column by scalar formulas in double precision."""
    positive = [position_features(d, T, COLUMNS) for d in range(T)]
    half = COLUMNS // 2
    mirrored = [np.concatenate([row[:half], -row[half:]]) for row in positive[:0:-1]]
    return np.array(mirrored + positive)


def test_the_exact_basis_is_that_of_the_formulas(exact, by_loops):
    assert exact.shape == (2 * T - 1, COLUMNS)
    assert exact.dtype == np.float32
    np.testing.assert_allclose(exact, by_loops, rtol=0, atol=1e-7)


def test_the_reference_basis_has_the_noise_of_float32_in_the_gamma_columns_only(
    exact, reference, by_loops
):
    # Float32 log densities of size 3e4 leave 2.5e-3, whatever library computes them.
    difference = np.abs(reference - by_loops).max(axis=0).reshape(2, 3, F)
    assert 1e-4 < difference[:, 2].max() <= 2.5e-3
    assert difference[:, :2].max() < 1e-6
    assert np.abs(reference - exact).max() <= 2.5e-3


@pytest.mark.parametrize("arithmetic", ["reference", "float64"])
@pytest.mark.parametrize(("length", "columns"), [(1, 6), (8, 12), (32, 24), (200, 48)])
def test_other_sizes_follow_the_same_formulas(length, columns, arithmetic):
    basis = position_basis(length, columns, arithmetic)
    expected = [position_features(d, length, columns) for d in range(-(length - 1), length)]
    np.testing.assert_allclose(basis, expected, rtol=0, atol=2e-4)


def test_half_lives_run_from_8_to_the_length_in_equal_ratios(exact):
    at = T - 1  # row of distance 0
    assert exact[at + 8, 0] == 0.5
    assert exact[at + 768, F - 1] == np.float32(2**-0.5)  # half of half-life 1536
    half_lives = -1 / np.log2(exact[at + 1, EXPONENTIAL].astype(float))
    np.testing.assert_allclose(half_lives[[0, -1]], [8, 1536], rtol=1e-3)
    ratios = half_lives[1:] / half_lives[:-1]
    np.testing.assert_allclose(ratios, (1536 / 8) ** (1 / 31), rtol=1e-3)


def test_central_masks_double_and_the_last_22_are_constant(exact):
    widths = exact[T - 1 :, MASK].sum(axis=0)
    np.testing.assert_array_equal(widths, [min(2**k - 1, T) for k in range(1, 33)])
    assert (exact[:, MASK] == 1).all(axis=0).sum() == 22


# Published basis, before it is scaled: feature -> (distance of the peak, value there).
@pytest.mark.parametrize(("feature", "peak"), [(0, 36), (1, 90), (31, 1535)])
@pytest.mark.parametrize("arithmetic", ["reference", "float64"])
def test_gamma_columns_peak_where_the_published_ones_do(feature, peak, arithmetic):
    column = position_basis(T, COLUMNS, arithmetic)[T - 1 :, GAMMA][:, feature]
    assert column.max() == 1
    assert column[peak] == pytest.approx(1, abs=1e-4)
    assert abs(int(column.argmax()) - peak) <= 1


def test_gamma_peaks_have_the_published_heights():
    peaks = gamma_peaks(T, F)
    assert peaks[0] == pytest.approx(0.01867, abs=5e-6)
    assert peaks[31] == pytest.approx(0.01662, abs=5e-6)
    mean = grid(T / F, T, F)[0]
    assert (mean, gamma_density(36, mean, mean / 2)) == (48, peaks[0])


@pytest.mark.parametrize("arithmetic", ["reference", "float64"])
def test_the_second_half_is_the_first_with_the_sign_of_the_distance(arithmetic):
    basis = position_basis(T, COLUMNS, arithmetic)
    symmetric, signed = basis[:, : COLUMNS // 2], basis[:, COLUMNS // 2 :]
    np.testing.assert_array_equal(symmetric, symmetric[::-1])
    np.testing.assert_array_equal(signed, -signed[::-1])
    np.testing.assert_array_equal(signed[T:], symmetric[T:])
    assert not signed[T - 1].any()


def test_the_basis_of_a_shorter_input_is_another_one(exact):
    # Why a shorter input uses the centre of the long basis.
    shorter = position_basis(1024, COLUMNS, "float64")
    assert np.abs(shorter - exact[512:-512]).max() > 0.1


def test_a_basis_is_made_once_and_cannot_be_changed(exact):
    assert position_basis(T, COLUMNS, "float64") is exact
    with pytest.raises(ValueError, match="read-only"):
        exact[0, 0] = 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, "float64"), "position columns are 8; expected a positive multiple of 6"),
        ((8, 0, "float64"), "position columns are 0"),
        ((0, 6, "float64"), "position basis has 0 bins; expected at least 1"),
        ((8, 6, "float32"), "position arithmetic is 'float32'; use reference or float64"),
    ],
)
def test_a_basis_that_cannot_be_made_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        position_basis(*arguments)
