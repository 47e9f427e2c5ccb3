import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genome import oracle
from tfgen.errors import UsageError
from tfgen.genome import IupacPolicy, encode, one_hot, one_hot_table

LETTERS = "ACGTNRYSWKMBDHVacgtnryswkmbdhv"


def test_default_is_the_published_convention_of_zero_rows_for_n() -> None:
    assert one_hot("aCgTNM").tolist() == [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]


@given(st.text(LETTERS, max_size=40), st.sampled_from([0.0, 0.25]), st.sampled_from(["n", "mean"]))
def test_rows_equal_those_written_letter_by_letter(
    sequence: str, n_value: float, iupac: IupacPolicy
) -> None:
    rows = one_hot(sequence, n_value, iupac)
    assert rows.shape == (len(sequence), 4)
    assert rows.dtype == np.float32
    expected = np.array(oracle.one_hot(sequence, n_value, iupac), np.float32).reshape(-1, 4)
    np.testing.assert_array_equal(rows, expected)


def test_codes_of_any_shape_get_a_last_axis_of_four() -> None:
    codes = np.stack([encode("ACGT"), encode("TTNN")])
    rows = one_hot(codes)
    assert rows.shape == (2, 4, 4)
    np.testing.assert_array_equal(rows[1], one_hot("TTNN"))


def test_table_has_sixteen_rows_of_which_the_last_is_zero() -> None:
    table = one_hot_table(0.25, "mean")
    assert table.shape == (16, 4)
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table[15], 0)
    np.testing.assert_allclose(table[:15].sum(axis=1), 1, rtol=1e-6)


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="iupac policy 'zero': expected 'n' or 'mean'"):
        one_hot_table(iupac="zero")  # type: ignore[arg-type]
