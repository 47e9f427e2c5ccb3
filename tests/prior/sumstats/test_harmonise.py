import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prior.sumstats_by_hand import ledger, records, table
from tfgen.errors import InputFormatError
from tfgen.prior.sumstats.harmonise import (
    genome_order,
    harmonise,
    possibly_in,
    resolve_strands,
    without_panel,
)

PANEL = table(
    ("1", 10, "A", "G", 0.3, "rs1"),
    ("1", 20, "C", "T", 0.4, "rs2"),
    ("1", 20, "C", "A", 0.1, "rs3"),
    ("2", 10, "A", "T", 0.2, "."),
    ("2", 30, "AT", "A", 0.6, "rs5"),
)


def harmonised(*rows, by_id=False, panel=PANEL):
    counts = ledger()
    return harmonise(records(*rows), panel, by_id, "panel", counts), counts.counts


@pytest.mark.parametrize(
    ("alleles", "way", "sign"),
    [
        (("A", "G"), "same", 1),
        (("G", "A"), "swapped", -1),
        (("T", "C"), "complement", 1),
        (("C", "T"), "complement_swapped", -1),
    ],
)
def test_every_way_of_writing_the_alleles_ends_in_that_of_the_panel(alleles, way, sign):
    found, counts = harmonised(("1", 10, *alleles, 0.25, "x"))
    kept = found.records
    assert kept.variants.label(0) == "1:10:G:A (rs1)"
    assert kept.z.tolist() == [sign * 1.0]
    assert kept.beta.tolist() == [sign * 0.01]
    assert kept.variants.af.tolist() == [0.25 if sign > 0 else 0.75]
    assert found.panel_af.tolist() == [0.3]
    assert found.matches == {
        name: int(name == way) for name in ("same", "swapped", "complement", "complement_swapped")
    }
    assert counts == {}


def test_what_the_panel_lacks_is_counted_by_the_reason():
    found, counts = harmonised(
        ("1", 10, "A", "G"), ("1", 11, "A", "G"), ("1", 20, "C", "G"), ("3", 10, "A", "G")
    )
    assert len(found.records) == 1
    assert counts == {"NOT_IN_PANEL": 2, "ALLELES_DIFFER": 1}


def test_alleles_choose_among_several_variants_of_one_position():
    found, _ = harmonised(("1", 20, "A", "C"), ("1", 20, "T", "C"), ("2", 30, "A", "AT"))
    assert found.key.tolist() == [2, 1, 4]
    assert found.records.z.tolist() == [-1, -2, -3]


def test_the_identifier_of_the_panel_is_taken_if_it_has_one():
    found, _ = harmonised(("1", 10, "A", "G", 0.1, "mine"), ("2", 10, "A", "T", 0.1, "mine"))
    assert found.records.variants.id.tolist() == ["rs1", "mine"]


def test_variants_can_be_found_by_identifier():
    found, counts = harmonised(
        ("", 0, "G", "A", 0.1, "rs1"),
        ("9", 9, "C", "A", 0.1, "rs3"),
        ("", 0, "A", "T", 0.1, "."),
        ("", 0, "C", "G", 0.1, "rs2"),
        by_id=True,
    )
    assert found.key.tolist() == [0, 2]
    assert [found.records.variants.label(i) for i in (0, 1)] == ["1:10:G:A (rs1)", "1:20:A:C (rs3)"]
    assert found.records.z.tolist() == [-1, 2]
    assert counts == {"NOT_IN_PANEL": 1, "ALLELES_DIFFER": 1}


def test_a_panel_without_identifiers_has_nothing_to_find():
    found, counts = harmonised(
        ("", 0, "A", "G", 0.1, "rs1"), by_id=True, panel=table(("1", 10, "A", "G"))
    )
    assert (len(found.records), counts) == (0, {"NOT_IN_PANEL": 1})


