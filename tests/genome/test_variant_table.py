import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfgen.errors import InputFormatError
from tfgen.genome import AlleleMatch, VariantTable, is_palindromic, join_variants, match_alleles
from tfgen.genome.variant_table import contig_names

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A"}
ALLELES = st.sampled_from(["A", "C", "G", "T", "AC", "GT", "TTT"])
SITES = st.tuples(st.sampled_from("12"), st.integers(1, 4), ALLELES, ALLELES)


def objects(*values):
    return np.array(values, object)


def expected_match(ref, alt, other_ref, other_alt):
    """The rule for one pair, written out."""
    if (ref, alt) == (other_ref, other_alt):
        return AlleleMatch.SAME
    if (ref, alt) == (other_alt, other_ref):
        return AlleleMatch.SWAPPED
    flipped = COMPLEMENT.get(other_ref), COMPLEMENT.get(other_alt)
    if (ref, alt) == flipped:
        return AlleleMatch.COMPLEMENT
    if (alt, ref) == flipped:
        return AlleleMatch.COMPLEMENT_SWAPPED
    return AlleleMatch.DIFFERENT


@given(ALLELES, ALLELES, ALLELES, ALLELES)
def test_alleles_match_as_the_rule_says(ref, alt, other_ref, other_alt):
    found = match_alleles(*(objects(allele) for allele in (ref, alt, other_ref, other_alt)))
    assert found[0] == expected_match(ref, alt, other_ref, other_alt)


def test_signs_follow_the_counted_allele():
    assert [match.sign for match in AlleleMatch] == [0, 1, -1, 1, -1]


def test_palindromic_pairs_are_those_that_look_alike_on_both_strands():
    ref, alt = (
        objects("A", "T", "C", "G", "A", "A", "AT"),
        objects("T", "A", "G", "C", "C", "G", "A"),
    )
    assert is_palindromic(ref, alt).tolist() == [True, True, True, True, False, False, False]


def test_contigs_and_alleles_are_normalised():
    table = VariantTable.of(["chr1", "X", 23], [1, 2, 3], ["a", "C", "g"], ["t", "g", "ca"])
    assert table.chrom.tolist() == ["1", "X", "X"]
    assert table.alt.tolist() == ["T", "G", "CA"]
    assert contig_names(["chrM", "26", 24, 7]).tolist() == ["MT", "MT", "Y", "7"]
    assert np.isnan(table.af).all()
    assert table.label(0) == "1:1:A:T"


def test_columns_of_different_length_are_refused():
    with pytest.raises(InputFormatError, match=r"different length: \{'chrom': 1, 'pos': 2"):
        VariantTable.of(["1"], [1, 2], ["A", "A"], ["C", "C"])


def test_a_join_finds_the_best_row_and_its_sign():
    left = VariantTable.of(["1"] * 5, [10, 20, 30, 40, 50], list("ACAGA"), list("GTCTC"))
    right = VariantTable.of(
        ["chr1"] * 5, [10, 10, 20, 30, 40], ["G", "A", "G", "A", "C"], ["A", "G", "A", "T", "A"]
    )
    join = join_variants(left, right)
    assert join.rows.tolist() == [1, 2, -1, 4, -1]
    assert join.match.tolist() == [
        AlleleMatch.SAME,
        AlleleMatch.COMPLEMENT,
        AlleleMatch.DIFFERENT,
        AlleleMatch.COMPLEMENT,
        AlleleMatch.DIFFERENT,
    ]
    assert join.signs.tolist() == [1, 1, 0, 1, 0]
    assert join.found.tolist() == [True, True, False, True, False]
    assert join.other_alleles.tolist() == [False, False, True, False, False]


def test_a_variant_that_occurs_twice_is_refused_only_if_it_is_asked_for():
    right = VariantTable.of(["1"] * 3, [10, 10, 20], list("AAC"), list("GGT"), ["a", "b", "c"])
    with pytest.raises(InputFormatError, match=r"panel: 1:10:A:G \(b\) occurs more than once"):
        join_variants(right.take(slice(0, 1)), right, "panel")
    join = join_variants(right.take(np.array([2])), right)
    assert join.rows.tolist() == [2]


def is_other_indel(pair, i, left_rows, right_rows):
    """Whether a match of `left_rows[i]` is of an insertion with the deletion listed beside it."""
    match, j = pair
    chrom, pos, ref, alt = left_rows[i]
    other = (chrom, pos, alt, ref)
    both = other in left_rows or (chrom, pos, ref, alt) in right_rows
    return match == AlleleMatch.SWAPPED and len(ref + alt) > 2 and both and right_rows[j] == other


def test_an_indel_is_swapped_only_if_its_other_order_is_not_listed():
    def table(*pairs):
        ref, alt = zip(*pairs, strict=True)
        return VariantTable.of(["1"] * len(pairs), [10] * len(pairs), ref, alt)

    one, other = ("A", "AT"), ("AT", "A")
    swapped = join_variants(table(one), table(other))
    assert (swapped.rows.tolist(), swapped.signs.tolist()) == ([0], [-1])
    # One record of the one table belongs to one of the two rows of the other, not to both.
    for pair, rows in ((one, [0, -1]), (other, [-1, 0])):
        join = join_variants(table(one, other), table(pair))
        assert join.rows.tolist() == rows
        assert join.signs.tolist() == [row + 1 for row in rows]
        assert join.other_alleles.tolist() == [row < 0 for row in rows]
    both = join_variants(table(one, other), table(other, one))
    assert (both.rows.tolist(), both.signs.tolist()) == ([1, 0], [1, 1])
    assert join_variants(table(other), table(one, other)).rows.tolist() == [1]
    # Single bases are one variant in either order.
    snv = join_variants(table(("A", "G"), ("G", "A")), table(("A", "G")))
    assert (snv.rows.tolist(), snv.signs.tolist()) == ([0, 0], [1, -1])


@given(st.lists(SITES, unique=True, max_size=8), st.lists(SITES, unique=True, max_size=8))
def test_a_join_equals_the_search_of_every_pair(left_rows, right_rows):
    left, right = (
        VariantTable.of(*(list(column) for column in zip(*rows, strict=True)))
        if rows
        else VariantTable.of([], [], [], [])
        for rows in (left_rows, right_rows)
    )
    join = join_variants(left, right)
    for i, (chrom, pos, ref, alt) in enumerate(left_rows):
        here = [
            (expected_match(ref, alt, row[2], row[3]) or 99, j)
            for j, row in enumerate(right_rows)
            if row[:2] == (chrom, pos)
        ]
        here = [pair for pair in here if not is_other_indel(pair, i, left_rows, right_rows)]
        best = min(here, default=(99, -1))
        if best[0] == 99:
            assert join.rows[i] == -1
            assert join.other_alleles[i] == any(row[:2] == (chrom, pos) for row in right_rows)
        else:
            assert (join.match[i], join.rows[i]) == best
