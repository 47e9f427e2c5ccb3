import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.feature_files import table
from tfgen.errors import InputFormatError
from tfgen.prior.features.keyed_values import KeyedValues, NamedValues, by_contig

PAIRS = {"A": "T", "C": "G", "G": "C", "T": "A"}
SITES = st.tuples(st.sampled_from("12X"), st.integers(1, 6), st.sampled_from("ACGT")).flatmap(
    lambda site: st.sampled_from([b for b in "ACGT" if b != site[2]]).map(lambda b: (*site, b))
)


def values_of(keyed, variants, **options):
    return keyed.lookup(variants, **options)[:, 0].tolist()


def column(*values):
    return np.array(values, float)[:, None]


def brute_force(right, ref, alt, chrom, pos):
    """The best row of one variant and its sign: same, swapped, then the other strand."""
    forms = [
        (ref, alt, 1),
        (alt, ref, -1),
        (PAIRS[ref], PAIRS[alt], 1),
        (PAIRS[alt], PAIRS[ref], -1),
    ]
    for r, a, sign in forms:
        if (chrom, pos, r, a) in right:
            return right.index((chrom, pos, r, a)), sign
    return None, 0


@given(st.lists(SITES, unique=True, max_size=12), st.lists(SITES, max_size=8))
def test_alleles_are_matched_as_a_loop_would(right, left):
    keyed = KeyedValues(
        "file",
        table(*(":".join(map(str, s)) for s in right)),
        column(*range(1, len(right) + 1)),
        True,
    )
    found = keyed.lookup(table(*(":".join(map(str, s)) for s in left)), signed=True)[:, 0]
    for (chrom, pos, ref, alt), value in zip(left, found, strict=True):
        row, sign = brute_force(right, ref, alt, chrom, pos)
        np.testing.assert_equal(float(value), np.nan if row is None else sign * (row + 1.0))


def test_signs_are_kept_unless_asked_for():
    keyed = KeyedValues("file", table("1:5:A:C"), column(2), True)
    variants = table("1:5:C:A", "1:5:A:C", "1:5:A:G", "2:5:A:C", "1:9:A:C")
    np.testing.assert_equal(values_of(keyed, variants), [2, 2, np.nan, np.nan, np.nan])
    np.testing.assert_equal(values_of(keyed, variants, signed=True)[:2], [-2, 2])


def test_without_alleles_the_position_decides_and_then_the_identifier():
    keyed = KeyedValues(
        "file", table("1:5:::rs1", "1:7:::rs2", "1:7:::rs3"), column(1, 2, 3), False
    )
    variants = table(
        "1:5:A:C:other", "1:7:A:C:rs3", "1:7:A:C:rs2", "1:7:A:C:rs9", "1:7:A:C", "1:6:A:C:rs1"
    )
    np.testing.assert_equal(values_of(keyed, variants), [1, 3, 2, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("rows", "has_alleles", "named"),
    [
        (["1:5:A:C:rs1", "2:5:A:C:rs1", "1:5:A:C:rs2"], True, r"1:5:A:C \(rs2\)"),
        (["1:5:::rs1", "1:6:::rs1", "1:5:::rs1"], False, r"1:5:: \(rs1\)"),
    ],
)
def test_a_key_that_occurs_twice_is_refused(rows, has_alleles, named):
    with pytest.raises(InputFormatError, match=f"file: {named} occurs more than once"):
        KeyedValues("file", table(*rows), column(1, 2, 3), has_alleles)


def test_two_pairs_of_alleles_at_one_position_are_no_duplicates():
    keyed = KeyedValues("file", table("1:5:A:C", "1:5:A:G"), column(1, 2), True)
    assert values_of(keyed, table("1:5:A:G", "1:5:A:C")) == [2, 1]


def test_any_match_is_one_of_all_contigs():
    keyed = KeyedValues("file", table("1:5:A:C", "2:6:A:C:rs6", "1:4:A:C"), column(1, 2, 3), True)
    assert keyed.index.finds_any(table("1:9:A:C", "2:6:C:A"))
    assert not keyed.index.finds_any(table("1:9:A:C", "2:5:A:C", "3:5:A:C"))
    assert not keyed.index.finds_any(table())
    assert keyed.index.examples == ("1:4:A:C", "1:5:A:C", "2:6:A:C (rs6)")


def test_identifiers_alone():
    named = NamedValues("file", np.array(["rs1", "rs2"], object), column(1, 2))
    variants = table("1:5:A:C:rs2", "9:1:A:C:rs1", "1:5:A:C")
    np.testing.assert_equal(values_of(named, variants), [2, 1, np.nan])
    with pytest.raises(InputFormatError, match="file: 'rs1' occurs more than once"):
        NamedValues("file", np.array(["rs1", "rs1"], object), column(1, 2))
    with pytest.raises(ValueError, match="signed values need alleles"):
        named.lookup(variants, signed=True)


def test_contigs_come_in_the_order_of_first_occurrence():
    variants = table("2:1:A:C", "1:1:A:C", "2:9:A:C")
    assert [(c, rows.tolist()) for c, rows in by_contig(variants)] == [("2", [0, 2]), ("1", [1])]
