import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.prior.sumstats.sumstats_numbers import is_missing, log_p, numbers, positions


def column(*texts):
    return np.array(texts, object)


def test_numbers_are_the_nearest_floats():
    values, bad = numbers(column("1", "-0.5", "+2e3", ".5", "7.", "0", "-0.0", "0.1", "1e-400"))
    np.testing.assert_array_equal(values, [1, -0.5, 2000, 0.5, 7, 0, 0, 0.1, 0])
    assert not bad.any()


@pytest.mark.parametrize("text", ["", ".", "NA", "na", "NaN", "nan", "NULL", "None", "#NA", "n/a"])
def test_missing_values_are_no_faults(text):
    for texts in (column(text), column("1", text)):
        values, bad = numbers(texts)
        assert np.isnan(values[-1])
        assert not bad.any()
    assert is_missing(column(text, "1")).tolist() == [True, False]


@pytest.mark.parametrize(
    "text",
    ["inf", "-inf", "Infinity", "1e999", "1_000", "0x10", "1,5", "abc", "1 2", "١", "1e", "e5"],
)
def test_what_is_no_finite_decimal_number_is_a_fault(text):
    for texts in (column("3", text), column("3", text, "x")):
        values, bad = numbers(texts)
        assert values[0] == 3
        assert np.isnan(values[1])
        assert bad[:2].tolist() == [False, True]


def test_columns_of_floats_are_taken_as_they_are():
    values, bad = numbers(np.array([1.5, np.nan, np.inf]))
    np.testing.assert_array_equal(values, [1.5, np.nan, np.nan])
    assert bad.tolist() == [False, False, True]
    assert is_missing(np.array([1.5, np.nan])).tolist() == [False, True]


def test_tiny_p_values_keep_their_logarithm():
    texts = ("1e-400", "1E-99999", "2.5e-310", "0." + "0" * 400 + "12", "0.00012e-500", "12e-350")
    logs, bad = log_p(column(*texts))
    expected = [float(Decimal(text).ln()) for text in texts]
    np.testing.assert_allclose(logs, expected, rtol=1e-14)
    assert not bad.any()


def test_p_zero_is_told_from_a_tiny_one():
    logs, bad = log_p(column("0", "0.0", "0e-5", "-0", "1e-5000", "+0.000"))
    assert np.isneginf(logs).tolist() == [True, True, True, True, False, True]
    assert not bad.any()
    assert np.isneginf(log_p(np.array([0.0, 0.5]))[0]).tolist() == [True, False]


def test_p_values_lie_between_0_and_1():
    logs, bad = log_p(column("1", "1.0001", "-0.1", "x", "NA", "0.5", "-1e-320"))
    assert bad.tolist() == [False, True, True, True, False, False, True]
    assert (logs[0], logs[5]) == (0, math.log(0.5))
    assert np.isnan(logs[[1, 2, 3, 4, 6]]).all()


def test_positions_may_be_written_as_r_does():
    values, bad = positions(column("1", "1e+06", "248956422", "12.0"))
    assert values.tolist() == [1, 1_000_000, 248_956_422, 12]
    assert not bad.any()


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "NA", "chr1", "1e10", "inf"])
def test_what_is_no_position_is_a_fault(text):
    values, bad = positions(column("7", text))
    assert values.tolist() == [7, 0]
    assert bad.tolist() == [False, True]


@given(st.lists(st.text(max_size=8), max_size=5))
def test_any_text_is_a_number_or_missing_or_a_fault(texts):
    values, bad = numbers(column(*texts))
    missing = is_missing(column(*texts))
    assert (np.isfinite(values) ^ (missing | bad)).all()
    logs, bad = log_p(column(*texts))
    assert ((logs <= 0) | np.isnan(logs)).all()
    assert np.isnan(logs[bad]).all()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_being_written(value):
    assert numbers(column(repr(value)))[0][0] == value


@given(st.floats(1e-290, 1.0))
def test_the_two_ways_to_a_logarithm_agree(p):
    plain = log_p(column(repr(p)))[0][0]
    shifted = log_p(column(f"{Decimal(p) * Decimal('1e-400'):.25e}"))[0][0]
    assert shifted == pytest.approx(plain - 400 * math.log(10), rel=1e-13)
