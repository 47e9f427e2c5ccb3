"""Where variants are drawn and how their alleles are written."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfgen.errors import UsageError
from tfgen.genome import decode, encode
from tfgen.synthetic.assembly import assemble
from tfgen.synthetic.config import WorldConfig
from tfgen.synthetic.grammar import CLASSES
from tfgen.synthetic.variants import draw_variants, left_aligned


@pytest.fixture(scope="module")
def config():
    return WorldConfig(
        chromosomes=("chrA:256000:test",), gap_length=1000, indel_fraction=0.3, mnv_fraction=0.2
    )


@pytest.fixture(scope="module")
def assembled(config):
    return next(assemble(config))


@pytest.fixture(scope="module")
def drawn(assembled, config):
    return draw_variants(assembled, 400, config, np.random.default_rng(3))


@pytest.fixture(scope="module")
def class_at(assembled):
    """Class of the planted, bound site at each base, by a loop over sites."""
    at = {}
    for group in assembled.planted:
        bound = group.occupancy(assembled.codes) > 0
        for start in group.start[bound].tolist():
            for base in range(start, start + group.motif.width):
                at.setdefault(base, set()).add(CLASSES[group.motif.name])
    return at


def changed_bases(variant):
    start = variant.start if variant.is_substitution else variant.start + 1
    return range(start, max(variant.end, start + 1))


def test_half_lie_in_planted_sites_in_equal_classes(drawn):
    assert Counter(item.variant_class for item in drawn) == {
        "activator": 50, "distal": 50, "pair": 50, "repressor": 50, "elsewhere": 200,
    }  # fmt: skip


def test_motif_variants_change_a_site_of_their_class(drawn, class_at):
    for item in drawn:
        if item.variant_class != "elsewhere":
            touched = [class_at.get(base, set()) for base in changed_bases(item.variant)]
            assert item.variant_class in set().union(*touched)


def test_other_variants_change_no_planted_site(drawn, class_at):
    for item in drawn:
        if item.variant_class == "elsewhere":
            assert not any(base in class_at for base in changed_bases(item.variant))


def test_alleles_are_those_of_the_genome_and_differ_from_it(drawn, assembled):
    sequence = decode(assembled.codes)
    for item in drawn:
        variant = item.variant
        assert sequence[variant.start : variant.end] == variant.ref
        assert variant.alt != variant.ref
        assert set(variant.ref + variant.alt) <= set("ACGT")


def test_kinds_have_about_their_shares(drawn):
    lengths = [(len(item.variant.ref), len(item.variant.alt)) for item in drawn]
    assert 80 < sum(ref != alt for ref, alt in lengths) < 160
    assert 40 < sum(ref == alt > 1 for ref, alt in lengths) < 120
    assert max(abs(ref - alt) for ref, alt in lengths) <= 12
    assert {1 < ref for ref, alt in lengths if ref != alt} == {True, False}


def test_every_base_of_a_block_substitution_differs(drawn):
    for item in drawn:
        variant = item.variant
        if variant.is_substitution:
            pairs = zip(variant.ref, variant.alt, strict=True)
            assert all(a != b for a, b in pairs)


def test_variants_are_sorted_at_distinct_positions_with_ids_in_order(drawn):
    positions = [item.variant.pos for item in drawn]
    assert positions == sorted(set(positions))
    assert [item.variant.id for item in drawn] == [f"chrA_{n}" for n in range(1, 401)]


def test_windows_lie_between_the_outer_gaps(drawn):
    for item in drawn:
        assert 1000 + 2048 <= item.variant.start < 256_000 - 1000 - 2048


def test_half_are_common_and_half_rare(drawn):
    frequency = np.array([item.frequency for item in drawn])
    assert 0.35 < np.mean(frequency >= 0.05) < 0.65
    assert np.all((frequency >= 0.05) | (frequency <= 0.01))
    assert frequency.min() >= 0.0005
    assert frequency.max() <= 0.5


def test_drawing_repeats_with_its_random_numbers(drawn, assembled, config):
    assert draw_variants(assembled, 400, config, np.random.default_rng(3)) == drawn


def test_no_variants_can_be_asked_for(assembled, config):
    assert draw_variants(assembled, 0, config, np.random.default_rng(3)) == []


def test_more_variants_than_there_is_room_for_are_refused():
    config = WorldConfig(chromosomes=("chrA:12800:test",), gap_length=0, spacing=100_000)
    with pytest.raises(UsageError, match=r"chrA has no room for 10 variants \(activator\)"):
        draw_variants(next(assemble(config)), 10, config, np.random.default_rng(3))


DNA = st.text("AC", min_size=6, max_size=30)


@settings(max_examples=300, deadline=None)
@given(sequence=DNA, data=st.data())
def test_an_indel_is_moved_to_its_leftmost_equivalent(sequence, data):
    start = data.draw(st.integers(1, len(sequence) - 1))
    if data.draw(st.booleans()):
        end = data.draw(st.integers(start + 1, len(sequence)))
        ref, alt = sequence[start:end], ""
    else:
        ref, alt = "", data.draw(st.text("AC", min_size=1, max_size=4))
    haplotype = sequence[:start] + alt + sequence[start + len(ref) :]
    at, new_ref, new_alt = left_aligned(encode(sequence), start, encode(ref), encode(alt))
    new_ref, new_alt = decode(new_ref), decode(new_alt)
    assert sequence[at : at + len(new_ref)] == new_ref
    assert sequence[:at] + new_alt + sequence[at + len(new_ref) :] == haplotype
    assert min(len(new_ref), len(new_alt)) == 1
    # No equivalent lies further left: brute force over every earlier anchor.
    size = len(new_ref) - len(new_alt)
    for earlier in range(at):
        if size > 0:
            assert sequence[: earlier + 1] + sequence[earlier + 1 + size :] != haplotype
        else:
            inserted = haplotype[earlier + 1 : earlier + 1 - size]
            assert sequence[: earlier + 1] + inserted + sequence[earlier + 1 :] != haplotype