def test_records_far_from_the_panel_are_seen_at_once():
    rows = records(
        ("9", 10, "A", "C", 0.1, "rs9"), ("1", 11, "A", "G"), ("1", 99, "A", "G", 0.1, "rs2")
    )
    assert possibly_in(PANEL, by_id=False)(rows).tolist() == [True, False, False]
    assert possibly_in(PANEL, by_id=True)(rows).tolist() == [False, False, True]


def test_a_repeated_variant_of_the_panel_is_refused():
    panel = table(("1", 10, "A", "G", 0.1, "rs1"), ("1", 10, "A", "G", 0.1, "rs2"))
    with pytest.raises(InputFormatError, match="panel: 1:10:G:A .* more than once"):
        harmonised(("1", 10, "A", "G"), panel=panel)


def test_a_z_of_zero_has_no_sign_to_change():
    found = harmonise(records(("1", 10, "G", "A"), z=[0.0]), PANEL, False, "panel", ledger())
    assert repr(found.records.z[0].item()) == "0.0"


def test_without_a_panel_copies_share_position_and_alleles():
    found = without_panel(
        records(("1", 5, "A", "G"), ("1", 5, "G", "A"), ("1", 5, "A", "C"), ("2", 5, "A", "G"))
    )
    assert found.key.tolist() == [0, 0, 1, 2]
    assert np.isnan(found.panel_af).all()


def test_frequencies_tell_the_strand_of_palindromic_variants():
    panel = table(
        *[("1", i, "A", "T", af) for i, af in enumerate((0.2, 0.2, 0.2, 0.45), start=1)],
        ("1", 5, "A", "G", 0.2),
    )
    rows = [
        ("1", 1, "A", "T", 0.25),
        ("1", 2, "A", "T", 0.85),
        ("1", 3, "T", "A", 0.3),
        ("1", 4, "A", "T", 0.2),
        ("1", 5, "A", "G", 0.9),
    ]
    found = harmonise(records(*rows), panel, False, "panel", ledger())
    # In line 3 the letters say swapped, so that A1 has 0.7 where the panel has 0.2.
    assert found.records.z.tolist() == [1, 2, -3, 4, 5]
    settled, unknown, n_flipped = resolve_strands(found, margin=0.08)
    assert settled.records.z.tolist() == [1, -2, 3, 4, 5]
    np.testing.assert_allclose(settled.records.variants.af, [0.25, 0.15, 0.3, 0.2, 0.9])
    assert unknown.tolist() == [False, False, False, True, False]
    assert n_flipped == 2


def test_the_order_of_the_genome():
    names = ["GL1", "MT", "10", "X", "2", "Y", "2", "1", "AB"]
    found = table(*[(name, 100 - i, "A", "G") for i, name in enumerate(names)])
    order = genome_order(found)
    assert found.chrom[order].tolist() == ["1", "2", "2", "10", "X", "Y", "MT", "AB", "GL1"]
    assert found.pos[order].tolist()[1:3] == [94, 96]


BASES = st.sampled_from("ACGT")


@given(
    st.lists(
        st.tuples(st.integers(1, 6), BASES, BASES, st.booleans()).filter(
            lambda row: row[1] != row[2]
        ),
        min_size=1,
        max_size=8,
    )
)
def test_swapping_the_alleles_of_any_record_changes_nothing(rows):
    panel = table(*[("1", pos, *pair, 0.3) for pos in range(1, 7) for pair in ("AC", "TG", "GA")])
    plain, swapped = [], []
    for pos, first, second, swap in rows:
        plain.append(("1", pos, first, second, 0.125))
        swapped.append(("1", pos, second, first, 0.875) if swap else plain[-1])
    signs = np.array([-1.0 if row[3] else 1.0 for row in rows])
    one = records(*plain)
    other = records(*swapped, z=one.z * signs, beta=one.beta * signs)
    left, right = (harmonise(each, panel, False, "panel", ledger()) for each in (one, other))
    assert left.key.tolist() == right.key.tolist()
    for name in ("z", "beta", "n", "maf", "line"):
        np.testing.assert_array_equal(getattr(left.records, name), getattr(right.records, name))
    np.testing.assert_array_equal(left.records.variants.af, right.records.variants.af)
