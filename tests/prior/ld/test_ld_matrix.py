"""Correlations of genotypes, and LD matrices that are none."""

import numpy as np
import pytest

from prior.ld_toys import correlation, haplotypes, variants
from tfgen.errors import InputFormatError
from tfgen.genome import VariantTable
from tfgen.prior.ld.ld_matrix import (
    Dropped,
    check_correlation,
    correlation_rows,
    count_genotypes,
    dropped_reasons,
    examples,
    require_unique,
    standardise,
)

MISSING = -127


def test_frequencies_are_over_known_genotypes():
    dosages = np.array([[0, 2, 1, MISSING], [1, 2, MISSING, MISSING], [2, 2, 1, MISSING]], np.int8)
    counts = count_genotypes(dosages)
    np.testing.assert_allclose(counts.af, [0.5, 1, 0.5, np.nan])
    np.testing.assert_allclose(counts.missing, [0, 0, 1 / 3, 1])
    assert counts.varies.tolist() == [True, False, False, False]


def test_each_variant_that_cannot_be_used_has_its_reason():
    dosages = np.zeros((20, 5), np.int8)
    dosages[:10, 0] = 1
    dosages[:1, 1] = 1
    dosages[:10, 2] = 1
    dosages[10:13, 2] = MISSING
    dosages[:1, 4], dosages[1:10, 4] = 1, MISSING
    reasons = dropped_reasons(count_genotypes(dosages), max_missing=0.1, min_maf=0.05)
    assert reasons.tolist() == [
        "",
        Dropped.LOW_MAF.value,
        Dropped.MISSING_RATE.value,
        Dropped.MONOMORPHIC.value,
        Dropped.MISSING_RATE.value,
    ]
    assert (dropped_reasons(count_genotypes(dosages), 1, 0) == "").tolist() == [1, 1, 1, 0, 1]


@pytest.mark.parametrize("wrong", [3, -1, 100])
def test_other_numbers_are_no_genotypes(wrong):
    with pytest.raises(InputFormatError, match="none of 0, 1, 2 and missing"):
        count_genotypes(np.array([[0], [wrong]], np.int8))


def test_ld_is_that_of_numpy():
    genotypes = haplotypes(50, 20)
    in_centre = np.arange(20) % 3 == 0
    rows = correlation_rows(standardise(genotypes), in_centre)
    np.testing.assert_allclose(rows, correlation(genotypes)[in_centre], atol=1e-12)
    assert np.all(rows[np.arange(7), np.flatnonzero(in_centre)] == 1)
    np.testing.assert_array_equal(rows[:, in_centre], rows[:, in_centre].T)


def test_missing_genotypes_are_set_to_the_mean():
    genotypes = haplotypes(50, 6)
    genotypes[[3, 8, 9], 2] = MISSING
    filled = genotypes.astype(float)
    filled[[3, 8, 9], 2] = np.mean([g for g in genotypes[:, 2] if g != MISSING])
    rows = correlation_rows(standardise(genotypes), np.ones(6, bool))
    np.testing.assert_allclose(rows, np.corrcoef(filled.T), atol=1e-12)


def test_identical_variants_have_a_correlation_of_exactly_one():
    column = haplotypes(33, 1)
    rows = correlation_rows(standardise(np.hstack([column, column, 2 - column])), np.ones(3, bool))
    assert np.all(np.abs(rows) <= 1)
    np.testing.assert_allclose(rows, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])


def test_a_monomorphic_variant_is_refused():
    with pytest.raises(InputFormatError, match="column 1 of the genotypes is the same"):
        standardise(np.array([[0, 1], [1, 1]], np.int8))


def label(row):
    return f"v{row}"


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (2, 5, np.nan, r"x: LD is not finite in 1 rows, most in that of v2"),
        (3, 3, 0.9, "r of v3 with itself is 0.9; expected 1"),
        (4, 1, 0.6, r"r of v1 and v4 differs by 0\.1 between the triangles"),
        (7, 7, 1.001, "r of v7 with itself is 1.001"),
    ],
)
def test_matrices_that_are_no_ld_are_refused(row, column, value, message):
    matrix = np.full((9, 9), 0.5)
    np.fill_diagonal(matrix, 1)
    check_correlation(matrix, label, "x")
    matrix[row, column] = value
    with pytest.raises(InputFormatError, match=message):
        check_correlation(matrix, label, "x")


def test_a_correlation_beyond_one_is_refused():
    matrix = np.eye(4)
    matrix[1, 3] = matrix[3, 1] = -1.00001
    with pytest.raises(InputFormatError, match="r = -1.00001 between v1 and v3; expected -1 to 1"):
        check_correlation(matrix, label, "x")
    check_correlation(matrix, label, "x", tolerance=1e-4)


@pytest.mark.parametrize("shape", [(3, 4), (3,)])
def test_a_matrix_that_is_not_square_is_refused(shape):
    with pytest.raises(InputFormatError, match="expected a square matrix"):
        check_correlation(np.ones(shape), label, "x")


def test_large_matrices_are_checked_to_their_end():
    matrix = np.eye(1500)
    matrix[1400, 1200] = 0.5
    with pytest.raises(InputFormatError, match="v1200 and v1400"):
        check_correlation(matrix, label, "x")


def test_variants_that_occur_twice_are_refused_whatever_the_order_of_their_alleles():
    table = VariantTable.of(
        ["1", "1", "2", "1"], [5, 5, 5, 5], ["A", "A", "A", "G"], ["G", "C", "G", "A"], list("abcd")
    )
    with pytest.raises(InputFormatError, match=r"x: 1 variants occur more than once: 1:5:G:A \(d"):
        require_unique(table, "x")
    require_unique(table.take(slice(0, 3)), "x")
    require_unique(variants([]), "x")


def test_an_insertion_and_a_deletion_at_a_position_are_two_variants():
    # 22:16085838 A/AT and AT/A: both alleles are of the reference in one of them.
    table = VariantTable.of(["1"] * 3, [5] * 3, ["A", "AT", "AT"], ["AT", "A", "A"], list("abc"))
    require_unique(table.take(slice(0, 2)), "x")
    with pytest.raises(InputFormatError, match=r"1 variants occur more than once: 1:5:AT:A \(c"):
        require_unique(table, "x")


def test_long_lists_are_cut_in_messages():
    assert examples(["a", "b"]) == "a, b"
    assert examples(list("abcde")) == "a, b, c and 2 more"
