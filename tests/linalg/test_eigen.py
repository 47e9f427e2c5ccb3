"""Eigendecompositions and repairs, against SciPy and by hand."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputFormatError, NumericalError, UsageError
from tfgen.linalg.eigen import PsdRepair, psd_eigh

# Correlations that contradict each other: eigenvalues 1 + 0.9 sqrt(2), 1, 1 - 0.9 sqrt(2).
TORN = np.array([[1, 0.9, 0], [0.9, 1, 0.9], [0, 0.9, 1]])
LEAST = 1 - 0.9 * np.sqrt(2)


def correlations(size, samples, seed):
    rng = np.random.default_rng(seed)
    return np.corrcoef(rng.normal(size=(size, samples)) + rng.normal(size=samples))


@given(st.integers(2, 12), st.integers(3, 30), st.integers(0, 2**32 - 1))
def test_it_decomposes_what_needs_no_repair(size, samples, seed):
    matrix = correlations(size, samples, seed)
    result = psd_eigh(matrix, "LD")
    expected = scipy.linalg.eigh(matrix, eigvals_only=True, driver="evr")[::-1]
    np.testing.assert_allclose(result.values, expected, atol=1e-12)
    assert (np.diff(result.values) <= 0).all()
    assert result.values[-1] >= 0
    np.testing.assert_allclose(
        (result.vectors * result.values) @ result.vectors.T, matrix, atol=1e-12
    )
    np.testing.assert_allclose(result.vectors.T @ result.vectors, np.eye(size), atol=1e-12)
    assert (result.repair.fix, result.repair.n_negative, result.repair.max_change) == ("none", 0, 0)


def test_the_matrix_given_is_left_alone():
    matrix = TORN.copy()
    psd_eigh(matrix, "LD", "clip")
    np.testing.assert_array_equal(matrix, TORN)


def test_a_negative_eigenvalue_stops():
    message = r"^LD of chr1: not positive semi-definite, smallest eigenvalue -0\.272792; 1 of 3 are"
    with pytest.raises(NumericalError, match=message):
        psd_eigh(TORN, "LD of chr1")


def test_a_negative_eigenvalue_within_the_tolerance_is_rounding():
    values = np.array([2.0, 1.0, -1e-6])
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    matrix = (vectors * values) @ vectors.T
    result = psd_eigh(matrix, "LD")
    np.testing.assert_allclose(result.values, [2, 1, 0], atol=1e-12)
    assert result.repair.min_eigenvalue == pytest.approx(-1e-6, rel=1e-6)
    with pytest.raises(
        NumericalError, match="eigenvalue -1e-06; 1 of 3 are below -2e-07, expected"
    ):
        psd_eigh(matrix, "LD", tolerance=1e-7)


def test_the_floor_can_be_given_whatever_the_largest_eigenvalue():
    values = np.array([2.0, 1.0, -1e-3])
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    matrix = (vectors * values) @ vectors.T
    found = psd_eigh(matrix, "LD", floor=-1.001e-3)
    assert (found.repair.fix, found.repair.min_eigenvalue) == ("none", pytest.approx(-1e-3))
    with pytest.raises(NumericalError, match=r"1 of 3 are below -0\.000999"):
        psd_eigh(matrix, "LD", floor=-0.999e-3)


def test_clipping_gives_a_correlation_matrix():
    result = psd_eigh(TORN, "LD", "clip")
    values, vectors = np.linalg.eigh(TORN)
    clipped = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
    root = np.sqrt(np.diag(clipped))
    np.testing.assert_allclose(result.matrix, clipped / np.outer(root, root), atol=1e-12)
    np.testing.assert_array_equal(np.diag(result.matrix), np.ones(3))
    np.testing.assert_allclose(
        (result.vectors * result.values) @ result.vectors.T, result.matrix, atol=1e-12
    )
    assert result.values.min() >= 0
    change = np.abs(result.matrix - TORN).max()
    assert result.repair == PsdRepair("clip", pytest.approx(LEAST), 1, 0.0, pytest.approx(change))


def test_clipping_keeps_a_diagonal_that_is_not_one():
    scale = np.array([1.0, 2.0, 3.0])
    covariance = TORN * np.outer(scale, scale)
    result = psd_eigh(covariance, "covariance", "clip")
    np.testing.assert_array_equal(np.diag(result.matrix), np.diag(covariance))
    assert np.linalg.eigvalsh(result.matrix).min() > -1e-12


def test_shrinking_takes_the_smallest_share_that_suffices():
    result = psd_eigh(TORN, "LD", "shrink")
    share = -LEAST / (1 - LEAST)
    np.testing.assert_allclose(result.matrix, (1 - share) * TORN + share * np.eye(3), atol=1e-12)
    np.testing.assert_allclose(result.values[-1], 0, atol=1e-12)
    np.testing.assert_allclose(result.values, np.linalg.eigvalsh(result.matrix)[::-1], atol=1e-12)
    assert result.repair.shrinkage == pytest.approx(share)
    assert result.repair.max_change == pytest.approx(0.9 * share)
    assert (result.repair.fix, result.repair.n_negative) == ("shrink", 1)


def test_a_given_share_is_used_whether_needed_or_not():
    result = psd_eigh(TORN, "LD", "shrink", shrinkage=0.5)
    np.testing.assert_allclose(result.values[-1], 0.5 * LEAST + 0.5, rtol=1e-12)
    result = psd_eigh(np.eye(3), "LD", "shrink", shrinkage=0.5)
    assert (result.repair.fix, result.repair.shrinkage) == ("shrink", 0.5)
    assert psd_eigh(np.eye(3), "LD", "shrink").repair.fix == "none"


def test_a_given_share_that_does_not_suffice_stops():
    with pytest.raises(NumericalError, match="-0.272792 and shrinkage 0.1 does not lift it; 1 of"):
        psd_eigh(TORN, "LD", "shrink", shrinkage=0.1)


@pytest.mark.parametrize(
    ("fix", "shrinkage", "message"),
    [
        ("guess", None, "no repair is called 'guess'; expected error, clip, shrink"),
        ("clip", 0.1, "shrinkage 0.1 with 'clip'; expected 0 to 1, with 'shrink'"),
        ("shrink", 1.5, "shrinkage 1.5 with 'shrink'; expected 0 to 1"),
    ],
)
def test_settings_without_meaning_are_refused(fix, shrinkage, message):
    with pytest.raises(UsageError, match=message):
        psd_eigh(np.eye(2), "LD", fix, shrinkage=shrinkage)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), r"^LD: shape \(2, 3\); expected a square matrix"),
        (np.ones(4), r"^LD: shape \(4,\); expected a square matrix"),
        (np.ones((0, 0)), r"^LD: shape \(0, 0\); expected a square matrix"),
        (
            np.array([[1, 0.5], [np.nan, np.inf]]),
            r"^LD: 2 entries are not finite, the first in row 1, column 0 \(from 0\)",
        ),
        (
            np.array([[1, 0.5], [0.25, 1]]),
            r"^LD: not symmetric, 0.5 in row 0, column 1 \(from 0\) and 0.25 across",
        ),
    ],
)
def test_what_is_no_symmetric_matrix_is_refused(matrix, message):
    with pytest.raises(InputFormatError, match=message):
        psd_eigh(matrix, "LD")


def test_asymmetry_of_float32_is_averaged():
    matrix = np.array([[1, 0.5 + 2e-7], [0.5, 1]])
    result = psd_eigh(matrix, "LD")
    np.testing.assert_array_equal(result.matrix, result.matrix.T)
    assert result.matrix[0, 1] == pytest.approx(0.5 + 1e-7, abs=1e-12)


def test_clipping_needs_a_positive_diagonal():
    with pytest.raises(InputFormatError, match="smallest diagonal entry is 0; expected positive"):
        psd_eigh(np.array([[0.0, 1.0], [1.0, 1.0]]), "LD", "clip")


def test_a_failure_of_lapack_names_the_matrix(monkeypatch):
    def fail(_):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(np.linalg, "eigh", fail)
    with pytest.raises(NumericalError, match="^LD: the eigendecomposition did not converge"):
        psd_eigh(np.eye(2), "LD")
