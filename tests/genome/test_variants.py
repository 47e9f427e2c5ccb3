from tfgen.genome import Interval, Variant
from tfgen.genome.variants import shorten


def test_coordinates_of_a_deletion() -> None:
    variant = Variant("chr1", 100, "ACG", "A", "rs1")
    assert (variant.start, variant.end) == (99, 102)
    assert variant.interval == Interval("chr1", 99, 102)
    assert variant.length_change == -2
    assert not variant.is_substitution


def test_coordinates_of_a_substitution_of_two_bases() -> None:
    variant = Variant("chr1", 1, "AC", "GT")
    assert (variant.start, variant.end, variant.length_change) == (0, 2, 0)
    assert variant.is_substitution
    assert variant.id == "."


def test_text_form_shows_long_alleles_by_their_length() -> None:
    assert str(Variant("1", 5, "A", "G")) == "1:5 A>G"
    assert shorten("A" * 24) == "A" * 24
    assert shorten("A" * 25) == "A" * 24 + "...(25 bp)"
